"""Sweeps as numbers: dose and response, and the effect of each transform."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from toolkit.evaluation import comparison
from toolkit.evaluation.comparison import Comparison
from toolkit.evaluation.contrasts import BETTER, INCONCLUSIVE, TESTED, WORSE, ArmEstimate, Contrast
from toolkit.evaluation.results import RunResult
from toolkit.io import csv
from toolkit.metrics.params import CompareParams

TARGET, WITHOUT = ", target ", ", without "
"""Between a recipe's name and what was varied: names have neither commas nor spaces."""


LESS = "less one transform"
"""The arm that the whole policy is set against."""


EFFECT = {BETTER: "helps", WORSE: "harms", INCONCLUSIVE: "not known"}


@dataclass(frozen=True)
class SweepPoint:
    """What one arm with one recipe reached at one target; None for an arm without new images.

    `gmean` is the mean over seeds, from `low` to `high` its 95 % interval. `contrast` sets it
    against the baseline at the same target; None for the baseline.
    """

    arm: str
    recipe: str
    target: int | None
    seeds: int
    gmean: float
    low: float
    high: float
    contrast: Contrast | None


@dataclass(frozen=True)
class TransformEffect:
    """What one transform does: mean G-mean of the whole policy and of that without it.

    `contrast` is whole minus without.
    """

    transform: str
    recipe: str
    whole: float
    without: float
    contrast: Contrast


# --- what came out ----------------------------------------------------------------------------


def compare_targets(found: Mapping[int, Sequence[RunResult]], wanted: CompareParams) -> Comparison:
    """Every arm at every target against the baseline; corrected for all of them together."""
    results = [
        replace(result, recipe=f"{result.recipe}{TARGET}{target}")
        for target, of_target in found.items()
        for result in of_target
    ]
    return _compare(results, wanted.baseline, wanted)


def compare_transforms(
    found: Mapping[str, Sequence[RunResult]], arm: str, wanted: CompareParams
) -> Comparison:
    """The arm's whole policy against that without each transform; corrected for all together."""
    results = [
        replace(result, recipe=f"{result.recipe}{WITHOUT}{name}", arm=label)
        for name in found
        if name
        for label, of_arm in ((LESS, found[name]), (arm, found[""]))
        for result in of_arm
        if result.arm == arm
    ]
    return _compare(results, LESS, wanted)


def _compare(results: Sequence[RunResult], baseline: str, wanted: CompareParams) -> Comparison:
    return comparison.compare_results(
        results, baseline, resamples=wanted.resamples, seed=wanted.seed
    )


def sweep_points(compared: Comparison) -> list[SweepPoint]:
    """By recipe, arm and target; the arm "original", which has no target, stands once."""
    contrasts = {(c.recipe, c.arm): c for c in compared.contrasts}
    found: dict[tuple[str, str, int | None], SweepPoint] = {}
    for row in compared.rows:
        point = _point(row, contrasts.get((row.recipe, row.arm)))
        found.setdefault((point.recipe, point.arm, point.target), point)
    recipes, arms = (list(dict.fromkeys(key[k] for key in found)) for k in (0, 1))
    return sorted(found.values(), key=lambda p: (recipes.index(p.recipe), arms.index(p.arm)))


def _point(row: ArmEstimate, contrast: Contrast | None) -> SweepPoint:
    recipe, target = row.recipe.split(TARGET)
    number = None if row.arm == "original" else int(target)
    interval = row.intervals[TESTED]
    return SweepPoint(
        row.arm, recipe, number, len(row.seeds), row.mean(TESTED), *interval, contrast
    )


def transform_effects(compared: Comparison) -> list[TransformEffect]:
    """By recipe and transform."""
    means = {(row.recipe, row.arm): row.mean(TESTED) for row in compared.rows}
    found = []
    for contrast in compared.contrasts:
        recipe, transform = contrast.recipe.split(WITHOUT)
        whole, less = (means[contrast.recipe, arm] for arm in (contrast.arm, contrast.against))
        found.append(TransformEffect(transform, recipe, whole, less, contrast))
    recipes = list(dict.fromkeys(effect.recipe for effect in found))
    return sorted(found, key=lambda effect: recipes.index(effect.recipe))


# --- as text ----------------------------------------------------------------------------------


def point_table(found: Sequence[SweepPoint]) -> list[list[str]]:
    """Rows of text, a header first."""
    header = ["recipe", "arm", "target", "seeds", "G-mean", "against the baseline", "verdict"]
    return [header, *([p.recipe, p.arm, *_point_cells(p)] for p in found)]


def _point_cells(point: SweepPoint) -> list[str]:
    target = "" if point.target is None else str(point.target)
    gmean = f"{point.gmean:.3f} ({point.low:.3f} to {point.high:.3f})"
    told = ["baseline", ""] if point.contrast is None else _told(point.contrast)
    return [target, str(point.seeds), gmean, *told]


def effect_table(found: Sequence[TransformEffect]) -> list[list[str]]:
    """Rows of text, a header first."""
    header = ["recipe", "transform", "G-mean with all", "without it", "difference", "it"]
    return [header, *([e.recipe, e.transform, *_effect_cells(e)] for e in found)]


def _effect_cells(effect: TransformEffect) -> list[str]:
    difference, verdict = _told(effect.contrast)
    return [f"{effect.whole:.3f}", f"{effect.without:.3f}", difference, EFFECT[verdict]]


def _told(contrast: Contrast) -> list[str]:
    of = contrast.tested
    return [f"{of.value:+z.3f} ({of.low:+z.3f} to {of.high:+z.3f})", contrast.verdict]


POINT_COLUMNS = (
    "arm", "recipe", "target", "seeds", "gmean", "low", "high",
    "difference", "difference_low", "difference_high", "p", "verdict",
)  # fmt: skip


EFFECT_COLUMNS = (
    "transform", "recipe", "seeds", "gmean", "gmean_without",
    "difference", "difference_low", "difference_high", "p", "effect",
)  # fmt: skip


def points_csv(found: Sequence[SweepPoint]) -> str:
    """POINT_COLUMNS; the baseline has no difference, the original arm no target."""
    return csv.csv_text(POINT_COLUMNS, [[*_place(p), *_difference(p.contrast)] for p in found])


def _place(point: SweepPoint) -> list[object]:
    target = "" if point.target is None else point.target
    numbers = _rounded(point.gmean, point.low, point.high)
    return [point.arm, point.recipe, target, point.seeds, *numbers]


def effects_csv(found: Sequence[TransformEffect]) -> str:
    """EFFECT_COLUMNS; the difference is the whole policy's G-mean minus that without it."""
    return csv.csv_text(EFFECT_COLUMNS, [_effect_fields(e) for e in found])


def _effect_fields(effect: TransformEffect) -> list[object]:
    *numbers, verdict = _difference(effect.contrast)
    means = _rounded(effect.whole, effect.without)
    seeds = min(effect.contrast.seeds)
    return [effect.transform, effect.recipe, seeds, *means, *numbers, EFFECT[str(verdict)]]


def _difference(contrast: Contrast | None) -> list[object]:
    if contrast is None:
        return [""] * 5
    of = contrast.tested
    return [*_rounded(of.value, of.low, of.high, contrast.p_holm), contrast.verdict]


def _rounded(*numbers: float) -> list[object]:
    return [f"{number:z.6f}" for number in numbers]
