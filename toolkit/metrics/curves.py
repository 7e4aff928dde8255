"""Scores -> the points of charts: ROC, precision and recall, threshold, reliability.

Every function takes `actual` (int [N]), `scores` (float64 [N, K]) and the number of the class that
is held against the rest. An image is called by the class's name where its score is at least the
threshold. Arrays of one diagram are equally long, [T].
"""

from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np

from toolkit.metrics import confusion
from toolkit.metrics.scores import BINS, Floats, Labels, bin_of, undefined_ranking


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
    """Thresholds from 0 to 1; numbers hold for what lies between the one before and their own.

    `gmean` is that of the class and the rest: the root of recall x specificity.
    """

    threshold: Floats
    gmean: Floats
    recall: Floats
    specificity: Floats


@dataclass(frozen=True, eq=False)
class Reliability:
    """Bins with images in them: their mean score, the share that came true, and how many."""

    score: Floats
    share: Floats
    count: Labels


def roc_curve(actual: Labels, scores: Floats, positive: int) -> Roc:
    """The ROC curve with all its points. Raises InputError as `scores.roc_auc` does."""
    values = np.unique(scores[:, positive])[::-1]
    threshold = np.concatenate([[np.inf], values])
    cells = _matrices(actual, scores, positive, threshold)
    rates = cells[..., 1] / cells.sum(axis=-1)
    return Roc(rates[:, 0], rates[:, 1], threshold)


def precision_recall_curve(actual: Labels, scores: Floats, positive: int) -> PrecisionRecall:
    """The precision-recall curve with all its points. Raises InputError as `roc` does."""
    threshold = np.append(np.unique(scores[:, positive]), np.inf)
    cells = _matrices(actual, scores, positive, threshold)
    precision = confusion.precision(cells)[:, 1]
    precision[-1] = 1  # where nothing is called, the curve ends by convention
    return PrecisionRecall(confusion.recall(cells)[:, 1], precision, threshold)


def threshold_curve(actual: Labels, scores: Floats, positive: int) -> ThresholdCurve:
    """What each threshold would give. Raises InputError as `roc` does."""
    threshold = np.union1d([0.0, 1.0], scores[:, positive])
    cells = _matrices(actual, scores, positive, threshold)
    specificity, recall = confusion.recall(cells).T
    return ThresholdCurve(threshold, confusion.gmean(cells), recall, specificity)


def reliability_curve(actual: Labels, scores: Floats, positive: int | None = None) -> Reliability:
    """How often scores come true, in the bins of the calibration error.

    Of the class `positive`: its score, and the share of its images. None: of the highest score,
    and the share of right predictions.
    """
    if positive is None:
        values, true = scores.max(axis=1), scores.argmax(axis=1) == actual
    else:
        values, true = scores[:, positive], actual == positive
    bins = bin_of(values)
    count = np.bincount(bins, minlength=BINS)
    sums = (np.bincount(bins, weights=of, minlength=BINS) for of in (values, true))
    score, share = (total[count > 0] / count[count > 0] for total in sums)
    return Reliability(score, share, count[count > 0])


def _matrices(
    actual: Labels, scores: Floats, positive: int, thresholds: Floats
) -> confusion.Matrix:
    """Confusion matrices [T, 2, 2] of the rest and the class at each threshold."""
    score, inside = scores[:, positive], actual == positive
    sides = [np.sort(score[of]) for of in (~inside, inside)]
    if not all(side.size for side in sides):
        raise undefined_ranking(positive)
    below = [np.searchsorted(side, thresholds, side="left") for side in sides]
    rows = [np.stack([n, len(side) - n], axis=-1) for n, side in zip(below, sides, strict=True)]
    return np.stack(rows, axis=-2)


AnyCurve = TypeVar("AnyCurve", Roc, PrecisionRecall, ThresholdCurve)


def thin(curve: AnyCurve, most: int = 200) -> AnyCurve:
    """The same curve with at most `most` of its points, at equal steps along it; both ends stay."""
    columns = {field.name: getattr(curve, field.name) for field in fields(curve)}
    size = len(curve.threshold)
    if size <= most:
        return curve
    steps = [np.abs(np.diff(column)) for column in columns.values()]
    way = np.cumsum(np.nan_to_num(steps, posinf=0).sum(axis=0))
    stops = np.searchsorted(way, np.linspace(0, way[-1], most - 1)[1:]) + 1
    kept = np.unique(np.concatenate([[0], stops, [size - 1]]))
    return replace(curve, **{name: column[kept] for name, column in columns.items()})
