"""Map a function over many items in worker processes.

Each worker has a pipe of its own. `concurrent.futures` has one for the results of all workers, and
hangs when a worker is killed in the middle of a result, which the kernel does for lack of memory.
"""

import itertools
import os
import pickle
import selectors
import signal
import struct
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from toolkit.errors import InputError
from toolkit.io.system import limits, processes
from toolkit.io.system.limits import NO_MEMORY

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

A = TypeVar("A")
B = TypeVar("B")

AHEAD = 2  # items that a worker has, so that it need not wait for the next
SPAN = 1000  # items between the first unfinished one and the last one sent, if order matters
NOTE = struct.Struct("<HdqQ120s")
KILLS = (-processes.KILL, -signal.SIGTERM)  # exit codes; SIGTERM goes to a whole group of processes
KILLED = "a worker process was killed, perhaps for lack of memory; run again with --workers 1"


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return processes.usable_cores()


def ordered_map(
    function: Callable[[A], B], items: Sequence[A], workers: int, *, chunksize: int = 1
) -> Iterator[B]:
    """Yield `function(item)` for each item, in the order of `items`.

    The workers inherit function and items, or get them pickled (see `processes.forks`), return
    pickled results, and end with this process. Each
    gets `chunksize` items at a time, for which this process takes 15 us. With fewer than two
    workers or items, no process is started. An InputError or OSError is raised here as the function
    raised it, any other exception as RuntimeError with the worker's traceback. An item whose worker
    is killed gets another one. Raises InputError if that is killed as well.
    """
    if min(workers, len(items)) < 2:
        return map(function, items)
    chunks = [items[at : at + chunksize] for at in range(0, len(items), chunksize)]
    results = Pool(partial(_map, function), chunks, _fail).in_order(workers)
    return itertools.chain.from_iterable(results)


def unordered_map(
    function: Callable[[A], B], items: Sequence[A], workers: int
) -> Iterator[tuple[A, B]]:
    """Yield `(item, function(item))` in the order of completion; otherwise as `ordered_map`."""
    if min(workers, len(items)) < 2:
        yield from ((item, function(item)) for item in items)
        return
    with closing(Pool(function, items, _fail).as_completed(workers)) as answers:
        for index, answer in answers:
            yield items[index], _unwrap(answer)


def run_tasks(tasks: Sequence[Callable[[], None]], workers: int) -> None:
    """Call all tasks, in no certain order. Raises as `ordered_map` does.

    One worker is a process, too: in it no image that a task decodes needs one of its own.
    """
    with closing(Pool(_call, tasks, _fail).as_completed(workers)) as answers:
        for _, answer in answers:
            _unwrap(answer)


def _map(function: Callable[[A], B], chunk: Sequence[A]) -> list[B]:
    return [function(item) for item in chunk]


def _call(task: Callable[[], None]) -> None:
    task()


def _fail(end: "Ended") -> NoReturn:
    if end.exit_code in (-processes.KILL, NO_MEMORY):
        raise InputError(KILLED)
    raise InputError(f"one of the images cannot be read: {end.reason}")


@dataclass(frozen=True)
class Ended:
    """How a worker ended, and what it noted before: its place in a chunk, its limits, its work."""

    exit_code: int
    place: int
    seconds: float
    memory: int
    work: str = ""

    @property
    def reason(self) -> str:
        """Why there is no result: of reading a file, unless the work is named."""
        it, process = self.work or "it", self.work or "the process that read it"
        too_slow = f"{it} took more than {self.seconds:g} seconds"
        reasons = {
            NO_MEMORY: f"{it} took more than {self.memory // 1_000_000:,} MB of memory",
            **dict.fromkeys(limits.TOO_SLOW, too_slow),
            -processes.KILL: f"{process} was killed, perhaps for lack of memory",
        }
        code = self.exit_code
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return reasons.get(code, f"{process} crashed ({name})")


@dataclass(frozen=True)
class _Raised:
    error: Exception


def _unwrap(answer: Any) -> Any:
    if isinstance(answer, _Raised):
        raise answer.error
    return answer


@dataclass
class _Worker:
    process: "BaseProcess"
    pipe: Any
    note: Any
    watchdog: limits.Watchdog | None
    stopped: tuple[int, int] | None = None
    """The exit code that the watchdog gave it, and for which item."""
    indices: deque[int] = field(default_factory=deque)
    """Items sent and not answered."""


