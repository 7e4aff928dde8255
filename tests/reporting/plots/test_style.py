"""Colors, styles and the theme that all pictures share."""

import matplotlib as mpl
import numpy as np
import pytest

from toolkit.io.text import shorten
from toolkit.reporting.plots.style import COLORS, FIXED, FREE, arm_colors, arm_styles, theme


def luminance(color: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("side", [0, 1])
def test_text_and_marks_stand_out_in_the_light_and_in_the_dark(side):
    """WCAG asks for 4.5 for text and 3 for what is drawn."""
    back = COLORS["back"][side]
    for name in ("ink", "soft"):
        assert contrast(COLORS[name][side], back) >= 4.5
    for name in {*FIXED.values(), *FREE}:
        assert contrast(COLORS[name][side], back) >= 3


def test_every_color_is_another_one():
    """Else a chart's colors could not be told apart when they become variables."""
    light = [pair[0] for pair in COLORS.values()]
    assert len(set(light)) == len(light)
    assert all(color == color.lower() for color in light)


def test_an_arm_keeps_its_color_whatever_else_is_drawn():
    alone, among = arm_styles(["augmented"]), arm_styles(["x", "original", "augmented"])
    assert alone["augmented"]["color"] == among["augmented"]["color"]


def test_seven_arms_differ_in_color_and_in_marker():
    styles = arm_styles(["original", "augmented", "duplicated", "p", "q", "r", "s"]).values()
    assert len({style["color"] for style in styles}) == 7
    assert len({style["marker"] for style in styles}) == 7


def test_colors_begin_again_where_there_are_too_many_arms():
    assert len(arm_colors([str(n) for n in range(20)])) == 20


def test_long_and_unprintable_names_are_made_short():
    assert shorten("a\nb\u202ec", 9) == "a b c"
    assert shorten("abcdef", 4) == "abc…"


def test_the_theme_leaves_matplotlib_as_it_was():
    with mpl.rc_context({"font.size": 20}):
        with theme():
            assert mpl.rcParams["font.size"] == 11
        assert mpl.rcParams["font.size"] == 20
