"""Train one network on one arm, and write a run: weights, history, and what decided them."""

import contextlib
import functools
import hashlib
import importlib
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from toolkit.datasets.folds import NEW
from toolkit.datasets.params import BY_NAME, ReadParams
from toolkit.errors import InputError, StoppedError
from toolkit.io import closure, files, jobs, parallel
from toolkit.io.jobs import Interrupt, Report
from toolkit.io.system import processes
from toolkit.metrics.decisions import choose_decisions
from toolkit.metrics.params import EvaluateParams
from toolkit.progress import EpochSummary, Track, ignore, silent
from toolkit.training import (
    dataset,
    device,
    distributed,
    inference,
    loop,
    runs,
    state,
    steps,
    streaming,
)
from toolkit.training.checkpoints import CheckpointSchedule, Store
from toolkit.training.crossfit.result import CrossFit, write_cross_fit
from toolkit.training.crossfit.trained import cross_fit_trained
from toolkit.training.dataset import Data, LabeledFolder
from toolkit.training.distributed import Group
from toolkit.training.params import TrainParams
from toolkit.training.pretrained import frozen
from toolkit.training.pretrained.backbones import Backbone
from toolkit.training.pretrained.features import Features, embed_folder
from toolkit.training.runs import Epoch, Run
from toolkit.training.state import FitResult, TrainingJob

T = TypeVar("T")