class Pool:
    """Workers that share out a sequence of items; one that ends is replaced."""

    def __init__(
        self,
        function: Callable[[Any], Any],
        items: Sequence[Any],
        replace: Callable[[Ended], Any],
        prepare: Callable[[], None] | None = None,
    ) -> None:
        """Start nothing yet.

        `replace(end)` returns the result of an item that ended its worker, or raises. Each worker
        calls `prepare` first.
        """
        self._job = (function, items, prepare, os.getpid())
        self._replace = replace
        self._count = self._stop = len(items)  # items from `_stop` on must not be sent yet
        self._next = 0
        self._returned = deque[int]()  # items of workers that ended
        self._killed = set[int]()
        self._workers = list[_Worker]()
        self._selector = processes.pipe_selector()

    def in_order(self, workers: int, items_each: int = 1) -> Generator[Any, None, None]:
        """Yield the results in the order of the items, each a chunk of so many."""
        position, early, span = 0, dict[int, Any](), SPAN // items_each
        self._stop = span
        with closing(self.as_completed(workers)) as answers:
            for index, answer in answers:
                early[index] = answer
                while position in early:
                    yield _unwrap(early.pop(position))
                    position += 1
                    self._stop = position + span

    def as_completed(self, workers: int) -> Generator[tuple[int, Any], None, None]:
        """Yield the index of an item and its result, or _Raised, in the order of completion."""
        unfinished = self._count
        try:
            for _ in range(min(max(workers, 1), self._count)):
                self._start()
            while unfinished:
                self._send()
                for answer in self._receive():
                    unfinished -= 1
                    yield answer
        finally:
            for worker in self._workers:
                worker.process.kill()
                worker.process.join()
                worker.pipe.close()
            self._selector.close()

    def _start(self) -> None:
        import multiprocessing  # slow to import, and not needed with one worker

        ours, theirs = multiprocessing.Pipe()
        note = processes.shared_memory(NOTE.size)
        process = processes.start_context().Process(  # type: ignore[attr-defined]
            target=_serve, args=(*self._job, theirs, note), daemon=True
        )
        with warnings.catch_warnings():
            # Python 3.12 warns where there are threads: progress bars, pools of libraries. A worker
            # takes no lock that they could hold.
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        theirs.close()
        watchdog = None if limits.KERNEL else limits.Watchdog(process.pid)
        self._workers.append(_Worker(process, ours, note, watchdog))
        self._selector.register(ours, selectors.EVENT_READ, self._workers[-1])

    def _send(self) -> None:
        """Send items until each worker has AHEAD."""
        for level in range(AHEAD):
            for worker in self._workers:
                if len(worker.indices) <= level and (index := self._take()) is not None:
                    worker.indices.append(index)
                    with suppress(OSError):  # it ended: its answer will be missing
                        worker.pipe.send_bytes(b"%d" % index)

    def _take(self) -> int | None:
        if self._returned:
            return self._returned.popleft()
        if self._next >= min(self._stop, self._count):
            return None
        self._next += 1
        return self._next - 1

    def _receive(self) -> Iterator[tuple[int, Any]]:
        """Wait for answers, and yield those that have come."""
        for key, _ in self._selector.select(None if limits.KERNEL else limits.TICK):
            worker: _Worker = key.data
            try:
                answer = worker.pipe.recv()
            except (EOFError, OSError):
                yield from self._restart(worker)
            else:
                yield worker.indices.popleft(), answer
        self._watch()

    def _watch(self) -> None:
        """End the workers beyond their limits, where the kernel does not."""
        for worker in self._workers:
            if worker.watchdog and not worker.stopped:
                _, seconds, memory, item, _ = NOTE.unpack(worker.note)
                if code := worker.watchdog.look(item, seconds, memory):
                    worker.stopped = code, item
                    worker.process.kill()

    def _restart(self, worker: _Worker) -> Iterator[tuple[int, Any]]:
        """Start a worker in place of one that ended, and yield the answer for its item, if any."""
        self._selector.unregister(worker.pipe)
        worker.pipe.close()
        worker.process.join()
        self._workers.remove(worker)
        self._start()
        place, seconds, memory, item, note = NOTE.unpack(worker.note)
        exit_code = worker.process.exitcode or 0
        if worker.stopped:  # unless the item was done by then
            exit_code = worker.stopped[0] if worker.stopped[1] == item else -processes.KILL
        if worker.indices:
            index = worker.indices[0]
            if exit_code in KILLS and index not in self._killed:
                self._killed.add(index)
            else:
                worker.indices.popleft()
                work = note.rstrip(b"\0").decode(errors="ignore")
                yield index, self._replace(Ended(exit_code, place, seconds, memory, work))
        self._returned.extendleft(reversed(worker.indices))


# --- in the worker ----------------------------------------------------------------------------

_note: Any = None
_noted = 0


def in_worker() -> bool:
    """Return whether this process is a worker, which may be ended."""
    return _note is not None


def leave_note(place: int, seconds: float, memory: int, work: str = "") -> None:
    """Note what is begun (see `Ended`), for the parent to find if this worker ends."""
    global _noted
    if _note is not None:
        _noted += 1
        NOTE.pack_into(_note, 0, place, seconds, memory, _noted, work.encode())


def _serve(
    function: Callable[[A], B],
    items: Sequence[A],
    prepare: Callable[[], None] | None,
    parent: int,
    pipe: Any,
    note: Any,
) -> NoReturn:
    global _note
    _note = note
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted, and ends the worker
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    processes.end_with(parent)
    if prepare:
        prepare()
    with suppress(EOFError, OSError):  # the parent has ended
        while True:
            pipe.send_bytes(_answer(function, items[int(pipe.recv_bytes())]))
    os._exit(1)


def _answer(function: Callable[[A], B], item: A) -> bytes:
    """Return the pickled result, or _Raised."""
    try:
        return pickle.dumps(function(item), pickle.HIGHEST_PROTOCOL)
    except MemoryError:
        os._exit(NO_MEMORY)
    except (InputError, OSError) as error:
        return pickle.dumps(_Raised(error))
    except Exception:  # noqa: BLE001 - raised in the parent
        message = f"in a worker process:\n{traceback.format_exc()}"
        return pickle.dumps(_Raised(RuntimeError(message)))
