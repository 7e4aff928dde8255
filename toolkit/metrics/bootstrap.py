"""Bootstrap distributions: what every metric might have been with other test images.

The bootstrap is stratified and Bayesian (Rubin, 1981): each resample gives every sample a random
weight, and the weights of a class add up to its number of samples. Where the confusion matrix alone
decides, one extra sample of each class counts half as predicted correctly and half as spread evenly
over the other classes: Jeffreys' prior of each recall. Without it, a class with recall 1 would have
recall 1 in every resample. It moves every recall towards 1/2, which adds up over many classes and
is undone by `recenter`. docs/statistics.md reports the coverage of the resulting intervals.
"""

from dataclasses import dataclass

import numpy as np

from toolkit.metrics import classification, confusion
from toolkit.metrics.arrays import Floats, Labels
from toolkit.metrics.confusion import Matrix
from toolkit.metrics.predictions import Predictions

MOST = 1024
"""Samples of a class that get a weight of their own; in larger classes each stands for several."""
PARTS = 16
"""Parts of the extra sample of a class, each predicted as one class; many give recall its Beta."""


@dataclass(frozen=True)
class BootstrapWeights:
    """C representative samples, as positions in [N], how many each stands for, weights [R, C]."""

    samples: Labels
    counts: Labels
    weights: Floats


def bootstrap_metrics(
    predictions: Predictions,
    positive: str | None = None,
    *,
    resamples: int = 2000,
    seed: int = 0,
    beta: float = 2.0,
) -> dict[str, Floats]:
    """Return every metric of `classification.compute_metrics` except n in each resample, [R].

    Raises InputError as `classification.compute_metrics` does.
    """
    rng, classes = np.random.default_rng(seed), predictions.classes
    matrices = resample_matrices(rng, confusion.matrix_of(predictions), resamples)
    values = classification.matrix_metrics(matrices, classes, positive, beta)
    if predictions.scores is None:
        return values
    actual, scores = predictions.actual_index, predictions.scores
    actual_score = scores[np.arange(len(actual)), actual]
    drawn = bootstrap_weights(rng, actual, actual_score, resamples)
    some = actual[drawn.samples], scores[drawn.samples], classes, positive
    resampled = classification.score_metrics(*some, drawn.weights)
    if len(drawn.samples) < len(actual):  # center on the metrics of all samples
        center = classification.score_metrics(*some, drawn.counts.astype(np.float64))
        exact = classification.score_metrics(actual, scores, classes, positive)
        resampled = {name: resampled[name] + (exact[name] - center[name]) for name in exact}
    return values | resampled


def resample_matrices(rng: np.random.Generator, matrix: Matrix, resamples: int) -> Floats:
    """Resample a confusion matrix [K, K]: [R, K, K], each row with its number of samples."""
    drawn = rng.standard_gamma(matrix + _prior(len(matrix)), (resamples, *matrix.shape))
    return _scaled(drawn, matrix.sum(axis=1))


def recenter(drawn: Floats, value: Floats, classes: int) -> Floats:
    """Move resamples [..., R] of a metric of all K classes towards its value [...].

    By 1 - 2 / K of the way from their mean: with two classes the prior's pull is what makes the
    coverage right at the ends, with many it is a bias.
    """
    mean = drawn.mean(axis=-1, keepdims=True)
    moved: Floats = drawn + (1 - 2 / classes) * (np.asarray(value)[..., None] - mean)
    return moved


def _prior(classes: int) -> Floats:
    """Return what the extra sample of each class adds to the cells, [K, K]."""
    right = np.eye(classes)
    return (right + (1 - right) / max(1, classes - 1)) / 2