@dataclass(frozen=True)
class TrainingOptions:
    """How a training is carried out; its results do not depend on it, unless the time is up.

    `reading` is how folders of images are read; `features`: folders that `embed` wrote, for frozen
    networks; `kept`: a folder for features that are not there, so that none are computed twice.
    `checkpoints`: the folder that it is saved in, to resume after an interruption; `restart`:
    whether to ignore a checkpoint there. `max_minutes` count from `started`. `track` shows
    progress, `on_epoch` gets each epoch as it ends, `say` a line on what was chosen or left out.
    """

    checkpoints: Path | None = None
    features: tuple[Path, ...] = ()
    kept: Path | None = None
    reading: ReadParams = BY_NAME
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

    `outputs`: seed -> the run's folder; a seed's run does not depend on the other seeds, nor on how
    many are trained at once (see `count_jobs`). The images in `valid_folder` decide which epoch is
    kept; no other data are read. Images in folds are cross-fitted instead (see `Run.held_out`), a
    seed in the division into folds of its number, and `valid_folder` is not read. Either folder has
    a manifest or is laid out <class>/file; images are resized to the recipe's `size` or, without
    one, to `dataset.choose_size`. Each run appears whole or not at all; then its checkpoint is
    removed, unless the training is incomplete. A whole run that this training left there before is
    kept as it is, unless options say `restart`. Of several processes of torchrun only the first one
    writes. Raises InputError for an unknown recipe, as `dataset.open_folder`,
    `dataset.load_tensors` and `loop.fit` do, and, once all runs are written, for a loss that is no
    longer finite; StoppedError after a signal.
    """
    options, where = options or TrainingOptions(), device.resolve_device(settings.device)
    trainings = {seed: state.training_job(settings, name, seed) for seed in outputs}
    state.check_recipe(settings, name)
    arm = dataset.open_folder(arm_folder, options.track, options.say, options.reading)
    if arm.table.divisions:
        valid = arm
    else:
        valid = dataset.open_folder(valid_folder, options.track, options.say, options.reading)
    folders = arm, valid = arm, valid.scaled(arm.bits)
    size = settings.recipes[name].size or dataset.choose_size(arm, valid, options.say)
    state.check_recipe(settings, name, size)
    with distributed.group(where) as group:
        tasks = [
            Task(job, outputs[seed], _store(_inputs(folders, size, job, group), options, group))
            for seed, job in trainings.items()
        ]
        trained = {task.job.seed: run for task in tasks if (run := _finished(task, options))}
        if todo := [task for task in tasks if task.job.seed not in trained]:
            read = functools.partial(
                streaming.open_data,
                size=size,
                how="files" if settings.recipes[name].frozen else settings.data,
                workers=settings.workers,
                device=where,
                track=options.track,
            )
            data = read(arm)
            both = data, data if arm.table.divisions else read(valid)
            team = Team(folders, both, group, Interrupt(), options)
            trained |= _train_all(team, todo)
    finished = [trained[seed] for seed in outputs]
    for run in finished:
        if run.problem:
            kept = f"{outputs[run.seed]} keeps epoch {run.best_epoch}, the best before that"
            raise InputError(f"{run.problem}; {kept}")
    return finished


@dataclass(frozen=True)
class Task:
    """A run to train: `output` is its folder, `store` is where its checkpoint is kept."""

    job: TrainingJob
    output: Path
    store: Store | None


@dataclass(frozen=True)
class Team:
    """What the runs of one call have in common: images to train on and to measure on, and how.

    For a frozen network `features` [N, D] are those of the images to train on and, unless these
    are divided into folds, of those to measure on, by the `backbone`; `fitted` is the result of all
    seeds where nothing is random. All are computed once; `seconds` are a run's part of that time.
    """

    folders: tuple[LabeledFolder, LabeledFolder]
    data: tuple[Data, Data]
    group: Group
    interrupt: Interrupt
    options: TrainingOptions
    backbone: Backbone | None = None
    features: Sequence[Features] = ()
    seconds: float = 0.0
    fitted: FitResult | None = None

    @property
    def divisions(self) -> int:
        """How often the images to train on are divided into folds; 0 where they are not."""
        return self.folders[0].table.divisions


def _store(inputs: dict[str, Any], options: TrainingOptions, group: Group) -> Store | None:
    return Store.of(options.checkpoints, inputs, group) if options.checkpoints else None


def _finished(task: Task, options: TrainingOptions) -> Run | None:
    """Return the run that lies there already, if this very training has left it."""
    files.check_replaceable(task.output, runs.SIDE)
    if options.restart or not task.store or not (run := task.store.finished(task.output)):
        return None
    options.say(f"{task.output}: kept, the same training left it; --restart trains it again")
    return run


def count_jobs(job: TrainingJob, todo: int, arm: Data, group: Group) -> int:
    """Return how many of `todo` runs to train at once.

    That is `train.jobs`, or what cores and memory allow (see `share_cores`); one on a GPU, where
    several processes train one network, and where processes are not forked, as these hold much.
    """
    settings = job.settings
    if (
        group.size > 1
        or not processes.forks()
        or state.resolve_machine(settings).device.type == "cuda"
    ):
        return 1
    if settings.jobs != "auto":
        return min(settings.jobs, todo)
    each = steps.estimate_memory(job.recipe, arm.size, len(arm.classes))
    fitting = int(streaming.MEMORY_FRACTION * streaming.available_memory() / each)
    return share_cores(min(todo, fitting), max(1, parallel.cores() // settings.threads), todo)


def share_cores(most: int, cores: int, todo: int) -> int:
    """Return how many of `todo` equal runs, at `most`, to train at once to be done soonest.

    That is a few more than `cores` where some of these would have nothing to do at the end: two
    train five runs in the time of two and a half runs if three begin, but of three if two do.
    """

    def duration(at_once: int) -> float:
        rounds, rest = divmod(todo, at_once)
        return rounds * max(1, at_once / cores) + (max(1, rest / cores) if rest else 0)

    return min(range(1, max(1, min(most, 2 * cores)) + 1), key=duration)


def _train_all(team: Team, tasks: Sequence[Task]) -> dict[int, Run]:
    options, job = team.options, tasks[0].job
    frozen_network = job.recipe.frozen  # a run of it takes a moment, once there are features
    at_once = 1 if frozen_network else count_jobs(job, len(tasks), team.data[0], team.group)
    alone = team.group.size == 1  # else torchrun ends all processes
    with team.interrupt.listening() if alone else contextlib.nullcontext():
        if frozen_network:
            began = time.monotonic()
            team = _with_features(team, job)
            team = replace(team, seconds=(time.monotonic() - began) / len(tasks))
        inner = options if at_once == 1 else replace(options, track=silent)
        work = functools.partial(_train_one, replace(team, options=inner))
        done: Iterable[tuple[Task, Run]] = jobs.side_by_side(work, tasks, at_once, options.on_epoch)
        if at_once > 1:
            for module in ("dvclive.live", "torch._dynamo"):  # an optimizer imports the second
                importlib.import_module(module)  # once, not in each process
            done = options.track(done, f"train {job.name}, {at_once} at once", len(tasks))
        return {task.job.seed: run for task, run in done}


def _with_features(team: Team, job: TrainingJob) -> Team:
    """Return the team with the features of its images and, unless in folds, the fitted network."""
    options = team.options
    if not team.divisions:
        loop.check_data(*team.data, job)
    embedder = frozen.recipe_embedder(job.name, job.settings)
    embedder = replace(embedder, size=team.data[0].size)
    embed = functools.partial(
        embed_folder,
        embedder=embedder,
        cache=options.kept,
        tables=options.features,
        track=_stopping(options.track, team.interrupt),
    )
    features = [embed(folder) for folder in team.folders[: 1 if team.divisions else 2]]
    team = replace(team, backbone=embedder.backbone, features=features)
    if team.divisions:
        return team
    both = [of.astype(np.float64) for of in features]
    return replace(team, fitted=frozen.fit_frozen(*team.data, both, embedder.backbone, job))


def _train_one(team: Team, task: Task, report: Report) -> Run:
    settings, options, store = task.job.settings, team.options, task.store
    with _lock(store, options, team.group):
        resumed, began = store is not None and store.begun, time.monotonic()
        with _run_folder(task.output, team.group) as building:
            schedule = CheckpointSchedule(
                store,
                settings.checkpoint,
                options.max_minutes,
                options.started,
                team.group,
                team.interrupt,
            )
            run = _write_run(building, team, task.job, schedule, report)
        if store and run.complete:
            seconds = team.seconds + time.monotonic() - began
            store.finish(task.output, None if resumed else seconds)
    if team.interrupt.number:
        remedy = "the same command goes on"
        raise StoppedError(f"stopped; {task.output} is done, {remedy}", team.interrupt.number)
    return run.model_copy(update={"folder": task.output})


def _write_run(
    building: Path, team: Team, job: TrainingJob, schedule: CheckpointSchedule, report: Report
) -> Run:
    arm, valid = team.data
    images = arm.originals if job.recipe.match_steps else len(arm.labels)
    began = time.monotonic()

    def on_epoch(epoch: Epoch, images: int = images, number: int = 1, of: int = 1) -> None:
        nonlocal began
        seconds, began = time.monotonic() - began, time.monotonic()
        if number == of:
            log(epoch)
        report(_epoch_summary(job, epoch, images, seconds, number, of))

    with _dvclive(building / "dvclive") as log:
        crossed = _cross_fit(building, team, job, schedule, on_epoch) if team.divisions else None
        if crossed:
            result = crossed.result
        elif team.fitted:
            result = team.fitted
            for epoch in result.history:
                on_epoch(epoch)
        else:
            result = loop.fit(*team.data, job, on_epoch, team.options.track, schedule)
    weights = runs.pack_weights(result.weights)
    run = _describe(team.folders, arm, job, result, team.group, weights)
    if crossed:
        return write_cross_fit(building, team.folders[0], run, crossed, weights)
    network = runs.load_network(run, building, weights)
    if team.fitted:
        predicted = inference.predict_features(run, network, team.folders[1], team.features[1])
    else:
        predicted = inference.predict_data(run, network, team.folders[1], valid)
    decisions = choose_decisions(predicted, EvaluateParams(positive=run.rarest))
    run = run.model_copy(update={"decisions": decisions})
    runs.write_run(building, run, weights, predicted)
    return run


def _cross_fit(
    building: Path,
    team: Team,
    job: TrainingJob,
    schedule: CheckpointSchedule,
    on_epoch: Callable[..., object],
) -> CrossFit:
    folds = team.folders[0], job.seed % team.divisions, job
    save = functools.partial(runs.write_fold, building)
    if team.backbone:
        features = team.features[0].astype(np.float64)
        return frozen.cross_fit_frozen(features, team.backbone, *folds, save, on_epoch=on_epoch)
    track = team.options.track
    return cross_fit_trained(
        team.data[0], *folds, save, on_epoch=on_epoch, track=track, schedule=schedule
    )


def _stopping(track: Track, interrupt: Interrupt) -> Track:
    """Return a `track` that raises StoppedError between two items, if there is an interrupt."""

    def stopping(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        for item in track(items, label, total):
            if interrupt.number:
                message = "stopped while features were computed; the same command starts again"
                raise StoppedError(message, interrupt.number)
            yield item

    return stopping


def _epoch_summary(
    job: TrainingJob, epoch: Epoch, images: int, seconds: float, number: int, of: int
) -> EpochSummary:
    epochs = job.recipe.epochs
    return EpochSummary(
        job.seed,
        (number - 1) * epochs + epoch.epoch,
        of * epochs,
        images,
        seconds,
        epoch.train_loss,
        epoch.valid_loss,
        epoch.valid_gmean,
        where="valid" if of == 1 else "same images",
    )


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
def _lock(store: Store | None, options: TrainingOptions, group: Group) -> Iterator[None]:
    """Keep other processes from the store during the block."""
    with files.exclusive(store.folder) if store and not group.rank else contextlib.nullcontext():
        if store and options.restart:
            store.remove()
        yield


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
        **({"folds": folders[0].table.notes.get(NEW)} if folders[0].table.divisions else {}),
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
        original_counts=folders[0].original_counts,
        size=data.size,
        bits=folders[0].bits,
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
        manifest=folders[0].sha256,
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
