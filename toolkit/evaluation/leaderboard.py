"""The leaderboard of a comparison: each arm as a remedy, and how probably it is the best one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from toolkit.evaluation.contrasts import (
    GMEAN,
    RANKING,
    ArmEstimate,
    MetricEstimate,
    cell_error,
)
from toolkit.metrics.arrays import Floats
from toolkit.metrics.decisions import rarest_class
from toolkit.metrics.predictions import Predictions
from toolkit.metrics.significance import NO_ERROR

NOTHING, THRESHOLD, COPIES = "do nothing", "choose a threshold", "plain copies"
"""The baseline as predicted, the baseline at a threshold, and the control."""
PUBLISHED = "the published way"
EFFORT = (NOTHING, THRESHOLD, COPIES)
"""What costs less than any other remedy, the least first."""


@dataclass(frozen=True)
class Standing:
    """What one arm with one recipe does as a remedy, meant over its seeds.

    It decides at chosen thresholds, the baseline also as predicted (`metric`). `found` of `rare`
    test images of the rarest class are recognized, and `alarms` of `others` are taken for it.
    `best` is the probability that its G-mean is the highest of all; `network_mb` the size of the
    network on disk, in megabytes, None where it is not known.
    """

    title: str
    recipe: str
    arm: str
    metric: str
    gmean: float
    low: float
    high: float
    found: float
    rare: int
    alarms: float
    others: int
    best: float = 0.0
    network_mb: float | None = None


Drawn = tuple[Standing, Floats]
"""A standing, and draws [R] of what its mean G-mean may truly be."""


@dataclass(frozen=True)
class RemedyTitles:
    """What arms are called: `baseline` and `control` as remedies, the others by name.

    With those of `published` it is said that they are the published way.
    """

    baseline: str
    control: str | None
    published: Sequence[str] = ()

    def title(self, arm: str, metric: str) -> str:
        """Return the title of an arm as `metric` judges it."""
        if arm == self.baseline:
            return NOTHING if metric == GMEAN else THRESHOLD
        if arm == self.control:
            return COPIES
        return f"{arm}, {PUBLISHED}" if arm in self.published else arm


def arm_standings(
    row: ArmEstimate,
    chosen: Sequence[int],
    metrics: Mapping[str, MetricEstimate],
    decided: Mapping[str, Sequence[Predictions]],
    titles: RemedyTitles,
    rng: np.random.Generator,
) -> list[Drawn]:
    """Return how an arm does at thresholds, the baseline also as predicted.

    `chosen` are the positions of its runs, `decided` the predictions of all runs as each metric
    judges them.
    """
    shown = [
        metric
        for metric in (GMEAN, RANKING)
        if metric == row.metric or (row.arm == titles.baseline and metric in decided)
    ]
    folds = all(decided[GMEAN][n].folds is not None for n in chosen)
    return [
        (
            _stand(titles, row, metric, [decided[metric][n] for n in chosen]),
            _draw_mean(metrics[metric], chosen, rng, folds=folds),
        )
        for metric in shown
    ]


def _stand(
    titles: RemedyTitles, row: ArmEstimate, metric: str, predictions: Sequence[Predictions]
) -> Standing:
    rare = rarest_class(predictions[0])
    column = predictions[0].classes.index(rare)
    inside = predictions[0].actual_index == column
    called = np.mean([of.predicted_index == column for of in predictions], axis=0)
    return Standing(
        titles.title(row.arm, metric),
        row.recipe,
        row.arm,
        metric,
        row.mean(metric),
        *row.intervals[metric],
        found=float(called[inside].sum()),
        rare=int(inside.sum()),
        alarms=float(called[~inside].sum()),
        others=int((~inside).sum()),
    )


def _draw_mean(
    metric: MetricEstimate, chosen: Sequence[int], rng: np.random.Generator, *, folds: bool
) -> Floats:
    """Draw what the mean of these runs' arm may truly be, [R].

    Images vary as in the bootstrap, alike for all arms of a recipe; training by Student's t, as in
    the interval of the mean: with the spread over the seeds, which of a single run is not known and
    left out, or, of cross-fitted runs, with that between the networks of their `folds`.
    """
    if metric.drawn is None:
        raise ValueError("a metric without resamples has no draws")
    rows = list(chosen)
    values, images = metric.values[rows], metric.drawn[rows].mean(axis=0)
    drawn = values.mean() + images - images.mean()
    error, freedom = NO_ERROR
    if folds and metric.cells:
        own = np.sqrt(np.diagonal(metric.covariance)[rows])
        error, freedom = cell_error([metric.cells[row] for row in rows], own)
    elif not folds and len(rows) > 1:
        spread = float((values - values[0]).std(ddof=1))
        error, freedom = spread / np.sqrt(len(rows)), len(rows) - 1
    if error:
        drawn = drawn + error * rng.standard_t(freedom, len(images))
    return np.asarray(np.clip(drawn, 0.0, 1.0))


def rank_standings(standings: Sequence[Drawn]) -> tuple[Standing, ...]:
    """Return the standings, the highest G-mean first, with the probability of being the best.

    Equal draws share the place.
    """
    draws = np.stack([drawn for _, drawn in standings])
    highest = np.isclose(draws, draws.max(axis=0), rtol=0, atol=1e-12)
    shares = (highest / highest.sum(axis=0)).mean(axis=1)
    ranked = [replace(of, best=float(p)) for (of, _), p in zip(standings, shares, strict=True)]
    return tuple(sorted(ranked, key=lambda of: -of.gmean))


def standing_to_take(standings: Sequence[Standing], margin: float) -> Standing | None:
    """Return the least effort whose G-mean is within `margin` of the best; None if all are 0."""
    best = max((of.gmean for of in standings), default=0.0)
    near = [of for of in standings if of.gmean >= best - margin and of.gmean > 0]
    return min(near, key=lambda of: (_effort(of), -of.gmean), default=None)


def _effort(of: Standing) -> int:
    return EFFORT.index(of.title) if of.title in EFFORT else len(EFFORT)


def leaderboard_table(
    standings: Sequence[Standing],
    seconds: Mapping[tuple[str, str], float] | None = None,
    taken: Standing | None = None,
) -> list[list[str]]:
    """Return one row per remedy as text, header first; that `taken` has a star.

    `seconds` are those of training a run, by recipe and arm, as far as they are known.
    """
    sized = any(of.network_mb is not None for of in standings)
    header = ["remedy", "recipe", "G-mean", "found", "false alarms", "best"]
    rows = [
        [*header, *(["MB"] if sized else [])],
        *(_row(of, taken, sized=sized) for of in standings),
    ]
    if not seconds:
        return rows
    times = [seconds.get((of.recipe, of.arm)) for of in standings]
    column = ["s a run", *("" if time is None else f"{time:.1f}" for time in times)]
    return [[*row, cell] for row, cell in zip(rows, column, strict=True)]


def _row(of: Standing, taken: Standing | None, *, sized: bool) -> list[str]:
    size = "" if of.network_mb is None else f"{of.network_mb:.3g}"
    return [
        f"* {of.title}" if of == taken else of.title,
        of.recipe,
        f"{of.gmean:.3f} ({of.low:.3f} to {of.high:.3f})",
        f"{of.found:.0f} of {of.rare}",
        f"{of.alarms:.0f} of {of.others}",
        f"{of.best:.0%}",
        *([size] if sized else []),
    ]
