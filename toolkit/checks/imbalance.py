"""BALANCE_CHECKS: how uneven the classes are, and what that allows to be shown."""

import math
from collections.abc import Mapping

from toolkit.checks.base import Check, CheckContext, Said, rounded
from toolkit.checks.findings import Finding
from toolkit.datasets import params
from toolkit.metrics import significance

RECALL = 0.8
"""The recall that a change is measured from."""


def _imbalance(given: CheckContext) -> Said:
    counts = given.manifest.counts()
    if len(counts) < 2 or min(counts.values()) == 0:
        return None, []
    ratio = max(counts.values()) / min(counts.values())
    if ratio <= given.settings.thresholds.imbalance:
        return ratio, []
    message = describe_imbalance(counts, _tested(given))
    action = given.settings.imbalance
    return ratio, [Finding("imbalance", action, message, (), score=rounded(ratio))]


def _tested(given: CheckContext) -> int:
    """Test images of the rarest class: as params say, else the source's own, else a share."""
    counts = given.manifest.counts()
    rare = min(counts, key=lambda name: counts[name])
    split = given.split
    if isinstance(split, params.ByCounts):
        test = split.counts.test
        return test if isinstance(test, int) else test.get(rare, 1)
    share = split.fractions.test if isinstance(split, params.ByFractions) else 0
    return given.manifest.counts("test")[rare] or max(1, round(share * counts[rare]))


def describe_imbalance(counts: Mapping[str, int], tested: int) -> str:
    """In words: the ratio, what the majority guesser scores, what a test split can show."""
    rare, common = (end(counts, key=lambda name: counts[name]) for end in (min, max))
    accuracy = counts[common] / sum(counts.values())
    return (
        f"{counts[common] / counts[rare]:.1f} {common} to one {rare}: always saying {common} has "
        f"accuracy {accuracy:.3f} and G-mean 0; with {tested} test images of {rare}, two networks' "
        f"recalls around {RECALL} must lie {smallest(tested):.2f} apart to be told apart four "
        f"times in five"
    )


def smallest(images: int, recall: float = RECALL) -> float:
    """The difference of two recalls, each on so many images, that is found with power 0.8.

    Normal approximation for independent mistakes; 1 at most.
    """
    reach = significance.t_quantile(significance.TAILS[1]) + significance.t_quantile(
        significance.POWER
    )
    return min(1.0, reach * math.sqrt(2 * recall * (1 - recall) / images))


BALANCE_CHECKS: dict[str, Check] = {
    "imbalance": Check(_imbalance, "over {} images of the largest class to one of the smallest"),
}
