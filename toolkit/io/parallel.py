"""Work on many items with several processes."""

import contextlib
import os
import select
import signal
import struct
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from toolkit.errors import InputError

A = TypeVar("A")
B = TypeVar("B")

WORTH_A_POOL = 64  # below this many items, starting processes costs more than it saves
AHEAD = 2  # items that a process is given before it has answered
TASK, HEAD = struct.Struct("<I"), struct.Struct("<BII")
DONE, REFUSED, SYSTEM, FAILED = range(4)
KILLED = "a worker process was killed, perhaps for lack of memory; run again with --workers 1"


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_map(function: Callable[[A], B], items: Sequence[A], workers: int) -> Iterator[B]:
    """Yield `function(item)` in the order of `items`, whatever the number of workers.

    The processes are forked, and end with this one: those of concurrent.futures outlive it when it
    is killed, and keep its locks. Results must be picklable. Raises InputError when a worker is
    killed twice, and what `function` raises.
    """
    if workers <= 1 or len(items) < WORTH_A_POOL:
        yield from map(function, items)
        return
    from toolkit.io import sandbox

    for result in sandbox.sandboxed_map(function, items, workers):
        if isinstance(result, sandbox.Stopped):
            raise InputError(KILLED)
        yield result


# --- forked -----------------------------------------------------------------------------------

Task = Callable[[int], Iterable[bytes]]


@dataclass(frozen=True)
class _Worker:
    """A forked process, and this process's ends of its pipes."""

    pid: int
    tasks: int
    answers: int


def forked(task: Task, indices: Sequence[int], workers: int) -> Iterator[tuple[int, bytes]]:
    """Yield (index, the pieces of `task(index)` joined) for all indices, in no certain order.

    The processes are forked: they share what this process has in memory, start in a millisecond,
    and end at the next piece when this process is killed. Raises the task's InputError, InputError
    when a worker is killed, its OSError, and RuntimeError with the traceback for what else a task
    raises.
    """
    if workers <= 1 or len(indices) < 2 or not hasattr(os, "fork"):
        yield from ((index, b"".join(task(index))) for index in indices)
        return
    started: list[_Worker] = []
    try:
        for _ in range(min(workers, len(indices))):
            started.append(_start(task, started))
        yield from _served(started, indices)
    finally:
        for worker in started:
            _stop(worker)


def at_once(tasks: Sequence[Callable[[], None]], workers: int) -> None:
    """Do all the tasks, in no certain order. Raises as `forked` does."""

    def task(index: int) -> Iterator[bytes]:
        tasks[index]()
        yield b""

    for _ in forked(task, range(len(tasks)), workers):
        pass


def _served(started: Sequence[_Worker], indices: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    waiting = iter(indices)
    by_answers = {worker.answers: worker for worker in started}
    for worker in [*started] * AHEAD:
        _give(worker, waiting)
    for _ in indices:
        ready = select.select(list(by_answers), [], [])[0][0]
        kind, index, length = HEAD.unpack(_exactly(ready, HEAD.size))
        answer = _exactly(ready, length)
        if kind == REFUSED:
            raise InputError(answer.decode())
        if kind == SYSTEM:
            number, _, name = answer.decode(errors="surrogateescape").partition(" ")
            raise OSError(int(number), os.strerror(int(number)), name or None)
        if kind == FAILED:
            raise RuntimeError(f"in a worker process:\n{answer.decode()}")
        _give(by_answers[ready], waiting)
        yield index, answer


def _give(worker: _Worker, waiting: Iterator[int]) -> None:
    index = next(waiting, None)
    if index is not None:
        with contextlib.suppress(BrokenPipeError):  # seen when its answer is missing
            os.write(worker.tasks, TASK.pack(index))


def _exactly(source: int, length: int) -> bytes:
    parts = []
    while length:
        part = os.read(source, length)
        if not part:
            raise InputError(KILLED)
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _start(task: Task, others: Sequence[_Worker]) -> _Worker:
    task_source, tasks = os.pipe()
    answers, answer_sink = os.pipe()
    parent = os.getpid()
    with warnings.catch_warnings():
        # Python 3.12 warns where there are threads: progress bars, pools of libraries. A task
        # takes no lock that they could hold.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if not pid:
        # The other workers must see the end of their tasks when this process's parent is gone.
        for end in (tasks, answers, *(end for o in others for end in (o.tasks, o.answers))):
            os.close(end)
        _serve(task, task_source, answer_sink, parent)
    os.close(task_source)
    os.close(answer_sink)
    return _Worker(pid, tasks, answers)


def _serve(task: Task, source: int, sink: int, parent: int) -> NoReturn:
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted, and stops us
        while data := os.read(source, TASK.size):
            (index,) = TASK.unpack(data)
            kind, answer = _answer(task, index, parent)
            _write(sink, HEAD.pack(kind, index, len(answer)) + answer)
    finally:
        os._exit(0)  # nothing of the parent's is flushed or cleaned up here


def _answer(task: Task, index: int, parent: int) -> tuple[int, bytes]:
    pieces = []
    try:
        for piece in task(index):
            if os.getppid() != parent:
                os._exit(1)
            pieces.append(piece)
    except InputError as error:
        return REFUSED, str(error).encode()
    except OSError as error:
        name = os.fsencode(str(error.filename or ""))
        return SYSTEM, b"%d %b" % (error.errno or 0, name)
    except BaseException:  # noqa: BLE001 - told to the parent, which raises
        import traceback

        return FAILED, traceback.format_exc().encode()
    return DONE, b"".join(pieces)


def _write(sink: int, data: bytes) -> None:
    while data:
        data = data[os.write(sink, data) :]


def _stop(worker: _Worker) -> None:
    os.close(worker.tasks)
    os.close(worker.answers)
    with contextlib.suppress(ProcessLookupError):
        os.kill(worker.pid, signal.SIGKILL)
    os.waitpid(worker.pid, 0)
