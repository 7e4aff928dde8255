"""Classifiers on features: class-weighted logistic regression, alone and cross-fitted.

Torch is not needed. Features are standardized by the training images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from toolkit.datasets.folds import check_apart
from toolkit.metrics.arrays import Flags, Floats, Labels

STRENGTH = 1e-2
"""scikit-learn's `C`, for standardized features: the same in all folds. Where each fold chooses its
own, its scores have another scale than those of the others, on which its threshold is chosen."""
TINY = 1e-6

Table = npt.NDArray[np.floating]
"""Features [N, D]."""


@dataclass(frozen=True, eq=False)
class Head:
    """A linear classifier: softmax(features @ coefficients.T + intercepts), [K, D] and [K]."""

    coefficients: Floats
    intercepts: Floats

    def scores(self, features: Table) -> Floats:
        """Return the probability of each class, [N, K]."""
        from scipy.special import softmax

        scores: Floats = softmax(features @ self.coefficients.T + self.intercepts, axis=1)
        return scores


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """What a head is fitted on: N images, and new ones made of them.

    `features` [N, D] and `labels` [N], positions among `classes` classes. `new` [M, D] are the
    features of new images and `parents` [M] the rows they were made of: a new image is used only
    where its parent is, with its label and weight. `balanced` weights each class by the inverse of
    its number of images; `copies`, class -> number, repeats its images evenly up to that number.
    `sample_weights` [N] say how much each image counts, so that 2 is the same as twice the image.
    """

    features: Table
    labels: Labels
    classes: int
    balanced: bool = False
    copies: Sequence[int] | None = None
    new: Table | None = None
    parents: Labels = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    sample_weights: Floats | None = None

    def weights(self, rows: Labels) -> Floats:
        """Return the weight of each of `rows`, [n]; the scale of `sample_weights` is no matter."""
        labels = self.labels[rows]
        own = np.ones(len(rows)) if self.sample_weights is None else self.sample_weights[rows]
        sums = np.bincount(labels, own, self.classes)
        sums[sums == 0] = 1
        if self.copies is not None:
            # A class of n images gets as many copies in a fold as its part of the whole set.
            counts = np.bincount(labels, minlength=self.classes)
            total = np.bincount(self.labels, minlength=self.classes)
            shares = np.round(np.asarray(self.copies) * counts / np.maximum(1, total)) / sums
        elif self.balanced:
            shares = len(rows) / (self.classes * sums)
        else:
            shares = np.full(self.classes, len(rows) / own.sum())
        return np.asarray(shares[labels] * own)


def fit_head(data: TrainingSet, rows: Labels, strength: float) -> Head:
    """Fit a head on the images `rows`, and on the new images of these, with scikit-learn's `C`."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # scikit-learn's own dependency

    features, labels = data.features[rows], data.labels[rows]
    weights = data.weights(rows)
    if data.new is not None:
        used = np.isin(data.parents, rows)
        features = np.concatenate([features, data.new[used]])
        labels = np.concatenate([labels, data.labels[data.parents[used]]])
        of_row = np.zeros(len(data.labels))
        of_row[rows] = weights
        weights = np.concatenate([weights, of_row[data.parents[used]]])
    mean = np.average(features, axis=0, weights=weights)
    deviation = np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weights)) + TINY
    model = LogisticRegression(C=strength, max_iter=1000)
    with threadpool_limits(1):  # products so small are slower with more, and other bytes
        model.fit((features - mean) / deviation, labels, weights)
    coefficients, intercepts = _one_row_per_class(model.coef_, model.intercept_)
    coefficients = coefficients / deviation
    head = Head(coefficients, intercepts - coefficients @ mean)
    return _with_missing(head, model.classes_, data.classes)


def _one_row_per_class(coefficients: Floats, intercepts: Floats) -> tuple[Floats, Floats]:
    """Give the first of two classes coefficients of its own: zeros."""
    if len(coefficients) > 1:
        return coefficients, intercepts
    return np.concatenate([0 * coefficients, coefficients]), np.append(0.0, intercepts)


def _with_missing(head: Head, present: Labels, classes: int) -> Head:
    """Give classes without training images a probability of practically 0."""
    if len(present) == classes:
        return head
    coefficients = np.zeros((classes, head.coefficients.shape[1]))
    intercepts = np.full(classes, -1e3)
    coefficients[present], intercepts[present] = head.coefficients, head.intercepts
    return Head(coefficients, intercepts)


def cross_fit(data: TrainingSet, folds: Labels, usable: Flags | None = None) -> Floats:
    """Return scores [N, K] of each image by a head that was fitted without its fold, `folds` [N].

    With `usable` [N] heads are fitted on these images alone; all images get scores.
    """
    used = np.ones(len(folds), dtype=bool) if usable is None else usable
    rows = {fold: np.flatnonzero((folds != fold) & used) for fold in np.unique(folds).tolist()}
    return score_without(data, folds, fit_without(data, folds, rows))


def fit_without(data: TrainingSet, folds: Labels, rows: Mapping[int, Labels]) -> dict[int, Head]:
    """Return the head of each fold: fitted on `rows` of `data`, fold -> rows, all with STRENGTH.

    Raises ValueError for a fold whose rows are of that very fold, `folds` [N]: a leak.
    """
    for fold, own in rows.items():
        check_apart(folds, own, fold)
    return {fold: fit_head(data, own, STRENGTH) for fold, own in rows.items()}


def score_without(data: TrainingSet, folds: Labels, fitted: Mapping[int, Head]) -> Floats:
    """Return the scores [N, K] of each image by the head of its fold."""
    held_out = np.empty((len(folds), data.classes))
    for fold, head in fitted.items():
        held_out[folds == fold] = head.scores(data.features[folds == fold])
    return held_out
