"""What an interrupted training goes on from: safetensors, beside JSON that names their sha256.

Two files in a folder of its own, outside the run: DVC removes outputs before a stage runs again.
The JSON is renamed into place last, so at every moment it names a file that is whole.
"""

import contextlib
import hashlib
import json
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor

from toolkit.errors import InputError, StoppedError
from toolkit.io import files
from toolkit.training import runs
from toolkit.training.distributed import Group
from toolkit.training.params import Checkpoint
from toolkit.training.runs import Epoch
from toolkit.training.state import ALONE, TrainingPosition, TrainingState

SIDE = "state.json"
REFUSED = (OSError, ValueError, TypeError, LookupError, RuntimeError, SafetensorError)


@dataclass(frozen=True)
class Store:
    """The checkpoint in `folder` of the training named by `key`, a hash of all that decides it."""

    folder: Path
    key: str
    group: Group = ALONE

    @classmethod
    def of(cls, parent: Path, decides: dict[str, Any], group: Group = ALONE) -> "Store":
        """The store in `parent` for what `decides` the weights."""
        key = hashlib.sha256(_canonical(decides)).hexdigest()
        return cls(parent / key[:16], key, group)

    def save(self, trainee: TrainingState, state: TrainingPosition) -> None:
        """Replace the checkpoint by this state."""
        if self.group.rank:
            return
        data = runs.pack(_tensors(trainee, state))
        digest = hashlib.sha256(data).hexdigest()
        side = {
            "key": self.key,
            "tensors": digest,
            "history": [asdict(row) for row in state.history],
            "best": state.best.epoch if state.best else 0,
            "step": state.step,
            "parts": state.parts,
            "watched": trainee.watch.steps if trainee.watch else 0,
            "rates": [float(group["lr"]) for group in trainee.optimiser.param_groups],
            "schedule": trainee.schedule.state_dict(),
        }
        checked = {"sha256": hashlib.sha256(_canonical(side)).hexdigest(), "state": side}
        files.write_file(self.folder / _name(digest), data)
        files.write_file(self.folder / SIDE, _canonical(checked))
        for other in self.folder.iterdir():
            if other.name not in {SIDE, _name(digest)}:
                other.unlink(missing_ok=True)

    def load(self, trainee: TrainingState) -> TrainingPosition | None:
        """Bring `trainee` to where the checkpoint was made; None where there is none.

        Raises InputError that names the file, if it is damaged or of another training.
        """
        path = self.folder / SIDE
        try:
            text = self._read(path)
            if text is None:
                return None
            side = _checked(text, self.key)
            data = self._read(self.folder / _name(side["tensors"])) or b""
            _same(data, side["tensors"])
            return _restore(trainee, side, safetensors.load(data))
        except REFUSED as error:
            found = f"{path}: not a checkpoint to go on from ({str(error).splitlines()[0]})"
            raise InputError(f"{found}; --restart trains from the beginning") from error

    def _read(self, path: Path) -> bytes | None:
        """The file's bytes, on the first process's machine; None where it is not there."""
        found = not self.group.rank and path.exists()
        return self.group.same(path.read_bytes() if found else None)

    def remove(self) -> None:
        """Forget the checkpoint."""
        if self.group.rank:
            return
        (self.folder / SIDE).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # others' checkpoints lie there
            self.folder.parent.rmdir()


def _name(digest: str) -> str:
    return f"{digest[:16]}.safetensors"


def _canonical(data: dict[str, Any]) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


def _checked(text: bytes, key: str) -> dict[str, Any]:
    found = json.loads(text)
    side: dict[str, Any] = found["state"]
    _same(_canonical(side), found["sha256"])
    if side["key"] != key:
        raise ValueError("it is of another training")
    return side


def _same(data: bytes, digest: str) -> None:
    if hashlib.sha256(data).hexdigest() != digest:
        raise ValueError("it is damaged: its sha256 is another one")


# --- tensors by name ----------------------------------------------------------------------------


