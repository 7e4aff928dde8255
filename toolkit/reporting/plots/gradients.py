"""Trainings as one picture: the gradient of each layer, the loss and the accuracy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from toolkit.io.text import shorten
from toolkit.reporting.plots.style import new_figure, theme, tint, to_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TWIN = "_plain"
STYLES: dict[bool, dict[str, Any]] = {
    False: {"color": tint("blue"), "linestyle": "-"},
    True: {"color": tint("vermilion"), "linestyle": (0, (4, 1.6))},
}
"""Of a network, and of its twin without shortcuts."""


@dataclass(frozen=True)
class GradientCurves:
    """One network by epoch: mean gradient norms [epochs, layers]; of each seed, loss and accuracy.

    `losses` are on train, `accuracies` on valid, both [seeds, epochs].
    """

    norms: npt.NDArray[np.float64]
    losses: Sequence[npt.NDArray[np.float64]]
    accuracies: Sequence[npt.NDArray[np.float64]]


def gradient_figure(networks: Mapping[str, GradientCurves]) -> bytes:
    """PNG, a column a network and its plain twin; three rows of panels.

    Above, the norm of the gradient against the layer on a log scale: thin lines are the epochs, the
    thick one with dots is the last epoch. Below, loss on train and accuracy on valid: thin lines
    are seeds, the thick one their mean.
    """
    columns = list(dict.fromkeys(name.removesuffix(TWIN) for name in networks))
    with theme():
        figure = new_figure(100 + 270 * len(columns), 560)
        ratios = {"height_ratios": [1.7, 1, 1]}
        grid = figure.subplots(3, len(columns), sharey="row", squeeze=False, gridspec_kw=ratios)
        for axes, name in zip(grid.T, columns, strict=True):
            for plain in (False, True):
                if curves := networks.get(f"{name}{TWIN if plain else ''}"):
                    _network(axes, curves, STYLES[plain])
            axes[0].set_yscale("log")
            axes[0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes[0].set_title(shorten(name, 30), weight="bold")
            axes[0].set_xlabel("layer, from the image to the logits")
            axes[2].set_xlabel("epoch")
        for axes, label in zip(
            grid[:, 0], ("norm of the gradient", "loss on train", "accuracy on valid"), strict=True
        ):
            axes.set_ylabel(label)
        _legend(figure)
        return to_png(figure)


def _network(panels: Sequence["Axes"], curves: GradientCurves, style: dict[str, Any]) -> None:
    from matplotlib.ticker import MaxNLocator

    layers = np.arange(1, curves.norms.shape[1] + 1)
    for epoch in curves.norms:
        panels[0].plot(layers, epoch, **style, linewidth=0.6, alpha=0.45)
    panels[0].plot(layers, curves.norms[-1], **style, marker="o", markersize=2.5)
    for axes, lines in (
        (panels[1], curves.losses),
        (panels[2], curves.accuracies),
    ):
        epochs = np.arange(1, len(lines[0]) + 1)
        for line in lines:
            axes.plot(epochs, line, **style, linewidth=0.6, alpha=0.45)
        axes.plot(epochs, np.mean(lines, axis=0), **style)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))


def _legend(figure: "Figure") -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **style) for style in STYLES.values()]
    names = ["network", "its plain twin, without shortcuts"]
    figure.legend(handles, names, loc="outside upper left", ncols=2)
