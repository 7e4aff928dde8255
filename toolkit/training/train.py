"""Train one network on one arm, and write a run: weights, history, and what decided them."""

import contextlib
import functools
import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit.errors import InputError
from toolkit.io import closure, files
from toolkit.progress import EpochSummary, Track, ignore, silent
from toolkit.training import (
    dataset,
    device,
    distributed,
    loop,
    runs,
    state,
    streaming,
)
from toolkit.training.checkpoints import CheckpointSchedule, Store
from toolkit.training.dataset import Data, LabeledFolder
from toolkit.training.distributed import Group
from toolkit.training.loop import FitResult
from toolkit.training.params import TrainParams
from toolkit.training.pretrained import frozen
from toolkit.training.runs import Epoch, Run
from toolkit.training.state import TrainingJob


@dataclass(frozen=True)
class TrainingOptions:
    """How a training is carried out; its results do not depend on it, unless the time is up.

    `checkpoints`: the folder that it is saved in, to resume after an interruption; `restart`:
    whether to ignore a checkpoint there. `max_minutes` count from `started`. `track` shows
    progress, `on_epoch` gets each epoch as it ends, `say` a line on what was chosen or left out.
    """

    checkpoints: Path | None = None
    restart: bool = False
    max_minutes: float | None = None
    started: float = field(default_factory=time.monotonic)
    track: Track = silent
    on_epoch: Callable[[EpochSummary], object] = ignore
    say: Callable[[str], object] = ignore


def train_one(
    arm_folder: Path,
    valid_folder: Path,
    name: str,
    settings: TrainParams,
    *,
    seed: int,
    output: Path,
    options: TrainingOptions | None = None,
) -> Run:
    """Train with one seed; see `train_seeds`."""
    outputs = {seed: output}
    (run,) = train_seeds(arm_folder, valid_folder, name, settings, outputs=outputs, options=options)
    return run


def train_seeds(
    arm_folder: Path,
    valid_folder: Path,
    name: str,
    settings: TrainParams,
    *,
    outputs: Mapping[int, Path],
    options: TrainingOptions | None = None,
) -> list[Run]:
    """Train the recipe `name` on the images in `arm_folder`; write a run for each seed.

    `outputs`: seed -> the run's folder; a seed's run does not depend on the other seeds. The images
    in `valid_folder` decide which epoch is kept; no other data are read. Either folder has a
    manifest or is laid out <class>/file; images are resized to the recipe's `size` or, without one,
    to `dataset.choose_size`. Each run appears whole or not at all; then its checkpoint is removed,
    unless the training is incomplete. Of several processes of torchrun only the first one writes.
    Raises InputError for an unknown recipe, as `dataset.open_folder`, `dataset.load_tensors` and
    `loop.fit` do, and, once the best epoch is written, for a loss that is no longer finite;
    StoppedError after a signal.
    """
    options, where = options or TrainingOptions(), device.resolve_device(settings.device)
    jobs = {seed: state.training_job(settings, name, seed) for seed in outputs}
    arm, valid = (
        dataset.open_folder(path, options.track, options.say) for path in (arm_folder, valid_folder)
    )
    size = settings.recipes[name].size or dataset.choose_size(arm, valid, options.say)
    read = functools.partial(
        streaming.open_data,
        size=size,
        how=settings.data,
        workers=settings.workers,
        device=where,
        track=options.track,
    )
    finished: list[Run] = []
    data: tuple[Data, Data] | None = None
    with distributed.group(where) as group:
        for seed, output in outputs.items():
            inputs = _inputs((arm, valid), size, jobs[seed], group)
            with _run_folder(output, group) as building, _store(inputs, options, group) as store:
                data = data or (read(arm), read(valid))
                schedule = CheckpointSchedule(
                    store, settings.checkpoint, options.max_minutes, options.started, group
                )
                run = _train(building, (arm, valid), data, jobs[seed], schedule, options)
            finished.append(run.model_copy(update={"folder": output}))
            if store and run.complete:
                store.remove()
            if run.problem:
                kept = f"{output} keeps epoch {run.best_epoch}, the best before that"
                raise InputError(f"{run.problem}; {kept}")
    return finished


