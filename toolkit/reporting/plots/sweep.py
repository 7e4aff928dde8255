"""Figures of a sweep: G-mean against the target, and the effect of leaving out a transform."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolkit.evaluation.judgment import BETTER, EQUAL, UNKNOWN, WORSE
from toolkit.evaluation.sweep import EFFECT, SweepPoint, TransformEffect
from toolkit.io.text import shorten
from toolkit.reporting.plots.style import (
    arm_legend,
    arm_styles,
    hex_color,
    new_figure,
    theme,
    to_png,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EFFECT_COLORS = {BETTER: "blue", WORSE: "vermilion", EQUAL: "green", UNKNOWN: "gray"}
EFFECT_MARKERS = {BETTER: "o", WORSE: "D", EQUAL: "v", UNKNOWN: "s"}


def response_figure(points: Sequence[SweepPoint]) -> bytes:
    """Draw the G-mean with its 95% interval against the target, one panel per recipe, as PNG.

    Each arm is a line; one without new images is a horizontal line with a band.
    """
    recipes, arms = (
        list(dict.fromkeys(names))
        for names in zip(*((p.recipe, p.arm) for p in points), strict=True)
    )
    targets = sorted({p.target for p in points if p.target is not None})
    step = (targets[-1] - targets[0]) / 80 or 1.0
    with theme():
        figure = new_figure(130 + 330 * len(recipes), 300)
        grid = figure.subplots(1, len(recipes), sharey=True, squeeze=False)[0]
        for axes, recipe in zip(grid, recipes, strict=True):
            for number, arm in enumerate(arms):
                of_arm = [p for p in points if (p.recipe, p.arm) == (recipe, arm)]
                _draw_arm(axes, of_arm, arms, shift=(number - len(arms) / 2) * step)
            axes.set_xticks(targets, [str(target) for target in targets])
            axes.set_xlabel("target: images per augmented class")
            axes.set_title(shorten(recipe, 40))
        grid[0].set_ylabel("test G-mean, 95% interval")
        arm_legend(figure, arms, lines=True)
        return to_png(figure)


def _draw_arm(
    axes: "Axes", points: Sequence[SweepPoint], arms: Sequence[str], shift: float
) -> None:
    """Draw the points of one arm; `shift`, in images, separates the intervals of several arms."""
    style = arm_styles(arms)[points[0].arm]
    if points[0].target is None:
        axes.axhspan(points[0].low, points[0].high, color=style["color"], alpha=0.12, linewidth=0)
        axes.axhline(points[0].gmean, color=style["color"], linestyle=style["linestyle"])
        return
    targets = [(p.target or 0) + shift for p in points]
    errors = [[p.gmean - p.low for p in points], [p.high - p.gmean for p in points]]
    axes.errorbar(
        targets, [p.gmean for p in points], yerr=errors, capsize=3, elinewidth=1.2, **style
    )


def ablation_figure(effects: Sequence[TransformEffect]) -> bytes:
    """Draw the G-mean of the whole policy minus that without each transform, as PNG."""
    recipes = list(dict.fromkeys(e.recipe for e in effects))
    names = list(dict.fromkeys(e.transform for e in effects))
    with theme():
        figure = new_figure(160 + 330 * len(recipes), 110 + 26 * len(names))
        grid = figure.subplots(1, len(recipes), sharex=True, sharey=True, squeeze=False)[0]
        for axes, recipe in zip(grid, recipes, strict=True):
            for effect in effects:
                if effect.recipe == recipe:
                    _draw_effect(axes, effect, names.index(effect.transform))
            axes.axvline(0, color=hex_color("soft"), linewidth=1)
            axes.grid(visible=False, axis="y")
            axes.set_title(shorten(recipe, 40))
            axes.set_xlabel("G-mean of the whole policy minus that without")
        grid[0].set_yticks(range(len(names)), [shorten(name, 40) for name in names])
        grid[0].set_ylim(len(names) - 0.4, -0.6)
        _legend(figure)
        return to_png(figure)


def _draw_effect(axes: "Axes", effect: TransformEffect, height: int) -> None:
    of, verdict = effect.contrast.tested, effect.contrast.verdict
    color = hex_color(EFFECT_COLORS[verdict])
    axes.plot([of.low, of.high], [height] * 2, color=color)
    axes.plot(of.value, height, color=color, marker=EFFECT_MARKERS[verdict], markersize=7)


def _legend(figure: "Figure") -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=hex_color(EFFECT_COLORS[verdict]), marker=EFFECT_MARKERS[verdict])
        for verdict in EFFECT
    ]
    figure.legend(handles, list(EFFECT.values()), loc="outside upper left", ncols=len(handles))
