"""Trainings as one picture: the gradient of each layer, the loss and the accuracy."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit import traces
from toolkit.canvas import light, new, png, short, theme
from toolkit.traces import Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TWIN = "_plain"
STYLES: dict[bool, dict[str, Any]] = {
    False: {"color": light("blue"), "linestyle": "-"},
    True: {"color": light("vermilion"), "linestyle": (0, (4, 1.6))},
}
"""Of a network, and of its twin without shortcuts."""


def picture(found: Sequence[Trace]) -> bytes:
    """PNG, a column a network and its plain twin; three rows of panels.

    Above, the norm of the gradient against the layer on a log scale: thin lines are the epochs, the
    thick one with dots is the last epoch. Below, loss on train and accuracy on valid: thin lines
    are seeds, the thick one their mean.
    """
    groups = traces.grouped(found)
    columns = list(dict.fromkeys(name.removesuffix(TWIN) for name in groups))
    with theme():
        figure = new(100 + 270 * len(columns), 560)
        ratios = {"height_ratios": [1.7, 1, 1]}
        grid = figure.subplots(3, len(columns), sharey="row", squeeze=False, gridspec_kw=ratios)
        for axes, name in zip(grid.T, columns, strict=True):
            for plain in (False, True):
                if group := groups.get(f"{name}{TWIN if plain else ''}"):
                    _network(axes, group, STYLES[plain])
            axes[0].set_yscale("log")
            axes[0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes[0].set_title(short(name, 30), weight="bold")
            axes[0].set_xlabel("layer, from the image to the logits")
            axes[2].set_xlabel("epoch")
        for axes, label in zip(
            grid[:, 0], ("norm of the gradient", "loss on train", "accuracy on valid"), strict=True
        ):
            axes.set_ylabel(label)
        _legend(figure)
        return png(figure)


def _network(panels: Sequence["Axes"], group: list[Trace], style: dict[str, Any]) -> None:
    from matplotlib.ticker import MaxNLocator

    norms = traces.mean_norms(group)
    layers = np.arange(1, norms.shape[1] + 1)
    for epoch in norms:
        panels[0].plot(layers, epoch, **style, linewidth=0.6, alpha=0.45)
    panels[0].plot(layers, norms[-1], **style, marker="o", markersize=2.5)
    for axes, lines in (
        (panels[1], [trace.loss for trace in group]),
        (panels[2], [trace.accuracy for trace in group]),
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
