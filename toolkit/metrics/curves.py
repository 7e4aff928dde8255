"""Curves of scores: ROC, precision-recall, threshold and reliability.

Every function takes `actual` (int [N]), `scores` (float64 [N, K]) and the number of the class that
is held against the rest. A sample is predicted as the class if its score is at least the threshold.
The arrays of one curve are equally long, [T].
"""

from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np

from toolkit.metrics import confusion
from toolkit.metrics.arrays import Floats, Labels
from toolkit.metrics.scores import BINS, bin_of, undefined_ranking


@dataclass(frozen=True, eq=False)
class Roc:
    """From (0, 0) at the threshold infinity to (1, 1) at the lowest score."""

    false_positive_rate: Floats
    recall: Floats
    threshold: Floats


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """From recall 1 at the lowest score to recall 0 and precision 1 at the threshold infinity."""

    recall: Floats
    precision: Floats
    threshold: Floats


@dataclass(frozen=True, eq=False)
class ThresholdCurve:
    """Thresholds from 0 to 1; the metrics hold between the previous threshold and this one.

    `gmean` is sqrt(recall x specificity) of the class against the rest.
    """

    threshold: Floats
    gmean: Floats
    recall: Floats
    specificity: Floats


@dataclass(frozen=True, eq=False)
class Reliability:
    """Mean score, fraction of positives and number of samples of each bin that is not empty."""

    score: Floats
    fraction: Floats
    count: Labels


def roc_curve(actual: Labels, scores: Floats, positive: int) -> Roc:
    """Return the ROC curve with all its points. Raises InputError as `scores.roc_auc` does."""
    threshold = np.concatenate([[np.inf], np.unique(scores[:, positive])[::-1]])
    cells = _matrices(actual, scores, positive, threshold)
    rates = cells[..., 1] / cells.sum(axis=-1)
    return Roc(rates[:, 0], rates[:, 1], threshold)


def precision_recall_curve(actual: Labels, scores: Floats, positive: int) -> PrecisionRecall:
    """Return the precision-recall curve with all its points. Raises as `roc_curve` does."""
    threshold = np.append(np.unique(scores[:, positive]), np.inf)
    cells = _matrices(actual, scores, positive, threshold)
    precision = confusion.precision(cells)[:, 1]
    precision[-1] = 1  # by convention, where nothing is predicted as the class
    return PrecisionRecall(confusion.recall(cells)[:, 1], precision, threshold)


def threshold_curve(actual: Labels, scores: Floats, positive: int) -> ThresholdCurve:
    """Return the metrics at every threshold. Raises InputError as `roc_curve` does."""
    threshold = np.union1d([0.0, 1.0], scores[:, positive])
    cells = _matrices(actual, scores, positive, threshold)
    specificity, recall = confusion.recall(cells).T
    return ThresholdCurve(threshold, confusion.gmean(cells), recall, specificity)


def reliability_curve(actual: Labels, scores: Floats, positive: int | None = None) -> Reliability:
    """Return the calibration curve in the bins of the expected calibration error.

    For the class `positive`: its score, and the fraction of samples that are of it. For None: the
    highest score, and the fraction of correct predictions.
    """
    if positive is None:
        values, outcome = scores.max(axis=1), scores.argmax(axis=1) == actual
    else:
        values, outcome = scores[:, positive], actual == positive
    bins = bin_of(values)
    count = np.bincount(bins, minlength=BINS)
    sums = (np.bincount(bins, weights=of, minlength=BINS) for of in (values, outcome))
    score, fraction = (total[count > 0] / count[count > 0] for total in sums)
    return Reliability(score, fraction, count[count > 0])


def _matrices(
    actual: Labels, scores: Floats, positive: int, thresholds: Floats
) -> confusion.Matrix:
    """Return the confusion matrices [T, 2, 2] of the rest and the class at each threshold."""
    score, inside = scores[:, positive], actual == positive
    sides = [np.sort(score[of]) for of in (~inside, inside)]
    if not all(side.size for side in sides):
        raise undefined_ranking(positive)
    below = [np.searchsorted(side, thresholds, side="left") for side in sides]
    rows = [np.stack([n, len(side) - n], axis=-1) for n, side in zip(below, sides, strict=True)]
    return np.stack(rows, axis=-2)


AnyCurve = TypeVar("AnyCurve", Roc, PrecisionRecall, ThresholdCurve)


def thin(curve: AnyCurve, most: int = 200) -> AnyCurve:
    """Keep at most `most` points of a curve, at equal steps along it, and both ends."""
    columns = {field.name: getattr(curve, field.name) for field in fields(curve)}
    size = len(curve.threshold)
    if size <= most:
        return curve
    steps = [np.abs(np.diff(column)) for column in columns.values()]
    length = np.cumsum(np.nan_to_num(steps, posinf=0).sum(axis=0))
    stops = np.searchsorted(length, np.linspace(0, length[-1], most - 1)[1:]) + 1
    kept = np.unique(np.concatenate([[0], stops, [size - 1]]))
    return replace(curve, **{name: column[kept] for name, column in columns.items()})
