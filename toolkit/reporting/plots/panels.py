"""Lines, intervals and bars, drawn on axes.

A panel may be part of a PNG, or stand alone on a page. Only positions are computed here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit.evaluation.results import history_band
from toolkit.io.text import shorten
from toolkit.reporting.plots.style import hex_color

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from toolkit.evaluation.results import RunResult

PANELS = (
    ("valid_loss", "validation loss"),
    ("valid_accuracy", "validation accuracy"),
    ("valid_gmean", "validation G-mean"),
)
"""Columns of a history that are drawn, and their titles."""
ROW, HEAD, FOOT = 40, 30, 38
"""Heights in points: a row of an interval chart, the name of a group, the axis below."""
TEXT, LINE = 0.24, 0.62
"""Vertical positions of the text and of the interval within a row, as fractions of its height."""

Style = Mapping[str, Any]
"""Color, line and marker, as keywords of matplotlib."""
RowText = tuple[str, str, str, bool]
"""Group, label and note of a row, and whether the note is bold."""


# --- lines ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PlotLine:
    """A named curve with its style and, optionally, a band from low to high values."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: Style
    band: tuple[Sequence[float], Sequence[float]] | None = None


def has_plain_ticks(values: Iterable[float]) -> bool:
    """Return whether the ticks for these values need no power of ten below the title."""
    return 0.001 <= max(values, default=0.0) < 10_000


def draw_lines(axes: "Axes", lines: Iterable[PlotLine], x: str, title: str) -> None:
    """Draw lines with their bands; `x` labels the horizontal axis."""
    drawn = list(lines)
    axes.set_xlabel(x)
    plain = has_plain_ticks(y for line in drawn for y in line.y)
    axes.set_title(title, color=hex_color("soft"), y=1.0 if plain else 1.12)
    for line in drawn:
        if line.band:
            low, high = line.band
            axes.fill_between(line.x, low, high, color=line.style["color"], alpha=0.16, linewidth=0)
        marker = line.style.get("marker", "") if len(line.x) <= 3 else ""
        axes.plot(line.x, line.y, **{**line.style, "marker": marker})


def epoch_lines(
    results: Sequence["RunResult"], column: str, styles: Mapping[str, Style]
) -> list[PlotLine]:
    """Return a line per arm of one recipe: the mean over its seeds, and their range as a band."""
    lines = []
    for arm, style in styles.items():
        histories = [run.history for run in results if run.arm == arm and run.history]
        if histories:
            of = history_band(histories, column)
            band = (of.low.tolist(), of.high.tolist()) if len(histories) > 1 else None
            lines.append(PlotLine(arm, of.epochs, of.mean.tolist(), style, band))
    return lines


def draw_epochs(axes: "Axes", lines: Iterable[PlotLine], column: str, title: str) -> None:
    """Draw a column of the history by epoch; the axis of a fraction ends at 1."""
    from matplotlib.ticker import MaxNLocator

    draw_lines(axes, lines, "epoch", title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, min_n_ticks=3))
    if column != "valid_loss":
        axes.set_ylim(top=min(axes.get_ylim()[1], 1.01))


