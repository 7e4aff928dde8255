"""Metrics of confusion matrices, for any number of resamples at once.

A confusion matrix is [..., K, K]: rows are the actual classes, columns the predicted ones, cells
int64 counts or float64 weights. Leading axes are resamples. METRICS map it to [...], PER_CLASS to
[..., K].

A class without samples has no recall, and then there is no G-mean either. Undefined values are
NaN; where class names are given, they raise an InputError that names the class instead.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from toolkit.errors import InputError
from toolkit.metrics.arrays import Floats
from toolkit.metrics.predictions import Predictions

Matrix = npt.NDArray[np.int64]
Matrices = Matrix | Floats
Names = Sequence[str]

ALPHA = 0.1
"""Weight of the dominance in the index of balanced accuracy."""


def confusion_matrix(actual: npt.ArrayLike, predicted: npt.ArrayLike, classes: int) -> Matrix:
    """Count a matrix [K, K] from two arrays of class numbers [N], 0 to `classes` - 1.

    Raises ValueError for arrays of different lengths and for other numbers.
    """
    rows, columns = np.asarray(actual, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if rows.shape != columns.shape:
        raise ValueError(f"expected labels of one length, got {rows.shape} and {columns.shape}")
    for labels in (rows, columns):
        if labels.size and not 0 <= labels.min() <= labels.max() < classes:
            raise ValueError(f"expected labels from 0 to {classes - 1}, got {np.unique(labels)}")
    cells = np.bincount(rows * classes + columns, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64)


def matrix_of(predictions: Predictions) -> Matrix:
    """Return the confusion matrix of predictions, in the order of their classes."""
    actual, predicted = predictions.actual_index, predictions.predicted_index
    return confusion_matrix(actual, predicted, len(predictions.classes))


def normalize_rows(matrix: Matrices) -> Floats:
    """Divide each row by its sum, [..., K, K]: the predictions per actual class, 0 to 1.

    The row of a class without images is 0.
    """
    sums = matrix.sum(axis=-1, keepdims=True)
    fractions: Floats = np.divide(matrix, sums, out=np.zeros(matrix.shape), where=sums > 0)
    return fractions


# --- metrics of each class --------------------------------------------------------------------


def recall(matrix: Matrices, names: Names | None = None) -> Floats:
    """Return the fraction of each class's samples that are predicted correctly, [..., K], 0 to 1.

    NaN for a class without samples; with `names`, an InputError that names it.
    """
    return _fraction(_correct(matrix), _support(matrix, names))


def precision(matrix: Matrices) -> Floats:
    """Return the fraction of the predictions of each class that are correct, [..., K], 0 to 1.

    0 for a class that is never predicted, where it is undefined (scikit-learn's zero_division=0);
    NaN for a class without samples.
    """
    return _of_classes(matrix, _ratio(_correct(matrix), matrix.sum(axis=-2)))


def specificity(matrix: Matrices) -> Floats:
    """Return the fraction of the other classes' samples not predicted as each class, [..., K].

    From 0 to 1; with two classes, the recall of the other one. NaN if there are no other samples.
    """
    support = _support(matrix)
    others = support.sum(axis=-1, keepdims=True) - support
    return _fraction(others - (matrix.sum(axis=-2) - _correct(matrix)), others)


def fbeta(matrix: Matrices, beta: float = 2.0) -> Floats:
    """Return the weighted harmonic mean of precision and recall, [..., K], 0 to 1.

    Recall counts `beta` times as much (van Rijsbergen, 1979). NaN for a class without samples.
    """
    weight = beta**2
    total = matrix.sum(axis=-2) + weight * matrix.sum(axis=-1)
    return _of_classes(matrix, _ratio((1 + weight) * _correct(matrix), total))


def f1(matrix: Matrices) -> Floats:
    """Return the harmonic mean of precision and recall, [..., K], 0 to 1.

    NaN for a class without samples.
    """
    return fbeta(matrix, beta=1.0)


def iba(matrix: Matrices) -> Floats:
    """Return the index of balanced accuracy of each class's squared G-mean against the rest.

    (1 + 0.1 (recall - specificity)) recall x specificity, [..., K], 0 to 1 (García, Mollineda and
    Sánchez, 2009). NaN where one of the two is.
    """
    sensitivity, rejection = recall(matrix), specificity(matrix)
    index: Floats = (1 + ALPHA * (sensitivity - rejection)) * sensitivity * rejection
    return index


# --- metrics of all classes together ----------------------------------------------------------


def accuracy(matrix: Matrices) -> Floats:
    """Return the fraction of correct predictions, [...], 0 to 1.

    Raises InputError for an empty matrix.
    """
    total = matrix.sum(axis=(-2, -1))
    if not np.all(total):
        raise InputError("there are no predictions, so the accuracy is undefined")
    return _ratio(_correct(matrix).sum(axis=-1), total)


def balanced_accuracy(matrix: Matrices, names: Names | None = None) -> Floats:
    """Return the arithmetic mean of the recalls, [...], 0 to 1. Undefined where `recall` is."""
    mean: Floats = recall(matrix, names).mean(axis=-1)
    return mean


def gmean(matrix: Matrices, names: Names | None = None) -> Floats:
    """Return the geometric mean of the recalls, [...], 0 to 1; 0 if any recall is 0.

    For two classes sqrt(sensitivity x specificity) (Kubat and Matwin, 1997). Undefined where the
    recall of any class is.
    """
    correct, support = _correct(matrix), _support(matrix, names)
    if matrix.shape[-1] == 2:  # whole numbers up to the root: exact to the last digit
        products = (np.prod(counts, axis=-1, dtype=np.float64) for counts in (correct, support))
        return np.sqrt(_fraction(*products))
    recalls = _fraction(correct, support)  # a long product would underflow
    logs = np.log(recalls, out=np.where(recalls == 0, -np.inf, np.nan), where=recalls > 0)
    root: Floats = np.exp(logs.mean(axis=-1))
    return root


def mcc(matrix: Matrices) -> Floats:
    """Return Matthews' correlation coefficient for K classes (Gorodkin, 2004), [...], -1 to 1.

    0 if all samples are of one class, or all are predicted to be.
    """
    agreement, rows, columns = _agreement(matrix)
    return _ratio(agreement, np.sqrt(_unequal(rows) * _unequal(columns)))


def kappa(matrix: Matrices) -> Floats:
    """Return Cohen's kappa, the agreement beyond chance (Cohen, 1960), [...], -1 to 1.

    0 if all samples are of one class and predicted to be.
    """
    agreement, rows, columns = _agreement(matrix)
    chance = (rows * columns).sum(axis=-1)
    return _ratio(agreement, rows.sum(axis=-1) ** 2 - chance)


# --- parts of the metrics ---------------------------------------------------------------------


def _correct(matrix: Any) -> Any:
    return np.diagonal(matrix, axis1=-2, axis2=-1)


def _support(matrix: Matrices, names: Names | None = None) -> Matrices:
    """Return the number of samples of each class, [..., K]; with `names` none may be 0."""
    support: Matrices = matrix.sum(axis=-1)
    if names is not None and support.min() == 0:
        name = names[int(np.argwhere(support == 0)[0, -1])]
        raise InputError(
            f"class {name!r} has no images, so its recall and the G-mean are undefined; "
            "add images of it or leave the class out"
        )
    return support


def _of_classes(matrix: Matrices, values: Floats) -> Floats:
    """Return the values [..., K] of the classes that have samples, and NaN for the others."""
    return np.where(_support(matrix) > 0, values, np.nan)


def _ratio(numerator: Any, denominator: Any, undefined: float = 0.0) -> Floats:
    """Divide; `undefined` is the quotient where the denominator is 0."""
    above, below = (np.asarray(part, dtype=np.float64) for part in (numerator, denominator))
    empty = np.full(below.shape, undefined)
    quotient: Floats = np.divide(above, below, out=empty, where=below > 0)[()]
    return quotient


def _fraction(part: Any, total: Any) -> Floats:
    """Divide; NaN where the total is 0."""
    return _ratio(part, total, np.nan)


def _agreement(matrix: Matrices) -> tuple[Any, Any, Any]:
    """Return correct x total minus its expectation by chance [...], and the marginals [..., K].

    The difference is exact: its terms are Python integers where they would exceed 2 ** 63.
    """
    cells: Any = matrix if matrix.sum(axis=(-2, -1)).max() < 2**31 else matrix.astype(object)
    rows, columns = cells.sum(axis=-1), cells.sum(axis=-2)
    expected = (rows * columns).sum(axis=-1)
    return _correct(cells).sum(axis=-1) * rows.sum(axis=-1) - expected, rows, columns


def _unequal(counts: Any) -> Floats:
    """Count the ordered pairs of samples of two different classes, [...]."""
    return np.asarray(counts.sum(axis=-1) ** 2 - (counts**2).sum(axis=-1), dtype=np.float64)


METRICS: dict[str, Callable[[Matrices], Floats]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "gmean": gmean,
    "mcc": mcc,
    "kappa": kappa,
}
"""Name -> metric of confusion matrices [..., K, K], [...]."""

SIGNED = ("mcc", "kappa")
"""METRICS from -1 to 1; all others are from 0 to 1."""

PER_CLASS: dict[str, Callable[[Matrices], Floats]] = {
    "precision": precision,
    "recall": recall,
    "specificity": specificity,
    "f1": f1,
    "fbeta": fbeta,
    "iba": iba,
}
"""Name -> metric of each class of confusion matrices [..., K, K], [..., K]."""
