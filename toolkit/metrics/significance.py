"""Tests and confidence intervals of differences between networks and between arms.

Two sources of variance are told apart: which images the test split happens to hold, and which
random numbers a training run happens to draw. The analysis is that of multi-reader multi-case
studies in radiology (Obuchowski and Rockette, 1995; Hillis, 2007 and 2014), with training runs as
the readers: each arm has its own, and all see the same images.

Distributions come from scipy.special: importing scipy.stats takes 0.5 s, as long as all else that
`toolkit compare` does.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from toolkit.metrics.arrays import Flags, Floats, Labels

CONFIDENCE = 0.95
"""Confidence level of every interval. A verdict asks for p below 1 - CONFIDENCE."""
TAILS = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
POWER = 0.8
"""Probability that a detectable difference is found."""
MOST_RUNS, MOST_IMAGES = 50, 100.0
"""Runs of each arm, and times the test images, up to which it is searched what would settle."""

StandardError = tuple[float, float]
"""A standard error and its degrees of freedom."""
NO_ERROR: StandardError = (0.0, math.inf)


@dataclass(frozen=True)
class VarianceParts:
    """Where the variance of the difference between two arms' means comes from.

    `runs` are those of each arm and `training` the variance of one run of each due to training,
    None where it is about these very networks. `shared` is the variance that the test images give
    the difference between the arms themselves, `own` what they add for one run of each arm.
    `images` is how many images these are estimated from. `folds` is how many networks each of
    cross-fitted runs has, 0 of others: there `training` holds half of each run's own variance.
    """

    runs: tuple[int, int]
    training: tuple[float, float] | None
    shared: float
    own: tuple[float, float]
    images: float
    folds: int = 0

    def error(self, runs: tuple[int, int] | None = None, times: float = 1.0) -> StandardError:
        """Return the standard error with these or other runs, and `times` as many test images.

        Where few runs happen to agree, that of these very networks may be larger, and is taken.
        """
        counts, freedom = runs or self.runs, max(1, self.images * times - 1)
        alone = self.shared + sum(part / n for part, n in zip(self.own, counts, strict=True))
        networks = _combined([(max(0.0, alone) / times, freedom)])
        if self.training is None:
            return networks
        shared = (max(0.0, self.shared) / times, freedom)
        training = [part / n for part, n in zip(self.training, counts, strict=True)]
        if self.folds:
            less = sum(
                min(part, own) * (1 - 1 / times) / n
                for part, own, n in zip(self.training, self.own, counts, strict=True)
            )
            parts = [(sum(training) - less, min(counts) * self.folds - 1.0)]
        else:
            parts = list(zip(training, self._freedoms(self.training, counts, times), strict=True))
        return max(_by_squares([*parts, shared]), networks, key=reach)

    def _freedoms(
        self, training: tuple[float, float], counts: tuple[int, int], times: float
    ) -> list[float]:
        """Return the degrees of freedom of each arm's training: its own, or half way to Welch's.

        Its own are never too many (Banerjee, 1961), but too few where both arms vary alike. Welch's
        are too many where a few runs happen to agree: a run is taken to vary at least as much as
        test images make it, and arms with unequal numbers of runs keep their own.
        """
        own = [n - 1 for n in counts]
        if own[0] != own[1]:
            return [float(freedom) for freedom in own]
        varied = zip(training, self.own, counts, strict=True)
        welch = _combined([(max(one, of / times) / n, n - 1) for one, of, n in varied])[1]
        return [(freedom + min(welch, sum(own))) / 2 for freedom in own]


@dataclass(frozen=True)
class Difference:
    """The means of two arms, and the first minus the second with its 95% confidence interval.

    `p` is two-sided; `parts` are those of the variance of the difference.
    """

    arm: float
    other: float
    low: float
    high: float
    p: float
    parts: VarianceParts

    @property
    def value(self) -> float:
        """The difference."""
        return self.arm - self.other

    def at_level(self, level: float) -> "Difference":
        """Return the same with the interval of the two-sided test at this level."""
        error, freedom = self.parts.error()
        reach = t_quantile(1 - level / 2, freedom) * error
        low, high = max(-1.0, self.value - reach), min(1.0, self.value + reach)
        return replace(self, low=low, high=high)

    def detectable(
        self, tests: float = 1, runs: tuple[int, int] | None = None, times: float = 1.0
    ) -> float:
        """Return the size of a true difference that would be found with the probability POWER.

        In the least favorable case of Holm's correction for that many tests; with other numbers of
        runs and `times` as many test images, if they are given. Infinite if metrics from 0 to 1
        cannot differ so much; NaN if an arm's mean is 0 or 1, where its variance says nothing about
        other values.
        """
        if {self.arm, self.other} & {0.0, 1.0}:
            return math.nan
        size = detectable_difference(self.parts.error(runs, times), tests)
        return size if size <= max(self.other, 1 - self.other) else math.inf

    def runs_needed(self, size: float, tests: float = 1) -> int | None:
        """Return the fewest runs of each arm that make a difference of that size detectable.

        None if these are enough already, if even MOST_RUNS are not, and without runs to vary.
        """
        if self.parts.training is None or not self.detectable(tests) > size:
            return None
        counts = range(max(self.parts.runs) + 1, MOST_RUNS + 1)
        return next((n for n in counts if self.detectable(tests, (n, n)) <= size), None)

    def images_needed(
        self, size: float, tests: float = 1, runs: tuple[int, int] | None = None
    ) -> float | None:
        """Return how many times the test images make a difference of that size detectable.

        None if these are enough already, and if even MOST_IMAGES times as many are not.
        """
        if (
            not self.detectable(tests, runs) > size
            or self.detectable(tests, runs, MOST_IMAGES) > size
        ):
            return None
        low, high = 1.0, MOST_IMAGES
        while high / low > 1.001:
            middle = math.sqrt(low * high)
            enough = self.detectable(tests, runs, middle) <= size
            low, high = (low, middle) if enough else (middle, high)
        return high


def detectable_difference(error: StandardError, tests: float = 1) -> float:
    """Return the size of a true difference that such an error finds with the probability POWER."""
    reach = t_quantile(1 - (1 - TAILS[1]) / tests, error[1])
    return (reach + t_quantile(POWER, error[1])) * error[0]


def expected_parts(
    images: Sequence[int], runs: int, *, recall: float, spread: float, shared: float
) -> VarianceParts:
    """Return what to expect of the variance of a difference in G-mean before any result.

    `images` are those of each class; both arms have this `recall` of every class, and runs that
    vary by the standard deviation `spread`. `shared` is the correlation between two networks of
    what they recognize.
    """
    classes, counts = len(images), np.asarray(images, dtype=np.float64)
    one = float((recall * (1 - recall) / counts).sum()) / classes**2  # the variance of one G-mean
    own = one * (1 - shared) / 2
    training = (spread**2, spread**2) if runs > 1 else None
    return VarianceParts((runs, runs), training, 2 * own, (own, own), effective_images(counts))


def effective_images(counts: Floats | Labels) -> float:
    """Return the size of one sample that knows its variance as well as these [K] know theirs.

    Each class adds a variance in proportion to 1 / n with n - 1 degrees of freedom (Satterthwaite).
    """
    parts = 1 / counts
    freedom = parts.sum() ** 2 / (parts**2 / np.maximum(1, counts - 1)).sum()
    return 1 + float(freedom)


@dataclass(frozen=True)
class McNemar:
    """Images that only one of two networks predicts correctly, and the exact two-sided p-value."""

    only_arm: int
    only_other: int
    p: float


def t_quantile(probability: float, freedom: float = math.inf) -> float:
    """Return a quantile of Student's t distribution; of the normal one for infinite freedom."""
    from scipy.special import ndtri, stdtrit

    return float(ndtri(probability) if math.isinf(freedom) else stdtrit(freedom, probability))


