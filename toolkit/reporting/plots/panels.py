"""What pictures are drawn of: lines, intervals, bars.

The functions draw on axes, so that a panel may stand in a PNG or alone in the page. Nothing is
computed here but where to draw.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.io.text import shorten
from toolkit.reporting.plots.style import tint

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from toolkit.evaluation.results import History, RunResult

PANELS = (("valid_loss", "loss"), ("valid_accuracy", "accuracy"), ("valid_gmean", "G-mean"))
Style = Mapping[str, Any]
"""Colour, line and marker, as matplotlib's keywords."""

# --- lines ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PlotLine:
    """A curve: what it is called, its points, how it is drawn; where given, a band around it."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: Style
    band: tuple[Sequence[float], Sequence[float]] | None = None


def draw_lines(axes: "Axes", lines: Iterable[PlotLine], x: str, y: str) -> None:
    """Lines with their bands; `x` and `y` name the axes."""
    axes.set_xlabel(x)
    axes.set_title(y, color=tint("soft"))
    for line in lines:
        if line.band:
            low, high = line.band
            axes.fill_between(line.x, low, high, color=line.style["color"], alpha=0.16, linewidth=0)
        marker = line.style.get("marker", "") if len(line.x) <= 3 else ""
        axes.plot(line.x, line.y, **{**line.style, "marker": marker})


def epochs(
    results: Sequence["RunResult"], column: str, styles: Mapping[str, Style]
) -> list[PlotLine]:
    """A line an arm of one recipe: the mean over its seeds, its band from lowest to highest."""
    found = {arm: [r.history for r in results if r.arm == arm and r.history] for arm in styles}
    return [_mean_line(arm, runs, column, styles[arm]) for arm, runs in found.items() if runs]


def _mean_line(arm: str, runs: Sequence["History"], column: str, style: Style) -> PlotLine:
    length = min(len(run["epoch"]) for run in runs)
    values = np.array([run[column][:length] for run in runs])
    band = (values.min(axis=0), values.max(axis=0)) if len(runs) > 1 else None
    return PlotLine(arm, runs[0]["epoch"][:length], values.mean(axis=0), style, band)


def draw_epochs(axes: "Axes", lines: Iterable[PlotLine], column: str, label: str) -> None:
    """A column of the history by epoch; shares end at 1."""
    from matplotlib.ticker import MaxNLocator

    draw_lines(axes, lines, "epoch", label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, min_n_ticks=3))
    if column != "valid_loss":
        axes.set_ylim(top=min(axes.get_ylim()[1], 1.01))


# --- intervals --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Interval:
    """One value with its 95 % interval: under `group`, named `label`, with a `note` at the right.

    `dots` are the single values behind it, drawn small; `brief` is drawn where the label is long.
    """

    group: str
    label: str
    value: float
    low: float
    high: float
    style: Style
    note: str = ""
    strong: bool = False
    dots: Sequence[float] = ()
    brief: str = ""


@dataclass(frozen=True)
class Bar:
    """Images of one class in one arm: originals, and beside them the new ones."""

    group: str
    label: str
    originals: int
    new: int
    style: Style


ROW, HEAD, FOOT = 40, 30, 38
"""Points of height: a row of an interval chart, a group's name, the axis below them."""
WORDS, LINE = 0.24, 0.62
"""How far down in a row its words and its interval stand."""


def row_height(rows: Sequence[Interval] | Sequence[Bar]) -> float:
    """How many points high a chart of these rows is."""
    return FOOT + ROW * len(rows) + HEAD * len({row.group for row in rows})


