"""Estimates of the arms of one recipe, and contrasts between them, with confidence intervals."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import stdev

import numpy as np

from toolkit.evaluation.judgment import UNKNOWN, correct_exploratory, judge
from toolkit.evaluation.results import RunResult
from toolkit.evaluation.sequential import Look
from toolkit.metrics import bootstrap, confusion, intervals, significance
from toolkit.metrics.arrays import Flags, Floats, Labels
from toolkit.metrics.confusion import confusion_matrix
from toolkit.metrics.decisions import rarest_class
from toolkit.metrics.params import MARGIN
from toolkit.metrics.predictions import Predictions
from toolkit.metrics.significance import NO_ERROR, Difference, McNemar, StandardError

GMEAN, RANKING, AUC = "gmean", "threshold_gmean", "roc_auc"
"""The metric of the decisions as predicted, and those of the ranking: RANKING is the G-mean at a
threshold that was chosen on other images. A verdict is about RANKING, or GMEAN without scores."""
COMPARED = (GMEAN, "accuracy", "balanced_accuracy")
"""Always compared; and each class's recall, and `recall` and `roc_auc` of the positive class."""


def tested_metric(compared: Collection[str]) -> str:
    """Return the metric that a verdict is about: RANKING, or GMEAN where there are no scores."""
    return RANKING if RANKING in compared else GMEAN


