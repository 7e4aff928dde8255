"""Train a network for each fold, on the images of the others, and one on all images."""

import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from toolkit.datasets.folds import check_apart, training_rows
from toolkit.metrics.arrays import Floats, Labels
from toolkit.progress import Track, ignore, silent
from toolkit.training import dataset, device, loop, networks
from toolkit.training.checkpoints import CheckpointSchedule
from toolkit.training.crossfit.result import CrossFit, SaveFold
from toolkit.training.dataset import Data, LabeledFolder
from toolkit.training.runs import Epoch
from toolkit.training.state import FitResult, TrainingJob, resolve_machine

FOLD_STREAM = 3  # see state.WEIGHTS_STREAM
WHOLE = "whole"
"""The place, in a run's checkpoint, of the training on all images; the others have numbers."""

FoldEpoch = Callable[[Epoch, int, int, int], object]
"""Takes an epoch, of how many images, and which of how many trainings it is of, from 1."""


def cross_fit_trained(
    data: Data,
    folder: LabeledFolder,
    division: int,
    job: TrainingJob,
    save: SaveFold,
    *,
    on_epoch: FoldEpoch = lambda *_: None,
    track: Track = silent,
    schedule: CheckpointSchedule | None = None,
) -> CrossFit:
    """Cross-fit the networks of `job` on the images of an arm in one division into folds.

    `data` are the images of the `folder`. One network after another is trained, each fold's from
    a seed of its own, the last one on all images; only one's weights are in memory. New images are
    trained on only where their original is, and never tested. No image decides anything about the
    network that scores it (see `fit_rows`). With a `schedule` that saves, trainings that ended are
    kept until the run is complete, and each gets an equal part of the time that is left.
    Raises as `loop.fit` does, and ValueError for a fold that is trained on what it is tested on.
    """
    schedule, data = schedule or CheckpointSchedule(), data.to(resolve_machine(job.settings).device)
    folds = np.array([sample.folds[division] for sample in folder.samples])
    originals = np.array([not sample.derived for sample in folder.samples])
    scores = np.empty((len(folds), len(folder.classes)))
    names, hashes = np.unique(folds).tolist(), list[str]()
    trainings = len(names) + 1

    def fit_without(number: int, fold: int | None, job: TrainingJob) -> tuple[FitResult, Labels]:
        rows = training_rows(folder.table, division, fold)
        if fold is not None:
            check_apart(folds, rows, fold)
        part = schedule.part(WHOLE if fold is None else str(fold), trainings + 1 - number)
        measured = rows[originals[rows]]
        images = len(measured if job.recipe.match_steps else rows)

        def report(epoch: Epoch) -> None:
            on_epoch(epoch, images, number, trainings)

        fit = functools.partial(_fit_or_kept, on_epoch=report, track=track, schedule=part)
        return fit(data, rows, measured, job), rows

    def test_fold(number: int, fold: int) -> FitResult:
        own = replace(job, seed=device.derive_seed(job.seed, FOLD_STREAM, fold))
        result, _ = fit_without(number, fold, own)
        tested = np.flatnonzero(originals & (folds == fold))
        scores[tested] = score_rows(data, tested, result.weights, own)
        hashes.append(save(fold, result.weights))
        problem = result.problem and f"without fold {fold}: {result.problem}"
        return replace(result, weights={}, problem=problem)

    ended = [test_fold(number, fold) for number, fold in enumerate(names, start=1)]
    whole, every = fit_without(trainings, None, job)
    ended.append(whole)
    whole = replace(
        whole,
        complete=all(one.complete for one in ended),
        parts=max(one.parts for one in ended),
        problem=next((one.problem for one in ended if one.problem), ""),
    )
    return CrossFit(scores[originals], tuple(hashes), every, whole)


def _fit_or_kept(
    data: Data,
    rows: Labels,
    originals: Labels,
    job: TrainingJob,
    *,
    on_epoch: Callable[[Epoch], object],
    track: Track,
    schedule: CheckpointSchedule,
) -> FitResult:
    """Do `fit_rows`, unless the schedule's store has what it ended with; else keep that there."""
    if kept := schedule.store and schedule.store.ended():
        for epoch in kept.history:
            on_epoch(epoch)
        return kept
    result = fit_rows(data, rows, originals, job, schedule=schedule, on_epoch=on_epoch, track=track)
    if schedule.store and result.complete:
        schedule.store.end(result)
    return result


def fit_rows(
    data: Data,
    rows: Labels,
    originals: Labels,
    job: TrainingJob,
    *,
    on_epoch: Callable[[Epoch], object] = ignore,
    track: Track = silent,
    schedule: CheckpointSchedule | None = None,
) -> FitResult:
    """Train `job` on some rows of `data`; no other row decides anything, whatever it holds.

    Nothing is held out to choose the epoch: that with the best value on `originals`, those of the
    rows that are no new images, each once, is kept. Raises InputError as `fit` does.
    """
    trained, measured = (torch.from_numpy(np.asarray(of)) for of in (rows, originals))
    count = len(originals)
    parts = dataset.Rows(data, trained, count), dataset.Rows(data, measured, count)
    return loop.fit(*parts, job, on_epoch, track, schedule)


def score_rows(data: Data, rows: Labels, weights: dict[str, Tensor], job: TrainingJob) -> Floats:
    """Return the probability of each class [n, K] that a network with these weights gives rows."""
    recipe, where = job.recipe, resolve_machine(job.settings).device
    with device.Uninitialized():  # all weights are replaced at once
        network = networks.build_network(
            recipe.network, len(data.classes), recipe.negative_slope, recipe.width
        )
    network.load_state_dict(weights)
    network = network.to(where).to(memory_format=torch.channels_last)
    with device.reproducible(job.settings.threads, where):
        batches = torch.split(torch.from_numpy(np.asarray(rows)), recipe.measured)
        images = (pixels for pixels, _ in data.to(where).take(batches))
        logits = device.forward_batches(network, images).double()
    return np.asarray(torch.softmax(logits, dim=1).cpu().numpy())
