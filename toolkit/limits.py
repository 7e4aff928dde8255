"""When a training is saved, and when it stops before its end: a signal, or the time is up."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType

from toolkit.checkpoints import Store
from toolkit.errors import StoppedError
from toolkit.params import Checkpoint
from toolkit.trainee import State, Trainee

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class OutOfTimeError(Exception):
    """The minutes given are used up; the state is saved."""


@dataclass
class Limits:
    """Asked after each step and each epoch; saves in `store`, where there is one, as `every` says.

    `max_minutes` count from `started`, a time of `time.monotonic`. At the end of an epoch the
    training also stops if another one as long as the longest would not be done in time.
    """

    store: Store | None = None
    every: Checkpoint = field(default_factory=Checkpoint)
    max_minutes: float | None = None
    started: float = field(default_factory=time.monotonic)
    _signal: int = 0
    _saved: float = field(default_factory=time.monotonic)
    _epoch: float = field(default_factory=time.monotonic)
    _longest: float = 0.0

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """In the block, the first SIGINT or SIGTERM stops at the next step, a second at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._stop) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self._signal = number
        for one in SIGNALS:
            signal.signal(one, signal.SIG_DFL)

    def resume(self, trainee: Trainee) -> State | None:
        """The saved state, or None. Raises InputError as `Store.load` does."""
        self._saved = self._epoch = time.monotonic()
        return self.store.load(trainee) if self.store else None

    def after_step(self, trainee: Trainee, state: State) -> None:
        """Save if it is time to. Raises StoppedError or OutOfTimeError."""
        now = time.monotonic()
        late = self.max_minutes is not None and now - self.started > 60 * self.max_minutes
        if self._signal or late or now - self._saved >= 60 * self.every.minutes:
            self._save(trainee, state)
        if self._signal:
            raise StoppedError(self._message(trainee, state), self._signal)
        if late:
            raise OutOfTimeError

    def after_epoch(self, trainee: Trainee, state: State) -> None:
        """The same at the end of an epoch that is not the last."""
        now, done = time.monotonic(), len(state.history)
        self._longest, self._epoch = max(self._longest, now - self._epoch), now
        if self.every.epochs and done % self.every.epochs == 0:
            self._save(trainee, state)
        self.after_step(trainee, state)
        if self.max_minutes is not None:
            end = now - self.started + self._longest
            if end > 60 * self.max_minutes:
                self._save(trainee, state)
                raise OutOfTimeError

    def _save(self, trainee: Trainee, state: State) -> None:
        if self.store:
            self.store.save(trainee, state)
        self._saved = time.monotonic()

    def _message(self, trainee: Trainee, state: State) -> str:
        done, of = len(state.history), trainee.job.recipe.epochs
        where = f"stopped after {done} of {of} epochs"
        where += f" and step {state.step} of the next" if state.step else ""
        kept = "the same command goes on from there" if self.store else "nothing was saved"
        return f"{where}; {kept}"
