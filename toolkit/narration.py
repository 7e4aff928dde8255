"""What a person sees of a training: a live line in a terminal, now and then a line in a log."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from toolkit.progress import Milestone

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

T = TypeVar("T")
EVERY = 30.0
"""Seconds from one line in a log to the next."""


def describe(done: Milestone, seconds: float) -> str:
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

    `track` and `told` are what `training.train` is given.
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

    def told(self, done: Milestone) -> None:
        """Tell that an epoch is over."""
        now = self.now()
        text, self._since = describe(done, now - self._since), now
        if self.bars is not None and self._task is not None:
            self.bars.update(self._task, description=text)
        elif now - self._said >= EVERY and done.epoch < done.epochs:
            self.say(text)
            self._said = now
