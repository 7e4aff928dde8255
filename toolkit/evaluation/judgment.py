"""The words of a verdict, and how they are decided, for `compare`, `sweep` and `advise`."""

from collections.abc import Sequence

from toolkit.metrics import significance
from toolkit.metrics.params import MARGIN
from toolkit.metrics.significance import CONFIDENCE, Difference

BETTER, WORSE, EQUAL, UNKNOWN = "better", "worse", "practically equal", "not yet known"
VERDICTS = (BETTER, WORSE, EQUAL, UNKNOWN)


def judge(difference: Difference, p: float, margin: float = MARGIN) -> str:
    """Return better, worse, practically equal or not yet known.

    Practically equal: the whole 95% interval lies within `margin` of 0, which asks for more than
    two one-sided tests at 5%. Two arms that never recognize a class, G-mean 0, say nothing.
    """
    if difference.arm == difference.other == 0:
        return UNKNOWN
    if -margin < difference.low and difference.high < margin:
        return EQUAL
    if p >= 1 - CONFIDENCE or difference.value == 0:
        return UNKNOWN
    return BETTER if difference.value > 0 else WORSE


def correct_exploratory(ps: Sequence[float], primary: int | None) -> list[float]:
    """Return p-values: the primary one as it is, the others Holm-corrected for all of them."""
    others = [number for number in range(len(ps)) if number != primary]
    corrected = list(ps)
    for number, p in zip(others, significance.holm([ps[n] for n in others]), strict=True):
        corrected[number] = p
    return corrected


def threshold_moved(as_predicted: str, ranking: str) -> str:
    """Say what it means if decisions got better and the ranking did not; "" where it did too."""
    if as_predicted != BETTER or ranking == BETTER:
        return ""
    if ranking == UNKNOWN:
        return (
            "the threshold moved, and it is not yet known whether anything was learned; choosing a "
            "threshold costs nothing"
        )
    return "the threshold moved, nothing was learned; choose a threshold instead"