def paired_matrices(
    rng: np.random.Generator,
    actual: Labels,
    predicted: Labels,
    classes: int,
    resamples: int,
    groups: Labels | None = None,
) -> Floats:
    """Resample the confusion matrices of M networks on the same N samples: [M, R, K, K].

    `predicted` is [M, N]. A sample has the same weight for all networks; samples for which all of
    them predict the same classes are drawn together, as the sum of their weights. What each network
    predicts for the extra sample of a class is independent of the others. `groups` [N], numbers
    from 0, are drawn whole, as clusters are: their samples have one weight.
    """
    weights = rng.standard_gamma(1 / PARTS, (resamples, classes, PARTS))
    drawn = np.stack([_extra_sample(rng, weights) for _ in predicted])
    if groups is not None:
        shared = rng.standard_exponential((resamples, int(groups.max()) + 1))
        for network, labels in enumerate(predicted):
            cells = np.zeros((shared.shape[1], classes, classes))
            np.add.at(cells, (groups, actual, labels), 1.0)
            drawn[network] += np.tensordot(shared, cells, axes=1)
        return _scaled(drawn, np.bincount(actual, minlength=classes))
    cells, counts = np.unique(np.vstack([actual, predicted]), axis=1, return_counts=True)
    for row in range(classes):
        chosen = cells[0] == row
        shared = rng.standard_gamma(counts[chosen], (resamples, int(chosen.sum())))
        for network, labels in enumerate(cells[1:, chosen]):
            drawn[network, :, row] += shared @ np.eye(classes)[labels]
    return _scaled(drawn, np.bincount(actual, minlength=classes))


def _extra_sample(rng: np.random.Generator, weights: Floats) -> Floats:
    """Draw one network's predictions of the extra samples, in parts [R, K, S]: [R, K, K]."""
    resamples, classes, _ = weights.shape
    actual = np.arange(classes)[:, None]
    wrong = (actual + rng.integers(1, max(2, classes), weights.shape)) % classes
    labels = np.where(rng.random(weights.shape) < 0.5, actual, wrong)
    rows = np.arange(resamples * classes).reshape(resamples, classes, 1)
    cells = (rows * classes + labels).ravel()
    drawn: Floats = np.bincount(cells, weights.ravel(), resamples * classes**2).astype(np.float64)
    return drawn.reshape(resamples, classes, classes)


def _scaled(drawn: Floats, support: Labels) -> Floats:
    """Scale the rows of [..., K, K] to add up to the number of samples of their class [K]."""
    scaled: Floats = drawn * (support / drawn.sum(axis=-1))[..., None]
    return scaled


def bootstrap_weights(
    rng: np.random.Generator, actual: Labels, order: Floats, resamples: int
) -> BootstrapWeights:
    """Draw weights of the samples, stratified by class.

    In a class with more than MOST samples, as many are taken at equal steps along `order` [N]; the
    variance that a sample adds shrinks by as much as its weight grows.
    """
    members = [np.flatnonzero(actual == label) for label in np.unique(actual)]
    ranked = [rows[np.argsort(order[rows], kind="stable")] for rows in members]
    samples, counts = zip(*(_representatives(rows) for rows in ranked), strict=True)
    weights = _gamma(rng, np.concatenate(counts), resamples)
    start = 0
    for of_class in counts:
        part = weights[:, start : start + len(of_class)]
        part *= of_class.sum() / part.sum(axis=1, keepdims=True)
        start += len(of_class)
    return BootstrapWeights(np.concatenate(samples), np.concatenate(counts), weights)


def _representatives(ranked: Labels) -> tuple[Labels, Labels]:
    """Split into at most MOST runs; return the middle of each and their lengths."""
    edges = np.linspace(0, len(ranked), min(len(ranked), MOST) + 1).astype(np.int64)
    return ranked[(edges[:-1] + edges[1:]) // 2], np.diff(edges)


def _gamma(rng: np.random.Generator, counts: Labels, resamples: int) -> Floats:
    """Draw sums of `counts` [C] standard exponential numbers, [R, C]."""
    if counts.max() == 1:
        return rng.standard_exponential((resamples, len(counts)))
    return rng.standard_gamma(counts, (resamples, len(counts)))
