"""Operating point: the threshold on the positive class's score, chosen on valid, used on test.

A threshold matters only by the scores that it lies between, so a rule of params.yaml picks one of
the gaps between neighbouring scores on valid, and the threshold is the middle of that gap.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from toolkit.errors import InputError
from toolkit.metrics import params
from toolkit.metrics.predictions import Predictions

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Gaps:
    """The G gaps between neighbouring scores of the positive class, from low to high.

    A threshold in gap g, `low[g]` < threshold <= `high[g]`, finds `hits[g]` of the `positives`
    and raises `alarms[g]` false alarms among the `negatives`.
    """

    low: Floats
    high: Floats
    hits: npt.NDArray[np.int64]
    alarms: npt.NDArray[np.int64]
    positives: int
    negatives: int


def choose_threshold(valid: Predictions, positive: str, settings: params.EvaluateParams) -> float:
    """The threshold on the score of `positive` that the rule in `settings` picks on `valid`.

    Of several best gaps the widest is taken, of equally wide ones that nearest to 0.5, then the
    lower: a wide gap is where a few new images change least. Raises InputError where there are
    not two classes with images and scores, or `positive` is none of them.
    """
    gaps = _gaps(valid, positive)
    rule = settings.threshold
    middle = (gaps.low + gaps.high) / 2
    keys = (np.abs(middle - 0.5), gaps.low - gaps.high, -RULES[rule.rule](gaps, rule))
    best = np.lexsort(keys)[0]  # stable: equal gaps stay in ascending order
    # Between neighbouring floats the middle is rounded, perhaps to the excluded end.
    return float(middle[best] if middle[best] > gaps.low[best] else gaps.high[best])


def _gaps(valid: Predictions, positive: str) -> Gaps:
    column = _column(valid, positive)
    actual, scores = valid.actual_index == column, _scores(valid)[:, column]
    edges, place = np.unique(scores, return_inverse=True)
    hits, alarms = (_at_least(place[of], len(edges)) for of in (actual, ~actual))
    if not hits[0] or not alarms[0]:
        name = valid.classes[1 - column] if hits[0] else positive
        message = f"valid has no image of class {name!r}, so no threshold can be chosen on it"
        raise InputError(f"{message}; add images of it or leave valid out")
    low = np.append(0.0, edges)
    high = np.append(edges, max(1.0, np.nextafter(edges[-1], 2)))
    return Gaps(low, high, hits, alarms, int(hits[0]), int(alarms[0]))


def _at_least(place: npt.NDArray[np.intp], edges: int) -> npt.NDArray[np.int64]:
    """How many are at each edge or above it, and above all edges: none. [edges + 1]."""
    return np.append(np.bincount(place, minlength=edges)[::-1].cumsum()[::-1], 0)


def apply_threshold(predictions: Predictions, positive: str, threshold: float) -> Predictions:
    """The same images, called `positive` where its score is at least `threshold`.

    Two classes only. The scores are kept.
    """
    column = _column(predictions, positive)
    above = _scores(predictions)[:, column] >= threshold
    other = predictions.classes[1 - column]
    return replace(predictions, predicted=tuple(positive if yes else other for yes in above))


def check_disjoint(valid: Predictions, test: Predictions) -> None:
    """Raise InputError if `valid` cannot serve to tune what is measured on `test`.

    They must have the same classes, and scores, and share no image. Numbered rows
    (`read_predictions` numbers them where a file has no ids) do not name images: then only
    equal contents are refused.
    """
    if valid.classes != test.classes:
        found = f"got {list(valid.classes)} and {list(test.classes)}"
        raise InputError(f"the classes of valid and test must be the same, {found}")
    if valid.scores is None or test.scores is None:
        where = "valid" if valid.scores is None else "test"
        message = f"the {where} predictions have no scores, so nothing can be tuned"
        raise InputError(f"{message}; add score_<class> columns or leave valid out")
    if shared := _shared(valid, test):
        message = f"valid and test share {shared}, and tuning on test flatters its numbers"
        remedy = "tune on others (`audit.exact_duplicates: group` keeps copies in one split)"
        raise InputError(f"{message}; {remedy} or leave valid out")


def _shared(valid: Predictions, test: Predictions) -> str:
    """What both contain, in words; empty for nothing."""
    if _numbered(valid) and _numbered(test):
        same = valid.actual == test.actual and valid.predicted == test.predicted
        equal = same and np.array_equal(_scores(valid), _scores(test))
        return "all their rows" if equal else ""
    known = set(test.ids)
    return next((f"the image {ident!r}" for ident in valid.ids if ident in known), "")


def _numbered(given: Predictions) -> bool:
    return given.ids == tuple(str(number) for number in range(1, len(given.ids) + 1))


def _scores(given: Predictions) -> Floats:
    if given.scores is None:
        raise InputError("a threshold needs scores; add score_<class> columns")
    return given.scores


def _column(given: Predictions, positive: str) -> int:
    if len(given.classes) != 2 or positive not in given.classes:
        found = f"got {positive!r} of {list(given.classes)}"
        raise InputError(f"a threshold needs two classes and evaluate.positive among them, {found}")
    return given.classes.index(positive)


def parse_rule(text: str) -> params.ThresholdRule:
    """The rule that `gmean`, `cost:RATIO` or `recall:SHARE` names. Raises InputError for others."""
    rule, _, number = text.partition(":")
    names = {"cost": "ratio", "recall": "recall"}
    given = {"rule": rule} | ({names.get(rule, "number"): number} if number else {})
    try:
        return params.EvaluateParams.model_validate({"threshold": given}).threshold
    except ValueError:
        rules = "gmean, cost:RATIO (above 0) or recall:SHARE (above 0, at most 1)"
        raise InputError(f"--threshold must be {rules}, got {text!r}") from None


def describe_rule(rule: params.ThresholdRule) -> str:
    """The rule in words."""
    match rule:
        case params.GmeanRule():
            return "best G-mean"
        case params.CostRule():
            return f"a missed positive costing {rule.ratio:g} false alarms"
        case params.RecallRule():
            return f"recall of at least {rule.recall:g}"


# --- the rules --------------------------------------------------------------------------------


def _gmean(gaps: Gaps, _: params.GmeanRule) -> Floats:
    # Its square, times a constant: whole numbers, so that equal G-means are found equal.
    return (gaps.hits * (gaps.negatives - gaps.alarms)).astype(float)


def _cost(gaps: Gaps, rule: params.CostRule) -> Floats:
    return np.asarray(-(rule.ratio * (gaps.positives - gaps.hits) + gaps.alarms))


def _recall(gaps: Gaps, rule: params.RecallRule) -> Floats:
    found = gaps.hits / gaps.positives >= rule.recall
    return np.where(found, np.arange(len(found)), -1).astype(float)


RULES: dict[str, Callable[[Gaps, Any], Floats]] = {
    "gmean": _gmean,
    "cost": _cost,
    "recall": _recall,
}
"""evaluate.threshold.rule -> what each gap is worth, [G]; the most is best."""
