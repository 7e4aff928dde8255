"""Probabilities -> numbers, for all resamples at once.

Every function takes `actual` (int [N]), `scores` (float64 [N, K], each row probabilities that add
up to 1) and optional `weights` (float64 [..., N], at least 0; None: each image counts once). The
leading axes of the weights are resamples: a bootstrap draw that takes an image twice gives it the
weight 2. The numbers are float64 [...], and equal scikit-learn's with `sample_weight`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from toolkit.errors import InputError

Labels = npt.NDArray[np.integer]
Floats = npt.NDArray[np.float64]

BINS = 15
"""Equal-width bins of the expected calibration error."""

BLOCK = 2**17
"""Weights that are sorted at a time: they stay in the processor's cache, and memory small."""


# --- calibration ------------------------------------------------------------------------------


def log_loss(actual: Labels, scores: Floats, weights: Floats | None = None) -> Floats:
    """Mean of -ln(score of the actual class), in nats; scores are held above 2.2e-16."""
    return _mean(_surprise(scores[np.arange(len(actual)), actual]), weights)


def brier(actual: Labels, scores: Floats, weights: Floats | None = None) -> Floats:
    """Mean squared distance of the scores from the truth (Brier, 1950).

    0 to 2, summed over the classes; halved to 0 to 1 for two classes, where that is the usual
    (score of one class - truth) squared. scikit-learn does the same.
    """
    classes = scores.shape[1]
    distances = ((scores - np.eye(classes)[actual]) ** 2).sum(axis=1)
    return _mean(distances / 2 if classes == 2 else distances, weights)


def ece(actual: Labels, scores: Floats, weights: Floats | None = None) -> Floats:
    """Expected calibration error of the highest score, 0 to 1 (Guo and others, 2017)."""
    return _calibration_error(scores.max(axis=1), scores.argmax(axis=1) == actual, weights)


def class_loss(
    actual: Labels, scores: Floats, positive: int, weights: Floats | None = None
) -> Floats:
    """The log loss of class number `positive` against the rest, whose score is what is left."""
    score = scores[:, positive]
    return _mean(_surprise(np.where(actual == positive, score, 1 - score)), weights)


def class_brier(
    actual: Labels, scores: Floats, positive: int, weights: Floats | None = None
) -> Floats:
    """Mean of (score of class number `positive` - whether it is true) squared, 0 to 1."""
    return _mean((scores[:, positive] - (actual == positive)) ** 2, weights)


def class_ece(
    actual: Labels, scores: Floats, positive: int, weights: Floats | None = None
) -> Floats:
    """Expected calibration error of class number `positive`'s score, 0 to 1.

    Its mean over the classes is the class-wise error (Kull and others, 2019).
    """
    return _calibration_error(scores[:, positive], actual == positive, weights)


def _surprise(chosen: Floats) -> Floats:
    return np.abs(np.log(np.clip(chosen, np.finfo(np.float64).eps, 1)))


def _calibration_error(
    score: Floats, true: npt.NDArray[np.bool_], weights: Floats | None
) -> Floats:
    """Mean over the images of |mean of (true - score)| in the bin of each."""
    bins = bin_of(score)
    order = np.argsort(bins, kind="stable")
    starts = np.flatnonzero(np.diff(bins[order], prepend=-1))
    gaps = (true - score)[order]

    def errors(rows: Floats) -> Floats:
        sums = np.add.reduceat(np.take(rows, order, axis=1) * gaps, starts, axis=1)
        error: Floats = np.abs(sums).sum(axis=1) / rows.sum(axis=1)
        return error

    counts = _counts(score, weights)
    values: Floats = np.concatenate([errors(rows) for rows in _blocks(counts)])
    return values.reshape(counts.shape[:-1])[()]


def bin_of(values: Floats) -> Labels:
    """The bin of each score, 0 to 14: equal widths, each without its lower, with its upper end."""
    bins = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], values, side="left")
    return bins.astype(np.int8)  # NumPy sorts small integers fast


def _mean(values: Floats, weights: Floats | None) -> Floats:
    counts = _counts(values, weights)
    # Not counts @ values: its last digits depend on the processor and its threads.
    mean: Floats = np.einsum("...n,n->...", counts, values) / counts.sum(axis=-1)
    return mean


def _counts(images: Labels | Floats, weights: Floats | None) -> Floats:
    return np.ones(len(images)) if weights is None else weights


