"""Estimates of the arms of one recipe, and contrasts between them, with confidence intervals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import stdev

import numpy as np

from toolkit.evaluation.results import RunResult
from toolkit.metrics import bootstrap, confusion, intervals, significance
from toolkit.metrics.arrays import Flags, Floats, Labels
from toolkit.metrics.confusion import confusion_matrix
from toolkit.metrics.significance import Difference, McNemar

TESTED = "gmean"
"""The metric that a verdict is about."""
COMPARED = (TESTED, "accuracy", "balanced_accuracy")
"""Always compared; and each class's recall, and `recall` and `roc_auc` of the positive class."""
BETTER, WORSE, INCONCLUSIVE = "better", "worse", "inconclusive"


@dataclass(frozen=True)
class ArmEstimate:
    """One arm with one recipe.

    `values` has one number per seed for each metric, `intervals` the 95% confidence interval of
    their mean: with two seeds or more it accounts for test images and training, with one for the
    test images alone.
    """

    recipe: str
    arm: str
    seeds: tuple[int, ...]
    values: Mapping[str, tuple[float, ...]]
    intervals: Mapping[str, tuple[float, float]]

    def mean(self, metric: str) -> float:
        """Return the mean over the seeds."""
        return math.fsum(self.values[metric]) / len(self.values[metric])

    def std(self, metric: str) -> float | None:
        """Return the standard deviation over the seeds; None for one seed."""
        return stdev(self.values[metric]) if len(self.seeds) > 1 else None


