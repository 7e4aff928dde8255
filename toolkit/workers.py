"""Work on many items with several processes, in order."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from toolkit.errors import InputError

A = TypeVar("A")
B = TypeVar("B")

WORTH_A_POOL = 64  # below this many items, starting processes costs more than it saves


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_map(function: Callable[[A], B], items: Sequence[A], workers: int) -> Iterator[B]:
    """Yield `function(item)` in the order of `items`, whatever the number of workers.

    `function` and the items must be picklable. Raises InputError when a worker is killed, and what
    `function` raises.
    """
    if workers <= 1 or len(items) < WORTH_A_POOL:
        yield from map(function, items)
        return
    chunk = max(1, min(32, len(items) // (4 * workers)))
    try:
        with ProcessPoolExecutor(workers) as pool:
            yield from pool.map(function, items, chunksize=chunk)
    except BrokenProcessPool:
        message = "a worker process was killed, perhaps for lack of memory; run again with"
        raise InputError(f"{message} --workers 1") from None
