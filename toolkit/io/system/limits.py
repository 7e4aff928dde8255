"""Limits of time and memory: the kernel's on Linux, elsewhere a watchdog's in the parent.

The kernel ends a process at the moment it passes a limit. The watchdog looks every TICK seconds, so
that it comes late, and not at all while the parent is busy.
"""

import mmap
import os
import signal
import sys
import time
from dataclasses import dataclass

try:
    import resource
except ImportError:  # Windows
    KERNEL = False
else:
    KERNEL = sys.platform == "linux"

PATIENCE = 12  # seconds of wall-clock time per second of CPU time: the machine may be busy
TICK = 0.05  # seconds
NO_MEMORY, NO_TIME = 70, 71  # exit codes; the second is said of a worker that the watchdog ended
TOO_SLOW = (
    NO_TIME,
    *(-signal.Signals[n] for n in ("SIGPROF", "SIGALRM") if n in signal.Signals.__members__),
)
"""Exit codes of a worker that took too long."""


def prepare_limits() -> None:
    """Let this process end where a limit is passed, without a dump of its memory."""
    if KERNEL and sys.platform == "linux":
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def begin_limits(seconds: float, memory: int) -> tuple[int, int]:
    """Let the kernel end this process after `seconds` of CPU time, or `memory` bytes from now.

    0 is no limit. Returns what `end_limits` takes.
    """
    if not KERNEL or sys.platform != "linux":
        return 0, 0
    before, most = resource.getrlimit(resource.RLIMIT_DATA)
    _set_timers(seconds)
    if memory:
        limit = _data_size() + memory
        limit = limit if before == resource.RLIM_INFINITY else min(limit, before)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, most))
    return before, most


def end_limits(before: tuple[int, int]) -> None:
    """Undo `begin_limits`."""
    if KERNEL and sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, before)
        _set_timers(0)


def _data_size() -> int:
    """Return the size of this process's writable memory in bytes."""
    descriptor = os.open("/proc/self/statm", os.O_RDONLY)
    pages = int(os.read(descriptor, 200).split()[5])
    os.close(descriptor)
    return pages * mmap.PAGESIZE


def _set_timers(seconds: float) -> None:
    if sys.platform == "linux":
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE * seconds)


# --- the watchdog -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Usage:
    """CPU and wall-clock time in seconds, and bytes of memory, of a process."""

    cpu: float
    wall: float
    memory: int


class Watchdog:
    """Says when a worker has taken more for an item than it may."""

    def __init__(self, process: int) -> None:
        import psutil

        self._process = psutil.Process(process)
        self._item, self._before = 0, Usage(0, 0, 0)

    def look(self, item: int, seconds: float, memory: int) -> int | None:
        """Return the exit code for an item beyond its limits, 0 being none; else None.

        What an item takes counts from the first look at it, by its number.
        """
        if not seconds and not memory:
            return None
        now = self._usage()
        if item != self._item:
            self._item, self._before = item, now
        cpu, wall = now.cpu - self._before.cpu, now.wall - self._before.wall
        if seconds and (cpu > seconds or wall > PATIENCE * seconds):
            return NO_TIME
        if memory and now.memory - self._before.memory > memory:
            return NO_MEMORY
        return None

    def _usage(self) -> Usage:
        import psutil

        try:
            times, memory = self._process.cpu_times(), self._process.memory_info()
        except psutil.Error:  # it has just ended
            return self._before
        used = getattr(memory, "private", memory.rss)  # Windows's own number counts what is swapped
        return Usage(times.user + times.system, time.monotonic(), used)
