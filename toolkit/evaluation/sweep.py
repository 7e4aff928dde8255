"""Sweeps: the G-mean of each arm at each target, and the effect of each transform of an arm."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from toolkit.evaluation.comparison import Comparison, compare_groups
from toolkit.evaluation.contrasts import ArmEstimate, Contrast
from toolkit.evaluation.judgment import BETTER, EQUAL, UNKNOWN, WORSE
from toolkit.evaluation.results import RunResult
from toolkit.evaluation.verdict import format_difference
from toolkit.io import csv
from toolkit.metrics.params import CompareParams

EFFECT = {BETTER: "helps", WORSE: "harms", EQUAL: "does nothing", UNKNOWN: "not yet known"}
LESS = "less one transform"
"""The arm that the whole policy is compared with; no arm of params.yaml can have this name."""

POINT_COLUMNS = (
    "arm", "recipe", "target", "seeds", "gmean", "low", "high",
    "difference", "difference_low", "difference_high", "p", "verdict",
)  # fmt: skip
EFFECT_COLUMNS = (
    "transform", "recipe", "seeds", "gmean", "gmean_without",
    "difference", "difference_low", "difference_high", "p", "effect",
)  # fmt: skip


@dataclass(frozen=True)
class SweepPoint:
    """One arm with one recipe at one target; the target is None for an arm without new images.

    `gmean` is the mean over the seeds, `low` and `high` its 95% confidence interval. `contrast`
    compares it with the baseline at the same target; None for the baseline.
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
    """One transform: mean G-mean of the whole policy, and of the policy without the transform.

    `contrast` is the whole policy minus the one without.
    """

    transform: str
    recipe: str
    whole: float
    without: float
    contrast: Contrast


def compare_targets(
    results: Mapping[int, Sequence[RunResult]], params: CompareParams
) -> dict[int, Comparison]:
    """Compare the arms with the baseline at each target; p is corrected for all targets."""
    return compare_groups(results, params.baseline, **_settings(params))


def compare_transforms(
    results: Mapping[str | None, Sequence[RunResult]], arm: str, params: CompareParams
) -> dict[str, Comparison]:
    """Compare the arm's whole policy, at None, with the policy without each transform.

    p is corrected for all transforms.
    """
    runs = {name: [r for r in of if r.arm == arm] for name, of in results.items()}
    groups = {
        name: [*(replace(run, arm=LESS) for run in without), *runs[None]]
        for name, without in runs.items()
        if name is not None
    }
    return compare_groups(groups, LESS, **_settings(params))


def _settings(params: CompareParams) -> dict[str, Any]:
    return {"resamples": params.resamples, "seed": params.seed, "margin": params.margin}


def sweep_points(comparisons: Mapping[int, Comparison]) -> list[SweepPoint]:
    """List the points by recipe, arm and target; the original arm, without a target, once."""
    points: dict[tuple[str, str, int | None], SweepPoint] = {}
    for target, compared in comparisons.items():
        contrasts = {(c.recipe, c.arm): c for c in compared.contrasts}
        for estimate in compared.estimates:
            place = None if estimate.arm == "original" else target
            point = _point(estimate, place, contrasts.get((estimate.recipe, estimate.arm)))
            points.setdefault((point.recipe, point.arm, place), point)
    recipes, arms = (list(dict.fromkeys(key[k] for key in points)) for k in (0, 1))
    return sorted(points.values(), key=lambda p: (recipes.index(p.recipe), arms.index(p.arm)))


def _point(estimate: ArmEstimate, target: int | None, contrast: Contrast | None) -> SweepPoint:
    metric = estimate.metric
    numbers = (len(estimate.seeds), estimate.mean(metric), *estimate.intervals[metric])
    return SweepPoint(estimate.arm, estimate.recipe, target, *numbers, contrast)


def transform_effects(comparisons: Mapping[str, Comparison]) -> list[TransformEffect]:
    """List the effects by recipe and transform."""
    effects = [
        _effect(transform, contrast, compared.estimates)
        for transform, compared in comparisons.items()
        for contrast in compared.contrasts
    ]
    recipes = list(dict.fromkeys(effect.recipe for effect in effects))
    return sorted(effects, key=lambda effect: recipes.index(effect.recipe))


def _effect(
    transform: str, contrast: Contrast, estimates: Iterable[ArmEstimate]
) -> TransformEffect:
    means = {of.arm: of.mean(contrast.metric) for of in estimates if of.recipe == contrast.recipe}
    whole, without = means[contrast.arm], means[contrast.against]
    return TransformEffect(transform, contrast.recipe, whole, without, contrast)


# --- as tables --------------------------------------------------------------------------------


def point_table(points: Sequence[SweepPoint]) -> list[list[str]]:
    """Return the points as rows of text, header first."""
    header = ["recipe", "arm", "target", "seeds", "G-mean", "against the baseline", "verdict"]
    return [header, *([p.recipe, p.arm, *_point_cells(p)] for p in points)]


def _point_cells(point: SweepPoint) -> list[str]:
    target = "" if point.target is None else str(point.target)
    gmean = f"{point.gmean:.3f} ({point.low:.3f} to {point.high:.3f})"
    cells = ["baseline", ""] if point.contrast is None else _contrast_cells(point.contrast)
    return [target, str(point.seeds), gmean, *cells]


def effect_table(effects: Sequence[TransformEffect]) -> list[list[str]]:
    """Return the effects as rows of text, header first."""
    header = ["recipe", "transform", "G-mean with all", "without it", "difference", "it"]
    return [header, *([e.recipe, e.transform, *_effect_cells(e)] for e in effects)]


def _effect_cells(effect: TransformEffect) -> list[str]:
    difference, verdict = _contrast_cells(effect.contrast)
    return [f"{effect.whole:.3f}", f"{effect.without:.3f}", difference, EFFECT[verdict]]


def _contrast_cells(contrast: Contrast) -> list[str]:
    of = contrast.tested
    return [format_difference(of), contrast.verdict]


def points_csv(points: Sequence[SweepPoint]) -> str:
    """Return CSV with POINT_COLUMNS; the baseline has no difference, the original arm no target."""
    return csv.csv_text(POINT_COLUMNS, map(_point_fields, points))


def _point_fields(point: SweepPoint) -> list[object]:
    numbers = _rounded(point.gmean, point.low, point.high)
    fields = [""] * 5 if point.contrast is None else _contrast_fields(point.contrast)
    return [point.arm, point.recipe, point.target, point.seeds, *numbers, *fields]


def effects_csv(effects: Sequence[TransformEffect]) -> str:
    """Return CSV with EFFECT_COLUMNS; differences are the whole policy minus the one without."""
    return csv.csv_text(EFFECT_COLUMNS, map(_effect_fields, effects))


def _effect_fields(effect: TransformEffect) -> list[object]:
    *numbers, verdict = _contrast_fields(effect.contrast)
    means = _rounded(effect.whole, effect.without)
    seeds = min(effect.contrast.seeds)
    return [effect.transform, effect.recipe, seeds, *means, *numbers, EFFECT[str(verdict)]]


def _contrast_fields(contrast: Contrast) -> list[object]:
    of = contrast.tested
    return [*_rounded(of.value, of.low, of.high, contrast.p), contrast.verdict]


def _rounded(*numbers: float) -> list[object]:
    return [f"{number:z.6f}" for number in numbers]
