"""Confusion matrices -> numbers, for all resamples at once.

A confusion matrix is [..., K, K]: rows are the actual classes, columns the predicted ones, cells
int64 counts or float64 weights. It is all that the metrics in METRICS ([...]) and PER_CLASS
([..., K]) need; the leading axes are resamples.

A class without images has no recall, and then there is no G-mean: what is undefined is NaN, and is
refused by name where names are given.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from toolkit.errors import InputError
from toolkit.metrics.predictions import Predictions

Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.int64]
Matrices = Matrix | Floats
Names = Sequence[str]

ALPHA = 0.1
"""Weight of the dominance in the index of balanced accuracy."""


def confusion_matrix(actual: npt.ArrayLike, predicted: npt.ArrayLike, classes: int) -> Matrix:
    """Count [K, K] from two label arrays [N] with values 0 to `classes` - 1 (else ValueError)."""
    rows, columns = np.asarray(actual, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if rows.shape != columns.shape:
        raise ValueError(f"expected labels of one length, got {rows.shape} and {columns.shape}")
    for labels in (rows, columns):
        if labels.size and not 0 <= labels.min() <= labels.max() < classes:
            raise ValueError(f"expected labels from 0 to {classes - 1}, got {np.unique(labels)}")
    cells = np.bincount(rows * classes + columns, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64)


def matrix_of(predictions: Predictions) -> Matrix:
    """The confusion matrix of predictions, in the order of their classes."""
    actual, predicted = predictions.actual_index, predictions.predicted_index
    return confusion_matrix(actual, predicted, len(predictions.classes))


# --- one number a class -----------------------------------------------------------------------


def recall(matrix: Matrices, names: Names | None = None) -> Floats:
    """Share of each class's images that were found, [..., K], 0 to 1.

    NaN for a class without images; with `names` an InputError that names it.
    """
    return _share(_right(matrix), _images(matrix, names))


def precision(matrix: Matrices) -> Floats:
    """Share of the images called by each class's name that are of it, [..., K], 0 to 1.

    0 for a class that is never predicted, where it is undefined (scikit-learn's zero_division=0).
    """
    return _ratio(_right(matrix), matrix.sum(axis=-2))


def specificity(matrix: Matrices) -> Floats:
    """Share of the images of all other classes that were not called by a class's name, [..., K].

    0 to 1; with two classes, the recall of the other one. NaN where there are no other images.
    """
    images = _images(matrix)
    others = images.sum(axis=-1, keepdims=True) - images
    return _share(others - (matrix.sum(axis=-2) - _right(matrix)), others)


def fbeta(matrix: Matrices, beta: float = 2.0) -> Floats:
    """Weighted harmonic mean of precision and recall, [..., K], 0 to 1 (van Rijsbergen, 1979).

    The recall counts `beta` times as much. 0 for a class that never occurs.
    """
    weight = beta**2
    whole = matrix.sum(axis=-2) + weight * matrix.sum(axis=-1)
    return _ratio((1 + weight) * _right(matrix), whole)


def f1(matrix: Matrices) -> Floats:
    """Harmonic mean of precision and recall, [..., K], 0 to 1; 0 for a class that never occurs."""
    return fbeta(matrix, beta=1.0)


def iba(matrix: Matrices) -> Floats:
    """Index of balanced accuracy of the squared G-mean of each class against the rest, [..., K].

    (1 + 0.1 (recall - specificity)) recall x specificity, 0 to 1 (Garcia, Mollineda and Sanchez,
    2009). NaN where one of the two is.
    """
    found, rejected = recall(matrix), specificity(matrix)
    index: Floats = (1 + ALPHA * (found - rejected)) * found * rejected
    return index


# --- one number in all ------------------------------------------------------------------------


def accuracy(matrix: Matrices) -> Floats:
    """Share of all images that are right, [...], 0 to 1. Raises InputError for an empty matrix."""
    total = matrix.sum(axis=(-2, -1))
    if not np.all(total):
        raise InputError("there are no predictions, so the accuracy is undefined")
    return _ratio(_right(matrix).sum(axis=-1), total)


def balanced_accuracy(matrix: Matrices, names: Names | None = None) -> Floats:
    """Arithmetic mean of the recalls, [...], 0 to 1. Undefined as `recall` is."""
    mean: Floats = recall(matrix, names).mean(axis=-1)
    return mean


def gmean(matrix: Matrices, names: Names | None = None) -> Floats:
    """Geometric mean of the recalls, [...], 0 to 1; 0 if any class is never found.

    Kubat and Matwin, 1997, for two classes: sqrt(sensitivity x specificity). Undefined as `recall`
    is, for a single class without images.
    """
    right, images = _right(matrix), _images(matrix, names)
    if matrix.shape[-1] == 2:  # whole numbers up to the root: exact to the last digit
        products = (np.prod(counts, axis=-1, dtype=np.float64) for counts in (right, images))
        return np.sqrt(_share(*products))
    recalls = _share(right, images)  # a long product would underflow
    logs = np.log(recalls, out=np.where(recalls == 0, -np.inf, np.nan), where=recalls > 0)
    root: Floats = np.exp(logs.mean(axis=-1))
    return root


def mcc(matrix: Matrices) -> Floats:
    """Matthews' correlation coefficient for K classes (Gorodkin, 2004), [...], -1 to 1.

    0 where all images are of one class, or all are predicted to be.
    """
    agreement, rows, columns = _agreement(matrix)
    return _ratio(agreement, np.sqrt(_unequal(rows) * _unequal(columns)))


def kappa(matrix: Matrices) -> Floats:
    """Agreement beyond chance, over the largest possible (Cohen, 1960), [...], -1 to 1.

    0 where all images are of one class and predicted to be.
    """
    agreement, rows, columns = _agreement(matrix)
    chance = (rows * columns).sum(axis=-1)
    return _ratio(agreement, rows.sum(axis=-1) ** 2 - chance)


# --- their parts ------------------------------------------------------------------------------


def _right(matrix: Any) -> Any:
    return np.diagonal(matrix, axis1=-2, axis2=-1)


def _images(matrix: Matrices, names: Names | None = None) -> Matrices:
    """Images of each class, [..., K]; with `names` there must be some."""
    images: Matrices = matrix.sum(axis=-1)
    if names is not None and images.min() == 0:
        name = names[int(np.argwhere(images == 0)[0, -1])]
        raise InputError(
            f"class {name!r} has no images, so its recall and the G-mean are undefined; "
            "add images of it or leave the class out"
        )
    return images


def _ratio(part: Any, whole: Any, otherwise: float = 0.0) -> Floats:
    """Quotients, `otherwise` where the divisor is 0."""
    above, below = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    empty = np.full(below.shape, otherwise)
    quotient: Floats = np.divide(above, below, out=empty, where=below > 0)[()]
    return quotient


def _share(part: Any, whole: Any) -> Floats:
    """Quotients, NaN where the divisor is 0: of nothing there is no share."""
    return _ratio(part, whole, np.nan)


def _agreement(matrix: Matrices) -> tuple[Any, Any, Any]:
    """Right x all - what chance gives [...], and the sums of the rows and the columns [..., K].

    The difference is exact: its terms are Python integers where they would pass 2 ** 63.
    """
    cells: Any = matrix if matrix.sum(axis=(-2, -1)).max() < 2**31 else matrix.astype(object)
    rows, columns = cells.sum(axis=-1), cells.sum(axis=-2)
    expected = (rows * columns).sum(axis=-1)
    return _right(cells).sum(axis=-1) * rows.sum(axis=-1) - expected, rows, columns


def _unequal(counts: Any) -> Floats:
    """Ordered pairs of images of two different classes, [...]."""
    return np.asarray(counts.sum(axis=-1) ** 2 - (counts**2).sum(axis=-1), dtype=np.float64)


METRICS: dict[str, Callable[[Matrices], Floats]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "gmean": gmean,
    "mcc": mcc,
    "kappa": kappa,
}
"""Confusion matrices [..., K, K] -> numbers [...]."""

PER_CLASS: dict[str, Callable[[Matrices], Floats]] = {
    "precision": precision,
    "recall": recall,
    "specificity": specificity,
    "f1": f1,
    "fbeta": fbeta,
    "iba": iba,
}
"""Confusion matrices [..., K, K] -> numbers for each class, [..., K]."""
