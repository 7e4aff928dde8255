"""Comparison of arms: each with the baseline and with the control, recipe by recipe."""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypeVar

import numpy as np

from toolkit.errors import InputError
from toolkit.evaluation.contrasts import (
    GMEAN,
    RANKING,
    ArmEstimate,
    Contrast,
    at_look,
    contrast_arms,
    correct_contrasts,
    estimate_arm,
    estimate_metrics,
)
from toolkit.evaluation.leaderboard import (
    Drawn,
    RemedyTitles,
    Standing,
    arm_standings,
    rank_standings,
)
from toolkit.evaluation.ranking import at_thresholds
from toolkit.evaluation.remedies import extend_curve
from toolkit.evaluation.results import RunResult
from toolkit.evaluation.sequential import ONCE, Look, look_at
from toolkit.io.notebook import html_table
from toolkit.metrics.params import MARGIN, declare_primary
from toolkit.metrics.predictions import Predictions


@dataclass(frozen=True)
class Comparison:
    """Estimates of all arms and their contrasts, the baseline first within each recipe.

    `control`, if there is one, is a second arm that the others are compared with: plain duplicates
    separate the effect of new images from that of more training. `primary` is recipe, arm and
    against of the contrast that was declared before any result. `metrics` are those compared,
    `test_images` the number of test images of each class. `warnings` are sentences on what differs
    between the runs besides arm, recipe and seed. The `leaderboard` has the arms as remedies, the
    highest G-mean first. `published` are the arms made in the published way, None where that is not
    known. `learning` has a curve for each recipe that was measured on parts of the rarest class:
    G-mean by the number of its images, the last one expected of twice as many. `look` is the look
    at the primary contrast.
    """

    baseline: str
    control: str | None
    metrics: tuple[str, ...]
    estimates: tuple[ArmEstimate, ...]
    contrasts: tuple[Contrast, ...]
    test_images: Mapping[str, int]
    positive: str | None = None
    warnings: tuple[str, ...] = ()
    primary: tuple[str, str, str] | None = None
    leaderboard: tuple[Standing, ...] = ()
    published: tuple[str, ...] | None = None
    learning: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    look: Look = ONCE

    def __repr__(self) -> str:
        verdicts = Counter(contrast.verdict for contrast in self.contrasts)
        listed = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
        size = f"{len(self.recipes)} recipes x {len(self.arms)} arms"
        return f"Comparison(baseline={self.baseline!r}, {size}; {listed or 'no contrasts'})"

    def _repr_html_(self) -> str:
        from toolkit.evaluation.verdict import comparison_notes, comparison_table, verdict_sentence

        sentences = (*map(verdict_sentence, self.contrasts), *comparison_notes(self))
        return html_table(comparison_table(self), " ".join(sentences))

    @property
    def recipes(self) -> tuple[str, ...]:
        """The recipes, each once."""
        return tuple(dict.fromkeys(estimate.recipe for estimate in self.estimates))

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms, each once."""
        return tuple(dict.fromkeys(estimate.arm for estimate in self.estimates))

    def against(self, other: str) -> tuple[Contrast, ...]:
        """Return the contrasts with the arm `other`: the baseline or the control."""
        return tuple(c for c in self.contrasts if c.against == other)


def compare_results(
    results: Sequence[RunResult],
    baseline: str = "original",
    control: str | None = None,
    *,
    resamples: int = 2000,
    seed: int = 0,
    primary: tuple[str, str, str] | None = None,
    margin: float = MARGIN,
    published: Sequence[str] | None = None,
) -> Comparison:
    """Compare every arm with `baseline`, and the other arms with `control`, recipe by recipe.

    `primary` is recipe, arm and against of the contrast declared before any result, by default that
    of `declare_primary` for the results in their order; the p-values of the others are corrected
    for all of them. G-means that differ by less than `margin` are practically equal. `published`
    are the arms made in the published way, if that is known. A recipe
    without the control is compared with the baseline alone. Raises InputError if a recipe lacks the
    baseline, a run occurs twice, or two runs were not evaluated on the same test images.
    """
    _check(results)
    ids = results[0].predictions.ids
    results = [replace(r, predictions=in_order(r.predictions, ids)) for r in results]
    positives = {result.positive for result in results}
    positive = results[0].positive if len(positives) == 1 else None
    tuned = at_thresholds(results)
    estimates: list[ArmEstimate] = []
    contrasts: list[Contrast] = []
    standings: list[Drawn] = []
    titles = RemedyTitles(baseline, control, published or ())
    rng = np.random.default_rng([seed, len(results)])
    for recipe in dict.fromkeys(result.recipe for result in results):
        chosen = [n for n, result in enumerate(results) if result.recipe == recipe]
        runs = [results[n] for n in chosen]
        arms = _arms(runs, baseline)
        at = [tuned[n] for n in chosen] if tuned else None
        metrics = estimate_metrics(runs, positive, resamples, seed, at)
        rows = [estimate_arm(runs, of_arm, metrics) for of_arm in arms.values()]
        estimates += rows
        decided = {GMEAN: [run.predictions for run in runs]} | ({RANKING: at} if at else {})
        for row in rows:
            own = arms[row.arm]
            size = _network_mb([runs[n] for n in own])
            stand = arm_standings(row, own, metrics, decided, titles, rng)
            standings += [(replace(of, network_mb=size), drawn) for of, drawn in stand]
        contrasts += [
            contrast_arms(runs, arms[arm], arms[other], metrics, margin)
            for other in dict.fromkeys((baseline, control))
            for arm in arms
            if other in arms and arm not in (baseline, other)
        ]
    first = results[0].predictions
    primary = primary or _declared(results, baseline, control)
    return Comparison(
        baseline,
        control,
        tuple(m for m in estimates[0].values if all(m in of.values for of in estimates)),
        tuple(estimates),
        correct_contrasts(contrasts, primary),
        {name: first.actual.count(name) for name in first.classes},
        positive,
        (*_warnings(results), *_missing(contrasts, primary)),
        primary,
        rank_standings(standings),
        None if published is None else tuple(published),
        _learning(results),
    )


def _learning(results: Sequence[RunResult]) -> dict[str, dict[int, float]]:
    """Return the learning curve of each recipe that has one, meant over its runs."""
    found: dict[str, dict[int, list[float]]] = {}
    for result in results:
        for count, gmean in result.learning:
            found.setdefault(result.recipe, {}).setdefault(count, []).append(gmean)
    means = {
        recipe: {count: float(np.mean(values)) for count, values in sorted(curve.items())}
        for recipe, curve in found.items()
    }
    return {recipe: extend_curve(curve) for recipe, curve in means.items()}


def look_at_primary(compared: Comparison, looks: Sequence[int]) -> Comparison:
    """Return the comparison with the primary contrast as at one of several `looks`.

    These are numbers of seeds, planned before any result (see `sequential`); without any, nothing
    changes. Raises InputError where none of them is that of the seeds.
    """
    seeds = [min(contrast.seeds) for contrast in compared.contrasts if contrast.primary]
    if not looks or not seeds:
        return compared
    look = look_at(seeds[0], looks)
    contrasts = tuple(at_look(c, look) if c.primary else c for c in compared.contrasts)
    return replace(compared, contrasts=contrasts, look=look)


def _network_mb(runs: Sequence[RunResult]) -> float | None:
    """Return the mean size of the runs' networks; None where one is not known."""
    sizes = [run.metrics["network_mb"] for run in runs if "network_mb" in run.metrics]
    return float(np.mean(sizes)) if len(sizes) == len(runs) else None


