"""Train one network on one arm and leave a run: weights, history, and what decided them."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from toolkit import dataset, files, fitting, runs
from toolkit.dataset import Tensors
from toolkit.fitting import Fitted, Job
from toolkit.params import Train
from toolkit.progress import Track, silent
from toolkit.runs import Epoch, Run


def train(
    arm_folder: Path,
    valid_folder: Path,
    name: str,
    settings: Train,
    *,
    seed: int,
    output: Path,
    track: Track = silent,
) -> Run:
    """Train the recipe `name` on the manifest in `arm_folder`, and write the run to `output`.

    The manifest in `valid_folder` decides which epoch is kept; no other data are read. `output`
    appears whole or not at all. Raises InputError for an unknown recipe, and as `dataset.load` and
    `fitting.fit` do.
    """
    job = fitting.job(settings, name, seed)
    with files.new_folder(output, marker=runs.SIDE) as building:
        arm, valid = dataset.load(arm_folder, track), dataset.load(valid_folder, track)
        with _curves(building / "dvclive") as log:
            fitted = fitting.fit(arm, valid, job, log, track)
        weights = runs.pack(fitted.weights)
        run = _describe(arm_folder.resolve().name, arm, job, fitted, weights)
        runs.write(building, run, weights)
    return run


def _describe(arm: str, data: Tensors, job: Job, fitted: Fitted, weights: bytes) -> Run:
    used = fitting.machine(job.settings)
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
