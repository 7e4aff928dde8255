"""What a person sees in the terminal. Only this module and cli print."""

import errno
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from toolkit import progress
from toolkit.errors import InputError, StoppedError
from toolkit.io.text import escape, one_line
from toolkit.progress import EpochSummary, Track

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

T = TypeVar("T")
EVERY = 30.0
"""Seconds from one line in a log to the next."""
REMEDIES = {
    errno.ENOSPC: "; make room, then run again",
    errno.EDQUOT: "; make room, then run again",
    errno.EMFILE: "; raise the limit with `ulimit -n`, then run again",
    errno.EROFS: "; choose another --output",
}


def describe_epoch(done: EpochSummary, seconds: float) -> str:
    """An epoch that took so long as one line of a terminal; the speed counts validation too."""
    speed, left = done.images / max(seconds, 1e-9), (done.epochs - done.epoch) * seconds
    return (
        f"epoch {done.epoch}/{done.epochs}, {clock(left)} left: loss {done.train_loss:.3f}, "
        f"valid {done.valid_loss:.3f}, G-mean {done.valid_gmean:.3f}, {speed:.0f} images/s"
    )


def clock(seconds: float) -> str:
    """1:02:03, or 2:03 under an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@dataclass
class Narrator:
    """Tells of each epoch: live where there are `bars`, else by `say`, at most one line in EVERY.

    `track` and `told` are what `train.train_one` is given.
    """

    say: Callable[[str], object]
    bars: "Progress | None" = None
    now: Callable[[], float] = time.monotonic
    _task: "TaskID | None" = field(default=None, init=False)
    _since: float = field(default=0.0, init=False)
    _said: float = field(default=0.0, init=False)

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        """Yield the items; a bar where there are bars, and the clock of the first epoch starts."""
        self._since = self._said = self.now()
        if self.bars is None:
            yield from items
            return
        with self.bars:
            self._task = self.bars.add_task(label, total=total)
            for item in items:
                yield item
                self.bars.advance(self._task)
            self.bars.remove_task(self._task)

    def told(self, done: EpochSummary) -> None:
        """Tell that an epoch is over."""
        now = self.now()
        text, self._since = describe_epoch(done, now - self._since), now
        if self.bars is not None and self._task is not None:
            self.bars.update(self._task, description=text)
        elif now - self._said >= EVERY and done.epoch < done.epochs:
            self.say(text)
            self._said = now


def say(text: str, *, quiet: bool = False) -> None:
    """Tell how things went, on stderr: stdout is for results."""
    if not quiet:
        sys.stderr.write(f"{escape(text)}\n")


def answer(text: str) -> None:
    """What was asked for, on stdout."""
    sys.stdout.write(f"{escape(text)}\n")


def guarded(run: Callable[[], object]) -> int:
    """Run a command: the exit code, 1 after one message for bad input, 130 after Ctrl-C."""
    try:
        run()
    except InputError as error:
        say(f"error: {error}")
        return 1
    except StoppedError as error:
        sys.stderr.write(f"{error}\n")
        return 128 + error.number
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        say(f"error: {named}{error.strerror or error}{REMEDIES.get(error.errno or 0, '')}")
        return 1
    except UnicodeEncodeError as error:
        say(f"error: the name {error.object!r} is not UTF-8; rename it")
        return 1
    except MemoryError:
        say("error: not enough memory; run again with --workers 1 or with less at a time")
        return 1
    return 0


def track(quiet: bool) -> Track:
    """Progress on stderr, in a terminal only."""
    if quiet or not sys.stderr.isatty():
        return progress.silent
    from rich import progress as bars
    from rich.console import Console

    def show(items: Iterable[T], label: str, total: int | None = None) -> Iterable[T]:
        console = Console(stderr=True)
        return bars.track(items, label, total=total, console=console, transient=True)

    return show


def narrator(quiet: bool) -> Narrator:
    """How a training goes: live in a terminal, now and then a line elsewhere."""
    if quiet or not sys.stderr.isatty():
        return Narrator(lambda text: say(text, quiet=quiet))
    from rich import progress as bars
    from rich.console import Console

    columns = (bars.SpinnerColumn(), bars.TextColumn("{task.description}"))  # fit 80 characters
    return Narrator(say, bars.Progress(*columns, console=Console(stderr=True), transient=True))


def table(rows: Iterable[Iterable[object]]) -> str:
    """Columns aligned with spaces."""
    texts = [[one_line(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = ("  ".join(t.ljust(w) for t, w in zip(row, widths, strict=True)) for row in texts)
    return "\n".join(line.rstrip() for line in lines)
