"""What a person sees in the terminal. Only this module and cli print."""

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from toolkit import progress
from toolkit.errors import EXTRAS, InputError, explain_error, missing_package
from toolkit.io.text import bounded, escape, one_line
from toolkit.progress import EpochSummary, Track

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

T = TypeVar("T")
EVERY = 30.0
"""Seconds from one line in a log to the next."""


def describe_epoch(epoch: EpochSummary) -> str:
    """Describe an epoch in a line; images per second count the time of validation too."""
    left = timedelta(seconds=round((epoch.epochs - epoch.epoch) * epoch.seconds))
    return (
        f"seed {epoch.seed}: epoch {epoch.epoch}/{epoch.epochs}, {left} left: loss "
        f"{epoch.train_loss:.3f}, {epoch.where} {epoch.valid_loss:.3f}, "
        f"G-mean {epoch.valid_gmean:.3f}, {epoch.images / max(epoch.seconds, 1e-9):.0f} images/s"
    )


@dataclass
class TrainingProgress:
    """Shows the epochs of trainings: a line for each in `bars`, or with `say`, one in EVERY."""

    say: Callable[[str], object]
    bars: "Progress | None" = None
    now: Callable[[], float] = time.monotonic
    _tasks: "dict[int, TaskID]" = field(default_factory=dict, init=False)
    _last_line: dict[int, float] = field(default_factory=dict, init=False)

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        """Yield the items, shown in `bars` where there are any."""
        if self.bars is None:
            yield from items
            return
        with self.bars:
            task = self.bars.add_task(label, total=total)
            yield from items
            self.bars.remove_task(task)

    def on_epoch(self, epoch: EpochSummary) -> None:
        """Show that an epoch is over."""
        line, seed = describe_epoch(epoch), epoch.seed
        if self.bars is not None:
            if seed not in self._tasks:
                self._tasks[seed] = self.bars.add_task("", total=None)
            self.bars.update(self._tasks[seed], description=line)
            if epoch.epoch == epoch.epochs:
                self.bars.remove_task(self._tasks.pop(seed))
            return
        now = self.now()
        if now - self._last_line.setdefault(seed, now - epoch.seconds) >= EVERY:
            if epoch.epoch < epoch.epochs:
                self.say(line)
            self._last_line[seed] = now


def say(text: str, *, quiet: bool = False) -> None:
    """Tell how things went, on stderr: stdout is for results."""
    if not quiet:
        sys.stderr.write(f"{bounded(escape(text))}\n")


def answer(text: str) -> None:
    """What was asked for, on stdout."""
    sys.stdout.write(f"{escape(text)}\n")


def answer_json(content: object) -> None:
    """What was asked for, for a program, on stdout; NaN and infinity become null."""
    answer(json.dumps(_finite(content), indent=2, allow_nan=False))


def _finite(value: object) -> object:
    match value:
        case Mapping():
            return {key: _finite(of) for key, of in value.items()}
        case list() | tuple():
            return [_finite(of) for of in value]
        case float() if not math.isfinite(value):
            return None
    return value


def hand_over(text: str) -> None:
    """What a program may read, on stdout: to the byte, but in a terminal as `answer` shows it."""
    sys.stdout.write(escape(text) if sys.stdout.isatty() else text)


def guarded(run: Callable[[], object]) -> int:
    """Run a command: the exit code, 1 after one message for bad input."""
    try:
        _flushed(run)
    except InputError as error:
        say(f"error: {error}")
        return 1
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRAS:
            raise
        say(f"error: {missing_package(error.name or '')}")
        return 1
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        say(f"error: {named}{explain_error(error)}")
        return 1
    except UnicodeEncodeError as error:
        say(f"error: the name {error.object!r} is not UTF-8; rename it")
        return 1
    except MemoryError:
        say("error: not enough memory; run again with --workers 1 or with less at a time")
        return 1
    return 0


def _flushed(run: Callable[[], object]) -> None:
    """Run a command; raise OSError if its results cannot be written to stdout."""
    try:
        run()
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python flushes once more at the end
            raise


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


def training_progress(quiet: bool) -> TrainingProgress:
    """Progress of a training: live in a terminal, now and then a line elsewhere."""
    if quiet or not sys.stderr.isatty():
        return TrainingProgress(lambda text: say(text, quiet=quiet))
    from rich import progress as bars
    from rich.console import Console

    columns = (bars.SpinnerColumn(), bars.TextColumn("{task.description}"))  # fit 80 characters
    return TrainingProgress(
        say, bars.Progress(*columns, console=Console(stderr=True), transient=True)
    )


def table(rows: Iterable[Iterable[object]]) -> str:
    """Columns aligned with spaces."""
    texts = [[one_line(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = ("  ".join(t.ljust(w) for t, w in zip(row, widths, strict=True)) for row in texts)
    return "\n".join(line.rstrip() for line in lines)
