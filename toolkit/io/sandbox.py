"""Work on items that nobody trusts, each in a process that is ended where it takes too much.

A decoder may spend minutes, or all memory, inside one call of a C library, or crash: only another
process can stop that. The kernel ends the worker; its item is told as Stopped, and its neighbours
go to a new worker.
"""

import contextlib
import ctypes
import multiprocessing
import os
import resource
import signal
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

A = TypeVar("A")
B = TypeVar("B")

PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>
AHEAD = 4  # items that a worker has been given and not answered
PATIENCE = 12  # seconds that may pass for one of processor time: a busy machine is no file's fault


@dataclass(frozen=True)
class Stopped:
    """An item that was not finished, and why."""

    reason: str


@dataclass
class _Worker:
    process: BaseProcess
    line: "connection.Connection[Any, Any]"
    given: deque[int]


def sandboxed_map(
    function: Callable[[A], B],
    items: Sequence[A],
    workers: int,
    *,
    seconds: float = 0,
    memory: int = 0,
) -> Iterator[B | Stopped]:
    """Yield `function(item)`, or Stopped, for all items in their order.

    An item may take so many seconds of processor time (and PATIENCE times as many of the clock),
    and so many bytes of memory beyond what this process has; 0 is no limit. Where a worker is
    killed from outside, its item gets a second one. The workers are forked, and end with this
    process; results are pickled. Raises what `function` raises.
    """
    team, done = _Team(function, items, seconds, memory), dict[int, Any]()
    try:
        for _ in range(min(workers, len(items))):
            team.start_one()
        for index in range(len(items)):
            while index not in done:
                done.update(team.answers())
            yield _unwrapped(done.pop(index))
    finally:
        for worker in team.workers:
            _end(worker)


class _Team:
    """The workers, and the items that none of them has."""

    def __init__(
        self, function: Callable[[Any], Any], items: Sequence[Any], seconds: float, memory: int
    ) -> None:
        self.workers: list[_Worker] = []
        self._job = (function, items, seconds, memory)
        self._waiting = deque(range(len(items)))
        self._killed: set[int] = set()

    def start_one(self) -> None:
        """Fork a worker."""
        ours, theirs = multiprocessing.Pipe()
        # The ends of this process, which must be closed there: a worker ends when they are gone.
        others = [ours, *(worker.line for worker in self.workers)]
        process = multiprocessing.get_context("fork").Process(
            target=_serve, args=(*self._job, theirs, others), daemon=True
        )
        with warnings.catch_warnings():  # see workers
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        theirs.close()
        self.workers.append(_Worker(process, ours, deque()))

    def answers(self) -> Iterator[tuple[int, Any]]:
        """Give out items, wait, and yield the results that have come."""
        self._give()
        ready = connection.wait([worker.line for worker in self.workers if worker.given])
        for worker in [one for one in self.workers if one.line in ready]:
            index = worker.given.popleft()
            try:
                yield index, worker.line.recv()
            except (EOFError, OSError):
                code = self._replace(worker)
                if code == -signal.SIGKILL and index not in self._killed:
                    self._killed.add(index)
                    self._waiting.appendleft(index)
                else:
                    yield index, Stopped(_reason(code, self._job[2]))

    def _give(self) -> None:
        for _ in range(AHEAD):
            for worker in self.workers:
                if self._waiting and len(worker.given) < AHEAD:
                    worker.given.append(self._waiting.popleft())
                    with contextlib.suppress(OSError):  # ended: seen when its answer is missing
                        worker.line.send(worker.given[-1])

    def _replace(self, worker: _Worker) -> int | None:
        """A new worker for one that has ended, whose exit code is returned."""
        _end(worker)
        self._waiting.extendleft(reversed(worker.given))
        self.workers.remove(worker)
        self.start_one()
        return worker.process.exitcode


def _reason(code: int | None, seconds: float) -> str:
    if code in (-signal.SIGPROF, -signal.SIGALRM):
        return f"it took more than {seconds:g} seconds"
    if code == -signal.SIGKILL:
        return "the process that read it was killed, perhaps for lack of memory"
    name = signal.Signals(-code).name if code and code < 0 else f"exit code {code}"
    return f"the process that read it crashed ({name})"


def _unwrapped(result: Any) -> Any:
    if isinstance(result, _Raised):
        raise result.error
    return result


def _end(worker: _Worker) -> None:
    worker.line.close()
    worker.process.join(0.2)
    worker.process.kill()
    worker.process.join()


# --- in the worker ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Raised:
    error: Exception


def _serve(
    function: Callable[[A], B],
    items: Sequence[A],
    seconds: float,
    memory: int,
    line: "connection.Connection[Any, Any]",
    others: "Sequence[connection.Connection[Any, Any]]",
) -> None:
    for other in others:
        other.close()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff complains there, in a file's own words
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted, and stops us
    for end in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(end, signal.SIG_DFL)
    _end_with_parent()
    if memory:
        most = _data_size() + memory
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while (index := _next(line)) is not None:
        _alarm(seconds)
        try:
            result: Any = function(items[index])
        except MemoryError:
            result = Stopped(f"it took more than {memory // 1_000_000:,} MB of memory")
        except Exception as error:  # noqa: BLE001 - raised again in the parent
            result = _Raised(error)
        _alarm(0)
        try:
            line.send(result)
        except BrokenPipeError:
            return  # nobody waits for it any more


def _next(line: "connection.Connection[Any, Any]") -> int | None:
    try:
        return int(line.recv())
    except (EOFError, OSError):
        return None


def _alarm(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE * seconds)


def _end_with_parent() -> None:
    """At once, and not with the item; Linux only. Elsewhere the closed pipe ends the worker."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _data_size() -> int:
    """Bytes of this process's own writable memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    return pages * resource.getpagesize()