def _tensors(trainee: TrainingState, state: TrainingPosition) -> dict[str, Tensor]:
    found = {"total": state.total, "random.cpu": torch.get_rng_state()}
    if trainee.machine.device.type == "cuda":
        found["random.cuda"] = torch.cuda.get_rng_state()
    if trainee.watch:
        found["watch"] = trainee.watch.totals
    found |= {f"network.{name}": value for name, value in trainee.network.state_dict().items()}
    found |= {f"kept.{name}": value for name, value in state.kept.items()}
    for index, values in trainee.optimiser.state_dict()["state"].items():
        found |= {f"optimiser.{index}.{name}": value for name, value in values.items()}
    return found


def _part(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    start = f"{name}."
    return {key.removeprefix(start): v for key, v in tensors.items() if key.startswith(start)}


def _restore(
    trainee: TrainingState, side: dict[str, Any], tensors: dict[str, Tensor]
) -> TrainingPosition:
    history = [Epoch(**row) for row in side["history"]]
    trainee.network.load_state_dict(_part(tensors, "network"))
    _restore_optimiser(trainee, _part(tensors, "optimiser"))
    for group, rate in zip(trainee.optimiser.param_groups, side["rates"], strict=True):
        group["lr"] = rate
    if side["schedule"].keys() != trainee.schedule.state_dict().keys():
        raise ValueError("of another version of torch")
    trainee.schedule.load_state_dict(side["schedule"])
    torch.set_rng_state(tensors["random.cpu"])
    if trainee.machine.device.type == "cuda":
        torch.cuda.set_rng_state(tensors["random.cuda"])
    if trainee.watch:
        trainee.watch.totals.copy_(tensors["watch"])
        trainee.watch.steps = side["watched"]
    return TrainingPosition(
        total=tensors["total"].to(trainee.machine.device),
        history=history,
        best=history[side["best"] - 1] if side["best"] else None,
        kept=_part(tensors, "kept"),
        step=side["step"],
        parts=side["parts"],
    )


def _restore_optimiser(trainee: TrainingState, tensors: dict[str, Tensor]) -> None:
    """Moments get the memory layout of their weights: the fused step walks both side by side."""
    weights = list(trainee.network.parameters())
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".")
        weight = weights[int(index)]
        laid_out = torch.empty_like(weight).copy_(value) if value.ndim else value
        state.setdefault(int(index), {})[name] = laid_out
    groups = trainee.optimiser.state_dict()["param_groups"]
    trainee.optimiser.load_state_dict({"state": state, "param_groups": groups})


SIGNALS = (signal.SIGINT, signal.SIGTERM)


class OutOfTimeError(Exception):
    """The minutes given are used up; the state is saved."""


@dataclass
class CheckpointSchedule:
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

    def resume(self, trainee: TrainingState) -> TrainingPosition | None:
        """The saved state, or None. Raises InputError as `Store.load` does."""
        self._saved = self._epoch = time.monotonic()
        return self.store.load(trainee) if self.store else None

    def after_step(self, trainee: TrainingState, state: TrainingPosition) -> None:
        """Save if it is time to. Raises StoppedError or OutOfTimeError.

        Several processes are not at the same step at the same time: they only ask after epochs.
        """
        if self.group.size == 1:
            self._act(trainee, state, late=self._late())

    def after_epoch(self, trainee: TrainingState, state: TrainingPosition) -> None:
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

    def _act(
        self, trainee: TrainingState, state: TrainingPosition, *, late: bool, due: bool = False
    ) -> None:
        due = due or time.monotonic() - self._saved >= 60 * self.every.minutes
        if self._signal or late or due:
            self._save(trainee, state)
        if self._signal:
            raise StoppedError(self._message(trainee, state), self._signal)
        if late:
            raise OutOfTimeError

    def _save(self, trainee: TrainingState, state: TrainingPosition) -> None:
        if self.store:
            self.store.save(trainee, state)
        self._saved = time.monotonic()

    def _message(self, trainee: TrainingState, state: TrainingPosition) -> str:
        done, of = len(state.history), trainee.job.recipe.epochs
        where = f"stopped after {done} of {of} epochs"
        where += f" and step {state.step} of the next" if state.step else ""
        kept = "the same command goes on from there" if self.store else "nothing was saved"
        return f"{where}; {kept}"
