"""Long pieces of work in processes side by side, which report as they go and can be stopped.

`parallel` is for many short items; here each item has a process of its own.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, TypeVar

from toolkit.errors import InputError, StoppedError
from toolkit.io.system import processes

A = TypeVar("A")
B = TypeVar("B")

REPEAT = 2.0  # seconds in which more signals are the same one: a closing terminal sends several
REPORT, RESULT, ERROR = range(3)
KILLED = "a process was killed, perhaps for lack of memory; run again with fewer jobs at once"

Report = Callable[[Any], object]
"""Takes what a piece of work says while it goes on."""


class Interrupt:
    """A request to stop, by one of STOPPING; processes that are started later share it.

    Work looks at `number` at each good moment to stop: 0, or that of the signal.
    """

    def __init__(self) -> None:
        self._shared = processes.shared_memory(1)

    @property
    def number(self) -> int:
        """See above."""
        return int(self._shared[0])

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Make the first signal in the block a request; the second does what it did before."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers: dict[int, Any] = {
            number: signal.getsignal(number) for number in processes.STOPPING
        }
        handlers = {n: handler for n, handler in handlers.items() if handler != signal.SIG_IGN}
        noted = float("-inf")

        def note(number: int, _frame: FrameType | None) -> None:
            nonlocal noted
            if not self.number:
                self._shared[0], noted = number, time.monotonic()
            elif time.monotonic() - noted > REPEAT:
                signal.signal(number, handlers[number])
                signal.raise_signal(number)

        try:
            for number in handlers:
                signal.signal(number, note)
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)


def side_by_side(
    work: Callable[[A, Report], B], items: Sequence[A], jobs: int, report: Report
) -> Iterator[tuple[A, B]]:
    """Yield `(item, work(item, report))` in the order of completion; `jobs` items at a time.

    A process gets work and item as in `parallel.ordered_map` and returns a pickled result; what
    work reports there is passed to `report` here. With fewer than two jobs or items no process is
    started. After an item that raises none is begun, those that are begun are finished, and the
    error is raised as `parallel.ordered_map` raises it. Raises InputError if a process is killed.
    """
    if min(jobs, len(items)) < 2:
        yield from ((item, work(item, report)) for item in items)
    else:
        yield from _in_processes(work, items, jobs, report)


def _in_processes(
    work: Callable[[A, Report], B], items: Sequence[A], jobs: int, report: Report
) -> Iterator[tuple[A, B]]:
    waiting, errors = deque(items), list[BaseException]()
    running = dict[Any, tuple[A, BaseProcess]]()  # by pipe
    try:
        while running or (waiting and not errors):
            while waiting and not errors and len(running) < jobs:
                pipe, process = _start(partial(work, waiting[0]))
                running[pipe] = (waiting.popleft(), process)
            ready: Any
            for ready in connection.wait(list(running)):
                kind, value = _receive(ready)
                if kind == REPORT:
                    report(value)
                    continue
                item, process = running.pop(ready)
                process.join()
                ready.close()
                if kind == RESULT:
                    yield item, value
                else:
                    errors.append(value)
    finally:
        for pipe, (_, process) in running.items():
            process.kill()
            process.join()
            pipe.close()
    if errors:
        raise errors[0]


def _start(work: Callable[[Report], Any]) -> tuple[Any, BaseProcess]:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = processes.start_context().Process(  # type: ignore[attr-defined]
        target=_serve, args=(work, theirs, os.getpid())
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # as in `parallel`
        process.start()
    theirs.close()
    return ours, process


def _receive(pipe: Any) -> tuple[int, Any]:
    try:
        kind, value = pipe.recv()
    except (EOFError, OSError):
        return ERROR, InputError(KILLED)
    return kind, value


# --- in the process ---------------------------------------------------------------------------


def _serve(work: Callable[[Report], Any], pipe: Any, parent: int) -> None:
    # The parent is told to stop, and whoever works looks at its Interrupt.
    for number in processes.STOPPING:
        signal.signal(number, signal.SIG_IGN)
    processes.end_with(parent)
    # In a thread of its own: OpenMP's threads are those of a thread, and this one may have some in
    # its memory that the fork did not bring along, for which it would wait forever.
    thread = threading.Thread(target=_answer, args=(work, pipe))
    thread.start()
    thread.join()


def _answer(work: Callable[[Report], Any], pipe: Any) -> None:
    try:
        answer = (RESULT, work(lambda value: pipe.send((REPORT, value))))
    except (InputError, OSError, StoppedError, MemoryError) as error:
        answer = (ERROR, error)
    except Exception:  # noqa: BLE001 - raised in the parent
        answer = (ERROR, RuntimeError(f"in another process:\n{traceback.format_exc()}"))
    pipe.send(answer)