def _p_value(ratio: float, freedom: float) -> float:
    """Return the two-sided p-value of a difference that is `ratio` standard errors."""
    from scipy.special import ndtr, stdtr

    return 2 * float(ndtr(-ratio) if math.isinf(freedom) else stdtr(freedom, -ratio))


def holm(ps: Sequence[float]) -> list[float]:
    """Return p-values adjusted for multiple testing (Holm, 1979), in their order."""
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    adjusted, largest = [1.0] * len(ps), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, ps[i] * (len(ps) - rank)))
        adjusted[i] = largest
    return adjusted


# --- two networks on the same images ----------------------------------------------------------


def mcnemar(arm_correct: Flags, other_correct: Flags) -> McNemar:
    """Return McNemar's exact test (1947) of which images [N] each network predicts correctly.

    The p-value is that of `scipy.stats.binomtest`.
    """
    from scipy.special import betainc

    arm = int((arm_correct & ~other_correct).sum())
    other = int((other_correct & ~arm_correct).sum())
    smaller, larger = sorted((arm, other))
    p = min(1.0, 2 * float(betainc(larger, smaller + 1, 0.5)))  # the binomial distribution
    return McNemar(arm, other, p)


def delong_covariance(positive: Flags, scores: Floats) -> tuple[Floats, Floats]:
    """Return the ROC AUCs [M] of M networks on the same N images and their covariance [M, M].

    `positive` [N] marks the images of the class, `scores` [M, N] are each network's scores of it;
    ties count half (DeLong, DeLong and Clarke-Pearson, 1988). Raises ValueError for fewer than two
    positive or two negative images.
    """
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if min(positives, negatives) < 2:
        raise ValueError(f"expected two images of each kind, got {positives} and {negatives}")
    pairs = [_components(row[positive], row[~positive]) for row in scores]
    inside, outside = (np.stack(parts) for parts in zip(*pairs, strict=True))
    covariance = np.cov(inside) / positives + np.cov(outside) / negatives
    return inside.mean(axis=1), np.atleast_2d(covariance)