def _declared(
    results: Sequence[RunResult], baseline: str, control: str | None
) -> tuple[str, str, str] | None:
    arms, recipes = (
        list(dict.fromkeys(names))
        for names in zip(*((result.arm, result.recipe) for result in results), strict=True)
    )
    return declare_primary(baseline, control, arms, recipes)


def _missing(contrasts: Sequence[Contrast], primary: tuple[str, str, str] | None) -> Iterator[str]:
    """Say that the primary contrast cannot be seen."""
    if primary and primary not in [(c.recipe, c.arm, c.against) for c in contrasts]:
        recipe, arm, against = primary
        yield (
            f"The primary contrast, {arm} against {against} with {recipe}, is not among these "
            "results: all contrasts are exploratory."
        )


K = TypeVar("K", bound=Hashable)


def compare_groups(
    groups: Mapping[K, Sequence[RunResult]],
    baseline: str = "original",
    *,
    resamples: int = 2000,
    seed: int = 0,
    margin: float = MARGIN,
) -> dict[K, Comparison]:
    """Compare the arms of each group; p-values are corrected for the contrasts of all groups.

    Raises InputError as `compare_results` does, also for test images that differ between groups.
    """
    first = next(result for results in groups.values() for result in results)
    for results in groups.values():
        _check_same_images(first, results[0])
    comparisons = {
        key: compare_results(results, baseline, resamples=resamples, seed=seed, margin=margin)
        for key, results in groups.items()
    }
    adjusted = iter(correct_contrasts([c for of in comparisons.values() for c in of.contrasts]))
    return {
        key: replace(of, contrasts=tuple(islice(adjusted, len(of.contrasts))), primary=None)
        for key, of in comparisons.items()
    }


