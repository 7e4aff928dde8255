"""Metrics of class probabilities, for any number of resamples at once.

Every function takes `actual` (int [N]), `scores` (float64 [N, K], each row probabilities that add
up to 1) and optionally `weights` (float64 [..., N], at least 0; None counts each sample once). The
leading axes of the weights are resamples: a bootstrap resample that draws a sample twice gives it
the weight 2. Metrics are float64 [...], and equal scikit-learn's with `sample_weight`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from toolkit.errors import InputError
from toolkit.metrics.arrays import Flags, Floats, Labels

BINS = 15
"""Bins of equal width for the expected calibration error."""
BLOCK = 2**17
"""Weights that are sorted at a time: few enough for the processor's cache."""


# --- losses and calibration -------------------------------------------------------------------


def log_loss(actual: Labels, scores: Floats, weights: Floats | None = None) -> Floats:
    """Return the mean of -ln(score of the actual class); scores are clipped at 2.2e-16."""
    return _mean(_negative_log(scores[np.arange(len(actual)), actual]), weights)


def brier(actual: Labels, scores: Floats, weights: Floats | None = None) -> Floats:
    """Return the Brier score, the mean squared error of the scores (Brier, 1950).

    From 0 to 2, summed over the classes; with two classes it is halved to 0 to 1, the usual
    squared error of one class's score. scikit-learn does the same.
    """
    classes = scores.shape[1]
    errors = ((scores - np.eye(classes)[actual]) ** 2).sum(axis=1)
    return _mean(errors / 2 if classes == 2 else errors, weights)


def ece(actual: Labels, scores: Floats, weights: Floats | None = None) -> Floats:
    """Return the expected calibration error of the highest score, 0 to 1 (Guo et al., 2017)."""
    return _calibration_error(scores.max(axis=1), scores.argmax(axis=1) == actual, weights)


def class_loss(
    actual: Labels, scores: Floats, positive: int, weights: Floats | None = None
) -> Floats:
    """Return the log loss of class number `positive` against the rest."""
    score = scores[:, positive]
    return _mean(_negative_log(np.where(actual == positive, score, 1 - score)), weights)


def class_brier(
    actual: Labels, scores: Floats, positive: int, weights: Floats | None = None
) -> Floats:
    """Return the Brier score of class number `positive` against the rest, 0 to 1."""
    return _mean((scores[:, positive] - (actual == positive)) ** 2, weights)


def class_ece(
    actual: Labels, scores: Floats, positive: int, weights: Floats | None = None
) -> Floats:
    """Return the expected calibration error of the score of class number `positive`, 0 to 1.

    Its mean over the classes is the classwise calibration error (Kull et al., 2019).
    """
    return _calibration_error(scores[:, positive], actual == positive, weights)


def _negative_log(probabilities: Floats) -> Floats:
    return np.abs(np.log(np.clip(probabilities, np.finfo(np.float64).eps, 1)))


def _calibration_error(score: Floats, outcome: Flags, weights: Floats | None) -> Floats:
    """Return the mean over the samples of |mean of (outcome - score)| in the bin of each."""
    bins = bin_of(score)
    order = np.argsort(bins, kind="stable")
    starts = np.flatnonzero(np.diff(bins[order], prepend=-1))
    gaps = (outcome - score)[order]

    def errors(rows: Floats) -> Floats:
        sums = np.add.reduceat(np.take(rows, order, axis=1) * gaps, starts, axis=1)
        error: Floats = np.abs(sums).sum(axis=1) / rows.sum(axis=1)
        return error

    counts = _counts(score, weights)
    values: Floats = np.concatenate([errors(rows) for rows in _blocks(counts)])
    return values.reshape(counts.shape[:-1])[()]


def bin_of(values: Floats) -> Labels:
    """Return the bin of each score, 0 to 14: bins are open below and closed above."""
    bins = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], values, side="left")
    return bins.astype(np.int8)  # NumPy sorts small integers fast


def _mean(values: Floats, weights: Floats | None) -> Floats:
    counts = _counts(values, weights)
    # Not counts @ values: its last digits depend on the processor and its threads.
    mean: Floats = np.einsum("...n,n->...", counts, values) / counts.sum(axis=-1)
    return mean


def _counts(samples: Labels | Floats, weights: Floats | None) -> Floats:
    return np.ones(len(samples)) if weights is None else weights


