"""Map a function over untrusted items, with limits of time and memory for each.

A decoder may spend minutes, or all memory, in one call of a C library, or crash: only the kernel
can stop that. It ends the worker, whose item is Stopped; the items after it go to a new worker.
"""

import os
import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from toolkit.io.parallel import NO_MEMORY, Pool

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
) -> Iterator[B | Stopped]:
    """Yield `function(item)`, or Stopped, for each item, in order. One worker is forked, too.

    An item may take `seconds` of CPU time, PATIENCE times as many of wall-clock time, and `memory`
    bytes beyond those of this process; 0 is no limit. Raises what `function` raises, as
    `parallel.ordered_map` does.
    """
    limited = partial(_limited, function, seconds)
    stopped = partial(_stopped, seconds, memory)
    return Pool(limited, items, stopped, partial(_prepare, memory)).in_order(workers)


def _stopped(seconds: float, memory: int, exit_code: int) -> Stopped:
    reasons = {
        NO_MEMORY: f"it took more than {memory // 1_000_000:,} MB of memory",
        -signal.SIGPROF: f"it took more than {seconds:g} seconds",
        -signal.SIGALRM: f"it took more than {seconds:g} seconds",
        -signal.SIGKILL: "the process that read it was killed, perhaps for lack of memory",
    }
    name = signal.Signals(-exit_code).name if exit_code < 0 else f"exit code {exit_code}"
    return Stopped(reasons.get(exit_code, f"the process that read it crashed ({name})"))


# --- in the worker ----------------------------------------------------------------------------


def _prepare(memory: int) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff prints texts of files
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory:
        limit = _data_size() + memory
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _data_size() -> int:
    """Return the size of this process's writable memory in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    return pages * resource.getpagesize()


def _limited(function: Callable[[A], B], seconds: float, item: A) -> B:
    _set_timers(seconds)
    try:
        return function(item)
    finally:
        _set_timers(0)


def _set_timers(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE * seconds)
