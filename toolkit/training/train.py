"""Train one network on one arm and leave a run: weights, history, and what decided them."""

import contextlib
import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from toolkit.errors import InputError
from toolkit.io import files, manifest
from toolkit.metrics import confusion
from toolkit.progress import Milestone, Track, silent
from toolkit.training import (
    dataset,
    device,
    distributed,
    gradients,
    loop,
    networks,
    runs,
    state,
    streaming,
)
from toolkit.training.checkpoints import CheckpointSchedule, Store
from toolkit.training.dataset import Data
from toolkit.training.distributed import Group
from toolkit.training.loop import FitResult
from toolkit.training.params import TrainParams
from toolkit.training.runs import Epoch, Run
from toolkit.training.state import TrainingJob

CODE = (confusion, dataset, device, distributed, gradients, loop, networks, state)
"""The modules that decide the weights: a checkpoint of other code is not gone on from."""


@dataclass(frozen=True)
class TrainingOptions:
    """How a training is carried out; its results do not depend on it, unless the time is up.

    `checkpoints`: the folder that it is saved in, to go on from after an interruption; `restart`:
    whether to begin anew where there is one. `max_minutes` count from `started`.
    """

    checkpoints: Path | None = None
    restart: bool = False
    max_minutes: float | None = None
    started: float = field(default_factory=time.monotonic)


def train_one(
    arm_folder: Path,
    valid_folder: Path,
    name: str,
    settings: TrainParams,
    *,
    seed: int,
    output: Path,
    track: Track = silent,
    terms: TrainingOptions | None = None,
) -> Run:
    """Train with one seed; see `train_seeds`."""
    outputs = {seed: output}
    found = train_seeds(
        arm_folder, valid_folder, name, settings, outputs=outputs, track=track, terms=terms
    )
    return found[0]


def train_seeds(
    arm_folder: Path,
    valid_folder: Path,
    name: str,
    settings: TrainParams,
    *,
    outputs: Mapping[int, Path],
    track: Track = silent,
    told: Callable[[Milestone], object] = lambda _: None,
    terms: TrainingOptions | None = None,
) -> list[Run]:
    """Train the recipe `name` on the manifest in `arm_folder`; write a run for each seed.

    `outputs`: seed -> the run's folder; a seed's run does not depend on the other seeds. The
    manifest in `valid_folder` decides which epoch is kept; no other data are read. `told` gets each
    epoch as it ends. Each run appears whole or not at all; then its checkpoint is removed, unless
    the training is incomplete. Of several processes of torchrun only the first one writes.
    Raises InputError for an unknown recipe, as `streaming.open_data` and `loop.fit` do, and, once
    the best epoch is written, for a loss that is no longer finite; StoppedError after a signal.
    """
    terms, where = terms or TrainingOptions(), device.resolve_device(settings.device)
    jobs = {seed: state.training_job(settings, name, seed) for seed in outputs}
    read = partial(
        streaming.open_data, how=settings.data, workers=settings.workers, where=where, track=track
    )
    found: list[Run] = []
    data: tuple[Data, Data] | None = None
    with distributed.group(where) as group:
        for seed, output in outputs.items():
            keys = _decides(arm_folder, valid_folder, jobs[seed], group)
            with _building(output, group) as building, _store(keys, terms, group) as store:
                data = data or (read(arm_folder), read(valid_folder))
                limits = CheckpointSchedule(
                    store, settings.checkpoint, terms.max_minutes, terms.started, group
                )
                arm = arm_folder.resolve().name
                run = _train(building, arm, data, jobs[seed], limits, track, told=told)
                found.append(run.model_copy(update={"folder": output}))
            if store and found[-1].complete:
                store.remove()
            if found[-1].problem:
                best = f"{output} keeps epoch {found[-1].best_epoch}, the best before that"
                raise InputError(f"{found[-1].problem}; {best}")
    return found


def _train(
    building: Path,
    arm: str,
    data: tuple[Data, Data],
    job: TrainingJob,
    limits: CheckpointSchedule,
    track: Track,
    *,
    told: Callable[[Milestone], object],
) -> Run:
    def on_epoch(row: Epoch) -> None:
        log(row)
        told(_milestone(row, job.recipe.epochs, images))

    images = data[0].originals if job.recipe.match_steps else len(data[0].labels)
    with _curves(building / "dvclive") as log:
        fitted = loop.fit(*data, job, on_epoch, track, limits)
    weights = runs.pack(fitted.weights)
    run = _describe(arm, data[0], job, fitted, limits.group, weights)
    runs.write_run(building, run, weights)
    return run


def _milestone(row: Epoch, epochs: int, images: int) -> Milestone:
    return Milestone(row.epoch, epochs, images, row.train_loss, row.valid_loss, row.valid_gmean)


@contextlib.contextmanager
def _building(output: Path, group: Group) -> Iterator[Path]:
    """A folder to write the run in; what others than the first process write is thrown away."""
    if group.rank:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    else:
        with files.new_folder(output, marker=runs.SIDE) as building:
            yield building


@contextlib.contextmanager
def _store(keys: dict[str, Any], terms: TrainingOptions, group: Group) -> Iterator[Store | None]:
    """Where the training is saved; no other training may use it in the block."""
    if not terms.checkpoints:
        yield None
        return
    store = Store.of(terms.checkpoints, keys, group)
    with contextlib.nullcontext() if group.rank else files.only_one(store.folder):
        if terms.restart:
            store.remove()
        yield store


def _decides(arm: Path, valid: Path, job: TrainingJob, group: Group) -> dict[str, Any]:
    """All that the weights depend on, and which run it is."""
    used = state.machine(job.settings)
    return {
        "run": [arm.resolve().name, job.name, job.seed],
        "recipe": job.recipe.model_dump(mode="json"),
        "machine": [used.device.type, str(used.dtype), job.settings.threads, group.size],
        "data": [files.sha256(folder / manifest.TABLE) for folder in (arm, valid)],
        "code": [files.sha256(Path(str(module.__file__))) for module in CODE],
        "versions": runs.training_versions(),
    }


def _describe(
    arm: str, data: Data, job: TrainingJob, fitted: FitResult, group: Group, weights: bytes
) -> Run:
    used = state.machine(job.settings)
    return Run(
        arm=arm,
        recipe=job.name,
        seed=job.seed,
        classes=data.classes,
        counts=dataset.class_counts(data),
        size=data.size,
        settings=job.recipe,
        drawn=fitted.drawn,
        device=used.device.type,
        precision=str(used.dtype).removeprefix("torch."),
        threads=job.settings.threads,
        processes=group.size,
        parts=fitted.parts,
        complete=fitted.complete,
        problem=fitted.problem,
        best_epoch=fitted.best.epoch,
        versions=runs.training_versions(),
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        history=fitted.history,
    )


@contextlib.contextmanager
def _curves(folder: Path) -> Iterator[Callable[[Epoch], None]]:
    """Log epochs to DVCLive's files in `folder`."""
    from dvclive.live import Live

    class Files(Live):
        """Writes files and does nothing else.

        Without this, DVCLive makes a DVC repository of any git repository it finds itself in,
        adds files to git in an experiment, and sends the numbers to where DVC's settings say.
        """

        def _init_dvc(self) -> None: ...

        def _init_studio(self) -> None:
            self._studio_events_to_skip |= {"start", "data", "done"}

    def log(row: Epoch) -> None:
        for name, value in row.numbers().items():
            if name != "epoch":
                live.log_metric(name, value)
        live.next_step()

    with Files(str(folder), dvcyaml=None, save_dvc_exp=False, report=None) as live:
        live.step = 1
        yield log
