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
from dataclasses import dataclass

import numpy as np

from toolkit.metrics.arrays import Flags, Floats

CONFIDENCE = 0.95
"""Confidence level of every interval. A verdict asks for p below 1 - CONFIDENCE."""
TAILS = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
POWER = 0.8
"""Probability that a detectable difference is found."""

StandardError = tuple[float, float]
"""A standard error and its degrees of freedom."""


@dataclass(frozen=True)
class Difference:
    """The means of two arms, and the first minus the second with its 95% confidence interval.

    `p` is two-sided; `error` is the standard error of the difference, with its degrees of freedom.
    """

    arm: float
    other: float
    low: float
    high: float
    p: float
    error: StandardError

    @property
    def value(self) -> float:
        """The difference."""
        return self.arm - self.other

    def detectable(self, tests: int) -> float:
        """Return the size of a true difference that would be found with the probability POWER.

        In the least favorable case of Holm's correction for that many tests. Infinite if metrics
        from 0 to 1 cannot differ so much; NaN if an arm's mean is 0 or 1, where its variance says
        nothing about other values.
        """
        if {self.arm, self.other} & {0.0, 1.0}:
            return math.nan
        error, freedom = self.error
        reach = t_quantile(1 - (1 - TAILS[1]) / tests, freedom)
        size = (reach + t_quantile(POWER, freedom)) * error
        return size if size <= max(self.other, 1 - self.other) else math.inf


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
    return _with_error(arm, other, _difference_error(arm, other, covariance, images))


def mean_interval(values: Floats, covariance: Floats, images: float) -> tuple[float, float]:
    """Return the 95% confidence interval of the mean of `values` [A], at least two runs.

    It accounts for test images and training, and is never narrower than that of these very
    networks, which accounts for the test images alone.
    """
    between = (max(0.0, _between(covariance)), max(1, images - 1))
    both = _combined([_training(values), between])
    weights = np.full(len(values), 1 / len(values))
    reach = max(map(_reach, (both, _images_alone(weights, covariance, images))))
    mean = _mean(values)
    return mean - reach, mean + reach


def networks_difference(
    arm: Floats, other: Floats, covariance: Floats, images: float
) -> Difference:
    """Return `difference` for these very networks: it accounts for the test images alone."""
    return _with_error(arm, other, _contrast_alone(arm, other, covariance, images))


def _with_error(arm: Floats, other: Floats, error: StandardError) -> Difference:
    means = _mean(arm), _mean(other)
    value, reach = means[0] - means[1], _reach(error)
    low, high = max(-1.0, value - reach), min(1.0, value + reach)
    p = _p_value(abs(value) / error[0], error[1]) if error[0] else float(value == 0)
    return Difference(*means, low, high, p, error)


def _difference_error(
    arm: Floats, other: Floats, covariance: Floats, images: float
) -> StandardError:
    a, b = len(arm), len(other)
    alone = _contrast_alone(arm, other, covariance, images)
    if min(a, b) < 2:
        return alone
    shared = _between(covariance[:a, :a]) + _between(covariance[a:, a:])
    shared -= 2 * float(covariance[:a, a:].mean())
    images_part = (max(0.0, shared), max(1, images - 1))
    # Not Welch's degrees of freedom: with few runs of unequal luck they are too many by chance.
    training = _training(arm)[0] + _training(other)[0], min(a, b) - 1
    return max(_combined([training, images_part]), alone, key=_reach)


def _contrast_alone(arm: Floats, other: Floats, covariance: Floats, images: float) -> StandardError:
    """Return the standard error of the difference between these networks' means."""
    a, b = len(arm), len(other)
    weights = np.concatenate([np.full(a, 1 / a), np.full(b, -1 / b)])
    return _images_alone(weights, covariance, images)


def _images_alone(weights: Floats, covariance: Floats, images: float) -> StandardError:
    """Return the standard error of a weighted sum of these networks' metrics."""
    variance = max(0.0, float(weights @ covariance @ weights))
    return _combined([(variance, max(1, images - 1))])


def _reach(error: StandardError) -> float:
    """Return half the width of the confidence interval."""
    return t_quantile(TAILS[1], error[1]) * error[0]


def _mean(values: Floats) -> float:
    """Return the mean, which of equal values is that value."""
    return float(values[0] + (values - values[0]).mean())


def _training(values: Floats) -> tuple[float, float]:
    """Return the variance of the mean due to training, and its degrees of freedom."""
    return float(values.var(ddof=1)) / len(values), len(values) - 1


def _between(covariance: Floats) -> float:
    """Return the mean covariance of two different runs of one arm [A, A]."""
    runs = len(covariance)
    return float(covariance.sum() - np.trace(covariance)) / (runs * (runs - 1))


def _combined(parts: Sequence[tuple[float, float]]) -> StandardError:
    """Add variances with their degrees of freedom (Satterthwaite, 1946)."""
    variance = sum(part for part, _ in parts)
    spread = sum(part**2 / freedom for part, freedom in parts if part)
    return math.sqrt(variance), variance**2 / spread if spread else math.inf
