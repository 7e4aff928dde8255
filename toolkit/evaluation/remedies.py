"""Remedies for imbalance, each tested on every image by cross-fitting, and which one to take.

Every image is scored by a classifier that was trained without its fold; thresholds come from the
other folds as well. Errors of such scores are averaged as if they were independent, which is right
for stable classifiers (Bayle et al., "Cross-validation confidence intervals for test error", 2020):
the statements are about classifiers trained on this many images. How often they are wrong is
measured by benchmarks/advise.py.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from toolkit.evaluation.contrasts import (
    MetricEstimate,
    cell_error,
    estimate_metrics,
    subtract_runs,
)
from toolkit.evaluation.judgment import UNKNOWN, correct_exploratory, judge
from toolkit.evaluation.results import RunResult
from toolkit.evaluation.sequential import ONCE, Look, look_at_repeats
from toolkit.metrics import significance
from toolkit.metrics.arrays import Flags, Floats, Labels
from toolkit.metrics.decisions import decide_out_of_fold
from toolkit.metrics.params import MARGIN
from toolkit.metrics.predictions import Predictions
from toolkit.metrics.significance import Difference

GMEAN, AUC = "gmean", "roc_auc"


@dataclass(frozen=True, eq=False)
class HeldOutScores:
    """Scores of one remedy for all N images, each by a classifier trained without its fold.

    `repeats`: scores [N, K], one array for each division into folds. `tuned`: whether the remedy
    decides at a threshold chosen on the other folds, and not for the likeliest class. `random`:
    whether its training is, so that another one would give other scores: what that does is seen
    between the networks of the folds. `seconds`: the CPU time of its training.
    """

    name: str
    repeats: tuple[Floats, ...]
    tuned: bool = False
    seconds: float = 0.0
    random: bool = False


@dataclass(frozen=True, eq=False)
class HeldOutImages:
    """The N images that all remedies are tested on: ids, classes, and the divisions into folds.

    `labels` [N] are positions in `classes`; `folds` has one array [N] for each repeat. `rare` is
    the class that matters; `groups` [N] are numbers from 0 of what is drawn as one sample, such as
    the images of a patient, None where each image is one.
    """

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    labels: Labels
    folds: tuple[Labels, ...]
    rare: str
    groups: Labels | None = None

    @property
    def positive(self) -> Flags:
        """Which images are of the rare class, [N]."""
        return np.asarray(self.labels == self.classes.index(self.rare))


@dataclass(frozen=True)
class ErrorImage:
    """An image that a remedy gets wrong; `score` is that of the rare class, meant over repeats."""

    id: str
    score: float


@dataclass(frozen=True)
class ErrorCounts:
    """What a remedy gets right and wrong as it is used, meant over the repeats.

    `found` of `rare` rare images are found, and `alarms` of `others` others are taken for rare.
    `missed` and `alarmed` are the images to look at, as many as are wrong.
    """

    found: float
    rare: int
    alarms: float
    others: int
    missed: tuple[ErrorImage, ...] = ()
    alarmed: tuple[ErrorImage, ...] = ()


@dataclass(frozen=True)
class RemedyResult:
    """What a remedy does as it is used, and how well its scores rank.

    `difference` is that of the G-mean, as used, from doing nothing. `ranked` is the G-mean at a
    threshold chosen on the other folds; `ranking` compares it with that of doing nothing, and
    `beyond_control` with that of the control, which comes before it: only there something was
    learned. `p` is corrected for all remedies but the declared one. `seconds` are of CPU time.
    """

    name: str
    errors: ErrorCounts
    gmean: float
    interval: tuple[float, float]
    ranked: float
    auc: float | None
    difference: Difference | None
    ranking: Difference | None
    beyond_control: Difference | None
    p: float
    verdict: str
    ranking_verdict: str
    control_verdict: str
    seconds: float


@dataclass(frozen=True)
class RemedyComparison:
    """All remedies, the one to take, and the one that was declared before any result.

    `detectable` is the size of a true difference from doing nothing that the declared comparison
    finds four times in five, at this `look`.
    """

    rare: str
    results: tuple[RemedyResult, ...]
    chosen: str
    declared: str
    detectable: float
    look: Look = ONCE

    def __getitem__(self, name: str) -> RemedyResult:
        return next(result for result in self.results if result.name == name)


# --- decisions --------------------------------------------------------------------------------


def decide(images: HeldOutImages, scores: Floats, folds: Labels, *, tuned: bool) -> Predictions:
    """Return predictions from held-out scores [N, K].

    `tuned`: at thresholds chosen on the other folds (`decisions.decide_at_threshold`). No image
    has a part in the decision about itself.
    """
    actual = tuple(images.classes[k] for k in images.labels)
    likeliest = tuple(images.classes[k] for k in scores.argmax(axis=1))
    plain = Predictions(images.classes, images.ids, actual, likeliest, scores)
    return decide_out_of_fold(plain, folds) if tuned else plain


# --- comparison -------------------------------------------------------------------------------


def compare_remedies(
    images: HeldOutImages,
    remedies: Sequence[HeldOutScores],
    declared: str,
    control: str | None = None,
    *,
    margin: float = MARGIN,
    resamples: int = 2000,
    seed: int = 0,
    looks: Sequence[int] = (),
) -> RemedyComparison:
    """Compare all remedies with the first, which is to do nothing.

    `remedies` are in the order of their effort. The remedy to take is the first whose G-mean is
    within `margin` of the best one. The one contrast `declared` beforehand is tested at 5%; the
    others are Holm-corrected, and so are those of the remedies after the `control` with it. `looks`
    are the numbers of repeats at which that one is looked at, if more than once; its p-value and
    interval are those of this look. Nothing is known of remedies whose training is random where too
    few images are left without a fold.
    """
    as_used = [_decisions(images, remedy, tuned=remedy.tuned) for remedy in remedies]
    at_thresholds = [
        decided if remedy.tuned else _decisions(images, remedy, tuned=True)
        for remedy, decided in zip(remedies, as_used, strict=True)
    ]
    random = [remedy.random for remedy in remedies]
    used, ranked = (
        _estimate(images, of, resamples, seed, random=any(random))
        for of in (as_used, at_thresholds)
    )
    names, repeats = [r.name for r in remedies], len(images.folds)
    base = names.index(control) if control in names else len(names)
    differences, rankings, beyond = (
        [
            _difference(metric, number, other, repeats, random=of or random[min(other, number)])
            for number, of in enumerate(random)
        ]
        for metric, other in ((used[0], 0), (ranked[0], 0), (ranked[0], base))
    )
    place = names.index(declared)
    tested = differences[place]
    look = look_at_repeats(tested, repeats, looks) if tested else ONCE
    for of in (differences, rankings, beyond):
        if (found := of[place]) is not None:
            of[place] = look.widen(found)
    ps, ranking_ps, control_ps = (
        _corrected(names, of, declared, look) for of in (differences, rankings, beyond)
    )
    verdicts, ranking_verdicts, control_verdicts = (
        [
            _judge(difference, p, margin, blind=remedy.random and used[0].cells is None)
            for difference, p, remedy in zip(of, own, remedies, strict=True)
        ]
        for of, own in ((differences, ps), (rankings, ranking_ps), (beyond, control_ps))
    )
    results = tuple(
        RemedyResult(
            name=remedy.name,
            errors=count_errors(as_used[number], images.rare),
            gmean=_mean(used[0], number, repeats),
            interval=_interval(used[0], number, repeats, random=remedy.random),
            ranked=_mean(ranked[0], number, repeats),
            auc=_mean(used[1], number, repeats) if used[1] else None,
            difference=differences[number],
            ranking=rankings[number],
            beyond_control=beyond[number],
            p=ps[number],
            verdict=verdicts[number],
            ranking_verdict=ranking_verdicts[number],
            control_verdict=control_verdicts[number],
            seconds=remedy.seconds,
        )
        for number, remedy in enumerate(remedies)
    )
    best = max(result.gmean for result in results)
    chosen = next(result.name for result in results if result.gmean >= best - margin)
    tested = differences[place]
    detectable = tested.detectable(look.tests) if tested else math.nan
    return RemedyComparison(images.rare, results, chosen, declared, detectable, look)


def _judge(difference: Difference | None, p: float, margin: float, *, blind: bool) -> str:
    if difference is None:
        return ""
    return UNKNOWN if blind else judge(difference, p, margin)


def _decisions(
    images: HeldOutImages, remedy: HeldOutScores, *, tuned: bool
) -> tuple[Predictions, ...]:
    """Return the predictions of each repeat (see `decide`)."""
    return tuple(
        decide(images, scores, folds, tuned=tuned)
        for scores, folds in zip(remedy.repeats, images.folds, strict=True)
    )


def _estimate(
    images: HeldOutImages,
    decisions: Sequence[Sequence[Predictions]],
    resamples: int,
    seed: int,
    *,
    random: bool,
) -> tuple[MetricEstimate, MetricEstimate | None]:
    """Return G-mean and ROC AUC of each remedy and repeat, remedy by remedy.

    What each fold contributes is part of it where the training of one is `random`.
    """
    runs = [
        RunResult("", "", number, {}, replace(decided, folds=folds) if random else decided)
        for of in decisions
        for number, (decided, folds) in enumerate(zip(of, images.folds, strict=True))
    ]
    estimates = estimate_metrics(runs, images.rare, resamples, seed, groups=images.groups)
    return estimates[GMEAN], estimates.get(AUC)


def _mean(metric: MetricEstimate, number: int, repeats: int) -> float:
    return float(metric.values[_positions(number, repeats)].mean())


def _positions(number: int, repeats: int) -> Labels:
    return np.arange(number * repeats, (number + 1) * repeats)


def _interval(
    metric: MetricEstimate, number: int, repeats: int, *, random: bool
) -> tuple[float, float]:
    """Return the interval over images; what random training adds is combined by its square."""
    rows = _positions(number, repeats)
    if metric.drawn is None:
        raise ValueError("a metric without resamples has no interval here")
    low, high = np.quantile(metric.drawn[rows].mean(axis=0), significance.TAILS)
    mean, added = _mean(metric, number, repeats), 0.0
    if random and metric.cells:
        errors = np.sqrt(np.diagonal(metric.covariance)[rows])
        added = significance.reach(cell_error([metric.cells[row] for row in rows], errors))
    below, above = (math.hypot(max(0.0, end), added) for end in (mean - low, high - mean))
    return max(0.0, mean - below), min(1.0, mean + above)


def _difference(
    metric: MetricEstimate, number: int, base: int, repeats: int, *, random: bool
) -> Difference | None:
    """Compare a remedy with the one at `base`; None for that one and those before it.

    `random` says whether the training of one of them is.
    """
    if number <= base:
        return None
    arm, other = (_positions(of, repeats).tolist() for of in (number, base))
    known = metric if random else replace(metric, cells=None)
    return subtract_runs(known, arm, other, list(zip(arm, other, strict=True)), folds=True)


def _corrected(
    names: Sequence[str], differences: Sequence[Difference | None], declared: str, look: Look
) -> list[float]:
    """Return p-values: the declared one as it is, the others corrected for all of them."""
    compared = [number for number, of in enumerate(differences) if of is not None]
    places = {names[number]: place for place, number in enumerate(compared)}
    known = [of.p for of in differences if of is not None]
    ps = [1.0] * len(names)
    for number, p in zip(compared, correct_exploratory(known, places.get(declared)), strict=True):
        ps[number] = min(1.0, p * look.tests) if names[number] == declared else p
    return ps


def count_errors(decisions: Sequence[Predictions], rare: str) -> ErrorCounts:
    """Count what several predictions of the same images do to the class `rare`, in the mean.

    Without scores that of an image is how often it is taken for the class, 0..1.
    """
    first = decisions[0]
    column = first.classes.index(rare)
    positive = first.actual_index == column
    called = np.mean([decided.predicted_index == column for decided in decisions], axis=0)
    known = [decided.scores[:, column] for decided in decisions if decided.scores is not None]
    scores = np.mean(known, axis=0) if known else called
    return ErrorCounts(
        found=float(called[positive].sum()),
        rare=int(positive.sum()),
        alarms=float(called[~positive].sum()),
        others=int((~positive).sum()),
        missed=_worst(first.ids, np.where(positive, 1 - called, 0), scores, lowest=True),
        alarmed=_worst(first.ids, np.where(positive, 0, called), scores, lowest=False),
    )


def _worst(
    ids: Sequence[str], errors: Floats, scores: Floats, *, lowest: bool
) -> tuple[ErrorImage, ...]:
    """Name as many images as are wrong in the mean over the repeats, the most often wrong first."""
    rows = np.lexsort((scores if lowest else -scores, -errors))[: round(float(errors.sum()))]
    return tuple(ErrorImage(ids[row], float(scores[row])) for row in rows)


# --- what would help more ---------------------------------------------------------------------


def extend_curve(measured: Mapping[int, float]) -> dict[int, float]:
    """Return G-means by the number of rare images, with the one to expect of twice as many."""
    if len(measured) < 2:
        return dict(measured)
    twice = 2 * max(measured)
    return {**measured, twice: extrapolate_gmean(measured, twice)}


def more_images(curve: Mapping[int, float], name: str) -> str:
    """Say what the last number of images in a curve (`extend_curve`) would bring; "" if nothing.

    `name` is what the images are of.
    """
    if len(curve) < 2 or not any(curve.values()):
        return ""
    (now, value), (later, expected) = list(curve.items())[-2:]
    gain = expected - value
    worth = f"about {gain:+.3f} of G-mean" if gain >= 0.005 else "next to nothing"
    return f"{now} -> {later} images of {name} would bring {worth}."


def extrapolate_gmean(measured: Mapping[int, float], images: int) -> float:
    """Return the G-mean to expect with `images` rare images, from those measured with fewer.

    The error 1 - G is taken to fall as a power of the number of images (Cortes et al., 1994).
    """
    counts = np.log(np.array(list(measured), dtype=np.float64))
    errors = np.log(np.maximum(1 - np.array(list(measured.values())), 1e-3))
    slope, intercept = np.polyfit(counts, errors, 1)
    return 1 - float(np.exp(intercept + min(0.0, float(slope)) * math.log(images)))


def images_needed(result: RemedyResult) -> int | None:
    """Return the rare images that would settle a difference of the size found; None for no such.

    The standard error falls with the square root of the number of images.
    """
    difference = result.difference
    if difference is None or difference.value == 0:
        return None
    if difference.detectable() <= abs(difference.value):
        return result.errors.rare
    times = difference.images_needed(abs(difference.value))
    return None if times is None else math.ceil(result.errors.rare * times)