@dataclass(frozen=True)
class Contrast:
    """One arm against another with one recipe, by metric.

    `scope` is "training" if both have two seeds or more: the differences account for test images
    and training. Otherwise it is "networks": they are differences between these very networks, and
    account for the test images alone. `trained` says whether the networks are training runs or
    just predictions. `p_holm` is the tested metric's p-value, corrected for all `tests` contrasts
    of the comparison.
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
    tests: int = 1

    @property
    def tested(self) -> Difference:
        """The difference that the verdict is about."""
        return self.differences[TESTED]

    @property
    def detectable(self) -> float:
        """The size of a true difference that would be found four times in five.

        Infinite if none would be, NaN if the G-mean of an arm is 0 or 1.
        """
        return self.tested.detectable(self.tests)

    @property
    def verdict(self) -> str:
        """Better, worse or inconclusive, with a familywise error rate of 5%.

        One training run of an arm says nothing about the next one: then it is inconclusive.
        """
        single = self.trained and self.scope == "networks"
        if single or self.p_holm >= 1 - significance.CONFIDENCE or self.tested.value == 0:
            return INCONCLUSIVE
        return BETTER if self.tested.value > 0 else WORSE


@dataclass(frozen=True)
class MetricEstimate:
    """One metric of M runs: values [M] and their covariance [M, M] over samples of test images.

    `images` is how many images the covariance is estimated from (`_effective_images`). `drawn`
    [M, R] are bootstrap resamples; None if the covariance is known without them.
    """

    values: Floats
    covariance: Floats
    images: float
    drawn: Floats | None = None


def estimate_metrics(
    runs: Sequence[RunResult], positive: str | None, resamples: int, seed: int
) -> dict[str, MetricEstimate]:
    """Estimate the compared metrics of runs that have the same test images in the same order.

    Raises InputError that names a class without images: then there is no G-mean.
    """
    first = runs[0].predictions
    classes, actual = first.classes, first.actual_index
    predicted = np.stack([run.predictions.predicted_index for run in runs])
    rng = np.random.default_rng(seed)
    drawn = bootstrap.paired_matrices(rng, actual, predicted, len(classes), resamples)
    matrices = np.stack([confusion_matrix(actual, row, len(classes)) for row in predicted])
    values, resampled = (_compared(of, classes, positive) for of in (matrices, drawn))
    resampled |= {n: bootstrap.recenter(resampled[n], values[n], len(classes)) for n in COMPARED}
    counts = np.bincount(actual)
    images = {f"recall_{label}": float(n) for label, n in zip(classes, counts, strict=True)}
    images |= {"recall": images[f"recall_{positive}"]} if positive else {}
    every = _effective_images(counts)
    estimates = {
        name: _estimate(values[name], of, images.get(name, every)) for name, of in resampled.items()
    }
    scores = [run.predictions.scores for run in runs]
    if positive and all(of_run is not None for of_run in scores):
        estimates |= _area(actual == classes.index(positive), scores, classes.index(positive))
    return estimates


def _compared(
    matrices: confusion.Matrices, classes: Sequence[str], positive: str | None
) -> dict[str, Floats]:
    """Return the compared metrics of matrices [..., K, K], each [...]."""
    recalls = np.moveaxis(confusion.recall(matrices, classes), -1, 0)
    named = {f"recall_{name}": of for name, of in zip(classes, recalls, strict=True)}
    plain = {"recall": named[f"recall_{positive}"]} if positive else {}
    return {name: confusion.METRICS[name](matrices) for name in COMPARED} | plain | named


def _estimate(values: Floats, drawn: Floats, images: float) -> MetricEstimate:
    """Estimate a metric from resamples [M, R].

    The bootstrap of n images divides by n + 2 instead of n - 1, which is undone.
    """
    covariance = np.atleast_2d(np.cov(drawn)) * ((images + 2) / max(1, images - 1))
    return MetricEstimate(values, covariance, images, drawn)


def _effective_images(counts: Labels) -> float:
    """Return the size of one sample that knows its variance as well as these [K] know theirs.

    Each class adds a variance in proportion to 1 / n with n - 1 degrees of freedom (Satterthwaite).
    """
    parts = 1 / counts
    freedom = parts.sum() ** 2 / (parts**2 / np.maximum(1, counts - 1)).sum()
    return 1 + float(freedom)


def _area(inside: Flags, scores: Sequence[Floats | None], k: int) -> dict[str, MetricEstimate]:
    images = int(min(inside.sum(), (~inside).sum()))
    if images < intervals.FEWEST:
        return {}
    columns = np.stack([of_run[:, k] for of_run in scores if of_run is not None])
    return {"roc_auc": MetricEstimate(*significance.area_covariance(inside, columns), images)}


def estimate_arm(
    runs: Sequence[RunResult], chosen: Sequence[int], metrics: Mapping[str, MetricEstimate]
) -> ArmEstimate:
    """Summarize the runs at the positions `chosen`, all of one arm."""
    first = runs[chosen[0]]
    seeds = tuple(runs[i].seed for i in chosen)
    values = {name: tuple(m.values[chosen].tolist()) for name, m in metrics.items()}
    intervals = {name: _interval(m, chosen) for name, m in metrics.items()}
    return ArmEstimate(first.recipe, first.arm, seeds, values, intervals)


def _interval(metric: MetricEstimate, chosen: Sequence[int]) -> tuple[float, float]:
    values, covariance = metric.values[chosen], metric.covariance[np.ix_(chosen, chosen)]
    mean, ends = float(values.mean()), []
    if len(chosen) > 1:
        ends.append(significance.mean_interval(values, covariance, metric.images))
    if metric.drawn is None:  # an area, whose interval is never narrower than that of one network
        ends.append(intervals.area_interval(mean, float(covariance.mean()), round(metric.images)))
    elif len(chosen) == 1:
        low, high = np.quantile(metric.drawn[chosen[0]], significance.TAILS)
        ends.append((float(low), float(high)))
    lows, highs = zip(*ends, strict=True)
    return max(0.0, min(mean, *lows)), min(1.0, max(mean, *highs))


def contrast_arms(
    runs: Sequence[RunResult],
    arm: Sequence[int],
    other: Sequence[int],
    metrics: Mapping[str, MetricEstimate],
) -> Contrast:
    """Compare the runs at the positions `arm` with those at `other`; p is not yet corrected."""
    both = [*arm, *other]
    differences = {
        name: significance.difference(
            m.values[list(arm)], m.values[list(other)], m.covariance[np.ix_(both, both)], m.images
        )
        for name, m in metrics.items()
    }
    first, second = runs[arm[0]], runs[other[0]]
    return Contrast(
        recipe=first.recipe,
        arm=first.arm,
        against=second.arm,
        scope="training" if min(len(arm), len(other)) > 1 else "networks",
        trained=any(runs[i].history is not None for i in both),
        seeds=(len(arm), len(other)),
        differences=differences,
        mcnemar=_mcnemar([runs[i] for i in arm], [runs[i] for i in other]),
        p_holm=differences[TESTED].p,
    )


def _mcnemar(arm: Sequence[RunResult], other: Sequence[RunResult]) -> tuple[McNemar, ...]:
    """Test each pair of runs with the same seed."""
    others = {run.seed: run for run in other}
    pairs = [(run, others[run.seed]) for run in arm if run.seed in others]
    return tuple(significance.mcnemar(_correct(a), _correct(b)) for a, b in pairs)


def _correct(run: RunResult) -> Flags:
    predictions = run.predictions
    return np.asarray(predictions.actual_index == predictions.predicted_index)


def apply_holm(contrasts: Sequence[Contrast]) -> tuple[Contrast, ...]:
    """Return the contrasts with p-values corrected for all of them."""
    ps = significance.holm([c.tested.p for c in contrasts])
    pairs = zip(contrasts, ps, strict=True)
    return tuple(replace(c, p_holm=p, tests=len(contrasts)) for c, p in pairs)
