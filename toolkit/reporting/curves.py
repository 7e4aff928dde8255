"""The page's curves: by epoch, and the diagrams of the scores."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.evaluation.curves import CurvePoints, Diagram, threshold_point
from toolkit.evaluation.results import RunResult
from toolkit.io.text import shorten
from toolkit.reporting.charts import Chart, chart_description
from toolkit.reporting.plots import panels, svg
from toolkit.reporting.plots.panels import PlotLine, Style
from toolkit.reporting.plots.style import arm_styles, new_figure, theme, tint
from toolkit.reporting.plots.svg import Drawing, Mark

if TYPE_CHECKING:
    from matplotlib.axes import Axes

THIRD, QUARTER = (310, 230), (262, 222)
"""Width and height of one among three charts and of one among four, in CSS pixels."""
MOST_COLUMNS, MOST_POINTS = 40, 9
"""Places along the epochs, and points of a run's curve, that have words and a row in the table."""
MOST_LETTERS = 30
"""Of an axis's name."""


# --- by epoch ---------------------------------------------------------------------------------


def history_chart(
    results: Sequence[RunResult], arms: Sequence[str], column: str, label: str, name: str
) -> Chart:
    """One column of the history of one recipe's runs, all arms over each other."""
    lines = panels.epochs(results, column, arm_styles(arms))
    longest = max((line.x for line in lines), key=len)
    stops = [longest[at] for at in thinned(len(longest), MOST_COLUMNS)]
    said = [[_at(line, stop) for line in lines] for stop in stops]
    texts = [_epoch(*stop, lines) for stop in zip(stops, said, strict=True)]
    with theme():
        figure = new_figure(*THIRD)
        axes = figure.subplots()
        panels.draw_epochs(axes, lines, column, label)
        marks = [Mark(axes, x, None, text) for x, text in zip(stops, texts, strict=True)]
        drawing = svg.drawing(figure, name, marks)
    body = tuple((f"{x:.0f}", *row) for x, row in zip(stops, said, strict=True))
    alt = chart_description(f"{label} by epoch, {results[0].recipe}; at the end", texts[-1:])
    return Chart(drawing, alt, (("epoch", *(line.name for line in lines)), *body))


def _at(line: PlotLine, x: float) -> str:
    """The line's value where it has one at x, and its band."""
    if x not in line.x:
        return ""
    at = list(line.x).index(x)
    if math.isnan(line.y[at]):
        return "undefined"
    band = f" ({line.band[0][at]:.3f} to {line.band[1][at]:.3f})" if line.band else ""
    return f"{line.y[at]:.3f}{band}"


def _epoch(x: float, said: Sequence[str], lines: Sequence[PlotLine]) -> str:
    known = [f"{line.name} {text}" for line, text in zip(lines, said, strict=True) if text]
    return "\n".join([f"epoch {x:.0f}", *known])


def thinned(size: int, most: int) -> list[int]:
    """At most `most` evenly spaced positions of `size`, both ends among them."""
    return sorted({round(at) for at in np.linspace(0, size - 1, min(size, most)).tolist()})


# --- diagrams of scores -----------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """The points of one run, or of an arm's runs together; where the threshold was chosen."""

    name: str
    style: Style
    points: CurvePoints
    chosen: tuple[float, float] | None = None


def diagram_chart(
    results: Sequence[RunResult], arms: Sequence[str], kind: Diagram, name: str
) -> Chart | None:
    """One diagram of one recipe's runs; None where no run has what it needs."""
    curves = list(_curves(results, kind, arm_styles(arms)))
    if not curves:
        return None
    positive = shorten(results[0].positive or "the predicted class", MOST_LETTERS)
    names = kind.x.format(positive=positive), kind.y.format(positive=positive)
    told = [told for curve in curves for told in _told(curve)]
    caption = _summed(results, arms, kind)
    alt = f"{kind.title}, {results[0].recipe}: {names[1]} against {names[0]}. {caption}"
    columns = 4 if any(cells[3] for _, cells in told) else 3  # the last one is notes
    rows = [("run", *names, "note"), *(cells for _, cells in told)]
    table = tuple(cells[:columns] for cells in rows)
    drawing = _drawn(curves, kind, names, told, name)
    return Chart(drawing, alt, table, kind.title, caption)


