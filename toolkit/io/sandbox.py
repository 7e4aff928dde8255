"""Untrusted work in processes that may be ended, with limits of time and memory.

A decoder may spend minutes, or all memory, in one call of a C library, or crash: only the kernel
can stop that. It ends the worker, whose item is Stopped; the items after it go to a new worker.
"""

import os
import resource
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from toolkit.errors import InputError
from toolkit.io import parallel
from toolkit.io.parallel import Ended, Pool

A = TypeVar("A")
B = TypeVar("B")

PATIENCE = 12  # seconds of wall-clock time per second of CPU time: the machine may be busy


@dataclass(frozen=True)
class Stopped:
    """The result of an item that was not finished."""

    reason: str


def sandboxed_map(
    function: Callable[[A], B],
    items: Sequence[A],
    workers: int,
    *,
    seconds: float = 0,
    memory: int = 0,
    chunksize: int = 1,
) -> Iterator[B | Stopped]:
    """Yield `function(item)`, or Stopped, for each item, in order. One worker is forked, too.

    An item may take `seconds` of CPU time, PATIENCE times as many of wall-clock time, and `memory`
    bytes beyond those of this process; 0 is no limit, but for what `contain` sets. Each worker gets
    `chunksize` items at a time. Raises what `function` raises, as `parallel.ordered_map` does.
    """
    chunks = [items[at : at + chunksize] for at in range(0, len(items), chunksize)]
    pool = Pool(partial(_map, function, seconds, memory), chunks, _unchanged, _prepare)
    with closing(pool.in_order(workers, chunksize)) as answers:
        for chunk, answer in zip(chunks, answers, strict=True):
            if not isinstance(answer, Ended):
                yield from answer
                continue
            rest = [*chunk[: answer.place], *chunk[answer.place + 1 :]]
            again = sandboxed_map(
                function, rest, 1, seconds=seconds, memory=memory, chunksize=chunksize
            )
            results = list(again)
            results.insert(answer.place, Stopped(answer.reason))
            yield from results


def contain(function: Callable[[], B], seconds: float, memory: int, work: str = "") -> B | Stopped:
    """Return `function()`, or Stopped, within limits (see `sandboxed_map`), wherever it is called.

    In a worker the limits hold for this call, unless its item has some of its own; beyond them the
    worker is ended. Any other process forks a worker for it, which takes milliseconds. `work` is
    what the reason names, unless a file is read.
    """
    if parallel.in_worker():
        return function() if _limits_hold else _limited(function, seconds, memory, work)
    (result,) = sandboxed_map(lambda _: contain(function, seconds, memory, work), (None,), 1)
    return result


def finished(results: Iterable[B | Stopped]) -> Iterator[B]:
    """Yield the results. Raises InputError with its reason for one that is Stopped."""
    for result in results:
        if isinstance(result, Stopped):
            raise InputError(result.reason)
        yield result


def _unchanged(end: Ended) -> Ended:
    return end


# --- in the worker ----------------------------------------------------------------------------

_place = 0
_limits_hold = False


def _prepare() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff prints texts of files
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _map(function: Callable[[A], B], seconds: float, memory: int, chunk: Sequence[A]) -> list[B]:
    global _place
    results = []
    for _place, item in enumerate(chunk):
        if seconds or memory:
            results.append(_limited(partial(function, item), seconds, memory))
        else:
            parallel.leave_note(_place, 0, 0)
            results.append(function(item))
    return results


def _limited(function: Callable[[], B], seconds: float, memory: int, work: str = "") -> B:
    global _limits_hold
    parallel.leave_note(_place, seconds, memory, work)
    before, most = resource.getrlimit(resource.RLIMIT_DATA)
    _limits_hold = True
    _set_timers(seconds)
    if memory:
        limit = _data_size() + memory
        limit = limit if before == resource.RLIM_INFINITY else min(limit, before)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, most))
    try:
        return function()
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, most))
        _set_timers(0)
        _limits_hold = False


def _data_size() -> int:
    """Return the size of this process's writable memory in bytes."""
    descriptor = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    pages = int(os.read(descriptor, 200).split()[5])
    os.close(descriptor)
    return pages * resource.getpagesize()


def _set_timers(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE * seconds)