def _train(
    building: Path,
    folders: tuple[LabeledFolder, LabeledFolder],
    data: tuple[Data, Data],
    job: TrainingJob,
    schedule: CheckpointSchedule,
    options: TrainingOptions,
) -> Run:
    images = data[0].originals if job.recipe.match_steps else len(data[0].labels)

    def report(epoch: Epoch) -> None:
        log(epoch)
        options.on_epoch(_epoch_summary(epoch, job.recipe.epochs, images))

    with _dvclive(building / "dvclive") as log:
        if job.recipe.frozen:
            result = frozen.fit_frozen(*data, job, report, options.track)
        else:
            result = loop.fit(*data, job, report, options.track, schedule)
    weights = runs.pack_weights(result.weights)
    run = _describe(folders, data[0], job, result, schedule.group, weights)
    runs.write_run(building, run, weights)
    return run


def _epoch_summary(epoch: Epoch, epochs: int, images: int) -> EpochSummary:
    measured = (epoch.train_loss, epoch.valid_loss, epoch.valid_gmean)
    return EpochSummary(epoch.epoch, epochs, images, *measured)


@contextlib.contextmanager
def _run_folder(output: Path, group: Group) -> Iterator[Path]:
    """Give a folder to write the run in; only the first process's becomes `output`."""
    if group.rank:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    else:
        with files.new_folder(output, marker=runs.SIDE) as building:
            yield building


@contextlib.contextmanager
def _store(
    inputs: dict[str, Any], options: TrainingOptions, group: Group
) -> Iterator[Store | None]:
    """Give the store of checkpoints, locked against other processes for the block."""
    if not options.checkpoints:
        yield None
        return
    store = Store.of(options.checkpoints, inputs, group)
    with contextlib.nullcontext() if group.rank else files.exclusive(store.folder):
        if options.restart:
            store.remove()
        yield store


def _inputs(
    folders: Sequence[LabeledFolder], size: int, job: TrainingJob, group: Group
) -> dict[str, Any]:
    """Return all that the weights depend on, and which run they are for."""
    machine = state.resolve_machine(job.settings)
    return {
        "run": [folders[0].name, job.name, job.seed],
        "recipe": job.recipe.model_dump(mode="json"),
        "machine": [machine.device.type, str(machine.dtype), job.settings.threads, group.size],
        "data": [size, *(folder.sha256 for folder in folders)],
        "code": closure.trace_imports(__name__).code,
        "versions": runs.training_versions(),
    }


def _describe(
    folders: tuple[LabeledFolder, LabeledFolder],
    data: Data,
    job: TrainingJob,
    result: FitResult,
    group: Group,
    weights: bytes,
) -> Run:
    machine = state.resolve_machine(job.settings)
    return Run(
        arm=folders[0].name,
        recipe=job.name,
        seed=job.seed,
        classes=data.classes,
        counts=dataset.class_counts(data),
        size=data.size,
        settings=job.recipe,
        drawn=result.drawn,
        device=machine.device.type,
        precision=str(machine.dtype).removeprefix("torch."),
        threads=job.settings.threads,
        processes=group.size,
        parts=result.parts,
        complete=result.complete,
        problem=result.problem,
        best_epoch=result.best.epoch,
        versions=runs.training_versions(),
        originals=folders[0].originals_sha256,
        valid=folders[1].sha256,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        history=result.history,
    )


@contextlib.contextmanager
def _dvclive(folder: Path) -> Iterator[Callable[[Epoch], None]]:
    """Give a function that logs an epoch to DVCLive's files in `folder`."""
    from dvclive.live import Live

    class FilesOnly(Live):
        """Writes files and does nothing else.

        Without this, DVCLive makes a DVC repository of any git repository it finds itself in,
        adds files to git in an experiment, and sends the numbers to where DVC's settings say.
        """

        def _init_dvc(self) -> None: ...

        def _init_studio(self) -> None:
            self._studio_events_to_skip |= {"start", "data", "done"}

    def log(epoch: Epoch) -> None:
        for name, value in epoch.numbers().items():
            if name != "epoch":
                live.log_metric(name, value)
        live.next_step()

    with FilesOnly(str(folder), dvcyaml=None, save_dvc_exp=False, report=None) as live:
        live.step = 1
        yield log
