"""Confusion matrices and scores -> numbers.

A confusion matrix is int64 [K, K]: rows are the actual classes, columns the predicted ones. It is
all that the metrics in METRICS and PER_CLASS need. Those in SCORES need `actual` (int [N]) and
`scores` (float64 [N, K], each row probabilities that add up to 1).
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from toolkit.errors import InputError
from toolkit.predictions import Predictions

Matrix = npt.NDArray[np.int64]
Labels = npt.NDArray[np.integer]
Floats = npt.NDArray[np.float64]
Names = Sequence[str]

BINS = 15
"""Equal-width bins of the expected calibration error."""


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


# --- from the confusion matrix ----------------------------------------------------------------


def recall(matrix: Matrix, names: Names | None = None) -> Floats:
    """Share of each class's images that were found, [K], 0 to 1.

    Raises InputError that names a class without images (by its row if `names` is None):
    its recall is undefined, and so is everything that is made of it.
    """
    images = matrix.sum(axis=1)
    for row in np.flatnonzero(images == 0):
        name = repr(names[int(row)]) if names is not None else f"number {row}"
        raise InputError(
            f"class {name} has no images, so its recall and the G-mean are undefined; "
            "add images of it or leave the class out"
        )
    return np.asarray(np.diagonal(matrix) / images, dtype=np.float64)


def precision(matrix: Matrix) -> Floats:
    """Share of the images called by each class's name that are of it, [K], 0 to 1.

    0 for a class that is never predicted, where it is undefined (scikit-learn's zero_division=0).
    """
    return _ratio(np.diagonal(matrix), matrix.sum(axis=0))


def f1(matrix: Matrix) -> Floats:
    """Harmonic mean of precision and recall, [K], 0 to 1; 0 for a class that never occurs."""
    return _ratio(2 * np.diagonal(matrix), matrix.sum(axis=0) + matrix.sum(axis=1))


def _ratio(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> Floats:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def accuracy(matrix: Matrix) -> float:
    """Share of all images that are right, 0 to 1. Raises InputError for an empty matrix."""
    if not matrix.sum():
        raise InputError("there are no predictions, so the accuracy is undefined")
    return int(np.trace(matrix)) / int(matrix.sum())


def balanced_accuracy(matrix: Matrix, names: Names | None = None) -> float:
    """Arithmetic mean of the recalls, 0 to 1. Raises InputError as `recall` does."""
    return math.fsum(recall(matrix, names)) / len(matrix)


def gmean(matrix: Matrix, names: Names | None = None) -> float:
    """G-mean: the K-th root of the product of the recalls, 0 to 1; 0 if one class is never found.

    Kubat and Matwin, 1997, for two classes: sqrt(sensitivity x specificity). Raises InputError as
    `recall` does.
    """
    recalls = recall(matrix, names)
    if recalls.min() == 0:
        return 0.0
    if len(recalls) == 2:  # integers up to the root: exact to the last digit
        images, right = matrix.sum(axis=1).tolist(), np.diagonal(matrix).tolist()
        return math.sqrt(right[0] * right[1] / (images[0] * images[1]))
    logs = math.fsum(np.log(recalls))  # a long product would underflow
    return min(1.0, math.exp(logs / len(recalls)))


def mcc(matrix: Matrix) -> float:
    """Matthews' correlation coefficient for K classes (Gorodkin, 2004), -1 to 1.

    0 where all images are of one class, or all are predicted to be.
    """
    rows = [int(n) for n in matrix.sum(axis=1)]  # Python integers: the products pass 2 ** 63
    columns = [int(n) for n in matrix.sum(axis=0)]
    total, right = sum(rows), int(np.trace(matrix))
    covariance = right * total - sum(r * c for r, c in zip(rows, columns, strict=True))
    spread = (total**2 - sum(r * r for r in rows)) * (total**2 - sum(c * c for c in columns))
    return covariance / math.sqrt(spread) if spread else 0.0


# --- from the scores --------------------------------------------------------------------------


def log_loss(actual: Labels, scores: Floats) -> float:
    """Mean of -ln(score of the actual class), in nats; scores are held above 2.2e-16."""
    chosen = np.clip(scores[np.arange(len(actual)), actual], np.finfo(np.float64).eps, 1)
    return abs(float(-np.log(chosen).mean()))


def brier(actual: Labels, scores: Floats) -> float:
    """Mean squared distance of the scores from the truth (Brier, 1950).

    0 to 2, summed over the classes; halved to 0 to 1 for two classes, where that is the usual
    (score of one class - truth) squared. scikit-learn does the same.
    """
    truth = np.eye(scores.shape[1])[actual]
    total = float(((scores - truth) ** 2).sum(axis=1).mean())
    return total / 2 if scores.shape[1] == 2 else total


def ece(actual: Labels, scores: Floats) -> float:
    """Expected calibration error of the highest score, 0 to 1 (Guo and others, 2017).

    15 bins of equal width, each without its lower and with its upper end.
    """
    confidence, right = scores.max(axis=1), scores.argmax(axis=1) == actual
    bins = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], confidence, side="left")
    gaps = np.bincount(bins, weights=right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(actual))


def roc_auc(actual: Labels, scores: Floats, positive: int | None = None) -> float:
    """Area under the ROC curve of class `positive` against the rest; None: the mean over classes.

    A class without images, or with all of them, has none: scikit-learn warns and gives NaN.
    """
    from sklearn.metrics import roc_auc_score

    return _one_against_rest(roc_auc_score, actual, scores, positive)


def pr_auc(actual: Labels, scores: Floats, positive: int | None = None) -> float:
    """Average precision of class `positive` against the rest; None: the mean over the classes."""
    from sklearn.metrics import average_precision_score

    return _one_against_rest(average_precision_score, actual, scores, positive)


def _one_against_rest(
    function: Callable[..., float], actual: Labels, scores: Floats, positive: int | None
) -> float:
    chosen = range(scores.shape[1]) if positive is None else [positive]
    return math.fsum(function(actual == k, scores[:, k]) for k in chosen) / len(chosen)


# --- all of them ------------------------------------------------------------------------------


def evaluate(predictions: Predictions, positive: str | None = None) -> dict[str, float]:
    """All metrics, flat and without NaN: `n`, `accuracy`, `recall_<class>` and so on.

    With `positive` also `precision`, `recall` and `f1` of that class, and `roc_auc` and `pr_auc`
    are its own against the rest; else those two are the mean over the classes. The precision of a
    class that is never predicted is 0. Raises InputError where `positive` is no class, and where
    a class has no images.
    """
    classes, matrix = predictions.classes, matrix_of(predictions)
    if positive is not None and positive not in classes:
        raise InputError(f"evaluate.positive must be one of {list(classes)}, got {positive!r}")
    recall(matrix, classes)  # refuses a class without images by its name
    index = None if positive is None else classes.index(positive)
    values: dict[str, float] = {"n": len(predictions.ids)}
    values |= {name: metric(matrix) for name, metric in METRICS.items()}
    for name, per_class in PER_CLASS.items():
        each = per_class(matrix)
        if index is not None:
            values[name] = float(each[index])
        values |= {f"{name}_{c}": float(v) for c, v in zip(classes, each, strict=True)}
    if predictions.scores is not None:
        actual, scores = predictions.actual_index, predictions.scores
        values |= {name: metric(actual, scores) for name, metric in SCORES.items()}
        values |= {name: rank(actual, scores, index) for name, rank in RANKINGS.items()}
    return values


METRICS: dict[str, Callable[[Matrix], float]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "gmean": gmean,
    "mcc": mcc,
}
"""A confusion matrix -> one number."""

PER_CLASS: dict[str, Callable[[Matrix], Floats]] = {
    "precision": precision,
    "recall": recall,
    "f1": f1,
}
"""A confusion matrix -> one number a class."""

SCORES: dict[str, Callable[[Labels, Floats], float]] = {
    "loss": log_loss,
    "brier": brier,
    "ece": ece,
}
"""Actual classes and scores -> one number."""

RANKINGS: dict[str, Callable[[Labels, Floats, int | None], float]] = {
    "roc_auc": roc_auc,
    "pr_auc": pr_auc,
}
"""The same, of one class against the rest."""
