"""Figures as SVG for a page: compact, in the colors and font of the page, with tooltips.

Inline styles become presentation attributes, because the page's policy forbids the former, and ids
get a prefix, so that those of two charts on a page differ.
"""

import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from markupsafe import Markup, escape

from toolkit.reporting.plots.style import COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REACH = 8.0
"""Distance from which the pointer finds a point without a script, in points (1/72 inch)."""

DROPPED = ("style", "metadata")
REFERENCED = ("path", "clipPath", "pattern", "linearGradient")
"""Elements whose ids are referenced; ids of groups only number them."""
NUMBERS = re.compile(r"-?\d+\.\d+")
HREF = "{http://www.w3.org/1999/xlink}href"


@dataclass(frozen=True)
class Mark:
    """A tooltip at (x, y) of `axes`; at any height if y is None, at any width if x is None."""

    axes: "Axes"
    x: float | None
    y: float | None
    text: str


@dataclass(frozen=True)
class Spot:
    """A mark as a rectangle of the drawing, with corners of radius `round`."""

    x: float
    y: float
    width: float
    height: float
    round: float
    text: str


@dataclass(frozen=True)
class Drawing:
    """The content of an `svg` element, its width and height in CSS pixels, and its spots."""

    width: float
    height: float
    body: Markup
    spots: tuple[Spot, ...] = ()


def svg_drawing(figure: "Figure", prefix: str, marks: Sequence[Mark] = ()) -> Drawing:
    """Convert a figure for a page that defines COLORS as variables; each needs its own `prefix`."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    figure.patch.set_visible(False)
    stream = io.StringIO()
    no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    canvas: Any = FigureCanvasSVG(figure)
    canvas.print_svg(stream, metadata=no_metadata)  # this also lays the figure out
    variables = {colors[0]: name for name, colors in COLORS.items()}
    body = inline_svg(stream.getvalue(), prefix, variables)
    width, height = (round(float(side) * 72, 2) for side in figure.get_size_inches())
    return Drawing(width, height, body, tuple(_spot(mark, marks) for mark in marks))


def _spot(mark: Mark, marks: Sequence[Mark]) -> Spot:
    scale = 72 / mark.axes.figure.dpi
    box, tall = mark.axes.get_window_extent(), mark.axes.figure.bbox.height * scale
    across, up = (box.x0 * scale, box.x1 * scale), (box.y0 * scale, box.y1 * scale)
    others = [m for m in marks if m is not mark]
    columns = [m.x for m in others] if mark.y is None else None
    rows = [m.y for m in others] if mark.x is None else None
    left, right = _span(mark.x, columns, mark.axes.get_xlim(), across)
    low, high = _span(mark.y, rows, mark.axes.get_ylim(), up)
    corner = REACH if columns is rows is None else 3.0
    sides = (left, tall - high, right - left, high - low)
    x, y, width, height = (round(float(side), 1) for side in sides)
    return Spot(x, y, width, height, corner, mark.text)


def _span(
    place: float | None,
    others: Iterable[float | None] | None,
    bounds: tuple[float, float],
    ends: tuple[float, float],
) -> tuple[float, float]:
    """Return the ends of a spot: of the axes, halfway to the nearest of `others`, or REACH away."""
    if place is None:
        return ends
    unit = (ends[1] - ends[0]) / (bounds[1] - bounds[0])
    gaps = [abs(other - place) for other in others or () if other is not None and other != place]
    half = (
        REACH if others is None else abs(unit) * min(gaps, default=abs(bounds[1] - bounds[0])) / 2
    )
    at = ends[0] + unit * (place - bounds[0])
    return at - half, at + half


# --- rewriting matplotlib's markup ------------------------------------------------------------


def inline_svg(source: str, prefix: str, variables: Mapping[str, str]) -> Markup:
    """Return the content of the `svg` element of `source`, an SVG that matplotlib wrote.

    `variables` maps colors, as lower-case #rrggbb, to names of CSS variables; `prefix` starts all
    ids. The new parent must set stroke-linejoin="round", as matplotlib's style sheet did.
    """
    root = ElementTree.fromstring(source)  # noqa: S314 - written by matplotlib a moment ago
    return Markup("").join(_markup(child, prefix, variables) for child in root)


def _markup(element: Element, prefix: str, variables: Mapping[str, str]) -> Markup:
    tag = element.tag.rpartition("}")[2]
    if tag in DROPPED or not (len(element) or element.attrib):
        return Markup("")
    attributes = dict(_attributes(element, tag, prefix, variables))
    inside = Markup("").join(_markup(child, prefix, variables) for child in element)
    if tag == "text":
        inside = escape(element.text or "")
    if tag == "g" and not attributes:
        return inside
    listed = Markup("").join(Markup(' {}="{}"').format(*pair) for pair in attributes.items())
    return Markup("<{0}{1}>{2}</{0}>").format(tag, listed, inside)


def _attributes(
    element: Element, tag: str, prefix: str, variables: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    for name, value in element.attrib.items():
        if name == "style":
            yield from _declarations(value, prefix, variables)
        elif name == "id":
            if tag in REFERENCED:
                yield "id", f"{prefix}-{value}"
        elif name == HREF:
            yield "href", f"#{prefix}-{value[1:]}"
        elif not (name == "transform" and value.startswith("rotate(-0 ")):
            yield name, _compact(value, prefix)


def _declarations(
    style: str, prefix: str, variables: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    for declaration in style.split("; "):
        name, _, value = declaration.partition(": ")
        if name != "font-family":
            variable = variables.get(value)
            yield name, f"var(--{variable})" if variable else _compact(value, prefix)


def _compact(value: str, prefix: str) -> str:
    """Round numbers to two decimals, separate them by one space, and prefix ids."""
    rounded = NUMBERS.sub(lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), value)
    return " ".join(rounded.split()).replace("url(#", f"url(#{prefix}-")
