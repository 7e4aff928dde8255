"""Numbers -> PNG pictures: curves, confusion matrices, the comparison.

Equal numbers give equal bytes. `dark` draws for a dark page.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.canvas import arm_legend, arm_styles, new, png, short, theme, title
from toolkit.comparison import Comparison, Row, titles
from toolkit.metrics import Matrix
from toolkit.results import History, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS = (("valid_loss", "loss"), ("valid_accuracy", "accuracy"), ("valid_gmean", "G-mean"))
MOST_WRITTEN, MOST_NAMED = 12, 40
"""Classes up to which a confusion matrix has numbers in its cells, and names on its axes."""


# --- one run ----------------------------------------------------------------------------------


def curves(history: History, name: str = "", *, dark: bool = False) -> bytes:
    """Loss (train and valid), accuracy and G-mean (valid) per epoch of one run called `name`."""
    with theme(dark):
        figure = new(9, 2.9)
        panels = figure.subplots(1, 3)
        style = {"color": "#0072B2", "marker": _dot(history)}
        for axes, (column, label) in zip(panels, PANELS, strict=True):
            _epochs(axes, label if column == "valid_loss" else f"{label} on valid")
            axes.plot(history["epoch"], history[column], **style)
        train = {**style, "color": "#E69F00", "linestyle": "--"}
        panels[0].plot(history["epoch"], history["train_loss"], **train)
        panels[0].legend(panels[0].lines, ["valid", "train"], loc="best")
        _shares(panels[1:])
        title(figure, name)
        return png(figure)


def confusion(
    matrix: Matrix, classes: Sequence[str], name: str = "", *, dark: bool = False
) -> bytes:
    """A confusion matrix [K, K] of a run called `name`, coloured by the share of each row."""
    from matplotlib.colors import LinearSegmentedColormap

    with theme(dark) as colours:
        size = min(3.4 + 0.42 * (len(classes) - 2), 11)
        figure = new(size + 0.5, size)
        axes = figure.subplots()
        shares = matrix / matrix.sum(axis=1, keepdims=True).clip(1)
        ramp = LinearSegmentedColormap.from_list("share", [colours["back"], "#0072B2"])
        axes.imshow(shares, cmap=ramp, vmin=0, vmax=1)
        axes.set(xlabel="predicted", ylabel="actual")
        axes.grid(visible=False)
        _class_ticks(axes, classes)
        if len(classes) <= MOST_WRITTEN:
            _counts(axes, matrix, shares, colours["ink"])
        title(figure, name)
        return png(figure)


def _class_ticks(axes: "Axes", classes: Sequence[str]) -> None:
    names = [short(name, 16) for name in classes] if len(classes) <= MOST_NAMED else []
    axes.set_xticks(range(len(names)), names, rotation=90 if len(names) > 3 else 0)
    axes.set_yticks(range(len(names)), names)


def _counts(axes: "Axes", matrix: Matrix, shares: Any, ink: str) -> None:
    """Write each count, with its share of the row below it where there is room."""
    roomy = len(matrix) <= 5
    for row, column in np.ndindex(*matrix.shape):
        share = float(shares[row, column])
        colour = "#ffffff" if share > 0.5 else ink
        size, place = (13, "bottom") if roomy else (9, "center")
        count = str(int(matrix[row, column]))
        axes.text(column, row, count, size=size, ha="center", va=place, color=colour)
        if roomy:
            axes.text(column, row + 0.08, f"{share:.1%}", ha="center", va="top", color=colour)


# --- all runs ---------------------------------------------------------------------------------


def overlay(results: Sequence[Result], *, dark: bool = False) -> bytes:
    """Curves on valid of all arms over each other, a row of panels per recipe.

    A line is the mean over the seeds, its band goes from the lowest to the highest seed.
    """
    known = [result for result in results if result.history is not None]
    recipes = list(dict.fromkeys(result.recipe for result in known))
    arms = list(dict.fromkeys(result.arm for result in known))
    with theme(dark):
        figure = new(9, 0.5 + 2.5 * max(1, len(recipes)))
        grid = figure.subplots(max(1, len(recipes)), 3, squeeze=False)
        for panels, recipe in zip(grid, recipes, strict=False):
            for axes, (column, label) in zip(panels, PANELS, strict=True):
                _epochs(axes, f"{label} on valid")
                for arm in arms:
                    runs = [r for r in known if (r.recipe, r.arm) == (recipe, arm)]
                    _band(
                        axes, [r.history for r in runs if r.history], column, arm_styles(arms)[arm]
                    )
            panels[0].set_ylabel(short(recipe, 24), weight="bold", labelpad=8)
            _shares(panels[1:])
        arm_legend(figure, arms, lines=True)
        return png(figure)


def _band(axes: "Axes", runs: Sequence[History], column: str, style: dict[str, Any]) -> None:
    if not runs:
        return
    epochs = min(len(run["epoch"]) for run in runs)
    values = np.array([run[column][:epochs] for run in runs])
    x = runs[0]["epoch"][:epochs]
    if len(runs) > 1:
        low, high = values.min(axis=0), values.max(axis=0)
        axes.fill_between(x, low, high, color=style["color"], alpha=0.15, linewidth=0)
    shown = {**style, "marker": _dot(runs[0])}
    axes.plot(x, values.mean(axis=0), **shown)


def comparison(compared: Comparison, *, dark: bool = False) -> bytes:
    """G-mean and accuracy on test of each recipe and arm.

    A small dot per seed, a large one for the mean, whose value stands at the right; a line leads
    from the baseline's mean.
    """
    shown = [metric for metric in ("gmean", "accuracy") if metric in compared.metrics]
    heights = _heights(compared)
    with theme(dark):
        figure = new(9, 1.0 + 0.34 * len(compared.rows) + 0.25 * len(compared.recipes))
        panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axes, metric in zip(panels, shown, strict=True):
            axes.set_title(f"{titles(compared)[metric]} on test")
            axes.grid(visible=False, axis="y")
            axes.set_xlim(*_range(compared.rows, metric))
            for row, height in zip(compared.rows, heights, strict=True):
                _dots(axes, compared, row, metric, height)
        places = [
            [h for h, row in zip(heights, compared.rows, strict=True) if row.recipe == recipe]
            for recipe in compared.recipes
        ]
        middles = [(place[0] + place[-1]) / 2 for place in places]
        panels[0].set_yticks(middles, [short(name, 24) for name in compared.recipes])
        panels[0].set_ylim(max(heights) + 0.8, min(heights) - 0.8)
        arm_legend(figure, compared.arms, lines=False)
        return png(figure)


def _heights(compared: Comparison) -> list[float]:
    """Where each row stands: arms of one recipe together, recipes apart, top to bottom."""
    return [i + 0.8 * compared.recipes.index(row.recipe) for i, row in enumerate(compared.rows)]


def _dots(axes: "Axes", compared: Comparison, row: Row, metric: str, height: float) -> None:
    style, mean = arm_styles(compared.arms)[row.arm], row.mean(metric)
    dot = {**style, "linestyle": "", "markeredgewidth": 0}
    bases = (r for r in compared.rows if (r.recipe, r.arm) == (row.recipe, compared.baseline))
    start = next(bases).mean(metric)
    axes.plot([start, mean], [height] * 2, color=style["color"], linewidth=1.5, alpha=0.5)
    if len(row.seeds) > 1:
        heights = [height] * len(row.seeds)
        axes.plot(row.values[metric], heights, **dot, markersize=4.5, alpha=0.5)
    axes.plot(mean, height, **dot, markersize=8.5)
    right = axes.get_yaxis_transform()
    axes.text(0.995, height, f"{mean:.4f}", transform=right, ha="right", va="center", size=9)


def _range(rows: Sequence[Row], metric: str) -> tuple[float, float]:
    """All values with room around them, and more on the right for the text."""
    values = [value for row in rows for value in row.values[metric]]
    wide = max(max(values) - min(values), 0.05)
    middle = (min(values) + max(values)) / 2
    return middle - 0.6 * wide, middle + 0.9 * wide


# --- axes -------------------------------------------------------------------------------------


def _epochs(axes: "Axes", label: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    axes.set_title(label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def _shares(panels: Sequence["Axes"]) -> None:
    """Give panels of shares one scale, up to 1."""
    low = min(axes.get_ylim()[0] for axes in panels)
    for axes in panels:
        axes.set_ylim(max(-0.03, low - 0.03), 1.03)


def _dot(history: History) -> str:
    """A marker where a curve is so short that its line could not be seen."""
    return "o" if len(history["epoch"]) <= 3 else ""
