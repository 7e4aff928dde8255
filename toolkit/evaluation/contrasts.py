"""Runs of one recipe -> each arm's numbers, and each arm against another, with intervals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import stdev

import numpy as np

from toolkit.evaluation.results import RunResult
from toolkit.metrics import bootstrap, confusion, significance
from toolkit.metrics.arrays import Flags, Floats
from toolkit.metrics.confusion import confusion_matrix
from toolkit.metrics.significance import Difference, McNemar

TESTED = "gmean"
"""The metric that a verdict is about."""
COMPARED = (TESTED, "accuracy", "balanced_accuracy")
"""Compared always; with them each class's recall, and `recall` and `roc_auc` of the positive."""
BETTER, WORSE, INCONCLUSIVE = "better", "worse", "inconclusive"


@dataclass(frozen=True)
class ArmEstimate:
    """One arm with one recipe.

    `values` holds a number a seed for each metric, `intervals` the 95 % interval of their mean:
    with two seeds or more it counts test images and training, with one the test images alone.
    """

    recipe: str
    arm: str
    seeds: tuple[int, ...]
    values: Mapping[str, tuple[float, ...]]
    intervals: Mapping[str, tuple[float, float]]

    def mean(self, metric: str) -> float:
        """The mean over the seeds."""
        return math.fsum(self.values[metric]) / len(self.values[metric])

    def spread(self, metric: str) -> float | None:
        """The standard deviation over the seeds; None with one."""
        return stdev(self.values[metric]) if len(self.seeds) > 1 else None


@dataclass(frozen=True)
class Contrast:
    """One arm against another with one recipe, by metric.

    `scope` is "training" where both have two seeds or more: test images and training are counted.
    Else it is "networks": the differences are between these very networks, and count test images
    alone. `trained` says whether the networks are training runs of ours or just predictions.
    `p_holm` is the tested metric's p, corrected for all contrasts of the comparison.
    """

    recipe: str
    arm: str
    against: str
    scope: str
    trained: bool
    seeds: tuple[int, int]
    differences: Mapping[str, Difference]
    mcnemar: tuple[McNemar, ...]
    p_holm: float

    @property
    def tested(self) -> Difference:
        """The difference that the verdict is about."""
        return self.differences[TESTED]

    @property
    def detectable(self) -> float:
        """How large the tested difference had to be to be found four times in five."""
        return self.tested.detectable

    @property
    def verdict(self) -> str:
        """Better, worse or inconclusive, at 5 % false alarms for the whole comparison.

        One training run of an arm says nothing about another run of it: then it is inconclusive.
        """
        untold = self.trained and self.scope == "networks"
        if untold or self.p_holm >= 1 - significance.CONFIDENCE or self.tested.value == 0:
            return INCONCLUSIVE
        return BETTER if self.tested.value > 0 else WORSE


@dataclass(frozen=True)
class MetricEstimate:
    """One metric of M runs: values [M], their covariance [M, M] over draws of test images.

    `images` is the number of the rarest class; `drawn` [M, R] are the draws, None where the
    covariance is known without.
    """

    values: Floats
    covariance: Floats
    images: int
    drawn: Floats | None = None


def estimate_metrics(
    results: Sequence[RunResult], positive: str | None, resamples: int, seed: int
) -> dict[str, MetricEstimate]:
    """The compared metrics of runs that have the same test images, in the same order.

    Raises InputError that names a class without images: there is no G-mean then.
    """
    first = results[0].predictions
    classes, actual = first.classes, first.actual_index
    predicted = np.stack([result.predictions.predicted_index for result in results])
    rng = np.random.default_rng(seed)
    drawn = bootstrap.paired_matrices(rng, actual, predicted, len(classes), resamples)
    matrices = np.stack([confusion_matrix(actual, row, len(classes)) for row in predicted])
    points, numbers = (_compared(of, classes, positive) for of in (matrices, drawn))
    images = int(min(np.bincount(actual)))
    found = {
        name: MetricEstimate(points[name], _covariance(of, images), images, of)
        for name, of in numbers.items()
    }
    scores = [result.predictions.scores for result in results]
    if positive and all(of_run is not None for of_run in scores):
        found |= _area(actual == classes.index(positive), scores, classes.index(positive))
    return found


