"""The bootstrap: what each number could have been, had the test images been others.

Stratified and Bayesian (Rubin, 1981): in each resample every image gets a random weight, and the
weights of a class add up to its number of images. For what the confusion matrix alone decides, one
more image of each class is spread evenly over the predictions (Perks, 1947; with two classes that
is Jeffreys' prior). Without it a class that was found completely would be found completely in
every resample. docs/statistics.md says how often the intervals that come of it hold the truth.
"""

from dataclasses import dataclass

import numpy as np

from toolkit.metrics import classification, confusion
from toolkit.metrics.confusion import Matrix
from toolkit.metrics.predictions import Predictions
from toolkit.metrics.scores import Floats, Labels

MOST = 1024
"""Images of a class that are drawn one by one; of more, so many stand for their neighbours."""


@dataclass(frozen=True)
class BootstrapWeights:
    """Images that stand for all, as positions [C], how many each stands for, and weights [R, C]."""

    images: Labels
    counts: Labels
    drawn: Floats


def bootstrap_metrics(
    predictions: Predictions,
    positive: str | None = None,
    *,
    resamples: int = 2000,
    seed: int = 0,
    beta: float = 2.0,
) -> dict[str, Floats]:
    """Every metric of `classification.compute_metrics` but n in each resample, [R].

    Raises InputError as `classification.compute_metrics` does.
    """
    rng, classes = np.random.default_rng(seed), predictions.classes
    drawn = resample_matrices(rng, confusion.matrix_of(predictions), resamples)
    values = classification.matrix_metrics(drawn, classes, positive, beta)
    if predictions.scores is None:
        return values
    actual, scores = predictions.actual_index, predictions.scores
    own = scores[np.arange(len(actual)), actual]
    chosen = bootstrap_weights(rng, actual, own, resamples)
    some = actual[chosen.images], scores[chosen.images], classes, positive
    of_scores = classification.score_metrics(*some, chosen.drawn)
    if len(chosen.images) < len(actual):  # put the middle where all images have it
        middle = classification.score_metrics(*some, chosen.counts.astype(np.float64))
        whole = classification.score_metrics(actual, scores, classes, positive)
        of_scores = {name: of_scores[name] + (whole[name] - middle[name]) for name in whole}
    return values | of_scores


def resample_matrices(rng: np.random.Generator, matrix: Matrix, resamples: int) -> Floats:
    """Resamples [R, K, K] of a confusion matrix [K, K], each row with its number of images."""
    drawn = rng.standard_gamma(matrix + 1 / len(matrix), (resamples, *matrix.shape))
    return _scaled(drawn, matrix.sum(axis=1))


def paired_matrices(
    rng: np.random.Generator, actual: Labels, predicted: Labels, classes: int, resamples: int
) -> Floats:
    """Resamples [M, R, K, K] of the confusion matrices of M networks on the same N images.

    `predicted` is [M, N]. An image has the same weight for all networks, and networks that say the
    same throughout have equal resamples. Images that all networks put in the same class are drawn
    as one: the sum of their weights.
    """
    distinct, which = np.unique(predicted, axis=0, return_inverse=True)
    drawn = rng.standard_gamma(1 / classes, (len(distinct), resamples, classes, classes))[which]
    cells, counts = np.unique(np.vstack([actual, predicted]), axis=1, return_counts=True)
    for row in range(classes):
        chosen = cells[0] == row
        shared = rng.standard_gamma(counts[chosen], (resamples, int(chosen.sum())))
        for network, said in enumerate(cells[1:, chosen]):
            drawn[network, :, row] += shared @ np.eye(classes)[said]
    return _scaled(drawn, np.bincount(actual, minlength=classes))


def _scaled(drawn: Floats, images: Labels) -> Floats:
    """Make the rows of [..., K, K] add up to the images of their classes [K]."""
    scaled: Floats = drawn * (images / drawn.sum(axis=-1))[..., None]
    return scaled


def bootstrap_weights(
    rng: np.random.Generator, actual: Labels, order: Floats, resamples: int
) -> BootstrapWeights:
    """Weights of the images, stratified by class.

    Of a class with more than MOST images, so many are taken at equal steps along `order` [N]; the
    variance that an image adds shrinks by as much as its weight grows.
    """
    members = [np.flatnonzero(actual == label) for label in np.unique(actual)]
    ranked = [rows[np.argsort(order[rows], kind="stable")] for rows in members]
    images, counts = zip(*(_representatives(rows) for rows in ranked), strict=True)
    drawn = _gamma(rng, np.concatenate(counts), resamples)
    start = 0
    for of_class in counts:
        part = drawn[:, start : start + len(of_class)]
        part *= of_class.sum() / part.sum(axis=1, keepdims=True)
        start += len(of_class)
    return BootstrapWeights(np.concatenate(images), np.concatenate(counts), drawn)


def _representatives(ranked: Labels) -> tuple[Labels, Labels]:
    """The middle of each of at most MOST runs of neighbours, and the lengths of the runs."""
    edges = np.linspace(0, len(ranked), min(len(ranked), MOST) + 1).astype(np.int64)
    return ranked[(edges[:-1] + edges[1:]) // 2], np.diff(edges)


def _gamma(rng: np.random.Generator, counts: Labels, resamples: int) -> Floats:
    """Sums of `counts` [C] exponential numbers each, [R, C]."""
    if counts.max() == 1:
        return rng.standard_exponential((resamples, len(counts)))
    return rng.standard_gamma(counts, (resamples, len(counts)))
