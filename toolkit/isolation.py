"""Work on items that nobody trusts, each in a process that is ended where it takes too much.

A decoder may spend minutes, or all memory, inside one call of a C library, or crash: only another
process can stop that. The kernel ends the worker; its item is told as Stopped, and its neighbours
go to a new worker.
"""

import multiprocessing
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

AHEAD = 4  # items that a worker has been given and not answered
PATIENCE = 4  # seconds that may pass for one of processor time: a busy machine is no file's fault


@dataclass(frozen=True)
class Stopped:
    """An item that was not finished, and why."""

    reason: str


@dataclass
class _Worker:
    process: BaseProcess
    line: "connection.Connection[Any, Any]"
    given: deque[int]


def ordered(
    function: Callable[[A], B], items: Sequence[A], workers: int, *, seconds: float, memory: int
) -> Iterator[B | Stopped]:
    """Yield `function(item)`, or Stopped, for all items in their order.

    An item may take so many seconds of processor time (and PATIENCE times as many of the clock),
    and so many bytes of memory beyond what this process has. The workers are forked; results are
    pickled. Raises what `function` raises.
    """
    waiting, done = deque(range(len(items))), dict[int, Any]()
    team: list[_Worker] = []
    limits = (seconds, memory)
    try:
        for _ in range(min(workers, len(items))):
            team.append(_start(function, items, team, limits))
        for index in range(len(items)):
            while index not in done:
                _feed(team, waiting)
                ready = connection.wait([worker.line for worker in team if worker.given])
                for worker in [one for one in team if one.line in ready]:
                    found, result = _take(worker, seconds)
                    done[found] = result
                    if isinstance(result, Stopped):
                        waiting.extendleft(reversed(worker.given))
                        team.remove(worker)
                        team.append(_start(function, items, team, limits))
            yield _unwrapped(done.pop(index))
    finally:
        for worker in team:
            _end(worker)


def _feed(team: Sequence[_Worker], waiting: deque[int]) -> None:
    for _ in range(AHEAD):
        for worker in team:
            if waiting and len(worker.given) < AHEAD:
                worker.given.append(waiting.popleft())
                _send(worker.line, worker.given[-1])


def _send(line: "connection.Connection[Any, Any]", index: int) -> None:
    try:
        line.send(index)
    except OSError:
        return  # it has ended, which is seen when its answer is missing


def _take(worker: _Worker, seconds: float) -> tuple[int, Any]:
    """The index and the result of the item that the worker was on."""
    index = worker.given.popleft()
    try:
        return index, worker.line.recv()
    except (EOFError, OSError):
        _end(worker)
        return index, Stopped(_reason(worker.process.exitcode, seconds))


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


def _start(
    function: Callable[[A], B],
    items: Sequence[A],
    team: Sequence[_Worker],
    limits: tuple[float, int],
) -> _Worker:
    ours, theirs = multiprocessing.Pipe()
    # The ends of this process, which must be closed there: a worker ends when they are gone.
    others = [ours, *(worker.line for worker in team)]
    process = multiprocessing.get_context("fork").Process(
        target=_serve, args=(function, items, theirs, others, limits), daemon=True
    )
    with warnings.catch_warnings():  # see workers
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    theirs.close()
    return _Worker(process, ours, deque())


def _serve(
    function: Callable[[A], B],
    items: Sequence[A],
    line: "connection.Connection[Any, Any]",
    others: "Sequence[connection.Connection[Any, Any]]",
    limits: tuple[float, int],
) -> None:
    for other in others:
        other.close()
    seconds, memory = limits
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted, and stops us
    for end in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(end, signal.SIG_DFL)
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
        line.send(result)


def _next(line: "connection.Connection[Any, Any]") -> int | None:
    try:
        return int(line.recv())
    except (EOFError, OSError):
        return None


def _alarm(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE * seconds)


def _data_size() -> int:
    """Bytes of this process's own writable memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    return pages * resource.getpagesize()
