"""IMBALANCE_CHECKS: how imbalanced the classes are, and what such a dataset can still show."""

import math
from collections.abc import Mapping

from toolkit.checks.base import Check, CheckContext, CheckResult, round_score
from toolkit.checks.findings import Finding
from toolkit.datasets import params
from toolkit.datasets.split import resolve_split
from toolkit.metrics import significance

RECALL = 0.8
"""The recall around which a detectable difference is stated."""


def _imbalance(context: CheckContext) -> CheckResult:
    counts = context.manifest.counts()
    if len(counts) < 2 or min(counts.values()) == 0:
        return None, []
    ratio = max(counts.values()) / min(counts.values())
    if ratio <= context.settings.thresholds.imbalance:
        return ratio, []
    message = describe_imbalance(counts, _rare_test_images(context))
    action = context.settings.imbalance
    return ratio, [Finding("imbalance", action, message, (), score=round_score(ratio))]


def _rare_test_images(context: CheckContext) -> int:
    """Return the test images of the rarest class: by the settings, or in the source's own split."""
    counts = context.manifest.counts()
    rare = min(counts, key=lambda name: counts[name])
    split = resolve_split(context.split, context.manifest.samples)
    if isinstance(split, params.ByCounts):
        test = split.counts.test
        return test if isinstance(test, int) else test.get(rare, 1)
    if isinstance(split, params.ByFractions):
        fraction = split.fractions.test
        return max(1, round(fraction * counts[rare])) if fraction else 0
    if isinstance(split, params.ByFolds):
        return counts[rare] - context.manifest.counts("test")[rare]
    cut = params.PrepareParams().test_fraction * context.manifest.counts("train")[rare]
    return context.manifest.counts("test")[rare] or max(1, round(cut))


def describe_imbalance(counts: Mapping[str, int], test_images: int) -> str:
    """State the ratio, the scores of a majority classifier, and what the test split can show."""
    rare, common = (end(counts, key=lambda name: counts[name]) for end in (min, max))
    accuracy = counts[common] / sum(counts.values())
    images = f"{test_images} test image{'' if test_images == 1 else 's'}"
    return (
        f"{counts[common] / counts[rare]:.1f} images of {common} per image of {rare}: always "
        f"predicting {common} has accuracy {accuracy:.3f} and G-mean 0; with {images} of {rare}, "
        f"the recalls of two networks around {RECALL} must differ by "
        f"{detectable_recall_difference(test_images):.2f} for the difference to be detected 4 "
        "times in 5"
    )


def detectable_recall_difference(images: int, recall: float = RECALL) -> float:
    """Return the difference of two recalls, each on `images` images, that is found with power 0.8.

    Normal approximation for independent errors; at most 1.
    """
    if not images:
        return 1.0
    reach = significance.t_quantile(significance.TAILS[1]) + significance.t_quantile(
        significance.POWER
    )
    return min(1.0, reach * math.sqrt(2 * recall * (1 - recall) / images))


IMBALANCE_CHECKS: dict[str, Check] = {
    "imbalance": Check(_imbalance, "over {} images of the largest class per image of the smallest"),
}
