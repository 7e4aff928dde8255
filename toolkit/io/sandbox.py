"""Untrusted work in processes that may be ended, with limits of time and memory.

A decoder may spend minutes, or all memory, in one call of a C library, or crash: only from outside
can that be stopped (see `limits`). It ends the worker, whose item is Stopped; the items after it go
to a new worker.
"""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from toolkit.errors import InputError
from toolkit.io import parallel
from toolkit.io.parallel import Ended, Pool
from toolkit.io.system import limits, processes

A = TypeVar("A")
B = TypeVar("B")


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
    """Yield `function(item)`, or Stopped, for each item, in order. One worker is a process, too.

    An item may take `seconds` of CPU time, twelve times as many of wall-clock time, and `memory`
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
    worker is ended. Any other process starts a worker for it, which takes milliseconds where it is
    forked (see `processes.forks`), and else a second: `function` is pickled then. `work` is what
    the reason names, unless a file is read.
    """
    if parallel.in_worker():
        return function() if _limits_hold else _limited(function, seconds, memory, work)
    call = partial(_contain, function, seconds, memory, work)
    (result,) = sandboxed_map(call, (None,), 1)
    return result


def _contain(
    function: Callable[[], B], seconds: float, memory: int, work: str, _item: None
) -> B | Stopped:
    return contain(function, seconds, memory, work)


def finished(results: Iterable[B | Stopped], files: Iterable[object] = ()) -> Iterator[B]:
    """Yield the results. Raises InputError with file and reason for one that is Stopped."""
    for result, file in itertools.zip_longest(results, files):
        if isinstance(result, Stopped):
            raise InputError(f"{file}: {result.reason}" if file else result.reason)
        yield result


def _unchanged(end: Ended) -> Ended:
    return end


# --- in the worker ----------------------------------------------------------------------------

_place = 0
_limits_hold = False


def _prepare() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff prints texts of files
    processes.fail_silently()
    limits.prepare_limits()


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
    before = limits.begin_limits(seconds, memory)
    _limits_hold = True
    try:
        return function()
    except MemoryError:
        os._exit(limits.NO_MEMORY)
    finally:
        limits.end_limits(before)
        _limits_hold = False
        parallel.leave_note(_place, 0, 0)  # the watchdog looks away
