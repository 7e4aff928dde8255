"""The charts of the page: each is a drawing, a description in words, and a table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from toolkit.evaluation import verdict
from toolkit.evaluation.comparison import Comparison
from toolkit.evaluation.contrasts import Contrast
from toolkit.reporting.arms import Probes
from toolkit.reporting.plots import forest, panels, svg
from toolkit.reporting.plots.panels import Bar, Interval, Style
from toolkit.reporting.plots.style import arm_styles, new_figure, theme
from toolkit.reporting.plots.svg import Drawing, Mark

Rows = tuple[tuple[str, ...], ...]

WIDTH = 400
"""Width of an interval or bar chart in CSS pixels."""


@dataclass(frozen=True)
class Chart:
    """A drawing; `alt` describes it with its numbers, `table` (header first) has all tooltips."""

    drawing: Drawing
    alt: str
    table: Rows
    title: str = ""
    caption: str = ""


def swatches(arms: Sequence[str]) -> dict[str, Drawing]:
    """Draw the line and marker of each arm, to be shown beside its name."""
    styles = arm_styles(arms)
    return {arm: _swatch(f"arm-{n}", styles[arm]) for n, arm in enumerate(arms)}


def _swatch(name: str, style: Style) -> Drawing:
    with theme():
        figure = new_figure(28, 12)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set(xlim=(0, 28), ylim=(0, 12))
        axes.plot([1, 14, 27], [6, 6, 6], markevery=[1], markersize=7, **style)
        return svg.svg_drawing(figure, name)


# --- intervals --------------------------------------------------------------------------------


def difference_chart(compared: Comparison) -> Chart | None:
    """Draw the difference that each verdict is about; None if there are no contrasts."""
    rows = forest.difference_intervals(compared)
    if not rows:
        return None
    details = [
        "\n".join((_p_detail(of), verdict.detectable_statement(of))) for of in compared.contrasts
    ]
    names = ("recipe", "arms", "difference in G-mean")
    return _interval_chart("differences", names, rows, forest.DIFFERENCE, 0, details)


def _p_detail(of: Contrast) -> str:
    corrected = "primary" if of.primary else f"{verdict.format_p(of.p)} corrected"
    return f"{verdict.p_statement(of.tested.p)}, {corrected}"


def gmean_chart(compared: Comparison) -> Chart:
    """Draw the G-mean of every arm that the verdicts are about."""
    rows = forest.arm_intervals(compared)
    details = [f"seeds: {', '.join(f'{dot:.3f}' for dot in row.dots)}" for row in rows]
    names = ("recipe", "arm", "G-mean")
    return _interval_chart("gmeans", names, rows, forest.GMEAN, None, details)


def recall_chart(compared: Comparison, recipe: str) -> Chart | None:
    """Draw the differences from the baseline in the recall of each class, for one recipe."""
    rows = forest.recall_intervals(compared, recipe)
    if not rows:
        return None
    names = ("class", "arms", f"difference in recall, {recipe}")
    name = f"recalls-{compared.recipes.index(recipe)}"
    one_arm = not rows[0].group
    columns = ("class", names[2]) if one_arm else names
    chart = _interval_chart(name, columns, rows, forest.RECALL, 0)
    first = next(of.arm for of in compared.against(compared.baseline) if of.recipe == recipe)
    title = f"{recipe}: {first} {forest.MINUS} {compared.baseline}"
    return replace(chart, title=title if one_arm else recipe)


def probe_chart(probes: Probes, arms: Sequence[str]) -> Chart | None:
    """Draw how well a probe distinguishes the new images of each arm from originals."""
    styles = arm_styles(arms)
    rows = [
        forest.plain_interval("", arm, parts["all"], styles[arm]) for arm, parts in probes.items()
    ]
    names = ("arm", "area under the ROC curve of the probe")
    x = "area under the ROC curve; 0.5 is chance"
    return _interval_chart("probes", names, rows, x, 0.5) if rows else None


def _interval_chart(
    name: str,
    columns: Sequence[str],
    rows: Sequence[Interval],
    x: str,
    zero: float | None,
    details: Sequence[str] = (),
) -> Chart:
    """Draw rows of intervals; `columns` are those of the table, `details` extend the tooltips."""
    cells = [(row.group, row.label, row.note)[-len(columns) :] for row in rows]
    texts = ["\n".join(row) for row in cells]
    if details:
        texts = [f"{text}\n{detail}" for text, detail in zip(texts, details, strict=True)]
    with theme():
        figure, axes = _row_axes(rows)
        places = panels.draw_intervals(axes, rows, x, zero)
        marks = [Mark(axes, None, *pair) for pair in zip(places, texts, strict=True)]
        drawing = svg.svg_drawing(figure, name, marks)
    header = (*columns[:-1], f"{columns[-1]} (95% interval)")
    alt = describe_chart(f"{columns[-1]} with 95% interval", [", ".join(row) for row in cells])
    return Chart(drawing, alt, (header, *cells))


def describe_chart(subject: str, texts: Iterable[str]) -> str:
    """Describe what a chart shows, with its numbers, in one sentence."""
    return f"{subject}: {'; '.join(text.replace(chr(10), ', ') for text in texts)}."


def _row_axes(rows: Sequence[Interval] | Sequence[Bar]) -> tuple[Any, Any]:
    """Create a figure for rows, and axes over its full width."""
    height = panels.chart_height(rows)
    figure = new_figure(WIDTH, height)
    return figure, figure.add_axes((0, panels.FOOT / height, 1, 1 - panels.FOOT / height))


def image_count_chart(bars: Sequence[Bar]) -> Chart:
    """Draw the training images by class and arm."""
    texts = [f"{b.group}, {b.label}\n{b.originals} originals, {b.new} new" for b in bars]
    with theme():
        figure, axes = _row_axes(bars)
        places = panels.draw_bars(axes, bars)
        marks = [Mark(axes, None, *pair) for pair in zip(places, texts, strict=True)]
        drawing = svg.svg_drawing(figure, "images", marks)
    body = tuple((b.group, b.label, str(b.originals), str(b.new)) for b in bars)
    table = (("class", "arm", "originals", "new"), *body)
    return Chart(drawing, describe_chart("Training images", texts), table)
