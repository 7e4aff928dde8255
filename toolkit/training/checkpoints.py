"""Checkpoints, which an interrupted training resumes from, and the schedule that saves them.

A checkpoint is a safetensors file and a JSON file that names its sha256, in a folder of its own
outside the run: DVC removes outputs before a stage runs again. The JSON is renamed into place last,
so at every moment it names a file that is whole.
"""

import contextlib
import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor

from toolkit.errors import InputError, StoppedError
from toolkit.io import files
from toolkit.io.jobs import Interrupt
from toolkit.io.manifest import is_file_name
from toolkit.training import runs
from toolkit.training.distributed import ALONE, Group
from toolkit.training.params import FINISHED, Checkpoint
from toolkit.training.runs import Epoch, Run
from toolkit.training.state import FitResult, TrainingPosition, TrainingState

SIDE, ENDED, KEPT = "state.json", "ended.json", "run"
T = TypeVar("T")
UNUSABLE = (OSError, ValueError, TypeError, LookupError, RuntimeError, SafetensorError)


class OutOfTimeError(Exception):
    """The time limit is reached; the state is saved."""


# --- saved and loaded -------------------------------------------------------------------------


@dataclass(frozen=True)
class Store:
    """The checkpoint in `folder` of the training identified by `key`."""

    folder: Path
    key: str
    group: Group = ALONE

    @classmethod
    def of(cls, parent: Path, inputs: dict[str, Any], group: Group = ALONE) -> "Store":
        """Return the store in `parent` for a training; `inputs` is all that decides its weights."""
        key = hashlib.sha256(_compact(inputs, sort=True)).hexdigest()
        return cls(parent / key[:16], key, group)

    def save(self, state: TrainingState, position: TrainingPosition) -> None:
        """Replace the checkpoint."""
        if self.group.rank:
            return
        side = {
            "history": [asdict(row) for row in position.history],
            "best": position.best.epoch if position.best else 0,
            "step": position.step,
            "parts": position.parts,
            "metered": state.meter.steps if state.meter else 0,
            "rates": [float(group["lr"]) for group in state.optimizer.param_groups],
            "scheduler": state.scheduler.state_dict(),
        }
        self._replace(SIDE, side, _tensors(state, position))

    def load(self, state: TrainingState) -> TrainingPosition | None:
        """Bring `state` to where the checkpoint was saved; None where there is none.

        Raises InputError that names the file, if it is damaged or of another training.
        """
        return self._load(SIDE, lambda side, tensors: _restore(state, side, tensors))

    def part(self, name: str) -> "Store":
        """Return the store, in this one's folder, of one of the trainings that a run consists of.

        It is there until this one is removed or finished.
        """
        key = hashlib.sha256(f"{self.key} {name}".encode()).hexdigest()
        return Store(self.folder / name, key, self.group)

    def end(self, result: FitResult) -> None:
        """Keep what a whole training ended with, in place of its checkpoint."""
        if self.group.rank:
            return
        side = {
            "history": [asdict(row) for row in result.history],
            "best": result.best.epoch,
            "drawn": result.drawn,
            "parts": result.parts,
        }
        self._replace(ENDED, side, result.weights)

    def ended(self) -> FitResult | None:
        """Return what `end` kept; None where there is nothing. Raises as `load` does."""
        return self._load(ENDED, _result)

    def _replace(self, name: str, side: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Write a JSON file of this name and the tensors that it names; remove all others."""
        data = runs.pack_weights(tensors)
        digest = hashlib.sha256(data).hexdigest()
        side = {"key": self.key, "tensors": digest, **side}
        checked = {"sha256": hashlib.sha256(_compact(side)).hexdigest(), "state": side}
        files.write_file(self.folder / _name(digest), data)
        files.write_file(self.folder / name, _compact(checked))
        for other in self.folder.iterdir():
            if other.is_dir():
                shutil.rmtree(other)
            elif other.name not in {name, _name(digest)}:
                other.unlink(missing_ok=True)

    def _load(self, name: str, use: Callable[[dict[str, Any], dict[str, Tensor]], T]) -> T | None:
        """Return `use` of what `_replace` wrote; None where there is nothing."""
        path = self.folder / name
        try:
            text = self._read(path)
            if text is None:
                return None
            side = _parse(text, self.key)
            if not is_file_name(side["tensors"]):
                raise ValueError("its tensors are not named by a sha256")
            data = self._read(self.folder / _name(side["tensors"])) or b""
            _check_digest(data, side["tensors"])
            return use(side, safetensors.load(data))
        except UNUSABLE as error:
            problem = f"{path}: not a usable checkpoint ({str(error).splitlines()[0]})"
            raise InputError(f"{problem}; --restart trains from the beginning") from error

    def _read(self, path: Path) -> bytes | None:
        """Return the file's bytes on rank 0's machine; None where it does not exist."""
        exists = not self.group.rank and path.is_file()
        return self.group.broadcast(path.read_bytes() if exists else None)

    @property
    def begun(self) -> bool:
        """Whether there is a checkpoint to go on from, of this training or of a part of it."""
        return any(any(self.folder.rglob(name)) for name in (SIDE, ENDED))

    def finish(self, run: Path, seconds: float | None = None) -> None:
        """Keep a copy of the run in place of the checkpoint, and a note: the training ended so.

        DVC removes the runs of all seeds before it trains one more. `seconds` are those of the
        training by the clock, if they are known; the run itself holds no times.
        """
        if self.group.rank:
            return
        self.remove()
        with files.new_folder(self.folder / KEPT, marker=runs.SIDE) as kept:
            shutil.copytree(run, kept, dirs_exist_ok=True)
        note = self._note(run, run)
        files.write_json(self.folder / FINISHED, note | ({"seconds": seconds} if seconds else {}))

    def finished(self, run: Path) -> Run | None:
        """Return the run that this training ended with, if it is whole in this folder.

        Where it was and is no longer, the copy that was kept is written there again, unless several
        processes train. In another folder the training is done anew.
        """
        if whole := self._read_whole(run, run):
            return whole
        if self.group.size > 1 or not self._read_whole(self.folder / KEPT, run):
            return None
        with files.new_folder(run, marker=runs.SIDE) as building:
            shutil.copytree(self.folder / KEPT, building, dirs_exist_ok=True)
        return runs.read_run(run)

    def _note(self, run: Path, place: Path) -> dict[str, str]:
        """Return what says that this training ended with `run`, which belongs in `place`."""
        run_sha256 = files.sha256(run / runs.SIDE)
        return {"key": self.key, "place": str(files.resolve(place)), "run": run_sha256}

    def _read_whole(self, run: Path, place: Path) -> Run | None:
        """Return the run if it is what this training ended with in `place`, and whole."""
        try:
            note, expected = files.read_json(self.folder / FINISHED), self._note(run, place)
            if {key: note[key] for key in expected} != expected:
                return None
            read = runs.read_run(run)
            return read if files.sha256(run / runs.WEIGHTS) == read.weights_sha256 else None
        except UNUSABLE:
            return None

    def remove(self) -> None:
        """Delete the checkpoint."""
        if self.group.rank:
            return
        (self.folder / SIDE).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # not empty: other trainings' checkpoints
            self.folder.parent.rmdir()


def _name(digest: str) -> str:
    return f"{digest[:16]}.safetensors"


def _compact(data: dict[str, Any], *, sort: bool = False) -> bytes:
    """Return `data` as JSON; unless sorted, names such as those of layers keep their order."""
    return json.dumps(data, sort_keys=sort, separators=(",", ":")).encode()


def _parse(text: bytes, key: str) -> dict[str, Any]:
    checked = json.loads(text)
    side: dict[str, Any] = checked["state"]
    _check_digest(_compact(side), checked["sha256"])
    if side["key"] != key:
        raise ValueError("it is of another training")
    return side


def _check_digest(data: bytes, sha256: str) -> None:
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError("it is damaged: its sha256 differs")


def _tensors(state: TrainingState, position: TrainingPosition) -> dict[str, Tensor]:
    tensors = {"total": position.total, "random.cpu": torch.get_rng_state()}
    if state.machine.device.type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    if state.meter:
        tensors["meter"] = state.meter.totals
    tensors |= {f"network.{name}": value for name, value in state.network.state_dict().items()}
    tensors |= {f"kept.{name}": value for name, value in position.kept.items()}
    for index, values in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in values.items()}
    return tensors


def _section(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    start = f"{name}."
    return {key.removeprefix(start): v for key, v in tensors.items() if key.startswith(start)}


def _result(side: dict[str, Any], tensors: dict[str, Tensor]) -> FitResult:
    history = tuple(Epoch(**row) for row in side["history"])
    return FitResult(
        history,
        best=history[side["best"] - 1],
        weights=tensors,
        drawn=tuple(side["drawn"]),
        complete=True,
        parts=side["parts"],
    )


def _restore(
    state: TrainingState, side: dict[str, Any], tensors: dict[str, Tensor]
) -> TrainingPosition:
    history = [Epoch(**row) for row in side["history"]]
    state.network.load_state_dict(_section(tensors, "network"))
    _restore_optimizer(state, _section(tensors, "optimizer"))
    for group, rate in zip(state.optimizer.param_groups, side["rates"], strict=True):
        group["lr"] = rate
    if side["scheduler"].keys() != state.scheduler.state_dict().keys():
        raise ValueError("of another version of torch")
    state.scheduler.load_state_dict(side["scheduler"])
    torch.set_rng_state(tensors["random.cpu"])
    if state.machine.device.type == "cuda":
        torch.cuda.set_rng_state(tensors["random.cuda"])
    if state.meter:
        state.meter.totals.copy_(tensors["meter"])
        state.meter.steps = side["metered"]
    return TrainingPosition(
        total=tensors["total"].to(state.machine.device),
        history=history,
        best=history[side["best"] - 1] if side["best"] else None,
        kept=_section(tensors, "kept"),
        step=side["step"],
        parts=side["parts"],
    )


def _restore_optimizer(state: TrainingState, tensors: dict[str, Tensor]) -> None:
    """Give moments the memory layout of their weights, for the fused step walks through both."""
    weights = list(state.network.parameters())
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".")
        weight = weights[int(index)]
        laid_out = torch.empty_like(weight).copy_(value) if value.ndim else value
        moments.setdefault(int(index), {})[name] = laid_out
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": moments, "param_groups": groups})


# --- when to save -----------------------------------------------------------------------------


@dataclass
class CheckpointSchedule:
    """Decides after each step and each epoch whether to save, to stop, or both.

    Saves in `store`, where there is one, as often as `every` says. `max_minutes` count from
    `started`, a time of `time.monotonic`; at the end of an epoch the training also stops if
    another epoch, as long as the longest, would exceed them. An `interrupt` stops it at the next
    step; with several processes torchrun ends all, and they resume from the last checkpoint.
    """

    store: Store | None = None
    every: Checkpoint = field(default_factory=Checkpoint)
    max_minutes: float | None = None
    started: float = field(default_factory=time.monotonic)
    group: Group = ALONE
    interrupt: Interrupt = field(default_factory=Interrupt)
    _saved: float = field(default_factory=time.monotonic)
    _epoch: float = field(default_factory=time.monotonic)
    _longest: float = 0.0

    def part(self, name: str, left: int) -> "CheckpointSchedule":
        """Return the schedule of one of the trainings of a run, of which so many are `left`.

        It saves in a part of the store, and has an equal part of the time that is left.
        """
        minutes = self.max_minutes
        if minutes is not None:
            spent = (time.monotonic() - self.started) / 60
            minutes = spent + (minutes - spent) / left
        return replace(self, store=self.store and self.store.part(name), max_minutes=minutes)

    def resume(self, state: TrainingState) -> TrainingPosition | None:
        """Load the checkpoint into `state`, if there is one. Raises as `Store.load` does."""
        self._saved = self._epoch = time.monotonic()
        return self.store.load(state) if self.store else None

    def restart(self) -> None:
        """Remove the checkpoint, if there is one: the training begins again."""
        if self.store:
            self.store.remove()

    def after_step(self, state: TrainingState, position: TrainingPosition) -> None:
        """Save if it is time to. Raises StoppedError or OutOfTimeError.

        Several processes are not at the same step at the same time: they check after epochs only.
        """
        if self.group.size == 1:
            self._act(state, position, late=self._late())

    def after_epoch(self, state: TrainingState, position: TrainingPosition) -> None:
        """Do the same after an epoch that is not the last."""
        now = time.monotonic()
        self._longest, self._epoch = max(self._longest, now - self._epoch), now
        due = bool(self.every.epochs) and len(position.history) % (self.every.epochs or 1) == 0
        self._act(state, position, late=self.group.agree(self._late(self._longest)), due=due)

    def _late(self, seconds: float = 0) -> bool:
        """Return whether the time will be up `seconds` from now."""
        if self.max_minutes is None:
            return False
        return time.monotonic() + seconds - self.started > 60 * self.max_minutes

    def _act(
        self, state: TrainingState, position: TrainingPosition, *, late: bool, due: bool = False
    ) -> None:
        due = due or time.monotonic() - self._saved >= 60 * self.every.minutes
        number = self.interrupt.number
        if number or late or due:
            if self.store:
                self.store.save(state, position)
            self._saved = time.monotonic()
        if number:
            raise StoppedError(self._message(state, position), number)
        if late:
            raise OutOfTimeError

    def _message(self, state: TrainingState, position: TrainingPosition) -> str:
        message = f"stopped after {len(position.history)} of {state.job.recipe.epochs} epochs"
        message += f" and step {position.step} of the next" if position.step else ""
        outcome = "the same command resumes from there" if self.store else "nothing was saved"
        return f"{message}; {outcome}"
