"""Results of arms, recipes and seeds -> each arm against the baseline, and against the control."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from toolkit.errors import InputError
from toolkit.evaluation.contrasts import (
    ArmEstimate,
    Contrast,
    apply_holm,
    contrast_arms,
    estimate_arm,
    estimate_metrics,
)
from toolkit.evaluation.results import RunResult
from toolkit.metrics.predictions import Predictions


@dataclass(frozen=True)
class Comparison:
    """Rows and contrasts in the order of the results, the baseline first within each recipe.

    `control`, where there is one, is a second arm that the others are set against: plain copies
    tell new pictures from more training. `metrics` are those compared, `test` the test images of
    each class.
    """

    baseline: str
    control: str | None
    metrics: tuple[str, ...]
    rows: tuple[ArmEstimate, ...]
    contrasts: tuple[Contrast, ...]
    test: Mapping[str, int]
    positive: str | None = None

    @property
    def recipes(self) -> tuple[str, ...]:
        """The recipes, each once."""
        return tuple(dict.fromkeys(row.recipe for row in self.rows))

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms, each once."""
        return tuple(dict.fromkeys(row.arm for row in self.rows))

    def against(self, other: str) -> tuple[Contrast, ...]:
        """The contrasts with the baseline, or with the control."""
        return tuple(c for c in self.contrasts if c.against == other)


def compare_results(
    results: Sequence[RunResult],
    baseline: str = "original",
    control: str | None = None,
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Set every arm against `baseline`, and all other arms against `control`, recipe by recipe.

    Raises InputError where a recipe lacks the baseline, a run is given twice, or two results are
    not on the same test images. A recipe without the control is compared with the baseline alone.
    """
    _check(results)
    ids = results[0].predictions.ids
    results = [replace(r, predictions=_in_order(r.predictions, ids)) for r in results]
    positives = {result.positive for result in results}
    positive = results[0].positive if len(positives) == 1 else None
    rows: list[ArmEstimate] = []
    pairs: list[Contrast] = []
    for recipe in dict.fromkeys(result.recipe for result in results):
        group = [result for result in results if result.recipe == recipe]
        arms = _arms(group, baseline)
        measured = estimate_metrics(group, positive, resamples, seed)
        rows += [estimate_arm(group, chosen, measured) for chosen in arms.values()]
        pairs += [
            contrast_arms(group, arms[arm], arms[other], measured)
            for other in dict.fromkeys((baseline, control))
            for arm in arms
            if other in arms and arm not in (baseline, other)
        ]
    first = results[0].predictions
    test = {name: first.actual.count(name) for name in first.classes}
    shared = tuple(m for m in rows[0].values if all(m in row.values for row in rows))
    done = apply_holm(pairs)
    return Comparison(baseline, control, shared, tuple(rows), done, test, positive)


def _check(results: Sequence[RunResult]) -> None:
    if not results:
        raise InputError("there are no results to compare; run `toolkit evaluate` first")
    for key, count in Counter(result.key for result in results).items():
        if count > 1:
            raise InputError(f"the result {key} is given {count} times")
    for result in results[1:]:
        _check_same_images(results[0], result)


def _check_same_images(one: RunResult, other: RunResult) -> None:
    left, right = (
        dict(zip(r.predictions.ids, r.predictions.actual, strict=True)) for r in (one, other)
    )
    differing = [i for i in {**left, **right} if left.get(i) != right.get(i)]
    if differing:
        raise InputError(
            f"{one.key} and {other.key} are not on the same test images: {len(left)} and "
            f"{len(right)} images, {len(differing)} differ in id or actual class, such as id "
            f"{differing[0][:80]!r}; evaluate both on one test split"
        )
    ours, theirs = one.predictions.classes, other.predictions.classes
    if ours != theirs:
        raise InputError(
            f"{one.key} and {other.key} know different classes: {list(ours)} and {list(theirs)}; "
            "give both a score column for every class"
        )


def _in_order(predictions: Predictions, ids: tuple[str, ...]) -> Predictions:
    """The same predictions with the images in the order of `ids`."""
    if predictions.ids == ids:
        return predictions
    position = {name: index for index, name in enumerate(predictions.ids)}
    order = [position[name] for name in ids]
    scores = predictions.scores
    return Predictions(
        predictions.classes,
        ids,
        tuple(predictions.actual[i] for i in order),
        tuple(predictions.predicted[i] for i in order),
        None if scores is None else np.asarray(scores[order]),
    )


def _arms(results: Sequence[RunResult], baseline: str) -> dict[str, list[int]]:
    """The arms of one recipe, the baseline first, and where their runs stand, by seed."""
    names = list(dict.fromkeys(result.arm for result in results))
    if baseline not in names:
        raise InputError(
            f"recipe {results[0].recipe!r} has no result of the baseline {baseline!r} "
            f"to compare with; its arms are {names}; name one of them with --baseline"
        )
    found = {
        name: [i for i, result in enumerate(results) if result.arm == name]
        for name in sorted(names, key=lambda name: name != baseline)
    }
    return {name: sorted(chosen, key=lambda i: results[i].seed) for name, chosen in found.items()}