def _compared(
    matrices: confusion.Matrices, classes: Sequence[str], positive: str | None
) -> dict[str, Floats]:
    """The compared metrics of matrices [..., K, K], each [...]."""
    recalls = np.moveaxis(confusion.recall(matrices, classes), -1, 0)
    named = {f"recall_{name}": of for name, of in zip(classes, recalls, strict=True)}
    own = {"recall": named[f"recall_{positive}"]} if positive else {}
    return {name: confusion.METRICS[name](matrices) for name in COMPARED} | own | named


def _covariance(drawn: Floats, images: int) -> Floats:
    """Of draws [M, R]; undone is that the bootstrap of n images divides by n + 2, not by n - 1."""
    return np.atleast_2d(np.cov(drawn)) * ((images + 2) / max(1, images - 1))


def _area(inside: Flags, scores: Sequence[Floats | None], k: int) -> dict[str, MetricEstimate]:
    images = int(min(inside.sum(), (~inside).sum()))
    if images < 2:
        return {}
    columns = np.stack([of_run[:, k] for of_run in scores if of_run is not None])
    return {"roc_auc": MetricEstimate(*significance.delong_covariance(inside, columns), images)}


def estimate_arm(
    results: Sequence[RunResult], chosen: Sequence[int], measured: Mapping[str, MetricEstimate]
) -> ArmEstimate:
    """What the runs at the positions `chosen`, all of one arm, reached together."""
    first = results[chosen[0]]
    seeds = tuple(results[i].seed for i in chosen)
    values = {name: tuple(m.values[chosen].tolist()) for name, m in measured.items()}
    intervals = {name: _interval(m, chosen) for name, m in measured.items()}
    return ArmEstimate(first.recipe, first.arm, seeds, values, intervals)


def _interval(measured: MetricEstimate, chosen: Sequence[int]) -> tuple[float, float]:
    values, covariance = measured.values[chosen], measured.covariance[np.ix_(chosen, chosen)]
    if len(chosen) > 1:
        low, high = significance.mean_interval(values, covariance, measured.images)
    elif measured.drawn is not None:
        low, high = np.quantile(measured.drawn[chosen[0]], significance.TAILS)
        low, high = min(low, values[0]), max(high, values[0])
    else:
        reach = significance.t_quantile(significance.TAILS[1]) * math.sqrt(covariance[0, 0])
        low, high = values[0] - reach, values[0] + reach
    return max(0.0, float(low)), min(1.0, float(high))


def contrast_arms(
    results: Sequence[RunResult],
    arm: Sequence[int],
    other: Sequence[int],
    measured: Mapping[str, MetricEstimate],
) -> Contrast:
    """The runs at the positions `arm` against those at `other`, before Holm's correction."""
    both = [*arm, *other]
    differences = {
        name: significance.difference(
            m.values[list(arm)], m.values[list(other)], m.covariance[np.ix_(both, both)], m.images
        )
        for name, m in measured.items()
    }
    first, second = results[arm[0]], results[other[0]]
    return Contrast(
        recipe=first.recipe,
        arm=first.arm,
        against=second.arm,
        scope="training" if min(len(arm), len(other)) > 1 else "networks",
        trained=any(results[i].history is not None for i in both),
        seeds=(len(arm), len(other)),
        differences=differences,
        mcnemar=_mcnemar([results[i] for i in arm], [results[i] for i in other]),
        p_holm=differences[TESTED].p,
    )


def _mcnemar(arm: Sequence[RunResult], other: Sequence[RunResult]) -> tuple[McNemar, ...]:
    """One test for each pair of runs with the same seed."""
    others = {result.seed: result for result in other}
    pairs = [(result, others[result.seed]) for result in arm if result.seed in others]
    return tuple(significance.mcnemar(_right(a), _right(b)) for a, b in pairs)


def _right(result: RunResult) -> Flags:
    found = result.predictions
    return np.asarray(found.actual_index == found.predicted_index)


def apply_holm(contrasts: Sequence[Contrast]) -> tuple[Contrast, ...]:
    """The same with Holm's correction over all of them."""
    ps = significance.holm([c.differences[TESTED].p for c in contrasts])
    return tuple(replace(c, p_holm=p) for c, p in zip(contrasts, ps, strict=True))
