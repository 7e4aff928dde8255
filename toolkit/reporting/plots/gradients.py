"""A figure of several trainings: the gradient norm of each layer, the loss and the accuracy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from toolkit.io.text import shorten
from toolkit.reporting.plots.style import hex_color, new_figure, theme, to_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curve = npt.NDArray[np.float64]

TWIN = "_plain"
STYLES: dict[bool, dict[str, Any]] = {
    False: {"color": hex_color("blue"), "linestyle": "-"},
    True: {"color": hex_color("vermilion"), "linestyle": (0, (4, 1.6))},
}
"""Styles of a network and of its plain twin, which has no shortcuts."""


@dataclass(frozen=True)
class GradientCurves:
    """The training of one network by epoch.

    norms: gradient norms averaged over the seeds, [epochs, layers]; losses: training losses,
    [seeds, epochs]; accuracies: validation accuracies, [seeds, epochs]; mean_loss and
    mean_accuracy: their means over the seeds, [epochs].
    """

    norms: Curve
    losses: Sequence[Curve]
    accuracies: Sequence[Curve]
    mean_loss: Curve
    mean_accuracy: Curve


def gradient_figure(networks: Mapping[str, GradientCurves]) -> bytes:
    """Draw a column of three panels for each network and its plain twin, as PNG.

    Top: the gradient norm against the layer on a log scale; thin lines are epochs, the thick one
    with dots is the last epoch. Below: training loss and validation accuracy; thin lines are seeds,
    the thick one is their mean.
    """
    columns = list(dict.fromkeys(name.removesuffix(TWIN) for name in networks))
    with theme():
        figure = new_figure(100 + 270 * len(columns), 560)
        ratios = {"height_ratios": [1.7, 1, 1]}
        grid = figure.subplots(3, len(columns), sharey="row", squeeze=False, gridspec_kw=ratios)
        for axes, name in zip(grid.T, columns, strict=True):
            for plain in (False, True):
                if curves := networks.get(f"{name}{TWIN if plain else ''}"):
                    _draw_network(axes, curves, STYLES[plain])
            axes[0].set_yscale("log")
            axes[0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes[0].set_title(shorten(name, 30), weight="bold")
            axes[0].set_xlabel("layer, from input to output")
            axes[2].set_xlabel("epoch")
        for axes, label in zip(
            grid[:, 0], ("gradient norm", "training loss", "validation accuracy"), strict=True
        ):
            axes.set_ylabel(label)
        _legend(figure)
        return to_png(figure)


def _draw_network(panels: Sequence["Axes"], curves: GradientCurves, style: dict[str, Any]) -> None:
    from matplotlib.ticker import MaxNLocator

    layers = np.arange(1, curves.norms.shape[1] + 1)
    for epoch in curves.norms:
        panels[0].plot(layers, epoch, **style, linewidth=0.6, alpha=0.45)
    panels[0].plot(layers, curves.norms[-1], **style, marker="o", markersize=2.5)
    for axes, lines, mean in (
        (panels[1], curves.losses, curves.mean_loss),
        (panels[2], curves.accuracies, curves.mean_accuracy),
    ):
        epochs = np.arange(1, len(mean) + 1)
        for line in lines:
            axes.plot(epochs, line, **style, linewidth=0.6, alpha=0.45)
        axes.plot(epochs, mean, **style)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))


def _legend(figure: "Figure") -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **style) for style in STYLES.values()]
    names = ["network", "plain twin without shortcuts"]
    figure.legend(handles, names, loc="outside upper left", ncols=2)
