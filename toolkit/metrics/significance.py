"""Is a difference more than luck? Intervals and tests that numbers alone decide.

Two kinds of luck are told apart: which images the test split happens to hold, and which random
numbers a training run happens to draw. The analysis is that of readers and cases in radiology
(Obuchowski and Rockette, 1995; Hillis, 2007 and 2014), with training runs as the readers: each arm
has its own, and all see the same images.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

LEVEL = 0.95
"""Of every interval. A verdict asks for p below 1 - LEVEL."""
TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
POWER = 0.8


@dataclass(frozen=True)
class Difference:
    """Arm minus the other arm, with its 95 % interval and two-sided p.

    `detectable` is the size that a true difference would need to be found four times in five.
    """

    value: float
    low: float
    high: float
    p: float
    detectable: float


@dataclass(frozen=True)
class McNemar:
    """Two networks on the same images: how many only one of them got right, and the exact p."""

    only_arm: int
    only_other: int
    p: float


def mcnemar(arm_right: npt.NDArray[np.bool_], other_right: npt.NDArray[np.bool_]) -> McNemar:
    """McNemar's exact test (1947) on which images [N] each network got right."""
    from scipy.special import bdtr

    arm = int((arm_right & ~other_right).sum())
    other = int((other_right & ~arm_right).sum())
    p = min(1.0, 2 * float(bdtr(min(arm, other), arm + other, 0.5)))
    return McNemar(arm, other, p)


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's correction (1979): p-values, in their order, that may each be read on its own."""
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    corrected, largest = [1.0] * len(ps), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, ps[i] * (len(ps) - rank)))
        corrected[i] = largest
    return corrected


# --- two arms, each trained several times -----------------------------------------------------


def difference(arm: Floats, other: Floats, covariance: Floats, images: int) -> Difference:
    """The mean of `arm` [A] minus that of `other` [B], one number from 0 to 1 a training run.

    `covariance` [A + B, A + B] is how the runs' numbers vary together from one draw of test images
    to the next, known from `images`, the number of the rarest class. With two runs or more on both
    sides the interval counts images and training; else it is about these very networks, and counts
    the images alone. What cannot be told of these networks is never told of their arms: where few
    runs happen to agree, the wider of the two intervals is taken.
    """
    error, freedom = _error(arm, other, covariance, images)
    value = float(arm.mean() - other.mean())
    if error == 0:
        return Difference(value, value, value, 1.0 if value == 0 else 0.0, 0.0)
    reach, power = t_quantile(TAILS[1], freedom), t_quantile(POWER, freedom)
    p = 2 * _tail(abs(value) / error, freedom)
    low, high = max(-1.0, value - reach * error), min(1.0, value + reach * error)
    return Difference(value, low, high, p, (reach + power) * error)


def mean_interval(values: Floats, covariance: Floats, images: int) -> tuple[float, float]:
    """The 95 % interval of the mean of `values` [A], A at least 2, counting images and training.

    Never narrower than that of these very networks, which counts the images alone.
    """
    between = (max(0.0, _between(covariance)), max(1, images - 1))
    both = _sum([_training(values), between])
    weights = np.full(len(values), 1 / len(values))
    reach = max(map(_reach, (both, _images_alone(weights, covariance, images))))
    middle = float(values.mean())
    return middle - reach, middle + reach


Error = tuple[float, float]
"""A standard error, and its degrees of freedom."""


def _error(arm: Floats, other: Floats, covariance: Floats, images: int) -> Error:
    """That of the difference of the means."""
    a, b = len(arm), len(other)
    weights = np.concatenate([np.full(a, 1 / a), np.full(b, -1 / b)])
    alone = _images_alone(weights, covariance, images)
    if min(a, b) < 2:
        return alone
    shared = _between(covariance[:a, :a]) + _between(covariance[a:, a:])
    shared -= 2 * float(covariance[:a, a:].mean())
    both = _sum([_training(arm), _training(other), (max(0.0, shared), max(1, images - 1))])
    return max(both, alone, key=_reach)


def _images_alone(weights: Floats, covariance: Floats, images: int) -> Error:
    """That of a weighted sum of these networks' numbers."""
    return _sum([(max(0.0, float(weights @ covariance @ weights)), max(1, images - 1))])


def _reach(error: Error) -> float:
    """Half of the interval's width."""
    return t_quantile(TAILS[1], error[1]) * error[0]


def _training(values: Floats) -> tuple[float, float]:
    """The variance that training leaves in the mean, and its degrees of freedom."""
    return float(values.var(ddof=1)) / len(values), len(values) - 1


def _between(covariance: Floats) -> float:
    """The mean covariance of two different runs of one arm [A, A]."""
    runs = len(covariance)
    return float(covariance.sum() - np.trace(covariance)) / (runs * (runs - 1))


def _sum(parts: Sequence[tuple[float, float]]) -> Error:
    """Root of a sum of variances, and its degrees of freedom from theirs (Satterthwaite, 1946)."""
    variance = sum(part for part, _ in parts)
    spread = sum(part**2 / freedom for part, freedom in parts if part)
    return math.sqrt(variance), variance**2 / spread if spread else math.inf


def t_quantile(share: float, freedom: float = math.inf) -> float:
    """Quantile of Student's t; of the normal distribution with infinite degrees of freedom."""
    from scipy.special import ndtri, stdtrit

    return float(ndtri(share) if math.isinf(freedom) else stdtrit(freedom, share))


def _tail(ratio: float, freedom: float) -> float:
    from scipy.special import ndtr, stdtr

    return float(ndtr(-ratio) if math.isinf(freedom) else stdtr(freedom, -ratio))


def delong_covariance(positive: Flags, scores: Floats) -> tuple[Floats, Floats]:
    """The AUCs [M] of M networks on the same N images, and their covariance [M, M].

    `positive` [N] says which images are of the class, `scores` [M, N] how sure each network is;
    equal scores count half. Raises ValueError for fewer than two images of either kind.
    """
    found, rest = int(positive.sum()), int((~positive).sum())
    if min(found, rest) < 2:
        raise ValueError(f"expected two images of either kind at least, got {found} and {rest}")
    pairs = [_components(row[positive], row[~positive]) for row in scores]
    inside, outside = (np.stack(parts) for parts in zip(*pairs, strict=True))
    covariance = np.cov(inside) / found + np.cov(outside) / rest
    return inside.mean(axis=1), np.atleast_2d(covariance)


def _components(inside: Floats, outside: Floats) -> tuple[Floats, Floats]:
    """For each image the share of the other kind that stands on its right side."""
    return _share_below(inside, outside), 1 - _share_below(outside, inside)


def _share_below(scores: Floats, others: Floats) -> Floats:
    ranked = np.sort(others)
    below = np.searchsorted(ranked, scores, "left") + np.searchsorted(ranked, scores, "right")
    return np.asarray(below / (2 * len(others)))