# --- intervals --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Interval:
    """A value with its 95% interval, in a row with a group, a label and a note at the right.

    `strong` makes the note bold; `dots` are the values of single seeds; `brief` is drawn in place
    of a long label.
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
    """The images of one class in one arm: originals, and new ones beside them."""

    group: str
    label: str
    originals: int
    new: int
    style: Style


def chart_height(rows: Sequence[Interval] | Sequence[Bar]) -> float:
    """Return the height in points of a chart with these rows."""
    return FOOT + ROW * len(rows) + HEAD * len({row.group for row in rows})


def draw_intervals(
    axes: "Axes", rows: Sequence[Interval], x: str, zero: float | None = None
) -> list[float]:
    """Draw intervals below each other, each under its text, and a line at `zero`.

    Return the center of each row along y.
    """
    texts = [(row.group, row.brief or row.label, row.note, row.strong) for row in rows]
    tops = _draw_texts(axes, texts, x)
    _scale(axes, rows, zero)
    places = [top + LINE for top in tops]
    ends = [place - 0.16 for place in places], [place + 0.3 for place in places]
    for tick in axes.get_xticks():
        axes.vlines([tick] * len(rows), *ends, color=hex_color("grid"), linewidth=1)
    if zero is not None:
        axes.vlines([zero] * len(rows), *ends, color=hex_color("soft"), linewidth=1.4)
    for row, place in zip(rows, places, strict=True):
        _interval(axes, row, place)
    return [top + 0.5 for top in tops]


def _draw_texts(axes: "Axes", texts: Sequence[RowText], x: str) -> list[float]:
    """Draw the group (once), label and note of each row; return the tops of the rows along y."""
    axes.set_xlabel(x)
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    axes.set_yticks([])
    across: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center"}
    tops, groups, at = [], set(), 0.0
    for group, label, note, strong in texts:
        if group and group not in groups:
            axes.text(0, at + HEAD / ROW / 2, shorten(group, 48), weight="bold", **across)
            groups.add(group)
            at += HEAD / ROW
        axes.text(0, at + TEXT, shorten(label, 40), size=10.5, **across)
        weight = "bold" if strong else "normal"
        axes.text(1, at + TEXT, note, ha="right", size=10.5, weight=weight, **across)
        tops.append(at)
        at += 1
    axes.set_ylim(at, 0)
    return tops


def _interval(axes: "Axes", row: Interval, place: float) -> None:
    color = row.style["color"]
    axes.plot([row.low, row.high], [place] * 2, color=color, linewidth=2.4)
    if len(row.dots) > 1:
        dots: dict[str, Any] = {"marker": "o", "markersize": 4, "markeredgewidth": 0, "alpha": 0.55}
        axes.plot(row.dots, [place + 0.17] * len(row.dots), color=color, linestyle="", **dots)
    edge: dict[str, Any] = {
        "markeredgecolor": hex_color("back"),
        "markeredgewidth": 1.2,
        "markersize": 9,
    }
    axes.plot(row.value, place, color=color, marker=row.style["marker"], **edge)


def _scale(axes: "Axes", rows: Sequence[Interval], zero: float | None) -> None:
    """Set limits with some space at both ends, and ticks whose numbers fit."""
    from matplotlib.ticker import MaxNLocator

    values = [value for row in rows for value in (row.low, row.high, *row.dots)]
    values += [] if zero is None else [zero]
    width = max(max(values) - min(values), 1e-3)
    low, high = min(values) - 0.04 * width, max(values) + 0.04 * width
    ticks = MaxNLocator(nbins=8, steps=[1, 2, 5, 10]).tick_values(low, high)
    axes.set_xticks([t for t in ticks if low + 0.03 * width <= t <= high - 0.03 * width])
    axes.set_xlim(low, high)


# --- bars -------------------------------------------------------------------------------------


def draw_bars(axes: "Axes", bars: Sequence[Bar]) -> list[float]:
    """Draw horizontal bars, originals solid, new images light; return the centers along y."""
    notes = [f"{bar.originals} + {bar.new} new" if bar.new else str(bar.originals) for bar in bars]
    texts = [(bar.group, bar.label, note, False) for bar, note in zip(bars, notes, strict=True)]
    tops = _draw_texts(axes, texts, "images")
    for bar, top in zip(bars, tops, strict=True):
        color = bar.style["color"]
        axes.barh(top + LINE, bar.originals, 0.3, color=color)
        axes.barh(top + LINE, bar.new, 0.3, bar.originals, color=color, alpha=0.4)
    axes.set_xlim(0, 1.04 * max(1, *(bar.originals + bar.new for bar in bars)))
    return [top + 0.5 for top in tops]
