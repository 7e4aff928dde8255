"""A sweep as pictures: G-mean against the target, and what leaving out a transform changes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolkit.evaluation.contrasts import BETTER, INCONCLUSIVE, WORSE
from toolkit.evaluation.sweep import EFFECT, SweepPoint, TransformEffect
from toolkit.io.text import shorten
from toolkit.reporting.plots.style import arm_legend, arm_styles, new_figure, theme, tint, to_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHADES = {BETTER: "blue", WORSE: "vermilion", INCONCLUSIVE: "grey"}
SIGNS = {BETTER: "o", WORSE: "D", INCONCLUSIVE: "s"}


def response(points: Sequence[SweepPoint]) -> bytes:
    """PNG, a panel a recipe: G-mean with its 95 % interval against the target, a line an arm.

    An arm without new images is a line and a band across the panel.
    """
    recipes, arms = (
        list(dict.fromkeys(names))
        for names in zip(*((p.recipe, p.arm) for p in points), strict=True)
    )
    targets = sorted({p.target for p in points if p.target is not None})
    apart = (targets[-1] - targets[0]) / 80 or 1.0
    with theme():
        figure = new_figure(130 + 330 * len(recipes), 300)
        grid = figure.subplots(1, len(recipes), sharey=True, squeeze=False)[0]
        for axes, recipe in zip(grid, recipes, strict=True):
            for number, arm in enumerate(arms):
                own = [p for p in points if (p.recipe, p.arm) == (recipe, arm)]
                _arm(axes, own, arms, shift=(number - len(arms) / 2) * apart)
            axes.set_xticks(targets, [str(target) for target in targets])
            axes.set_xlabel("images that a class ends with")
            axes.set_title(shorten(recipe, 40))
        grid[0].set_ylabel("G-mean on test, 95 % interval")
        arm_legend(figure, arms, lines=True)
        return to_png(figure)


def _arm(axes: "Axes", own: Sequence[SweepPoint], arms: Sequence[str], shift: float) -> None:
    """Draw one arm; `shift`, in images, keeps the intervals of several arms apart."""
    style = arm_styles(arms)[own[0].arm]
    if own[0].target is None:
        axes.axhspan(own[0].low, own[0].high, color=style["color"], alpha=0.12, linewidth=0)
        axes.axhline(own[0].gmean, color=style["color"], linestyle=style["linestyle"])
        return
    places = [(p.target or 0) + shift for p in own]
    reach = [[p.gmean - p.low for p in own], [p.high - p.gmean for p in own]]
    axes.errorbar(places, [p.gmean for p in own], yerr=reach, capsize=3, elinewidth=1.2, **style)


def contributions(effects: Sequence[TransformEffect]) -> bytes:
    """PNG, a panel a recipe: G-mean of the whole policy minus that without each transform."""
    recipes = list(dict.fromkeys(e.recipe for e in effects))
    names = list(dict.fromkeys(e.transform for e in effects))
    with theme():
        figure = new_figure(160 + 330 * len(recipes), 110 + 26 * len(names))
        grid = figure.subplots(1, len(recipes), sharex=True, sharey=True, squeeze=False)[0]
        for axes, recipe in zip(grid, recipes, strict=True):
            for effect in effects:
                if effect.recipe == recipe:
                    _effect(axes, effect, names.index(effect.transform))
            axes.axvline(0, color=tint("soft"), linewidth=1)
            axes.grid(visible=False, axis="y")
            axes.set_title(shorten(recipe, 40))
            axes.set_xlabel("G-mean of all minus that without it")
        grid[0].set_yticks(range(len(names)), [shorten(name, 40) for name in names])
        grid[0].set_ylim(len(names) - 0.4, -0.6)
        _legend(figure)
        return to_png(figure)


def _effect(axes: "Axes", effect: TransformEffect, height: int) -> None:
    of, verdict = effect.contrast.tested, effect.contrast.verdict
    colour = tint(SHADES[verdict])
    axes.plot([of.low, of.high], [height] * 2, color=colour)
    axes.plot(of.value, height, color=colour, marker=SIGNS[verdict], markersize=7)


def _legend(figure: "Figure") -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=tint(SHADES[verdict]), marker=SIGNS[verdict]) for verdict in EFFECT
    ]
    figure.legend(handles, list(EFFECT.values()), loc="outside upper left", ncols=len(handles))