def draw_intervals(
    axes: "Axes", rows: Sequence[Interval], x: str, zero: float | None = None
) -> list[float]:
    """Intervals below each other, each under its words, and a line at `zero`.

    Returns the middle of each row along y.
    """
    tops = _rows(axes, [_words(row) for row in rows], x)
    _scale(axes, rows, zero)
    places = [top + LINE for top in tops]
    strips = [place - 0.16 for place in places], [place + 0.3 for place in places]
    for tick in axes.get_xticks():
        axes.vlines([tick] * len(rows), *strips, color=tint("grid"), linewidth=1)
    if zero is not None:
        axes.vlines([zero] * len(rows), *strips, color=tint("soft"), linewidth=1.4)
    for row, place in zip(rows, places, strict=True):
        _interval(axes, row, place)
    return [top + 0.5 for top in tops]


Words = tuple[str, str, str, bool]
"""What is written at a row: its group, its label, the note, and whether that is bold."""


def _words(row: Interval) -> Words:
    return row.group, row.brief or row.label, row.note, row.strong


def _rows(axes: "Axes", words: Sequence[Words], x: str) -> list[float]:
    """Write each row's group (once), label and note; return the tops of the rows along y."""
    axes.set_xlabel(x)
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    axes.set_yticks([])
    across: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center"}
    tops, groups, at = [], set(), 0.0
    for group, label, note, strong in words:
        if group and group not in groups:
            axes.text(0, at + HEAD / ROW / 2, shorten(group, 48), weight="bold", **across)
            groups.add(group)
            at += HEAD / ROW
        axes.text(0, at + WORDS, shorten(label, 40), size=10.5, **across)
        weight = "bold" if strong else "normal"
        axes.text(1, at + WORDS, note, ha="right", size=10.5, weight=weight, **across)
        tops.append(at)
        at += 1
    axes.set_ylim(at, 0)
    return tops


def _interval(axes: "Axes", row: Interval, place: float) -> None:
    colour = row.style["color"]
    axes.plot([row.low, row.high], [place] * 2, color=colour, linewidth=2.4)
    if len(row.dots) > 1:
        dots: dict[str, Any] = {"marker": "o", "markersize": 4, "markeredgewidth": 0, "alpha": 0.55}
        axes.plot(row.dots, [place + 0.17] * len(row.dots), color=colour, linestyle="", **dots)
    edge: dict[str, Any] = {
        "markeredgecolor": tint("back"),
        "markeredgewidth": 1.2,
        "markersize": 9,
    }
    axes.plot(row.value, place, color=colour, marker=row.style["marker"], **edge)


def _scale(axes: "Axes", rows: Sequence[Interval], zero: float | None) -> None:
    """Everything with a little air at both sides, and ticks where their numbers have room."""
    from matplotlib.ticker import MaxNLocator

    ends = [end for row in rows for end in (row.low, row.high, *row.dots)]
    ends += [] if zero is None else [zero]
    wide = max(max(ends) - min(ends), 1e-3)
    low, high = min(ends) - 0.04 * wide, max(ends) + 0.04 * wide
    ticks = MaxNLocator(nbins=8, steps=[1, 2, 5, 10]).tick_values(low, high)
    axes.set_xticks([t for t in ticks if low + 0.03 * wide <= t <= high - 0.03 * wide])
    axes.set_xlim(low, high)


# --- bars -------------------------------------------------------------------------------------


def draw_bars(axes: "Axes", bars: Sequence[Bar]) -> list[float]:
    """Horizontal bars, originals solid, new images light. Returns the middle of each row on y."""
    notes = [f"{bar.originals} + {bar.new} new" if bar.new else str(bar.originals) for bar in bars]
    words = [(bar.group, bar.label, note, False) for bar, note in zip(bars, notes, strict=True)]
    tops = _rows(axes, words, "images")
    for bar, top in zip(bars, tops, strict=True):
        colour = bar.style["color"]
        axes.barh(top + LINE, bar.originals, 0.3, color=colour)
        axes.barh(top + LINE, bar.new, 0.3, bar.originals, color=colour, alpha=0.4)
    axes.set_xlim(0, 1.04 * max(1, *(bar.originals + bar.new for bar in bars)))
    return [top + 0.5 for top in tops]
