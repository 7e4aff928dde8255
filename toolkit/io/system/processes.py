"""How processes are started, share memory, are waited for, are signaled, and end."""

import contextlib
import io
import mmap
import os
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
STOPPING = tuple(
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    if name in signal.Signals.__members__
)
"""The signals that ask a command to stop; Windows has SIGBREAK in place of SIGHUP."""
MOST_PIPES = 60
"""Of workers that Windows can wait for at once."""
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


def usable_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return min(os.cpu_count() or 1, MOST_PIPES)


# --- workers ----------------------------------------------------------------------------------


def forks() -> bool:
    """Return whether workers are forked, in milliseconds, and inherit what this process has.

    That is on Linux. macOS's own libraries do not survive a fork, and Windows has none: there a
    worker is a new Python, which imports what it needs, and so it is where multiprocessing's start
    method was set to "spawn".
    """
    from multiprocessing import get_start_method  # slow to import

    return sys.platform == "linux" and get_start_method(allow_none=True) != "spawn"


def start_context() -> "BaseContext":
    """Return how workers are started (see `forks`)."""
    from multiprocessing import get_context

    return get_context("fork" if forks() else "spawn")


def shared_memory(size: int) -> Any:
    """Return a buffer of zeros that the workers that get it share with this process."""
    return mmap.mmap(-1, size) if forks() else start_context().RawArray("B", size)


def end_with(parent: int) -> None:
    """Let this worker end when its parent ends, even killed, so that locks are free.

    On Linux the kernel does it; elsewhere a thread, which waits for a call of C to end that holds
    Python's lock.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the call
            os._exit(1)
    else:
        threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    from multiprocessing import connection, parent_process

    if parent := parent_process():
        connection.wait([parent.sentinel])
    os._exit(1)


class PipeSelector:
    """A selector of pipes as Windows has them, which no other one takes."""

    def __init__(self) -> None:
        self._keys = dict[Any, selectors.SelectorKey]()

    def register(self, pipe: Any, events: int, data: Any) -> None:
        """Begin to wait for a pipe."""
        self._keys[pipe] = selectors.SelectorKey(pipe, 0, events, data)

    def unregister(self, pipe: Any) -> None:
        """Wait for a pipe no longer."""
        del self._keys[pipe]

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return the keys of the pipes that can be read; none after `timeout` seconds."""
        from multiprocessing import connection

        ready: list[Any] = connection.wait(list(self._keys), timeout)
        return [(self._keys[pipe], self._keys[pipe].events) for pipe in ready]

    def close(self) -> None:
        """Wait for nothing any more."""
        self._keys.clear()


def pipe_selector() -> PipeSelector | selectors.BaseSelector:
    """Return what waits for pipes."""
    return PipeSelector() if os.name == "nt" else selectors.DefaultSelector()


def fail_silently() -> None:
    """Let Windows show no window when this process crashes."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.SetErrorMode(msvcrt.SEM_FAILCRITICALERRORS | msvcrt.SEM_NOGPFAULTERRORBOX)


def encode_utf8(stream: object) -> None:
    """Let a stream of text be UTF-8 on Windows, where a file or pipe has another encoding."""
    if sys.platform == "win32" and isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8")


# --- signals ----------------------------------------------------------------------------------


def signal_group(process: "subprocess.Popen[Any]", number: int) -> None:
    """Send a signal to a process that leads a session, and to all that it started.

    Windows knows no groups to signal: there the process ends, and what it started goes on.
    """
    if sys.platform == "win32":
        process.kill()
    else:
        os.killpg(process.pid, number)


def signal_main(number: int) -> None:
    """Send this process a signal that its main thread gets; if it waits, not on Windows."""
    if sys.platform == "win32":
        signal.raise_signal(number)
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, number)


@contextlib.contextmanager
def alarm(seconds: float, ring: Callable[[int, object], None]) -> Iterator[None]:
    """Call `ring`, which may raise, in the block after so long, whatever is waited for.

    Only the main thread can be interrupted, and Windows has no timer that does it.
    """
    main = threading.current_thread() is threading.main_thread()
    if sys.platform == "win32" or not main:
        yield
        return
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
