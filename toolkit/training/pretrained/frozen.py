"""Fit a head on the features of a network with ImageNet's weights, which stay as they are."""

import functools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from toolkit.datasets.folds import training_rows
from toolkit.errors import InputError
from toolkit.metrics import confusion, scores
from toolkit.metrics.arrays import Floats, Labels
from toolkit.progress import ignore
from toolkit.training import loop
from toolkit.training.crossfit.result import CrossFit, SaveFold
from toolkit.training.dataset import Data, LabeledFolder
from toolkit.training.params import TrainParams
from toolkit.training.pretrained import backbones, heads
from toolkit.training.pretrained.backbones import Backbone
from toolkit.training.pretrained.features import Embedder
from toolkit.training.pretrained.heads import Head, TrainingSet
from toolkit.training.pretrained.learning import learning_curve
from toolkit.training.runs import Epoch
from toolkit.training.state import FitResult, TrainingJob, resolve_machine

STRONGEST = 4
"""The last epoch's penalty: 10 to this power, a tenth of it in each epoch before."""


def recipe_embedder(name: str, settings: TrainParams) -> Embedder:
    """Return what makes the features that a frozen recipe is trained on, at its size if it has one.

    Raises InputError that names the key of the recipe, as `backbones.load_backbone` does.
    """
    recipe, where = settings.recipes[name], resolve_machine(settings).device
    try:
        backbone = backbones.load_backbone(recipe.network, recipe.weights)
    except InputError as error:
        raise InputError(f"train.recipes.{name}: {error}") from error
    return Embedder(backbone, recipe.size or backbone.size, settings.threads, where)


def fit_frozen(
    arm: Data,
    valid: Data,
    features: Sequence[Floats],
    backbone: Backbone,
    job: TrainingJob,
    on_epoch: Callable[[Epoch], object] = ignore,
) -> FitResult:
    """Fit a class-balanced head on `arm`, once for each epoch, from weak to strong penalties.

    `features` are those of both by the `backbone`. The head that is best on `valid`, by the
    recipe's `keep`, becomes its last layer. Nothing is random: all seeds give the same weights.
    """
    ours, theirs = features
    data = TrainingSet(
        ours,
        arm.labels.cpu().numpy(),
        len(arm.classes),
        balanced=True,
        sample_weights=as_floats(arm.weights),
    )
    fitted: list[tuple[Epoch, Head]] = []
    for epoch in range(1, job.recipe.epochs + 1):
        head = heads.fit_head(data, np.arange(len(data.labels)), _strength(job, epoch))
        labels, of_valid = valid.labels.cpu().numpy(), head.scores(theirs)
        measured = _epoch(epoch, data.labels, head.scores(data.features), labels, of_valid)
        fitted.append((measured, head))
        on_epoch(fitted[-1][0])
    best, kept = functools.reduce(functools.partial(_better, job.recipe.keep), fitted)
    history = tuple(epoch for epoch, _ in fitted)
    weights = {**backbone.weights, **_last_layer(kept)}
    return FitResult(history, best, weights, drawn=(), complete=True, parts=1)


def as_floats(weights: Tensor | None) -> Floats | None:
    """Return the weights of images (see `dataset.Data`) as `heads.TrainingSet` takes them."""
    return None if weights is None else weights.double().cpu().numpy()


def cross_fit_frozen(
    features: Floats,
    backbone: Backbone,
    folder: LabeledFolder,
    division: int,
    job: TrainingJob,
    save: SaveFold,
    *,
    on_epoch: Callable[[Epoch], object] = ignore,
) -> CrossFit:
    """Cross-fit class-balanced heads on the `features` [N, D] of an arm in one division into folds.

    The heads of all folds, and the one that is fitted on all images, have one penalty (see
    `heads.STRENGTH`), so that the history has one row, measured on held-out images. New images are
    trained on only where their original is, and never tested. Nothing else is random than the
    folds. What is saved of a fold is the last layer of its network.
    """
    labels = folder.labels.numpy()
    data = TrainingSet(
        features,
        labels,
        len(folder.classes),
        balanced=True,
        sample_weights=as_floats(folder.weights),
    )
    folds = np.array([sample.folds[division] for sample in folder.samples])
    originals = np.array([not sample.derived for sample in folder.samples])
    names = np.unique(folds).tolist()
    rows = {fold: training_rows(folder.table, division, fold) for fold in names}
    fitted = heads.fit_without(data, folds, rows)
    scored = heads.score_without(data, folds, fitted)[originals]
    every = training_rows(folder.table, division, None)
    of_all = heads.fit_head(data, every, heads.STRENGTH)
    trained = data.labels[every], of_all.scores(features[every])
    epoch = _epoch(1, *trained, labels[originals], scored)
    on_epoch(epoch)
    weights = {**backbone.weights, **_last_layer(of_all)}
    return CrossFit(
        scored,
        tuple(save(fold, _last_layer(fitted[fold])) for fold in names),
        every,
        FitResult((epoch,), epoch, weights, drawn=(), complete=True, parts=1),
        _learning(data, folds, job.seed) if originals.all() else (),
    )


def _learning(data: TrainingSet, folds: Labels, seed: int) -> tuple[tuple[int, float], ...]:
    counts = np.bincount(data.labels)
    (rarest,) = np.nonzero(counts == counts.min())
    if len(rarest) > 1:
        return ()
    rng = np.random.default_rng(seed)
    return tuple(learning_curve(data, [folds], int(rarest[0]), rng).items())


def _strength(job: TrainingJob, epoch: int) -> float:
    return 10.0 ** (job.recipe.epochs - STRONGEST - epoch)


def _better(keep: str, one: tuple[Epoch, Head], other: tuple[Epoch, Head]) -> tuple[Epoch, Head]:
    """Return the better of two, the first one if they are equal."""
    return other if loop.is_better(keep, other[0], one[0]) else one


def _epoch(
    number: int, trained: Labels, of_trained: Floats, labels: Labels, of_valid: Floats
) -> Epoch:
    """Return the losses of both scores [N, K], and what the latter are worth for `labels`."""
    matrix = confusion.confusion_matrix(labels, of_valid.argmax(axis=1), of_valid.shape[1])
    return Epoch(
        epoch=number,
        train_loss=float(scores.log_loss(trained, of_trained)),
        valid_loss=float(scores.log_loss(labels, of_valid)),
        valid_accuracy=float(confusion.accuracy(matrix)),
        valid_gmean=float(confusion.gmean(matrix)),
        learning_rate=0.0,
    )


def _last_layer(head: Head) -> dict[str, Tensor]:
    """Return the head as the last layer of the network."""
    return {
        "fc.weight": torch.from_numpy(head.coefficients).float(),
        "fc.bias": torch.from_numpy(head.intercepts).float(),
    }
