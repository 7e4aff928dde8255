"""Numbers -> PNG pictures of the stages: curves, confusion matrices, the comparison."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.evaluation.results import History, RunResult
from toolkit.io.text import shorten
from toolkit.metrics.confusion import Matrix
from toolkit.reporting.plots import forest, panels
from toolkit.reporting.plots.panels import PANELS, PlotLine
from toolkit.reporting.plots.style import (
    arm_legend,
    arm_styles,
    draw_title,
    new_figure,
    theme,
    tint,
    to_png,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from toolkit.evaluation.comparison import Comparison

MOST_WRITTEN, MOST_NAMED = 12, 40
"""Classes up to which a confusion matrix has numbers in its cells, and names on its axes."""


# --- pictures of one run ----------------------------------------------------------------------


def curve_figure(history: History, name: str = "") -> bytes:
    """PNG of one run called `name`: loss (train and valid), accuracy and G-mean by epoch."""
    with theme():
        figure = new_figure(720, 230)
        grid = figure.subplots(1, 3)
        style = {"color": tint("blue"), "marker": "o"}
        for axes, (column, label) in zip(grid, PANELS, strict=True):
            lines = [PlotLine("valid", history["epoch"], history[column], style)]
            if axes is grid[0]:
                train = {"color": tint("ochre"), "marker": "o", "linestyle": "--"}
                lines.append(PlotLine("train", history["epoch"], history["train_loss"], train))
            panels.draw_epochs(
                axes, lines, column, label if len(lines) > 1 else f"{label} on valid"
            )
        grid[0].legend(grid[0].lines, ["valid", "train"], loc="best")
        draw_title(figure, name)
        return to_png(figure)


def confusion_figure(matrix: Matrix, classes: Sequence[str], name: str = "") -> bytes:
    """PNG of a confusion matrix [K, K] of a run called `name`, shaded by the share of each row."""
    from matplotlib.colors import LinearSegmentedColormap

    with theme():
        size = min(250 + 30 * (len(classes) - 2), 800)
        figure = new_figure(size + 36, size)
        axes = figure.subplots()
        found = matrix / matrix.sum(axis=1, keepdims=True).clip(1)
        ramp = LinearSegmentedColormap.from_list("share", [tint("back"), tint("blue")])
        axes.imshow(found, cmap=ramp, vmin=0, vmax=2)  # half the ramp: ink stays readable on it
        axes.set(xlabel="predicted", ylabel="actual")
        axes.grid(visible=False)
        _class_ticks(axes, classes)
        if len(classes) <= MOST_WRITTEN:
            _counts(axes, matrix, found)
        draw_title(figure, name)
        return to_png(figure)


def _class_ticks(axes: "Axes", classes: Sequence[str]) -> None:
    names = [shorten(name, 16) for name in classes] if len(classes) <= MOST_NAMED else []
    axes.set_xticks(range(len(names)), names, rotation=90 if len(names) > 3 else 0)
    axes.set_yticks(range(len(names)), names)


def _counts(axes: "Axes", matrix: Matrix, found: Any) -> None:
    """Write each count, with its share of the row below it where there is room."""
    roomy = len(matrix) <= 5
    for row, column in np.ndindex(*matrix.shape):
        size, place = (14, "bottom") if roomy else (9, "center")
        axes.text(column, row, str(int(matrix[row, column])), size=size, ha="center", va=place)
        if roomy:
            axes.text(column, row + 0.08, f"{found[row, column]:.1%}", ha="center", va="top")


# --- pictures of all runs ---------------------------------------------------------------------


def overlay_figure(results: Sequence[RunResult]) -> bytes:
    """PNG of the curves on valid of all arms over each other, a row of panels per recipe.

    A line is the mean over the seeds, its band goes from the lowest to the highest seed.
    """
    known = [result for result in results if result.history is not None]
    recipes = list(dict.fromkeys(result.recipe for result in known))
    rows, styles = max(1, len(recipes)), arm_styles(list(dict.fromkeys(r.arm for r in known)))
    with theme():
        figure = new_figure(720, 40 + 190 * rows)
        grid = figure.subplots(rows, 3, squeeze=False)
        for row, recipe in zip(grid, recipes, strict=False):
            runs = [result for result in known if result.recipe == recipe]
            for axes, (column, label) in zip(row, PANELS, strict=True):
                panels.draw_epochs(
                    axes, panels.epochs(runs, column, styles), column, f"{label} on valid"
                )
            row[0].set_ylabel(shorten(recipe, 24), weight="bold", labelpad=8)
        arm_legend(figure, list(styles), lines=True)
        return to_png(figure)


def comparison_figure(compared: "Comparison") -> bytes:
    """PNG of the differences of G-mean, and beside them the G-mean of each arm."""
    left, right = forest.difference_intervals(compared), forest.arm_intervals(compared)
    tall = max(panels.row_height(side) for side in (left, right))
    with theme():
        figure = new_figure(900, tall + 12)
        sides = figure.subplots(1, 2, gridspec_kw={"wspace": 0.08})
        if left:
            panels.draw_intervals(sides[0], left, forest.DIFFERENCE, zero=0)
        else:
            sides[0].set_visible(False)
        panels.draw_intervals(sides[1], right, forest.GMEAN)
        return to_png(figure)