def _blocks(weights: Floats) -> list[Floats]:
    """The resamples as [R, N], some of them at a time."""
    rows = weights.reshape(-1, weights.shape[-1])
    return np.array_split(rows, max(1, min(len(rows), rows.size // BLOCK)))


# --- ranking ----------------------------------------------------------------------------------


def roc_auc(actual: Labels, scores: Floats, positive: int, weights: Floats | None = None) -> Floats:
    """Area under the ROC curve of class number `positive` against the rest, 0 to 1.

    The share of pairs of a positive and another image in which the positive has the higher score;
    a tie is half a pair (Hanley and McNeil, 1982). Raises InputError for a class without images,
    and one with all of them, in any resample.
    """
    return _measure((_area,), actual, scores, positive, weights)[0]


def average_precision(
    actual: Labels, scores: Floats, positive: int, weights: Floats | None = None
) -> Floats:
    """Mean over the images of class `positive` of the precision at their scores, 0 to 1.

    The area under the precision-recall curve by steps. Raises InputError as `roc_auc` does.
    """
    return _measure((_precision,), actual, scores, positive, weights)[0]


def ranking_metrics(
    actual: Labels, scores: Floats, positive: int, weights: Floats | None = None
) -> dict[str, Floats]:
    """All RANKINGS of one class by name, with one sort. Raises InputError as `roc_auc` does."""
    values = _measure((_area, _precision), actual, scores, positive, weights)
    return dict(zip(RANKINGS, values, strict=True))


@dataclass(frozen=True)
class _Order:
    """P positives and M others as positions in [N], both from the highest score down.

    `higher` and `others_upto` are [P]: how many of the others have a higher score than each
    positive, and how many at least the same; `upto` counts the positives with at least the same.
    """

    positives: Labels
    others: Labels
    higher: Labels
    others_upto: Labels
    upto: Labels


def _order(positive: npt.NDArray[np.bool_], score: Floats) -> _Order:
    found, others = (_descending(np.flatnonzero(side), score) for side in (positive, ~positive))
    high, low = -score[found], -score[others]
    return _Order(
        positives=found,
        others=others,
        higher=np.searchsorted(low, high, side="left"),
        others_upto=np.searchsorted(low, high, side="right"),
        upto=np.searchsorted(high, high, side="right"),
    )


def _descending(rows: Labels, score: Floats) -> Labels:
    return rows[np.argsort(-score[rows])]


@dataclass(frozen=True, eq=False)
class _Ranked:
    """R resamples in that order: weights of the positives [R, P], running sums of the others'."""

    order: _Order
    found: Floats
    others: Floats

    @cached_property
    def level(self) -> Floats:
        """Weight of the others with at least the score of each positive, [R, P]."""
        return np.take(self.others, self.order.others_upto, axis=1)


def _area(ranked: _Ranked) -> Floats:
    ahead = np.take(ranked.others, ranked.order.higher, axis=1) + ranked.level
    lost = (ranked.found * ahead).sum(axis=1)
    pairs = 2 * ranked.found.sum(axis=1) * ranked.others[:, -1]
    area: Floats = np.maximum(1 - lost / pairs, 0)
    return area


def _precision(ranked: _Ranked) -> Floats:
    right = np.take(_running(ranked.found), ranked.order.upto, axis=1)
    called = np.maximum(right + ranked.level, np.finfo(np.float64).tiny)  # 0 / 0 gives 0
    mean: Floats = (ranked.found * (right / called)).sum(axis=1) / ranked.found.sum(axis=1)
    return mean


def _running(weights: Floats) -> Floats:
    """Sums of the first 0, 1, ... M of each row, [R, M + 1]."""
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
    """One sort for all resamples, then block by block: [...] for each measure."""
    counts, values = _counts(actual, weights), []
    order = _order(actual == positive, scores[:, positive])
    for block in _blocks(counts):
        found = np.take(block, order.positives, axis=1)
        others = _running(np.take(block, order.others, axis=1))
        if not (found.any(axis=1).all() and others[:, -1].all()):
            raise undefined_ranking(positive)
        ranked = _Ranked(order, found, others)
        values.append([measure(ranked) for measure in measures])
    return list(np.concatenate(values, axis=1).reshape(-1, *counts.shape[:-1]))


def undefined_ranking(positive: int) -> InputError:
    """The error for a class that cannot be ranked against the rest, as one of the two is empty."""
    return InputError(
        f"class number {positive} has no images, or all of them, so its ROC curve and average "
        "precision are undefined; add images or leave the class out"
    )


SCORES: dict[str, Callable[[Labels, Floats, Floats | None], Floats]] = {
    "loss": log_loss,
    "brier": brier,
    "ece": ece,
}
"""Actual classes, scores and weights -> one number a resample."""

OneVsRest = Callable[[Labels, Floats, int, Floats | None], Floats]

ONE_VS_REST: dict[str, OneVsRest] = {
    "loss": class_loss,
    "brier": class_brier,
    "ece": class_ece,
}
"""The same, of one class, by its number, against the rest."""

RANKINGS: dict[str, OneVsRest] = {
    "roc_auc": roc_auc,
    "average_precision": average_precision,
}
"""What is known only of a class against the rest."""