def area_covariance(positive: Flags, scores: Floats) -> tuple[Floats, Floats]:
    """Return what `delong_covariance` does, with more variance for each network alone.

    As if a quarter of an image of the rarer kind were ranked by chance: networks that rank all
    images alike may still rank others differently.
    """
    areas, covariance = delong_covariance(positive, scores)
    rarest = min(int(positive.sum()), int((~positive).sum()))
    return areas, covariance + np.eye(len(areas)) * (0.25 / (rarest + 1)) ** 2


def _components(inside: Floats, outside: Floats) -> tuple[Floats, Floats]:
    """Return for each image the fraction of the other kind that it is ranked correctly against."""
    return _fraction_below(inside, outside), 1 - _fraction_below(outside, inside)


def _fraction_below(scores: Floats, others: Floats) -> Floats:
    ranked = np.sort(others)
    below = np.searchsorted(ranked, scores, "left") + np.searchsorted(ranked, scores, "right")
    return np.asarray(below / (2 * len(others)))


# --- two arms, each trained several times -----------------------------------------------------


def difference(arm: Floats, other: Floats, covariance: Floats, images: float) -> Difference:
    """Return the mean of `arm` [A] minus that of `other` [B], one metric from 0 to 1 of each run.

    `covariance` [A + B, A + B] is that of the runs' metrics over samples of test images, estimated
    from `images`; it is positive definite. With two runs or more on both sides the interval
    accounts for test images and training; otherwise it is about these very networks and accounts
    for the test images alone. Where few runs happen to agree, the wider of the two is taken: what
    is uncertain about these networks is uncertain about their arms.
    """
    return _with_parts(arm, other, _parts(arm, other, covariance, images))


def networks_difference(
    arm: Floats, other: Floats, covariance: Floats, images: float
) -> Difference:
    """Return `difference` for these very networks: it accounts for the test images alone."""
    parts = replace(_parts(arm, other, covariance, images), training=None)
    return _with_parts(arm, other, parts)


def cross_fitted_difference(
    arm: Floats, other: Floats, covariance: Floats, images: float, cells: tuple[float, int]
) -> Difference:
    """Return `difference` for cross-fitted runs whose networks vary by chance.

    `cells` are the variance of the difference between the networks of one fold, as jackknife
    pseudo-values have it, and the number of folds. Networks of different folds have neither chance
    nor images in common, so that it holds both; what divisions share, since they test the same
    images, is added, as where observations lie in clusters of two kinds (Cameron, Gelbach and
    Miller, 2011). The interval is never narrower than that of these very networks.
    """
    parts = _parts(arm, other, covariance, images)
    variance, folds = cells
    half = max(0.0, variance / folds - max(0.0, parts.shared)) / 2
    return _with_parts(arm, other, replace(parts, training=(half, half), folds=folds))


