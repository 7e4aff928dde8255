"""Map a function over many items in forked processes.

Each worker has a pipe of its own. `concurrent.futures` has one for the results of all workers, and
hangs when a worker is killed in the middle of a result, which the kernel does for lack of memory.
"""

import ctypes
import multiprocessing
import os
import pickle
import signal
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from typing import Any, NoReturn, TypeVar

from toolkit.errors import InputError

A = TypeVar("A")
B = TypeVar("B")

PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
AHEAD = 2  # items that a worker has at once, so that it need not wait for the next
SPAN = 1000  # items from the first unfinished one to the last one sent, where the order matters
NO_MEMORY = 70  # exit code
KILLED = "a worker process was killed, perhaps for lack of memory; run again with --workers 1"


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))


def ordered_map(function: Callable[[A], B], items: Sequence[A], workers: int) -> Iterator[B]:
    """Yield `function(item)` for each item, in the order of `items`.

    The workers inherit function and items, return pickled results, and end with this process. With
    fewer than two workers or items, no process is started. An InputError or OSError is raised here
    as the function raised it, any other exception as RuntimeError with the worker's traceback.
    Raises InputError if a worker is killed, and so is the next one at the same item.
    """
    if min(workers, len(items)) < 2:
        return map(function, items)
    return Pool(function, items, _refuse).in_order(workers)


def unordered_map(
    function: Callable[[A], B], items: Sequence[A], workers: int
) -> Iterator[tuple[A, B]]:
    """Yield `(item, function(item))` in the order of completion; otherwise as `ordered_map`."""
    if min(workers, len(items)) < 2:
        return ((item, function(item)) for item in items)
    done = Pool(function, items, _refuse).as_completed(workers)
    return ((items[index], _result(answer)) for index, answer in done)


def at_once(tasks: Sequence[Callable[[], None]], workers: int) -> None:
    """Run all tasks, in no certain order. Raises as `ordered_map` does."""
    for _ in unordered_map(_call, tasks, workers):
        pass


def _call(task: Callable[[], None]) -> None:
    task()


def _refuse(exit_code: int) -> NoReturn:  # noqa: ARG001
    raise InputError(KILLED)


@dataclass(frozen=True)
class _Raised:
    error: Exception


def _result(answer: Any) -> Any:
    if isinstance(answer, _Raised):
        raise answer.error
    return answer


@dataclass
class _Worker:
    process: BaseProcess
    line: "connection.Connection[Any, Any]"
    indices: deque[int] = field(default_factory=deque)
    """Of the items sent and not answered."""


class Pool:
    """Workers for a sequence of items, with a new worker for each that ends before its time."""

    def __init__(
        self,
        function: Callable[[Any], Any],
        items: Sequence[Any],
        lost: Callable[[int], Any],
        prepare: Callable[[], None] | None = None,
    ) -> None:
        """`lost(exit code)` is the result of an item that ended its worker, or raises.

        An item whose worker was killed from outside gets a second one first. Each worker calls
        `prepare` at its start.
        """
        self._job = (function, items, prepare, os.getpid())
        self._lost = lost
        self._end = self._count = len(items)  # items from `_end` on must not be sent yet
        self._next = 0
        self._again = deque[int]()
        self._killed = set[int]()
        self._workers = list[_Worker]()

    def in_order(self, workers: int) -> Iterator[Any]:
        """Yield the results in the order of the items."""
        position, early = 0, dict[int, Any]()
        self._end = SPAN
        for index, answer in self.as_completed(workers):
            early[index] = answer
            while position in early:
                yield _result(early.pop(position))
                position += 1
                self._end = position + SPAN

    def as_completed(self, workers: int) -> Iterator[tuple[int, Any]]:
        """Yield `(index, result or _Raised)`."""
        open_items = self._count
        try:
            for _ in range(min(workers, self._count)):
                self._start()
            while open_items:
                self._send()
                for answer in self._receive():
                    open_items -= 1
                    yield answer
        finally:
            for worker in self._workers:
                worker.process.kill()
                _end(worker)

    def _start(self) -> None:
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(
            target=_serve, args=(*self._job, theirs), daemon=True
        )
        with warnings.catch_warnings():
            # Python 3.12 warns where there are threads: progress bars, pools of libraries. A worker
            # takes no lock that they could hold.
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours))

    def _send(self) -> None:
        """Fill up the workers, evenly."""
        for level in range(AHEAD):
            for worker in self._workers:
                if len(worker.indices) <= level and (index := self._take()) is not None:
                    worker.indices.append(index)
                    with suppress(BrokenPipeError):  # its answer will be missing
                        worker.line.send_bytes(b"%d" % index)

    def _take(self) -> int | None:
        if self._again:
            return self._again.popleft()
        if self._next == min(self._end, self._count):
            return None
        self._next += 1
        return self._next - 1

    def _receive(self) -> Iterator[tuple[int, Any]]:
        """Wait for answers, and yield those that have come."""
        ready = connection.wait([worker.line for worker in self._workers if worker.indices])
        for worker in [worker for worker in self._workers if worker.line in ready]:
            index = worker.indices.popleft()
            try:
                answer = worker.line.recv()
            except (EOFError, OSError):
                exit_code = self._replace(worker)
                if exit_code != -signal.SIGKILL or index in self._killed:
                    yield index, self._lost(exit_code)
                else:
                    self._killed.add(index)
                    self._again.appendleft(index)
            else:
                yield index, answer

    def _replace(self, worker: _Worker) -> int:
        """Start a worker for one that has ended, and return that one's exit code."""
        _end(worker)
        self._again.extendleft(reversed(worker.indices))
        self._workers.remove(worker)
        self._start()
        return worker.process.exitcode or 0


def _end(worker: _Worker) -> None:
    worker.process.join()
    worker.line.close()


# --- in the worker ----------------------------------------------------------------------------


def _serve(
    function: Callable[[A], B],
    items: Sequence[A],
    prepare: Callable[[], None] | None,
    parent: int,
    line: "connection.Connection[Any, Any]",
) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted, and ends us
    _end_with(parent)
    if prepare:
        prepare()
    while True:
        line.send_bytes(_answer(function, items[int(line.recv_bytes())]))


def _end_with(parent: int) -> None:
    """End at once when the parent is killed, and free its locks."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # killed before the call
        os._exit(1)


def _answer(function: Callable[[A], B], item: A) -> bytes:
    try:
        return pickle.dumps(function(item))
    except MemoryError:
        os._exit(NO_MEMORY)
    except (InputError, OSError) as error:
        return pickle.dumps(_Raised(error))
    except Exception:  # noqa: BLE001 - raised in the parent
        message = f"in a worker process:\n{traceback.format_exc()}"
        return pickle.dumps(_Raised(RuntimeError(message)))
