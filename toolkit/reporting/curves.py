"""The curves of the page: by epoch, and the diagrams of the scores."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from toolkit.evaluation.curves import CurvePoints, Diagram, calibration_error, threshold_point
from toolkit.evaluation.results import RunResult
from toolkit.io.text import shorten
from toolkit.reporting.charts import Chart, describe_chart
from toolkit.reporting.plots import panels, svg
from toolkit.reporting.plots.panels import PlotLine, Style
from toolkit.reporting.plots.style import arm_styles, hex_color, new_figure, theme
from toolkit.reporting.plots.svg import Drawing, Mark

if TYPE_CHECKING:
    from matplotlib.axes import Axes

THIRD, QUARTER = (310, 230), (262, 222)
"""Width and height of a chart, three or four in a row, in CSS pixels."""
MAX_STOPS, MAX_POINTS = 40, 9
"""Epochs, and points of a run's curve, that have a tooltip and a row in the table."""
MAX_LETTERS = 30
"""Length of a class name in the label of an axis."""


# --- by epoch ---------------------------------------------------------------------------------


def history_chart(
    results: Sequence[RunResult], arms: Sequence[str], column: str, title: str, name: str
) -> Chart:
    """Draw one column of the history of one recipe's runs, all arms together."""
    lines = panels.epoch_lines(results, column, arm_styles(arms))
    longest = max((line.x for line in lines), key=len)
    stops = [longest[at] for at in evenly_spaced(len(longest), MAX_STOPS)]
    rows = [[_value_at(line, stop) for line in lines] for stop in stops]
    texts = [_epoch_text(*stop, lines) for stop in zip(stops, rows, strict=True)]
    with theme():
        figure = new_figure(*THIRD)
        axes = figure.subplots()
        panels.draw_epochs(axes, lines, column, title)
        marks = [Mark(axes, x, None, text) for x, text in zip(stops, texts, strict=True)]
        drawing = svg.svg_drawing(figure, name, marks)
    body = tuple((f"{x:.0f}", *row) for x, row in zip(stops, rows, strict=True))
    alt = describe_chart(f"{title} by epoch, {results[0].recipe}; at the end", texts[-1:])
    return Chart(drawing, alt, (("epoch", *(line.name for line in lines)), *body))


def _value_at(line: PlotLine, x: float) -> str:
    """Format the value of a line at x with its band; empty where the line has no point."""
    if x not in line.x:
        return ""
    at = list(line.x).index(x)
    if math.isnan(line.y[at]):
        return "undefined"
    band = f" ({line.band[0][at]:.3f} to {line.band[1][at]:.3f})" if line.band else ""
    return f"{line.y[at]:.3f}{band}"


def _epoch_text(x: float, values: Sequence[str], lines: Sequence[PlotLine]) -> str:
    named = [f"{line.name} {text}" for line, text in zip(lines, values, strict=True) if text]
    return "\n".join([f"epoch {x:.0f}", *named])


def evenly_spaced(size: int, limit: int) -> list[int]:
    """Return at most `limit` evenly spaced indices of `size` items, including both ends."""
    return sorted({round(at) for at in np.linspace(0, size - 1, min(size, limit)).tolist()})


# --- diagrams of scores -----------------------------------------------------------------------


@dataclass(frozen=True)
class DiagramCurve:
    """The points of one run, or of an arm's runs pooled, and the chosen threshold."""

    name: str
    style: Style
    points: CurvePoints
    chosen: tuple[float, float] | None = None


class Annotation(NamedTuple):
    """A point with a tooltip, and its row in the table."""

    x: float
    y: float
    cells: tuple[str, str, str, str]


def diagram_chart(
    results: Sequence[RunResult], arms: Sequence[str], kind: Diagram, name: str
) -> Chart | None:
    """Draw one diagram of one recipe's runs; None if no run has the scores that it needs."""
    curves = list(_curves(results, kind, arm_styles(arms)))
    if not curves:
        return None
    positive = shorten(results[0].positive or "the predicted class", MAX_LETTERS)
    labels = kind.x.format(positive=positive), kind.y.format(positive=positive)
    annotations = [annotation for curve in curves for annotation in _annotations(curve)]
    caption = _caption(results, arms, kind, curves)
    alt = f"{kind.title}, {results[0].recipe}: {labels[1]} against {labels[0]}. {caption}"
    columns = 4 if any(each.cells[3] for each in annotations) else 3  # the last one holds notes
    rows = [("run", *labels, "note"), *(each.cells for each in annotations)]
    table = tuple(cells[:columns] for cells in rows)
    drawing = _drawing(curves, kind, labels, annotations, name)
    return Chart(drawing, alt, table, kind.title, caption)


