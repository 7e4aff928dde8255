"""The decision threshold on the positive class's score: chosen on valid, applied to test.

The rule `gmean` takes the best smoothed G-mean (`smooth_threshold`). For the others only the scores
that a threshold lies between matter: they pick one of the gaps between adjacent scores on valid,
and the threshold is the middle of that gap. With more than two classes a threshold is a factor for
each class (`class_factors`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from toolkit.errors import InputError
from toolkit.metrics import params
from toolkit.metrics.arrays import Flags, Floats, Labels
from toolkit.metrics.predictions import Predictions

LARGEST, COARSE, FINE = 28.0, 0.25, 0.05
"""Largest log-odds that a smoothed threshold is searched among, and the steps of the search."""
SMALLEST = 1e-12
"""Scores are at least this far from 0 and 1, for their log-odds to be finite."""
ROUNDS = 100
"""Rounds in which the factors of the classes are fitted."""


@dataclass(frozen=True, eq=False)
class Gaps:
    """The G gaps between adjacent scores of the positive class, in ascending order.

    A threshold in gap g, `low[g]` < threshold <= `high[g]`, gives `true_positives[g]` of the
    `positives` and `false_positives[g]` of the `negatives`.
    """

    low: Floats
    high: Floats
    true_positives: Labels
    false_positives: Labels
    positives: int
    negatives: int


def choose_threshold(valid: Predictions, positive: str, settings: params.EvaluateParams) -> float:
    """Return the threshold on the score of `positive` that the rule in `settings` picks on `valid`.

    That of the rule `gmean` is smoothed. For the others, of several best gaps the widest is taken,
    where a few new images change least; then the one nearest to 0.5, then the lower. Raises
    InputError unless there are two classes with images and scores, `positive` one of them.
    """
    rule = settings.threshold
    if isinstance(rule, params.GmeanRule):
        return smooth_threshold(valid, positive)
    gaps = _gaps(valid, positive)
    middle = (gaps.low + gaps.high) / 2
    keys = (np.abs(middle - 0.5), gaps.low - gaps.high, -RULES[rule.rule](gaps, rule))
    best = np.lexsort(keys)[0]  # stable: equal gaps stay in ascending order
    # Between adjacent floats the middle is rounded, perhaps to the excluded end.
    return float(middle[best] if middle[best] > gaps.low[best] else gaps.high[best])


def smooth_threshold(predictions: Predictions, positive: str) -> float:
    """Return the threshold on the score of `positive` with the best smoothed G-mean.

    The log-odds of each score are blurred by a logistic distribution of scale 1, as those of other
    images of the same kind would differ: with few images the best gap between scores is mostly
    luck. With 5 rare photos G-mean rises from 0.93 to 0.97 (benchmarks/advise.py). Raises
    InputError as `choose_threshold` does.
    """
    from scipy.special import expit, logit

    inside, scores = _both_classes(predictions, positive)
    odds = np.asarray(logit(np.clip(scores, SMALLEST, 1 - SMALLEST)))

    def best(cuts: Floats) -> float:
        recalls, specificities = (
            np.array([expit(sign * (some - cut)).mean() for cut in cuts])
            for sign, some in ((1, odds[inside]), (-1, odds[~inside]))
        )
        return float(cuts[np.argmax(recalls * specificities)])

    coarse = best(np.arange(-LARGEST, LARGEST + COARSE, COARSE))
    return float(expit(best(coarse + np.arange(-COARSE, COARSE + FINE, FINE))))


def class_factors(valid: Predictions) -> Floats:
    """Return a factor for the scores of each class [K] that makes up for the class balance.

    Multiplied by them and divided by their sum, the scores on `valid` are those of a prior that is
    the same for all classes: their mean, each class weighing the same, is 1 / K for every class
    (the maximum likelihood of one intercept per class). Raises InputError for a class without
    images, and without scores.
    """
    scores = np.maximum(_scores(valid), SMALLEST)
    counts = np.bincount(valid.actual_index, minlength=len(valid.classes))
    if not counts.all():
        name = valid.classes[int(np.argmin(counts))]
        raise InputError(f"valid has no image of class {name!r}, so no factor can be chosen on it")
    weights = (1 / counts / len(counts))[valid.actual_index]
    factors = np.ones(len(counts))
    for _ in range(ROUNDS):
        scaled = scores * factors
        means = weights @ (scaled / scaled.sum(axis=1, keepdims=True))
        factors /= means * len(counts)
    return np.asarray(factors / factors.sum())


def apply_factors(predictions: Predictions, factors: Floats) -> Predictions:
    """Return the predictions with the class whose score times its factor is the highest."""
    labels = (_scores(predictions) * factors).argmax(axis=1)
    return replace(predictions, predicted=tuple(predictions.classes[k] for k in labels))


def _both_classes(valid: Predictions, positive: str) -> tuple[Flags, Floats]:
    """Return which images are of `positive`, and its scores. Raises InputError as said above."""
    column = _column(valid, positive)
    inside = valid.actual_index == column
    if inside.all() or not inside.any():
        name = valid.classes[1 - column] if inside.any() else positive
        message = f"valid has no image of class {name!r}, so no threshold can be chosen on it"
        raise InputError(f"{message}; add images of it or leave valid out")
    return np.asarray(inside), _scores(valid)[:, column]


def _gaps(valid: Predictions, positive: str) -> Gaps:
    actual, scores = _both_classes(valid, positive)
    edges, place = np.unique(scores, return_inverse=True)
    true, false = (_at_least(place[of], len(edges)) for of in (actual, ~actual))
    low = np.append(0.0, edges)
    high = np.append(edges, max(1.0, np.nextafter(edges[-1], 2)))
    return Gaps(low, high, true, false, int(true[0]), int(false[0]))


def _at_least(place: npt.NDArray[np.intp], edges: int) -> Labels:
    """Count the scores at each edge or above, and 0 above all edges, [edges + 1]."""
    return np.append(np.bincount(place, minlength=edges)[::-1].cumsum()[::-1], 0)


def apply_threshold(predictions: Predictions, positive: str, threshold: float) -> Predictions:
    """Return the predictions with `positive` predicted where its score is at least `threshold`.

    Two classes only. The scores stay.
    """
    column = _column(predictions, positive)
    above = _scores(predictions)[:, column] >= threshold
    other = predictions.classes[1 - column]
    return replace(predictions, predicted=tuple(positive if yes else other for yes in above))


def check_disjoint(valid: Predictions, test: Predictions) -> None:
    """Raise InputError if `valid` must not tune what is measured on `test`.

    Both must have the same classes, scores, and no image in common. Rows without ids, which
    `read_predictions` numbers, do not identify images: then only equal contents are refused.
    """
    if valid.classes != test.classes:
        classes = f"got {list(valid.classes)} and {list(test.classes)}"
        raise InputError(f"the classes of valid and test must be the same, {classes}")
    if valid.scores is None or test.scores is None:
        where = "valid" if valid.scores is None else "test"
        message = f"the {where} predictions have no scores, so nothing can be tuned"
        raise InputError(f"{message}; add score_<class> columns or leave valid out")
    if shared := _shared(valid, test):
        message = f"valid and test share {shared}, and tuning on test images inflates the metrics"
        remedy = "tune on others (`audit.exact_duplicates: group` keeps duplicates in one split)"
        raise InputError(f"{message}; {remedy} or leave valid out")


def _shared(valid: Predictions, test: Predictions) -> str:
    """Return what both contain, in words; empty for nothing."""
    if _numbered(valid) and _numbered(test):
        same = valid.actual == test.actual and valid.predicted == test.predicted
        equal = same and np.array_equal(_scores(valid), _scores(test))
        return "all their rows" if equal else ""
    ids = set(test.ids)
    return next((f"the image {ident!r}" for ident in valid.ids if ident in ids), "")


def _numbered(predictions: Predictions) -> bool:
    return predictions.ids == tuple(str(number) for number in range(1, len(predictions.ids) + 1))


def _scores(predictions: Predictions) -> Floats:
    return predictions.required_scores("a threshold")


def _column(predictions: Predictions, positive: str) -> int:
    if len(predictions.classes) != 2 or positive not in predictions.classes:
        message = "a threshold needs two classes and evaluate.positive among them"
        raise InputError(f"{message}, got {positive!r} of {list(predictions.classes)}")
    return predictions.classes.index(positive)


# --- the rules --------------------------------------------------------------------------------


def parse_rule(text: str) -> params.ThresholdRule:
    """Return the rule that `gmean`, `cost:RATIO` or `recall:MINIMUM` names.

    Raises InputError for any other text.
    """
    rule, _, number = text.partition(":")
    names = {"cost": "ratio", "recall": "recall"}
    try:
        fields = {names.get(rule, "number"): float(number)} if number else {}
        settings = {"threshold": {"rule": rule, **fields}}
        return params.EvaluateParams.model_validate(settings).threshold
    except ValueError:
        rules = "gmean, cost:RATIO (above 0) or recall:MINIMUM (above 0, at most 1)"
        raise InputError(f"--threshold must be {rules}, got {text!r}") from None


def describe_rule(rule: params.ThresholdRule) -> str:
    """Return the rule in words."""
    match rule:
        case params.GmeanRule():
            return "best smoothed G-mean"
        case params.CostRule():
            return f"lowest cost, a false negative costing {rule.ratio:g} false positives"
        case params.RecallRule():
            return f"recall of at least {rule.recall:g}"


def _cost(gaps: Gaps, rule: params.CostRule) -> Floats:
    false_negatives = gaps.positives - gaps.true_positives
    return np.asarray(-(rule.ratio * false_negatives + gaps.false_positives))


def _recall(gaps: Gaps, rule: params.RecallRule) -> Floats:
    enough = gaps.true_positives / gaps.positives >= rule.recall
    return np.where(enough, np.arange(len(enough)), -1).astype(float)


RULES: dict[str, Callable[[Gaps, Any], Floats]] = {
    "cost": _cost,
    "recall": _recall,
}
"""evaluate.threshold.rule -> the utility of each gap, [G]; the highest is best. Not of `gmean`."""