def _blocks(weights: Floats) -> list[Floats]:
    """Split the resamples into blocks [R, N]."""
    rows = weights.reshape(-1, weights.shape[-1])
    return np.array_split(rows, max(1, min(len(rows), rows.size // BLOCK)))


# --- ranking ----------------------------------------------------------------------------------


def roc_auc(actual: Labels, scores: Floats, positive: int, weights: Floats | None = None) -> Floats:
    """Return the area under the ROC curve of class number `positive` against the rest, 0 to 1.

    It is the fraction of pairs of a positive and a negative sample in which the positive has the
    higher score; a tie counts half (Hanley and McNeil, 1982). Raises InputError if the class has
    no samples, or all of them, in any resample.
    """
    return _measure((_area,), actual, scores, positive, weights)[0]


def average_precision(
    actual: Labels, scores: Floats, positive: int, weights: Floats | None = None
) -> Floats:
    """Return the average precision of class number `positive` against the rest, 0 to 1.

    It is the area under the precision-recall curve without interpolation. Raises InputError as
    `roc_auc` does.
    """
    return _measure((_precision,), actual, scores, positive, weights)[0]


def ranking_metrics(
    actual: Labels, scores: Floats, positive: int, weights: Floats | None = None
) -> dict[str, Floats]:
    """Return all RANKINGS of one class by name, sorting once. Raises as `roc_auc` does."""
    values = _measure((_area, _precision), actual, scores, positive, weights)
    return dict(zip(RANKINGS, values, strict=True))


@dataclass(frozen=True)
class _Order:
    """Positions in [N] of P positives and M negatives, both in order of descending score.

    The other three are [P], counts for each positive: `higher` of the negatives with a higher
    score, `negatives_upto` of those with at least its score, and `upto` of the positives with at
    least its score.
    """

    positives: Labels
    negatives: Labels
    higher: Labels
    negatives_upto: Labels
    upto: Labels


def _order(positive: Flags, score: Floats) -> _Order:
    positives, negatives = (
        _descending(np.flatnonzero(side), score) for side in (positive, ~positive)
    )
    high, low = -score[positives], -score[negatives]
    return _Order(
        positives=positives,
        negatives=negatives,
        higher=np.searchsorted(low, high, side="left"),
        negatives_upto=np.searchsorted(low, high, side="right"),
        upto=np.searchsorted(high, high, side="right"),
    )


def _descending(rows: Labels, score: Floats) -> Labels:
    return rows[np.argsort(-score[rows])]


@dataclass(frozen=True, eq=False)
class _Ranked:
    """R resamples in that order: weights of the positives [R, P], cumulative of the negatives."""

    order: _Order
    positives: Floats
    negatives: Floats

    @cached_property
    def false_positives(self) -> Floats:
        """Weight of the negatives with at least the score of each positive, [R, P]."""
        return np.take(self.negatives, self.order.negatives_upto, axis=1)


def _area(ranked: _Ranked) -> Floats:
    higher = np.take(ranked.negatives, ranked.order.higher, axis=1) + ranked.false_positives
    lost = (ranked.positives * higher).sum(axis=1)
    pairs = 2 * ranked.positives.sum(axis=1) * ranked.negatives[:, -1]
    area: Floats = np.maximum(1 - lost / pairs, 0)
    return area


def _precision(ranked: _Ranked) -> Floats:
    true = np.take(_cumulative(ranked.positives), ranked.order.upto, axis=1)
    predicted = np.maximum(true + ranked.false_positives, np.finfo(np.float64).tiny)  # 0 / 0 is 0
    weights = ranked.positives
    mean: Floats = (weights * (true / predicted)).sum(axis=1) / weights.sum(axis=1)
    return mean


def _cumulative(weights: Floats) -> Floats:
    """Return the sums of the first 0, 1, ... M weights of each row, [R, M + 1]."""
    sums = np.zeros((len(weights), weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=sums[:, 1:])
    return sums


def _measure(
    measures: Sequence[Callable[[_Ranked], Floats]],
    actual: Labels,
    scores: Floats,
    positive: int,
    weights: Floats | None,
) -> Sequence[Floats]:
    """Return [...] for each measure, with one sort for all resamples, block by block."""
    counts, values = _counts(actual, weights), []
    order = _order(actual == positive, scores[:, positive])
    for block in _blocks(counts):
        positives = np.take(block, order.positives, axis=1)
        negatives = _cumulative(np.take(block, order.negatives, axis=1))
        if not (positives.any(axis=1).all() and negatives[:, -1].all()):
            raise undefined_ranking(positive)
        ranked = _Ranked(order, positives, negatives)
        values.append([measure(ranked) for measure in measures])
    return list(np.concatenate(values, axis=1).reshape(-1, *counts.shape[:-1]))


def undefined_ranking(positive: int) -> InputError:
    """Return the error for a class with no samples, or with all of them."""
    return InputError(
        f"class number {positive} has no images, or all of them, so its ROC curve and average "
        "precision are undefined; add images or leave the class out"
    )


SCORES: dict[str, Callable[[Labels, Floats, Floats | None], Floats]] = {
    "loss": log_loss,
    "brier": brier,
    "ece": ece,
}
"""Name -> metric of actual classes, scores and weights."""

OneVsRest = Callable[[Labels, Floats, int, Floats | None], Floats]

ONE_VS_REST: dict[str, OneVsRest] = {
    "loss": class_loss,
    "brier": class_brier,
    "ece": class_ece,
}
"""The same for one class, given by its number, against the rest."""

RANKINGS: dict[str, OneVsRest] = {
    "roc_auc": roc_auc,
    "average_precision": average_precision,
}
"""Metrics that exist only for a class against the rest."""
