"""Looking at one contrast several times while results come in, with 5% false alarms in all.

Each look spends a part of the 5%, in proportion to the information that is there, and what was
spent is not spent again (Lan and DeMets, "Discrete sequential boundaries for clinical trials",
1983, with the function of Kim and DeMets, 1987). The looks are planned before any result. Intervals
are wider likewise: they hold at all looks together (Jennison and Turnbull, "Interim analyses: the
repeated confidence interval approach", 1989).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.errors import InputError
from toolkit.metrics.arrays import Floats
from toolkit.metrics.significance import CONFIDENCE, Difference

ALPHA = 1 - CONFIDENCE
LOOKS = 5
"""The most looks that are planned."""
SAME = 1e-3
"""Shares of the information that differ by less are one look: nothing new is known."""
POINTS, FEWEST_POINTS = 8, 201
"""Points of the numerical integration: for each standard deviation of a step, and in all."""


@dataclass(frozen=True)
class Look:
    """One of several looks: the `number`, from 1, of those `planned`, at a two-sided `level`."""

    number: int
    planned: int
    level: float

    @property
    def tests(self) -> float:
        """By what a p-value is multiplied, and 5% are divided."""
        return ALPHA / self.level

    def widen(self, difference: Difference) -> Difference:
        """Return the difference with the interval that holds at all looks together."""
        return difference.at_level(self.level) if self.planned > 1 else difference


ONCE = Look(1, 1, ALPHA)
"""The only look."""


def plan_looks(first: int, most: int) -> tuple[int, ...]:
    """Return the numbers of runs to look at: `first`, twice as many, and so on, and then `most`.

    Without runs to add there is one look.
    """
    doubled = (first * 2**number for number in range(LOOKS - 1))
    return (
        *(runs for runs in doubled if 1.5 * runs <= most or runs == first < most),
        max(first, most),
    )


def look_at(runs: int, looks: Sequence[int], shares: Sequence[float] = ()) -> Look:
    """Return the look with so many runs, one of `looks`; without looks it is the only one.

    `shares` of the information at each look are those of the runs, unless they are given. Raises
    InputError for a number of runs that is none of them.
    """
    if not looks:
        return ONCE
    if runs not in looks:
        planned = f"{', '.join(map(str, looks[:-1]))} and {looks[-1]}"
        raise InputError(
            f"looks are planned with {planned} runs of each arm (compare.looks), and there are "
            f"{runs}; train as many as one of these, or plan no looks"
        )
    number = list(looks).index(runs) + 1
    levels = look_levels(shares or [count / looks[-1] for count in looks])
    return Look(number, len(looks), levels[number - 1])


def look_at_repeats(difference: Difference, repeats: int, looks: Sequence[int]) -> Look:
    """Return `look_at` for divisions into folds of the same images, which share information.

    That of a look is the inverse of the variance with so many. A single division does not show what
    divisions have in common, and is taken for its part of their number.
    """
    if not looks or repeats == 1:
        return look_at(repeats, looks)
    variances = [difference.parts.error((count, count))[0] ** 2 for count in looks]
    shares = [min(1.0, variances[-1] / one) if one else 1.0 for one in variances]
    return look_at(repeats, looks, np.maximum.accumulate(shares).tolist())


def spent(share: float) -> float:
    """Return the part of ALPHA that is spent by a share of the information."""
    return ALPHA * min(1.0, share)


def look_levels(shares: Sequence[float]) -> tuple[float, ...]:
    """Return the level of the two-sided test at each look, with ascending `shares` of information.

    The statistics of two looks correlate by the root of their shares' ratio. Where they correlate
    more, as those of arms with the same test images do, there are fewer false alarms.
    """
    from scipy.special import ndtr, ndtri

    last, levels = shares[0], [spent(shares[0])]
    scale = math.sqrt(last)
    at = _grid(-float(ndtri(levels[0] / 2)) * scale, scale)
    density = _normal(at / scale) / scale * _weights(at)
    for share in shares[1:]:
        if share - last < SAME:
            levels.append(levels[-1])
            continue
        step, part = math.sqrt(share - last), spent(share) - spent(last)

        def outside(bound: float, at: Floats = at, p: Floats = density, by: float = step) -> float:
            return float(p @ (ndtr((at - bound) / by) + ndtr((-at - bound) / by)))

        bound = _solve(outside, part)
        levels.append(2 * float(ndtr(-bound / math.sqrt(share))))
        new = _grid(bound, step)
        density = _normal((new[:, None] - at) / step) / step @ density * _weights(new)
        at, last = new, share
    return tuple(levels)


def _grid(bound: float, step: float) -> Floats:
    """Return points from -bound to bound, close enough for densities of the width `step`."""
    return np.linspace(-bound, bound, max(FEWEST_POINTS, round(2 * POINTS * bound / step)))


def _weights(at: Floats) -> Floats:
    """Return the weights of the trapezoidal rule."""
    weights = np.full(len(at), at[1] - at[0])
    weights[[0, -1]] /= 2
    return weights


def _normal(values: Floats) -> Floats:
    return np.asarray(np.exp(-(values**2) / 2) / math.sqrt(2 * math.pi))


def _solve(falling: Callable[[float], float], value: float) -> float:
    """Return where a falling function has a value, from 0 to 10, by bisection."""
    low, high = 0.0, 10.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > value else (low, middle)
    return high
