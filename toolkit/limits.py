"""When a training is saved, and when it stops before its end: a signal, or the time is up."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType

from toolkit.checkpoints import Store
from toolkit.distributed import Group
from toolkit.errors import StoppedError
from toolkit.trainee import ALONE, State, Trainee
from toolkit.training_params import Checkpoint

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
    group: Group = ALONE
    _signal: int = 0
    _saved: float = field(default_factory=time.monotonic)
    _epoch: float = field(default_factory=time.monotonic)
    _longest: float = 0.0

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """In the block, the first SIGINT or SIGTERM stops at the next step, a second at once.

        Of several processes torchrun ends all: they go on from the last checkpoint.
        """
        main = threading.current_thread() is threading.main_thread()
        if not main or self.group.size > 1:
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
        """Save if it is time to. Raises StoppedError or OutOfTimeError.

        Several processes are not at the same step at the same time: they only ask after epochs.
        """
        if self.group.size == 1:
            self._act(trainee, state, late=self._late())

    def after_epoch(self, trainee: Trainee, state: State) -> None:
        """The same at the end of an epoch that is not the last."""
        now = time.monotonic()
        self._longest, self._epoch = max(self._longest, now - self._epoch), now
        due = bool(self.every.epochs) and len(state.history) % (self.every.epochs or 1) == 0
        self._act(trainee, state, late=self.group.agree(self._late(self._longest)), due=due)

    def _late(self, seconds: float = 0) -> bool:
        """Whether the time will be up after so many more seconds."""
        if self.max_minutes is None:
            return False
        return time.monotonic() + seconds - self.started > 60 * self.max_minutes

    def _act(self, trainee: Trainee, state: State, *, late: bool, due: bool = False) -> None:
        due = due or time.monotonic() - self._saved >= 60 * self.every.minutes
        if self._signal or late or due:
            self._save(trainee, state)
        if self._signal:
            raise StoppedError(self._message(trainee, state), self._signal)
        if late:
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
