"""Matplotlib's SVG as it stands in a page."""

import re

import pytest

from toolkit.reporting.plots import style, svg
from toolkit.reporting.plots.svg import Mark

NASTY = "<img src=x onerror=alert(1)> & \"'"


def draw(prefix="one", marks=()):
    """A line with a marker at (1, 2), an arm's color, and a nasty title; and its drawing."""
    with style.theme():
        figure = style.new_figure(200, 100)
        axes = figure.subplots()
        axes.set(xlim=(0, 2), ylim=(0, 4), title=NASTY)
        axes.plot([0, 1, 2], [0, 2, 4], color=style.hex_color("blue"), marker="D")
        axes.fill_between([0, 1], [0, 1], color=style.hex_color("green"), alpha=0.2)
        marked = [Mark(axes, *mark) for mark in marks]
        return svg.svg_drawing(figure, prefix, marked)


def test_text_is_escaped_and_stays_text():
    body = draw().body
    assert "<img" not in body
    assert "&lt;img src=x onerror=alert(1)&gt; &amp;" in body


def test_colors_are_the_pages():
    body = draw().body
    assert 'stroke="var(--blue)"' in body
    assert 'fill="var(--green)"' in body
    assert "#0072b2" not in body


def test_there_are_no_inline_styles_and_no_fonts():
    """So that the page's policy may forbid the former, and the page choose the latter."""
    body = draw().body
    assert "style" not in body
    assert "font-family" not in body
    assert "font-size" in body


def test_ids_are_prefixed_and_every_reference_finds_one():
    body = draw("one").body
    ids = re.findall(r' id="([^"]+)"', body)
    assert ids
    assert all(name.startswith("one-") for name in ids)
    assert len(set(ids)) == len(ids)
    assert {*re.findall(r'href="#([^"]+)"', body), *re.findall(r"url\(#([^)]+)\)", body)} <= {*ids}
    assert not {*ids} & {*re.findall(r' id="([^"]+)"', draw("two").body)}


def test_equal_figures_are_equal_markup():
    assert draw() == draw()


def test_numbers_have_two_decimals_at_most():
    assert not re.search(r"\d\.\d{3}", draw().body)


def test_a_point_is_found_around_where_it_is_drawn():
    """The marker at (1, 2) is the middle one of the three that matplotlib placed."""
    drawn = draw(marks=[(1, 2, NASTY)])
    (spot,) = drawn.spots
    uses = re.findall(
        r'<use href="#one-m[^"]+" x="([\d.]+)" y="([\d.]+)" fill="var\(--blue', drawn.body
    )
    x, y = map(float, uses[1])
    assert spot.x + spot.width / 2 == pytest.approx(x, abs=0.1)
    assert spot.y + spot.height / 2 == pytest.approx(y, abs=0.1)
    assert (spot.width, spot.text) == (2 * svg.REACH, NASTY)


def test_columns_and_rows_meet_halfway():
    drawn = draw(marks=[(0.5, None, "a"), (1.5, None, "b")])
    one, other = drawn.spots
    assert one.x + one.width == pytest.approx(other.x, abs=0.2)
    assert one.height == other.height > 40
    low, high = draw(marks=[(None, 1, "a"), (None, 3, "b")]).spots
    assert high.y + high.height == pytest.approx(low.y, abs=0.2)
    assert low.width == high.width > 100


def test_one_column_alone_takes_the_whole_axes():
    (spot,) = draw(marks=[(1, None, "a")]).spots
    assert spot.width > 100
