"""Runs in MLflow or Weights & Biases as well, by their packages: the setting `train.tracker`."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from toolkit.errors import InputError
from toolkit.io.schema import dotted_keys
from toolkit.training.runs import Run


@dataclass(frozen=True)
class TrackedRun:
    """What is logged of a run: its settings, the numbers of each epoch, and the best of them.

    `ident` is the same for the same weights, so that a run is not logged twice.
    """

    name: str
    ident: str
    settings: Mapping[str, Any]
    epochs: Sequence[Mapping[str, float]]
    best: Mapping[str, float]


def check_tracker(tracker: str | None) -> None:
    """Raise InputError, before the training, for a tracker that is not installed."""
    if tracker and find_spec(tracker) is None:
        raise InputError(
            f"train.tracker: {tracker} is not installed; `pip install {tracker}`, or set it to null"
        )


def track_runs(runs: Sequence[Run], tracker: str | None) -> None:
    """Log trained runs. Raises InputError if that fails; they are written all the same."""
    for run in runs if tracker else ():
        try:
            TRACKERS[str(tracker)](tracked_run(run))
        except InputError as error:
            raise InputError(
                f"{run.folder}: trained, but not logged ({error}); run the same again, which keeps "
                "what is trained, or set train.tracker to null"
            ) from error


def tracked_run(run: Run) -> TrackedRun:
    """Return what is logged of a run."""
    about = run.model_dump(include={"arm", "recipe", "seed", "device", "precision", "threads"})
    name = f"{run.arm}-{run.recipe}/{run.seed}"
    best = {f"best_{key}": value for key, value in run.best.numbers().items()}
    return TrackedRun(
        name,
        hashlib.sha256(f"{name} {run.weights_sha256}".encode()).hexdigest()[:16],
        about | dotted_keys({"settings": run.settings.model_dump(), "images": run.counts}),
        [epoch.numbers() for epoch in run.history],
        best,
    )


def _to_mlflow(run: TrackedRun) -> None:
    """Log a run to where MLFLOW_TRACKING_URI says, in an experiment named after the folder."""
    import mlflow

    try:
        if not os.environ.keys() & {"MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"}:
            mlflow.set_experiment(Path.cwd().name)
        same = f"tags.`toolkit.run` = '{run.ident}'"
        if mlflow.search_runs(filter_string=same, output_format="list"):
            return
        with mlflow.start_run(run_name=run.name, tags={"toolkit.run": run.ident}):
            mlflow.log_params(dict(run.settings))
            for numbers in run.epochs:
                mlflow.log_metrics(dict(numbers), step=int(numbers["epoch"]))
            mlflow.log_metrics(dict(run.best))
    except (mlflow.exceptions.MlflowException, OSError) as error:
        raise InputError(f"mlflow: {error}") from error


def _to_wandb(run: TrackedRun) -> None:
    """Log a run to Weights & Biases, in WANDB_PROJECT or a project named after the folder."""
    import wandb

    try:
        project = os.environ.get("WANDB_PROJECT", Path.cwd().name)
        with wandb.init(
            project=project, name=run.name, id=run.ident, resume="allow", config=dict(run.settings)
        ) as live:
            for numbers in run.epochs:
                live.log(dict(numbers), step=int(numbers["epoch"]))
            live.summary.update(dict(run.best))
    except (wandb.errors.Error, OSError) as error:
        raise InputError(f"wandb: {error}") from error


TRACKERS: dict[str, Callable[[TrackedRun], None]] = {"mlflow": _to_mlflow, "wandb": _to_wandb}
"""The names that `train.tracker` may have, which are those of the packages."""