def _check(results: Sequence[RunResult]) -> None:
    if not results:
        raise InputError("there are no results to compare; run `toolkit evaluate` first")
    for key, count in Counter(result.key for result in results).items():
        if count > 1:
            raise InputError(f"the run {key} occurs {count} times among the results")
    for result in results[1:]:
        _check_same_images(results[0], result)


def _warnings(results: Sequence[RunResult]) -> Iterator[str]:
    """Yield a sentence for each unfinished run, and for each condition that runs do not share."""
    for result in results:
        if result.unfinished:
            yield f"{result.key} is unfinished: {result.unfinished}."
    for name in dict.fromkeys(name for result in results for name in result.conditions):
        having = [result for result in results if name in result.conditions]
        counts = Counter(result.conditions[name] for result in having)
        if len(counts) > 1:
            one = {r.conditions[name]: r.key for r in reversed(having)}
            listed = ", ".join(f"{v} ({n}, such as {one[v]})" for v, n in counts.items())
            yield f"Runs differ in more than arm and seed, {name}: {listed}."


def _check_same_images(one: RunResult, other: RunResult) -> None:
    left, right = (
        dict(zip(r.predictions.ids, r.predictions.actual, strict=True)) for r in (one, other)
    )
    differing = [i for i in {**left, **right} if left.get(i) != right.get(i)]
    if differing:
        raise InputError(
            f"{one.key} and {other.key} are not on the same test images: {len(left)} and "
            f"{len(right)} images, {len(differing)} differ in id or actual class, such as id "
            f"{differing[0][:80]!r}; {_same_images_remedy(one, other)}"
        )
    classes = one.predictions.classes, other.predictions.classes
    if classes[0] != classes[1]:
        raise InputError(
            f"{one.key} and {other.key} have different classes: {list(classes[0])} and "
            f"{list(classes[1])}; give both a score column for every class"
        )


def _same_images_remedy(*results: RunResult) -> str:
    for result in results:
        if [*result.predictions.ids] == [*map(str, range(1, len(result.predictions.ids) + 1))]:
            return f"the rows of {result.key} are numbered; name its column of images with --id"
    return "evaluate both on one test split"


def in_order(predictions: Predictions, ids: tuple[str, ...]) -> Predictions:
    """Return the same predictions with the images in the order of `ids`."""
    if predictions.ids == ids:
        return predictions
    position = {name: index for index, name in enumerate(predictions.ids)}
    order = [position[name] for name in ids]
    scores, folds = predictions.scores, predictions.folds
    return Predictions(
        predictions.classes,
        ids,
        tuple(predictions.actual[i] for i in order),
        tuple(predictions.predicted[i] for i in order),
        None if scores is None else np.asarray(scores[order]),
        folds=None if folds is None else np.asarray(folds[order]),
    )


def _arms(runs: Sequence[RunResult], baseline: str) -> dict[str, list[int]]:
    """Map the arms of one recipe, the baseline first, to the positions of their runs by seed."""
    names = list(dict.fromkeys(run.arm for run in runs))
    if baseline not in names:
        raise InputError(
            f"recipe {runs[0].recipe!r} has no result of the baseline {baseline!r} "
            f"to compare with; its arms are {names}; name one of them with --baseline"
        )
    positions = {
        name: [i for i, run in enumerate(runs) if run.arm == name]
        for name in sorted(names, key=lambda name: name != baseline)
    }
    return {name: sorted(of, key=lambda i: runs[i].seed) for name, of in positions.items()}