def _curves(
    results: Sequence[RunResult], kind: Diagram, styles: Mapping[str, Style]
) -> Iterator[DiagramCurve]:
    """Yield a curve per run, or per arm if the runs are pooled."""
    groups = {f"{result.arm}, seed {result.seed}": [result] for result in results}
    if kind.pooled:
        groups = {r.arm: [other for other in results if other.arm == r.arm] for r in results}
    for name, runs in groups.items():
        points = kind.points(runs)
        chosen = threshold_point(runs[0]) if kind.metric == "threshold" else None
        if points:
            yield DiagramCurve(name, styles[runs[0].arm], points, chosen)


def _annotations(curve: DiagramCurve) -> Iterator[Annotation]:
    """Yield some points of a curve, or all points that stand for several images."""
    points, size = curve.points, len(curve.points.x)
    for at in evenly_spaced(size, MAX_POINTS if points.count is None else size):
        note = "" if points.count is None else f"{points.count[at]} images"
        yield _annotation(curve.name, float(points.x[at]), float(points.y[at]), note)
    if curve.chosen:
        yield _annotation(curve.name, *curve.chosen, "chosen")


def _annotation(name: str, x: float, y: float, note: str) -> Annotation:
    return Annotation(x, y, (name, f"{x:.3f}", f"{y:.3f}", note))


def _drawing(
    curves: Sequence[DiagramCurve],
    kind: Diagram,
    labels: tuple[str, str],
    annotations: Sequence[Annotation],
    name: str,
) -> Drawing:
    with theme():
        figure = new_figure(*QUARTER)
        axes = figure.subplots()
        _draw(axes, curves, kind, labels)
        marks = [Mark(axes, of.x, of.y, _tooltip(of.cells, labels)) for of in annotations]
        return svg.svg_drawing(figure, name, marks)


def _tooltip(cells: tuple[str, str, str, str], labels: tuple[str, str]) -> str:
    run, x, y, note = cells
    return "\n".join(filter(None, (run, f"{labels[0]} {x}", f"{labels[1]} {y}", note)))


def _draw(
    axes: "Axes", curves: Sequence[DiagramCurve], kind: Diagram, labels: tuple[str, str]
) -> None:
    if kind.diagonal:
        axes.plot([0, 1], [0, 1], color=hex_color("line"), linewidth=1, zorder=1)
    thin = {"linewidth": 1.3, "alpha": 0.85, "drawstyle": kind.steps}
    lines = [
        PlotLine(curve.name, list(curve.points.x), list(curve.points.y), {**curve.style, **thin})
        for curve in curves
    ]
    panels.draw_lines(axes, lines, *labels)
    for curve in curves:
        _draw_dots(axes, curve)
    axes.set(xlim=(-0.02, 1.02), ylim=(None, 1.02))


def _draw_dots(axes: "Axes", curve: DiagramCurve) -> None:
    """Draw dots with areas that grow with their number of images, and the chosen threshold."""
    color, marker = curve.style["color"], curve.style["marker"]
    edge: dict[str, Any] = {"markersize": 8, "markeredgecolor": hex_color("back"), "zorder": 4}
    if curve.points.count is not None:
        area = 12 + 90 * curve.points.count / curve.points.count.max()
        style: dict[str, Any] = {"color": color, "marker": marker, "alpha": 0.7, "linewidth": 0}
        axes.scatter(curve.points.x, curve.points.y, area, **style)
    if curve.chosen:
        axes.plot(*curve.chosen, color=color, marker=marker, linestyle="", **edge)


def _caption(
    results: Sequence[RunResult], arms: Sequence[str], kind: Diagram, curves: Sequence[DiagramCurve]
) -> str:
    """Return the diagram's metric of each arm: of the curve drawn, or the range over its seeds."""
    values = {
        arm: sorted(
            r.metrics[kind.metric] for r in results if r.arm == arm and kind.metric in r.metrics
        )
        for arm in arms
    }
    for curve in curves:
        error = calibration_error(curve.points)
        if error is not None:
            values[curve.name] = [error]
    ranges = [f"{arm} {_range(of_arm)}" for arm, of_arm in values.items() if of_arm]
    return f"{kind.of.capitalize()}: {', '.join(ranges)}." if ranges else ""


def _range(values: Sequence[float]) -> str:
    low, high = f"{values[0]:.3f}", f"{values[-1]:.3f}"
    return low if low == high else f"{low} to {high}"