@dataclass(frozen=True)
class ArmEstimate:
    """One arm with one recipe.

    `values` has one number per seed for each metric, `intervals` the 95% confidence interval of
    their mean: with two seeds or more, or networks of several folds, it accounts for test images
    and training, with one run and for frozen networks for the images alone.
    """

    recipe: str
    arm: str
    seeds: tuple[int, ...]
    values: Mapping[str, tuple[float, ...]]
    intervals: Mapping[str, tuple[float, float]]

    @property
    def metric(self) -> str:
        """The metric that a verdict on this arm is about."""
        return tested_metric(self.values)

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
    account for the test images alone. It is "folds" if both are cross-fitted: each image is tested
    by what was trained without it, and the divisions into folds are averaged. Errors of frozen
    networks, in whose training chance has no part, count as if they were independent (Bayle et al.,
    "Cross-validation confidence intervals for test error", 2020), as in `remedies`; of others the
    differences account for training too (`significance.cross_fitted_difference`).
    `trained` says whether the networks are training runs or just predictions. The `primary`
    contrast was declared before any result: its p-values are as they are, unless it is looked at
    several times (`at_look`). Those of the `tests` others, which are exploratory, are
    Holm-corrected for all of them: `p` is that of the tested metric, `p_as_predicted` that of the
    decisions as predicted. `rare` is the class with the fewest test images, and how many these are.
    """

    recipe: str
    arm: str
    against: str
    scope: str
    trained: bool
    seeds: tuple[int, int]
    differences: Mapping[str, Difference]
    mcnemar: tuple[McNemar, ...]
    p: float
    p_as_predicted: float
    tests: float = 1
    primary: bool = False
    margin: float = MARGIN
    rare: tuple[str, int] = ("", 0)

    @property
    def metric(self) -> str:
        """The metric that the verdict is about: RANKING, or GMEAN where there are no scores."""
        return tested_metric(self.differences)

    @property
    def tested(self) -> Difference:
        """The difference that the verdict is about."""
        return self.differences[self.metric]

    @property
    def as_predicted(self) -> Difference:
        """The difference in G-mean of the decisions as they were predicted."""
        return self.differences[GMEAN]

    @property
    def single(self) -> bool:
        """Whether these are single training runs, which say nothing about the next ones."""
        return self.trained and self.scope == "networks"

    @property
    def detectable(self) -> float:
        """The size of a true difference that would be found four times in five.

        Infinite if none would be, NaN if the G-mean of an arm is 0 or 1.
        """
        return self.tested.detectable(self.tests)

    @property
    def verdict(self) -> str:
        """Better, worse, practically equal or not yet known: see `judgment.judge`.

        The primary contrast is wrong in at most 5%; any of the exploratory ones together, too. One
        training run of an arm says nothing about the next one: then nothing is known yet.
        """
        return UNKNOWN if self.single else judge(self.tested, self.p, self.margin)

    @property
    def verdict_as_predicted(self) -> str:
        """The same for the decisions as they were predicted."""
        if self.single:
            return UNKNOWN
        return judge(self.as_predicted, self.p_as_predicted, self.margin)

    @property
    def to_settle(self) -> float:
        """The size of a true difference whose detection would settle what is not yet known.

        That of the difference, or of what it lacks to the margin, whichever is found more easily.
        """
        size = abs(self.tested.value)
        return max(size, self.margin - size)


@dataclass(frozen=True)
class MetricEstimate:
    """One metric of M runs: values [M] and their covariance [M, M] over samples of test images.

    `ends` [M, 2] are each run's 95% confidence interval, as `evaluate` gives it. `images` is how
    many images the covariance is estimated from (`significance.effective_images`). `drawn` [M, R]
    are bootstrap resamples; None if the covariance is known without them. Runs with the same number
    in `distinct` [M] are equal. `cells` has what each fold's network contributes to each
    cross-fitted run, [folds]: jackknife pseudo-values, whose mean is the run's value but for its
    curvature. None for other runs, and for frozen networks.
    """

    values: Floats
    ends: Floats
    covariance: Floats
    images: float
    distinct: Labels
    drawn: Floats | None = None
    cells: tuple[Floats, ...] | None = None


def estimate_metrics(
    runs: Sequence[RunResult],
    positive: str | None,
    resamples: int,
    seed: int,
    tuned: Sequence[Predictions] | None = None,
    groups: Labels | None = None,
) -> dict[str, MetricEstimate]:
    """Estimate the compared metrics of runs that have the same test images in the same order.

    `tuned` are the runs' predictions at thresholds (`ranking.at_thresholds`), of which the
    G-mean is RANKING. `groups` [N], numbers from 0, are the samples that images are drawn as: those
    of a patient count as one, except for the ROC AUC. Raises InputError that names a class without
    images: then there is no G-mean.
    """
    first = runs[0].predictions
    classes, actual = first.classes, first.actual_index
    both = [*(run.predictions for run in runs), *(tuned or ())]
    predicted = np.stack([of.predicted_index for of in both])
    drawn = bootstrap.paired_matrices(
        np.random.default_rng(seed), actual, predicted, len(classes), resamples, groups
    )
    matrices = [confusion_matrix(actual, row, len(classes)) for row in predicted]
    ends = [
        intervals.network_intervals(of, classes, COMPARED, resamples=resamples, seed=seed)
        for of in matrices
    ]
    counts, m = _drawn_counts(actual, groups), len(runs)
    values, resampled = (_compared(of, classes, positive) for of in (np.stack(matrices), drawn))
    resampled |= {n: bootstrap.recenter(resampled[n], values[n], len(classes)) for n in COMPARED}
    images = {f"recall_{label}": float(n) for label, n in zip(classes, counts, strict=True)}
    images |= {"recall": images[f"recall_{positive}"]} if positive else {}
    every = significance.effective_images(counts)

    def estimate(name: str, rows: slice) -> MetricEstimate:
        key = f"recall_{positive}" if name == "recall" else name
        own = np.array([of[key] for of in ends[rows]])
        values_, drawn_ = values[name][rows], resampled[name][rows]
        return _estimate(values_, own, drawn_, images.get(name, every), predicted[rows])

    estimates = {name: estimate(name, slice(m)) for name in resampled}
    if tuned:
        estimates[RANKING] = estimate(GMEAN, slice(m, None))
    scores = [run.predictions.scores for run in runs]
    of_class = positive or (first.classes[0] if len(classes) == 2 else None)
    if of_class and all(of_run is not None for of_run in scores):
        estimates |= _area(actual == classes.index(of_class), scores, classes.index(of_class))
    if not is_cross_fitted(runs) or all(run.fixed for run in runs):
        return estimates
    decided = {RANKING: tuned} if tuned else {}
    return _with_cells(estimates, [run.predictions for run in runs], decided, positive)


def _with_cells(
    estimates: Mapping[str, MetricEstimate],
    runs: Sequence[Predictions],
    decided: Mapping[str, Sequence[Predictions]],
    positive: str | None,
) -> dict[str, MetricEstimate]:
    """Add what each fold's network contributes; `decided` has the runs as some metrics judge them.

    Nothing where a class would have no images left without a fold.
    """
    by_run = [
        [run.folds != fold for fold in np.unique(run.folds)]
        for run in runs
        if run.folds is not None
    ]
    kinds, actual = len(runs[0].classes), runs[0].actual_index
    left = [np.bincount(actual[rows], minlength=kinds).min() for kept in by_run for rows in kept]
    if min(left) < intervals.FEWEST or min(map(len, by_run)) < 2:
        return dict(estimates)
    found = {}
    for name, estimate in estimates.items():
        judged = decided.get(name, runs)
        values = [
            [_value(name, of, rows, positive) for rows in kept]
            for of, kept in zip(judged, by_run, strict=True)
        ]
        cells = tuple(
            len(without) * whole - (len(without) - 1) * np.array(without)
            for whole, without in zip(estimate.values, values, strict=True)
        )
        found[name] = replace(estimate, cells=cells)
    return found


def _value(name: str, of: Predictions, rows: Flags, positive: str | None) -> float:
    """Return a compared metric on some of the images, [N]."""
    actual, classes = of.actual_index[rows], of.classes
    if name == AUC:
        column = classes.index(positive or classes[0])
        scores = of.required_scores("ROC AUC")[rows, column]
        return float(significance.delong_covariance(actual == column, scores[None])[0][0])
    matrix = confusion_matrix(actual, of.predicted_index[rows], len(classes))
    key = GMEAN if name == RANKING else name
    return float(_compared(matrix, classes, positive)[key])


def _drawn_counts(actual: Labels, groups: Labels | None) -> Labels:
    """Return how many samples each class has, [K]: images, or groups with images of it."""
    if groups is None:
        return np.bincount(actual)
    return np.bincount(np.unique(np.stack([actual, groups]), axis=1)[0])


def _compared(
    matrices: confusion.Matrices, classes: Sequence[str], positive: str | None
) -> dict[str, Floats]:
    """Return the compared metrics of matrices [..., K, K], each [...]."""
    recalls = np.moveaxis(confusion.recall(matrices, classes), -1, 0)
    named = {f"recall_{name}": of for name, of in zip(classes, recalls, strict=True)}
    plain = {"recall": named[f"recall_{positive}"]} if positive else {}
    return {name: confusion.METRICS[name](matrices) for name in COMPARED} | plain | named


def _estimate(
    values: Floats, ends: Floats, drawn: Floats, images: float, predicted: Labels
) -> MetricEstimate:
    """Estimate a metric from resamples [M, R].

    The bootstrap of n images divides by n + 2 instead of n - 1, which is undone.
    """
    covariance = np.atleast_2d(np.cov(drawn)) * ((images + 2) / max(1, images - 1))
    return MetricEstimate(values, ends, covariance, images, _distinct(predicted), drawn)


def _distinct(rows: Labels | Floats) -> Labels:
    """Number the different rows of [M, N]: [M]."""
    return np.asarray(np.unique(rows, axis=0, return_inverse=True)[1]).reshape(-1)


def _area(inside: Flags, scores: Sequence[Floats | None], k: int) -> dict[str, MetricEstimate]:
    images = int(min(inside.sum(), (~inside).sum()))
    if images < intervals.FEWEST:
        return {}
    columns = np.stack([of_run[:, k] for of_run in scores if of_run is not None])
    areas, covariance = significance.area_covariance(inside, columns)
    ends = [
        intervals.area_interval(float(area), float(variance), images)
        for area, variance in zip(areas, np.diagonal(covariance), strict=True)
    ]
    estimate = MetricEstimate(areas, np.array(ends), covariance, images, _distinct(columns))
    return {AUC: estimate}


def estimate_arm(
    runs: Sequence[RunResult], chosen: Sequence[int], metrics: Mapping[str, MetricEstimate]
) -> ArmEstimate:
    """Summarize the runs at the positions `chosen`, all of one arm."""
    first = runs[chosen[0]]
    seeds = tuple(runs[i].seed for i in chosen)
    values = {name: tuple(m.values[chosen].tolist()) for name, m in metrics.items()}
    folds = is_cross_fitted(runs[i] for i in chosen)
    intervals = {name: _interval(m, chosen, folds=folds) for name, m in metrics.items()}
    return ArmEstimate(first.recipe, first.arm, seeds, values, intervals)


def is_cross_fitted(runs: Iterable[RunResult]) -> bool:
    """Return whether each of the runs tests every image without its fold."""
    return all(run.predictions.folds is not None for run in runs)


def _interval(metric: MetricEstimate, chosen: Sequence[int], *, folds: bool) -> tuple[float, float]:
    """Return the interval of the mean; equal runs count as what they are, one network.

    What training adds is part of it: seen between the runs or, of cross-fitted ones, between the
    networks of their `folds`.
    """
    rows, number = list(chosen), metric.distinct[list(chosen)]
    covariance = metric.covariance[np.ix_(rows, rows)]
    error = np.sqrt(np.diagonal(covariance))
    covariance = np.where(number[:, None] == number, np.outer(error, error), covariance)
    training = None
    if folds:
        training = cell_error([metric.cells[i] for i in rows], error) if metric.cells else NO_ERROR
    low, high = significance.mean_interval(
        metric.values[rows], metric.ends[rows], covariance, training
    )
    mean = float(metric.values[rows].mean())
    return max(0.0, min(mean, low)), min(1.0, max(mean, high))


def cell_error(cells: Sequence[Floats], error: Floats) -> StandardError:
    """Return what training adds to the mean of runs, beyond their `error` [A] due to images."""
    each = np.concatenate(cells)
    variance = float(each.var(ddof=1)) / len(each) - float((error**2).mean()) / len(cells)
    return math.sqrt(max(0.0, variance)), len(each) - 1


def contrast_arms(
    runs: Sequence[RunResult],
    arm: Sequence[int],
    other: Sequence[int],
    metrics: Mapping[str, MetricEstimate],
    margin: float = MARGIN,
) -> Contrast:
    """Compare the runs at the positions `arm` with those at `other`; p is not yet corrected."""
    both = [*arm, *other]
    folds = is_cross_fitted(runs[i] for i in both)
    pairs = [(i, j) for i in arm for j in other if _same_division(runs[i], runs[j])]
    scope = "training" if min(len(arm), len(other)) > 1 else "networks"
    differences = {
        name: subtract_runs(m, arm, other, pairs, folds=folds) for name, m in metrics.items()
    }
    first, second = runs[arm[0]], runs[other[0]]
    rare = rarest_class(first.predictions)
    return Contrast(
        recipe=first.recipe,
        arm=first.arm,
        against=second.arm,
        scope="folds" if folds else scope,
        trained=any(runs[i].history is not None for i in both),
        seeds=(len(arm), len(other)),
        differences=differences,
        mcnemar=_mcnemar([runs[i] for i in arm], [runs[i] for i in other]),
        p=differences[tested_metric(differences)].p,
        p_as_predicted=differences[GMEAN].p,
        margin=margin,
        rare=(rare, first.predictions.actual.count(rare)),
    )


def _same_division(one: RunResult, other: RunResult) -> bool:
    a, b = one.predictions.folds, other.predictions.folds
    return a is not None and b is not None and np.array_equal(a, b)


def subtract_runs(
    metric: MetricEstimate,
    arm: Sequence[int],
    other: Sequence[int],
    pairs: Sequence[tuple[int, int]],
    *,
    folds: bool,
) -> Difference:
    """Compare the runs at two lists of positions; `pairs` are those of the same division."""
    both = [*arm, *other]
    known = (
        metric.values[list(arm)],
        metric.values[list(other)],
        metric.covariance[np.ix_(both, both)],
        metric.images,
    )
    if not folds:
        return significance.difference(*known)
    if metric.cells is None:
        return significance.networks_difference(*known)
    cells = metric.cells
    if pairs:
        variance = float(np.concatenate([cells[i] - cells[j] for i, j in pairs]).var(ddof=1))
    else:
        variance = sum(
            float(np.concatenate([cells[i] for i in of]).var(ddof=1)) for of in (arm, other)
        )
    return significance.cross_fitted_difference(*known, (variance, len(cells[arm[0]])))


def _mcnemar(arm: Sequence[RunResult], other: Sequence[RunResult]) -> tuple[McNemar, ...]:
    """Test each pair of runs with the same seed."""
    others = {run.seed: run for run in other}
    pairs = [(run, others[run.seed]) for run in arm if run.seed in others]
    return tuple(significance.mcnemar(_correct(a), _correct(b)) for a, b in pairs)


def _correct(run: RunResult) -> Flags:
    predictions = run.predictions
    return np.asarray(predictions.actual_index == predictions.predicted_index)


def correct_contrasts(
    contrasts: Sequence[Contrast], primary: tuple[str, str, str] | None = None
) -> tuple[Contrast, ...]:
    """Return the contrasts with the p-values of the exploratory ones corrected for all of them.

    `primary` is recipe, arm and against of the one that was declared.
    """
    keys = [(c.recipe, c.arm, c.against) for c in contrasts]
    number = keys.index(primary) if primary in keys else None
    ps = correct_exploratory([c.tested.p for c in contrasts], number)
    as_predicted = correct_exploratory([c.as_predicted.p for c in contrasts], number)
    others = len(contrasts) - (number is not None)
    return tuple(
        replace(
            contrast,
            p=p,
            p_as_predicted=plain,
            primary=place == number,
            tests=1 if place == number else others,
        )
        for place, (contrast, p, plain) in enumerate(zip(contrasts, ps, as_predicted, strict=True))
    )


def at_look(contrast: Contrast, look: Look) -> Contrast:
    """Return a contrast that is looked at several times, with p-values and intervals of one look.

    It is as if it were one of `tests` that 5% are divided between.
    """
    return replace(
        contrast,
        differences={name: look.widen(of) for name, of in contrast.differences.items()},
        p=min(1.0, contrast.p * look.tests),
        p_as_predicted=min(1.0, contrast.p_as_predicted * look.tests),
        tests=look.tests,
    )