def _with_parts(arm: Floats, other: Floats, parts: VarianceParts) -> Difference:
    means, error = (_mean(arm), _mean(other)), parts.error()
    value, half = means[0] - means[1], reach(error)
    low, high = max(-1.0, value - half), min(1.0, value + half)
    p = _p_value(abs(value) / error[0], error[1]) if error[0] else float(value == 0)
    return Difference(*means, low, high, p, parts)


def _parts(arm: Floats, other: Floats, covariance: Floats, images: float) -> VarianceParts:
    a = len(arm)
    blocks = covariance[:a, :a], covariance[a:, a:]
    between = [_between(block) for block in blocks]
    own = tuple(float(np.trace(of)) / len(of) - c for of, c in zip(blocks, between, strict=True))
    trained = min(a, len(other)) > 1
    return VarianceParts(
        runs=(a, len(other)),
        training=(float(arm.var(ddof=1)), float(other.var(ddof=1))) if trained else None,
        shared=sum(between) - 2 * float(covariance[:a, a:].mean()),
        own=(own[0], own[1]),
        images=images,
    )


def _spread_error(values: Floats) -> StandardError:
    """Return the standard error of the mean of runs that training made differ; none for one."""
    runs = len(values)
    if runs == 1:
        return NO_ERROR
    return math.sqrt(float((values - values[0]).var(ddof=1)) / runs), runs - 1


def mean_interval(
    values: Floats, ends: Floats, covariance: Floats, training: StandardError | None = None
) -> tuple[float, float]:
    """Return the 95% confidence interval of the mean of one metric of several runs, `values` [A].

    `ends` [A, 2] are each network's own interval, which accounts for the test images, and
    `covariance` [A, A] that of the networks' metrics over samples of them. What `training` adds is
    combined with it by its square (MOVER: Zou and Donner, 2008), so that the interval of one run,
    or of equal ones without training to vary, is that of its evaluation. Unless that is given, it
    is seen between the runs.
    """
    mean, alone = _mean(values), float(np.sqrt(np.diagonal(covariance)).mean())
    shared = math.sqrt(max(0.0, float(covariance.mean()))) / alone if alone else 1.0
    added = reach(training or _spread_error(values))
    below, above = np.abs(ends - values[:, None]).mean(axis=0)
    return mean - math.hypot(shared * below, added), mean + math.hypot(shared * above, added)


def reach(error: StandardError) -> float:
    """Return half the width of the confidence interval."""
    return t_quantile(TAILS[1], error[1]) * error[0]


def _mean(values: Floats) -> float:
    """Return the mean, which of equal values is that value."""
    return float(values[0] + (values - values[0]).mean())


def _between(covariance: Floats) -> float:
    """Return the mean covariance of two different runs of one arm [A, A]; of one, its variance."""
    runs = len(covariance)
    if runs == 1:
        return float(covariance[0, 0])
    return float(covariance.sum() - np.trace(covariance)) / (runs * (runs - 1))


def _by_squares(parts: Sequence[tuple[float, float]]) -> StandardError:
    """Add variances with their degrees of freedom by the squares of their intervals' reaches.

    As MOVER does (Zou and Donner, 2008). Satterthwaite's approximation is wrong by too much where a
    variance with one or two degrees of freedom happens to be small.
    """
    from scipy.special import stdtridf

    error = math.sqrt(sum(part for part, _ in parts))
    if not error:
        return 0.0, math.inf
    ratio = math.hypot(*(reach((math.sqrt(part), freedom)) for part, freedom in parts)) / error
    return error, float(stdtridf(TAILS[1], ratio)) if ratio > t_quantile(TAILS[1]) else math.inf


def _combined(parts: Sequence[tuple[float, float]]) -> StandardError:
    """Add variances with their degrees of freedom (Satterthwaite, 1946)."""
    variance = sum(part for part, _ in parts)
    spread = sum(part**2 / freedom for part, freedom in parts if part)
    return math.sqrt(variance), variance**2 / spread if spread else math.inf
