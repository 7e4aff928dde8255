"""The PNG figures of the stages: learning curves, confusion matrices, the comparison."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from toolkit.evaluation.results import History, RunResult
from toolkit.io.text import shorten
from toolkit.metrics.arrays import Floats
from toolkit.metrics.confusion import Matrix, normalize_rows
from toolkit.reporting.plots import forest, panels
from toolkit.reporting.plots.panels import PANELS, PlotLine
from toolkit.reporting.plots.style import (
    arm_legend,
    arm_styles,
    draw_title,
    hex_color,
    new_figure,
    theme,
    to_png,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from toolkit.evaluation.comparison import Comparison

MAX_COUNTED, MAX_NAMED = 12, 40
"""Classes up to which a confusion matrix shows counts in its cells, and names on its axes."""
MARGINS = {"left": 0.06, "right": 0.99, "bottom": 0.17, "top": 0.82, "wspace": 0.2}
"""Of three panels in a row below a title, as fractions of the figure, and of a panel between."""

# --- figures of one run -----------------------------------------------------------------------


def curve_figure(history: History, name: str = "", measured: str = "validation") -> bytes:
    """Draw the loss, accuracy and G-mean of one run by epoch, as PNG; `name` is the title.

    `measured` says on which images they are measured after each epoch.
    """
    with theme():
        plain = panels.has_plain_ticks([*history["valid_loss"], *history["train_loss"]])
        figure = new_figure(720, 230, fitted=not plain)
        grid = figure.subplots(1, 3, gridspec_kw=MARGINS if plain else None)
        style = {"color": hex_color("blue"), "marker": "o"}
        for axes, (column, title) in zip(grid, PANELS, strict=True):
            lines = [PlotLine(measured, history["epoch"], history[column], style)]
            if axes is grid[0]:
                train = {"color": hex_color("ochre"), "marker": "o", "linestyle": "--"}
                lines.append(PlotLine("training", history["epoch"], history["train_loss"], train))
            panels.draw_epochs(axes, lines, column, "loss" if len(lines) > 1 else title)
        grid[0].legend(grid[0].lines, [measured, "training"], loc="best")
        draw_title(figure, name)
        return to_png(figure)


def confusion_figure(matrix: Matrix, classes: Sequence[str], name: str = "") -> bytes:
    """Draw a confusion matrix [K, K], shaded by row fractions, as PNG; `name` is the title."""
    from matplotlib.colors import LinearSegmentedColormap

    with theme():
        size = min(250 + 30 * (len(classes) - 2), 800)
        figure = new_figure(size + 36, size)
        axes = figure.subplots()
        fractions = normalize_rows(matrix)
        ramp = LinearSegmentedColormap.from_list("fraction", [hex_color("back"), hex_color("blue")])
        axes.imshow(fractions, cmap=ramp, vmin=0, vmax=2)  # half the ramp keeps text readable
        axes.set(xlabel="predicted", ylabel="actual")
        axes.grid(visible=False)
        _class_ticks(axes, classes)
        if len(classes) <= MAX_COUNTED:
            _draw_counts(axes, matrix, fractions)
        draw_title(figure, name)
        return to_png(figure)


def _class_ticks(axes: "Axes", classes: Sequence[str]) -> None:
    names = [shorten(name, 16) for name in classes] if len(classes) <= MAX_NAMED else []
    axes.set_xticks(range(len(names)), names, rotation=90 if len(names) > 3 else 0)
    axes.set_yticks(range(len(names)), names)


def _draw_counts(axes: "Axes", matrix: Matrix, fractions: Floats) -> None:
    """Draw each count and, if there is room, its fraction of the row below it."""
    roomy = len(matrix) <= 5
    for row, column in np.ndindex(*matrix.shape):
        size, place = (14, "bottom") if roomy else (9, "center")
        axes.text(column, row, str(int(matrix[row, column])), size=size, ha="center", va=place)
        if roomy:
            axes.text(column, row + 0.08, f"{fractions[row, column]:.1%}", ha="center", va="top")


# --- figures of all runs ----------------------------------------------------------------------


def overlay_figure(results: Sequence[RunResult]) -> bytes:
    """Draw the validation curves of all arms together, one row of panels per recipe, as PNG.

    A line is the mean over the seeds, and its band ranges from the lowest to the highest seed.
    Frozen recipes have no epochs, and are left out.
    """
    trained = [of for of in results if of.history is not None and not of.fixed]
    recipes = list(dict.fromkeys(result.recipe for result in trained))
    rows, styles = max(1, len(recipes)), arm_styles(list(dict.fromkeys(r.arm for r in trained)))
    with theme():
        figure = new_figure(720, 40 + 190 * rows)
        grid = figure.subplots(rows, 3, squeeze=False)
        for row, recipe in zip(grid, recipes, strict=False):
            runs = [result for result in trained if result.recipe == recipe]
            for axes, (column, title) in zip(row, PANELS, strict=True):
                lines = panels.epoch_lines(runs, column, styles)
                panels.draw_epochs(axes, lines, column, title)
            row[0].set_ylabel(shorten(recipe, 24), weight="bold", labelpad=8)
        arm_legend(figure, list(styles), lines=True)
        return to_png(figure)


def comparison_figure(compared: "Comparison") -> bytes:
    """Draw the differences in G-mean beside the G-mean of each arm, as PNG."""
    left, right = forest.difference_intervals(compared), forest.arm_intervals(compared)
    tall = max(panels.chart_height(side) for side in (left, right))
    with theme():
        figure = new_figure(900, tall + 12)
        sides = figure.subplots(1, 2, gridspec_kw={"wspace": 0.08})
        if left:
            panels.draw_intervals(sides[0], left, forest.DIFFERENCE, zero=0)
        else:
            sides[0].set_visible(False)
        panels.draw_intervals(sides[1], right, forest.GMEAN)
        return to_png(figure)
