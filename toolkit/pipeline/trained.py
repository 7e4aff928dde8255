"""Networks that `advise` trains on the photos themselves, cross-fitted, within a budget of time."""

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

import numpy as np
import torch

from toolkit.io import jobs, parallel
from toolkit.io.jobs import Report
from toolkit.metrics.arrays import Floats, Labels
from toolkit.pipeline.timing import TimeBudget, TimeUpError
from toolkit.progress import Track, ignore
from toolkit.training import device, state, steps
from toolkit.training.crossfit.trained import fit_rows, score_rows
from toolkit.training.dataset import Data, LabeledFolder, Tensors, load_tensors
from toolkit.training.params import WIDTHS, Recipe, TrainParams
from toolkit.training.state import TrainingJob

NAME, SIZE = "resnet18", 64
RECIPE = Recipe(network=NAME, epochs=12, size=SIZE, batch=16)
"""From random weights. The epoch with the lowest loss on the images trained on is kept."""
TRIAL = 3
"""Steps that are timed, the first of which is left out."""
VALIDATION = 0.3
"""Part of a step's time that measuring its images takes."""


@dataclass(frozen=True, eq=False)
class TrainableImages:
    """The N images of a folder, and new ones made of them, as a network is trained on them.

    `data` are all of them, the N first; `parents` are the rows that the new ones were made of, and
    `wanted` the images that each class is filled up to, by copies where there are no new ones.
    `balanced`: an epoch takes as many of these rows as there are images, others each time, and so
    is no longer for the copies.
    """

    data: Data
    labels: Labels
    wanted: Sequence[int]
    parents: Labels = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    balanced: bool = False

    def rows(self, usable: Labels) -> Labels:
        """Return the rows to train on where only `usable`, rows of originals, may decide.

        A class gets as many copies as its part of all images; a new image is used only where what
        it was made of is.
        """
        if len(self.parents):
            new = np.flatnonzero(np.isin(self.parents, usable)) + len(self.labels)
            return np.concatenate([usable, new])
        total = np.bincount(self.labels)
        filled = []
        for label in np.unique(self.labels[usable]):
            own = usable[self.labels[usable] == label]
            filled.append(np.resize(own, round(self.wanted[label] * len(own) / total[label])))
        return np.concatenate(filled)

    def rows_an_epoch(self) -> int:
        """Return how many rows an epoch takes where all images are trained on."""
        every = np.arange(len(self.labels))
        return len(every if self.balanced else self.rows(every))


def with_new_images(
    plain: Tensors, new: LabeledFolder, wanted: Sequence[int], track: Track
) -> TrainableImages:
    """Return images with new ones behind them, which are decoded from the folder `new`.

    In it each original is named for its row (see `parent_rows`).
    """
    chosen = np.flatnonzero([sample.derived for sample in new.samples])
    parents, weights = parent_rows(new)[chosen], plain.weights
    both = replace(
        plain,
        images=torch.cat([plain.images, load_tensors(new, plain.size, track).images[chosen]]),
        labels=torch.cat([plain.labels, plain.labels[parents]]),
        weights=None if weights is None else torch.cat([weights, weights[parents]]),
    )
    return TrainableImages(both, plain.labels.numpy(), wanted, parents)


def parent_rows(new: LabeledFolder) -> Labels:
    """Return for each image of a folder of new ones the row of what it was made of."""
    originals = [new.table.by_id[sample.parent or sample.id] for sample in new.samples]
    return np.array([int(PurePosixPath(original.path).stem) for original in originals])


def network_job(width: float, seed: int) -> TrainingJob:
    """Return RECIPE at a width, on one thread of this machine."""
    recipe = RECIPE.model_copy(update={"width": width})
    return TrainingJob(NAME, recipe, TrainParams(recipes={NAME: recipe}), seed)


def cross_fit_networks(
    images: TrainableImages,
    divisions: Sequence[Labels],
    training: TrainingJob,
    budget: TimeBudget,
    track: Track,
) -> tuple[list[Floats], float]:
    """Return scores [N, K] for each division into folds [N], and the CPU seconds of it all.

    Each image is scored by a network that is trained without its fold. As many networks are trained
    at once as there are cores; on a GPU one. Raises TimeUpError where the time is up.
    """
    tasks = [(number, fold) for number, of in enumerate(divisions) for fold in np.unique(of)]
    work = functools.partial(_fit_fold, images, divisions, training)
    scores = [np.empty((len(images.labels), len(images.data.classes))) for _ in divisions]
    seconds = 0.0
    done = jobs.side_by_side(work, tasks, count_at_once(training), ignore)
    left = len(tasks)
    for (number, fold), (scored, spent) in track(done, f"train {training.name}", left):
        scores[number][divisions[number] == fold] = scored
        left, seconds = left - 1, seconds + spent
        if left and budget.left < 0:
            raise TimeUpError
    return scores, seconds


def count_at_once(job: TrainingJob) -> int:
    """Return how many networks are trained at once."""
    gpu = state.resolve_machine(job.settings).device.type == "cuda"
    return 1 if gpu else parallel.cores()


def _fit_fold(
    images: TrainableImages,
    divisions: Sequence[Labels],
    job: TrainingJob,
    task: tuple[int, int],
    _: Report,
) -> tuple[Floats, float]:
    begun, (number, fold) = time.process_time(), task
    inside = divisions[number] == fold
    others = np.flatnonzero(~inside)
    recipe = job.recipe.model_copy(update={"match_steps": images.balanced})
    job = replace(job, recipe=recipe, seed=job.seed + number)
    result = fit_rows(images.data, images.rows(others), others, job)
    scores = score_rows(images.data, np.flatnonzero(inside), result.weights, job)
    return scores, time.process_time() - begun


def expected_seconds(several: Sequence[TrainableImages], job: TrainingJob, fits: int) -> float:
    """Return how long so many trainings on each of several sets of images take by the clock.

    It is known from a few steps on this machine.
    """
    largest = max(several, key=lambda images: len(images.data.labels))
    batch = min(job.recipe.batch, len(largest.data.labels))
    one = _seconds_per_step(largest.data, job, batch) * (1 + VALIDATION) / batch
    each = [one * job.recipe.epochs * images.rows_an_epoch() for images in several]
    return sum(each) * fits / min(count_at_once(job), fits)


def _seconds_per_step(data: Data, job: TrainingJob, batch: int) -> float:
    times, where = [], state.resolve_machine(job.settings).device
    with device.reproducible(job.settings.threads, where):
        training = state.initial_state(job, len(data.classes))
        training.network.train()
        pixels, labels = next(iter(data.to(where).take([torch.arange(batch) % len(data.labels)])))
        for _ in range(TRIAL):
            begun = time.perf_counter()
            float(steps.train_step(training, pixels, labels))  # waits for a GPU
            times.append(time.perf_counter() - begun)
    return min(times[1:])


def widest_within(
    seconds: float, seed: int, expected: Callable[[TrainingJob], float]
) -> tuple[TrainingJob | None, float]:
    """Return the widest network that is trained within `seconds`, and how long that takes.

    `expected` says how long a network takes; wider ones take longer. None, and what the narrowest
    one takes, where even that is too long.
    """
    chosen, needed = None, 0.0
    for width in reversed(WIDTHS):
        job = network_job(width, seed)
        more = expected(job)
        if more > seconds:
            return chosen, needed if chosen else more
        chosen, needed = job, more
    return chosen, needed
