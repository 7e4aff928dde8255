"""Train one network on one arm and leave a run: weights, history, and what decided them."""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit import (
    compute,
    dataset,
    files,
    fitting,
    gradients,
    manifest,
    metrics,
    networks,
    ordering,
    pretrained,
    runs,
    trainee,
)
from toolkit.checkpoints import Store
from toolkit.dataset import Tensors
from toolkit.fitting import Fitted
from toolkit.limits import Limits
from toolkit.params import Train
from toolkit.progress import Track, silent
from toolkit.runs import Epoch, Run
from toolkit.trainee import Job

CODE = (compute, dataset, fitting, gradients, metrics, networks, ordering, pretrained, trainee)
"""The modules that decide the weights: a checkpoint of other code is not gone on from."""


@dataclass(frozen=True)
class Terms:
    """How a training is carried out; its results do not depend on it, unless the time is up.

    `checkpoints`: the folder that it is saved in, to go on from after an interruption; `restart`:
    whether to begin anew where there is one. `max_minutes` count from `started`.
    """

    checkpoints: Path | None = None
    restart: bool = False
    max_minutes: float | None = None
    started: float = field(default_factory=time.monotonic)


def train(
    arm_folder: Path,
    valid_folder: Path,
    name: str,
    settings: Train,
    *,
    seed: int,
    output: Path,
    track: Track = silent,
    terms: Terms | None = None,
) -> Run:
    """Train the recipe `name` on the manifest in `arm_folder`, and write the run to `output`.

    The manifest in `valid_folder` decides which epoch is kept; no other data are read. `output`
    appears whole or not at all; then the checkpoint is removed, unless the training is incomplete.
    Raises InputError for an unknown recipe, and as `dataset.load` and `fitting.fit` do;
    StoppedError after a signal.
    """
    job, terms = trainee.job(settings, name, seed), terms or Terms()
    arm_name = arm_folder.resolve().name
    with (
        files.new_folder(output, marker=runs.SIDE) as building,
        _store(arm_folder, valid_folder, job, terms) as store,
    ):
        arm, valid = dataset.load(arm_folder, track), dataset.load(valid_folder, track)
        limits = Limits(store, settings.checkpoint, terms.max_minutes, terms.started)
        with _curves(building / "dvclive") as log:
            fitted = fitting.fit(arm, valid, job, log, track, limits)
        weights = runs.pack(fitted.weights)
        run = _describe(arm_name, arm, job, fitted, weights)
        runs.write(building, run, weights)
    if store and fitted.complete:
        store.remove()
    return run


@contextlib.contextmanager
def _store(arm: Path, valid: Path, job: Job, terms: Terms) -> Iterator[Store | None]:
    """Where the training is saved; no other process may use it in the block."""
    if not terms.checkpoints:
        yield None
        return
    store = Store.of(terms.checkpoints, _decides(arm, valid, job))
    with files.only_one(store.folder):
        if terms.restart:
            store.remove()
        yield store


def _decides(arm: Path, valid: Path, job: Job) -> dict[str, Any]:
    """All that the weights depend on, and which run it is."""
    used = trainee.machine(job.settings)
    return {
        "run": [arm.resolve().name, job.name, job.seed],
        "recipe": job.recipe.model_dump(mode="json"),
        "machine": [used.device.type, str(used.dtype), job.settings.threads],
        "data": [files.sha256(folder / manifest.TABLE) for folder in (arm, valid)],
        "code": [files.sha256(Path(str(module.__file__))) for module in CODE],
        "versions": runs.versions(),
    }


def _describe(arm: str, data: Tensors, job: Job, fitted: Fitted, weights: bytes) -> Run:
    used = trainee.machine(job.settings)
    return Run(
        arm=arm,
        recipe=job.name,
        seed=job.seed,
        classes=data.classes,
        counts=dataset.counts(data),
        size=data.size,
        settings=job.recipe,
        drawn=fitted.drawn,
        device=used.device.type,
        precision=str(used.dtype).removeprefix("torch."),
        threads=job.settings.threads,
        complete=fitted.complete,
        best_epoch=fitted.best.epoch,
        versions=runs.versions(),
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