def _curves(
    results: Sequence[RunResult], kind: Diagram, styles: Mapping[str, Style]
) -> Iterator[Curve]:
    """A curve a run, or an arm where the runs are pooled."""
    groups = {f"{result.arm}, seed {result.seed}": [result] for result in results}
    if kind.pooled:
        groups = {r.arm: [other for other in results if other.arm == r.arm] for r in results}
    for name, runs in groups.items():
        points = kind.points(runs)
        chosen = threshold_point(runs[0]) if kind.metric == "threshold" else None
        if points:
            yield Curve(name, styles[runs[0].arm], points, chosen)


Annotation = tuple[tuple[float, float], tuple[str, str, str, str]]


def _told(curve: Curve) -> Iterator[Annotation]:
    """Some points of a curve, or all where they are few, each with the cells of its row."""
    points, size = curve.points, len(curve.points.x)
    for at in thinned(size, MOST_POINTS if points.count is None else size):
        note = "" if points.count is None else f"{points.count[at]} images"
        yield _row(curve.name, (float(points.x[at]), float(points.y[at])), note)
    if curve.chosen:
        yield _row(curve.name, curve.chosen, "chosen")


def _row(name: str, at: tuple[float, float], note: str) -> Annotation:
    return at, (name, f"{at[0]:.3f}", f"{at[1]:.3f}", note)


def _drawn(
    curves: Sequence[Curve],
    kind: Diagram,
    names: tuple[str, str],
    told: Sequence[Annotation],
    name: str,
) -> Drawing:
    with theme():
        figure = new_figure(*QUARTER)
        axes = figure.subplots()
        _draw(axes, curves, kind, names)
        marks = [Mark(axes, *at, _words(cells, names)) for at, cells in told]
        return svg.drawing(figure, name, marks)


def _words(cells: tuple[str, str, str, str], names: tuple[str, str]) -> str:
    run, x, y, note = cells
    return "\n".join(filter(None, (run, f"{names[0]} {x}", f"{names[1]} {y}", note)))


def _draw(axes: "Axes", curves: Sequence[Curve], kind: Diagram, names: tuple[str, str]) -> None:
    if kind.diagonal:
        axes.plot([0, 1], [0, 1], color=tint("line"), linewidth=1, zorder=1)
    thin = {"linewidth": 1.3, "alpha": 0.85, "drawstyle": kind.steps}
    lines = [
        PlotLine(curve.name, list(curve.points.x), list(curve.points.y), {**curve.style, **thin})
        for curve in curves
    ]
    panels.draw_lines(axes, lines, *names)
    for curve in curves:
        _dots(axes, curve)
    axes.set(xlim=(-0.02, 1.02), ylim=(None, 1.02))


def _dots(axes: "Axes", curve: Curve) -> None:
    """Dots whose area grows with the images that they stand for, and the chosen threshold."""
    colour, marker = curve.style["color"], curve.style["marker"]
    edge: dict[str, Any] = {"markersize": 8, "markeredgecolor": tint("back"), "zorder": 4}
    if curve.points.count is not None:
        area = 12 + 90 * curve.points.count / curve.points.count.max()
        look: dict[str, Any] = {"color": colour, "marker": marker, "alpha": 0.7, "linewidth": 0}
        axes.scatter(curve.points.x, curve.points.y, area, **look)
    if curve.chosen:
        axes.plot(*curve.chosen, color=colour, marker=marker, linestyle="", **edge)


def _summed(results: Sequence[RunResult], arms: Sequence[str], kind: Diagram) -> str:
    """The number that sums a curve up, for each arm: of its run, or from lowest to highest seed."""
    found = {
        arm: sorted(
            r.metrics[kind.metric] for r in results if r.arm == arm and kind.metric in r.metrics
        )
        for arm in arms
    }
    said = [f"{arm} {_spread(values)}" for arm, values in found.items() if values]
    return f"{kind.of.capitalize()}: {', '.join(said)}." if said else ""


def _spread(values: Sequence[float]) -> str:
    low, high = f"{values[0]:.3f}", f"{values[-1]:.3f}"
    return low if low == high else f"{low} to {high}"
