"""The page's charts: each a drawing, the same in words, and the same as a table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from toolkit.evaluation.comparison import Comparison
from toolkit.reporting import verdict
from toolkit.reporting.arms import Probes
from toolkit.reporting.plots import forest, panels, svg
from toolkit.reporting.plots.panels import Bar, Interval, Style
from toolkit.reporting.plots.style import arm_styles, new_figure, theme
from toolkit.reporting.plots.svg import Drawing, Mark

Table = tuple[tuple[str, ...], ...]

WIDE = 400
"""Width of a chart with words in it, in CSS pixels."""


@dataclass(frozen=True)
class Chart:
    """A drawing; `alt` says its numbers, `table` (header first) all that hovering shows."""

    drawing: Drawing
    alt: str
    table: Table
    title: str = ""
    caption: str = ""


def swatches(arms: Sequence[str]) -> dict[str, Drawing]:
    """Each arm's line and marker, to stand beside its name."""
    styles = arm_styles(arms)
    return {arm: _swatch(f"arm-{n}", styles[arm]) for n, arm in enumerate(arms)}


def _swatch(name: str, style: Style) -> Drawing:
    with theme():
        figure = new_figure(28, 12)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set(xlim=(0, 28), ylim=(0, 12))
        axes.plot([1, 14, 27], [6, 6, 6], markevery=[1], markersize=7, **style)
        return svg.drawing(figure, name)


# --- intervals --------------------------------------------------------------------------------


def difference_chart(compared: Comparison) -> Chart | None:
    """Every contrast's difference of G-mean; None where there is nothing to compare."""
    rows = forest.difference_intervals(compared)
    told = [
        f"p {verdict.chance(of.tested.p)}, corrected {verdict.chance(of.p_holm)}\n"
        f"{verdict.detectable_difference(of)}"
        for of in compared.contrasts
    ]
    names = ("recipe", "arms", "difference of G-mean")
    return _intervals("differences", names, rows, forest.DIFFERENCE, 0, told) if rows else None


def gmean_chart(compared: Comparison) -> Chart:
    """Every arm's G-mean."""
    rows = forest.arm_intervals(compared)
    told = [f"seeds: {', '.join(f'{dot:.3f}' for dot in row.dots)}" for row in rows]
    return _intervals("gmeans", ("recipe", "arm", "G-mean"), rows, forest.GMEAN, None, told)


def recall_chart(compared: Comparison, recipe: str) -> Chart | None:
    """Differences to the baseline of the recall of each class, with one recipe."""
    rows = forest.recall_intervals(compared, recipe)
    if not rows:
        return None
    names = ("class", "arms", f"difference of recall, {recipe}")
    name = f"recalls-{compared.recipes.index(recipe)}"
    alone = not rows[0].group
    chart = _intervals(name, ("class", names[2]) if alone else names, rows, forest.RECALL, 0)
    first = next(of.arm for of in compared.against(compared.baseline) if of.recipe == recipe)
    title = f"{recipe}: {first} {forest.MINUS} {compared.baseline}"
    return replace(chart, title=title if alone else recipe)


def probe_chart(found: Probes, arms: Sequence[str]) -> Chart | None:
    """How well a probe told each arm's new images from originals."""
    styles = arm_styles(arms)
    rows = [
        forest.plain_interval("", arm, parts["all"], styles[arm]) for arm, parts in found.items()
    ]
    names = ("arm", "area under the ROC curve of a probe")
    x = "area under the ROC curve; 0.5: cannot tell"
    return _intervals("probes", names, rows, x, 0.5) if rows else None


def _intervals(
    name: str,
    names: Sequence[str],
    rows: Sequence[Interval],
    x: str,
    zero: float | None,
    told: Sequence[str] = (),
) -> Chart:
    """A chart of rows; `names` are the columns' in its table, `told` more words for each row."""
    cells = [(row.group, row.label, row.note)[-len(names) :] for row in rows]
    texts = ["\n".join(words) for words in cells]
    if told:
        texts = [f"{text}\n{more}" for text, more in zip(texts, told, strict=True)]
    with theme():
        figure, axes = _rows_of(rows)
        places = panels.draw_intervals(axes, rows, x, zero)
        marks = [Mark(axes, None, *pair) for pair in zip(places, texts, strict=True)]
        drawing = svg.drawing(figure, name, marks)
    header = (*names[:-1], f"{names[-1]} (95 % interval)")
    said = chart_description(
        f"{names[-1]} with 95 % interval", [", ".join(words) for words in cells]
    )
    return Chart(drawing, said, (header, *cells))


def chart_description(what: str, texts: Iterable[str]) -> str:
    """What a chart shows, and its numbers, in one sentence."""
    return f"{what}: {'; '.join(text.replace(chr(10), ', ') for text in texts)}."


def _rows_of(rows: Sequence[Interval] | Sequence[Bar]) -> tuple[Any, Any]:
    """A figure for rows, and axes that reach from its left to its right edge."""
    tall = panels.row_height(rows)
    figure = new_figure(WIDE, tall)
    return figure, figure.add_axes((0, panels.FOOT / tall, 1, 1 - panels.FOOT / tall))


def image_count_chart(bars: Sequence[Bar]) -> Chart:
    """Training images by class and arm."""
    texts = [f"{b.group}, {b.label}\n{b.originals} originals, {b.new} new" for b in bars]
    with theme():
        figure, axes = _rows_of(bars)
        places = panels.draw_bars(axes, bars)
        marks = [Mark(axes, None, *pair) for pair in zip(places, texts, strict=True)]
        drawing = svg.drawing(figure, "images", marks)
    body = tuple((b.group, b.label, str(b.originals), str(b.new)) for b in bars)
    table = (("class", "arm", "originals", "new"), *body)
    return Chart(drawing, chart_description("Images to train on", texts), table)
