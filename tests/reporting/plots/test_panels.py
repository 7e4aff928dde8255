"""What is drawn on axes, and where."""

import pytest

from tests.helpers.pages import result
from toolkit.reporting.plots import panels, style
from toolkit.reporting.plots.panels import Bar, Interval
from toolkit.reporting.plots.style import arm_styles

STYLE = arm_styles(["original"])["original"]


@pytest.fixture
def axes():
    with style.theme():
        yield style.new_figure(400, 300).subplots()


def interval(group, value=0.1, low=0.05, high=0.2, dots=()):
    return Interval(group, "a / b", value, low, high, STYLE, "better", strong=True, dots=dots)


def test_a_line_is_the_mean_over_seeds_and_its_band_their_range():
    runs = [result(seed=0), result(seed=1)]
    (line,) = panels.epoch_lines(runs, "valid_loss", {"original": STYLE})
    assert line.y[0] == pytest.approx((1 + 1 / 2) / 2)
    assert (line.band[0][0], line.band[1][0]) == (1 / 2, 1)


def test_one_seed_has_no_band():
    (line,) = panels.epoch_lines([result()], "valid_loss", {"original": STYLE})
    assert line.band is None


def test_rows_stand_below_each_other_with_room_for_the_names_of_groups(axes):
    rows = [interval("net"), interval("net"), interval("deep")]
    middles = panels.draw_intervals(axes, rows, "difference", zero=0)
    assert middles[1] - middles[0] == 1
    assert middles[2] - middles[1] == 1 + panels.HEAD / panels.ROW
    assert axes.get_ylim()[0] > middles[-1] > middles[0] > axes.get_ylim()[1]


def test_everything_lies_within_the_axes(axes):
    """Also the line at zero, and the dots of seeds beyond the interval."""
    panels.draw_intervals(axes, [interval("net", dots=(0.01, 0.3))], "difference", zero=0)
    low, high = axes.get_xlim()
    assert low < 0
    assert high > 0.3
    assert all(low < tick < high for tick in axes.get_xticks())
    assert 0 in axes.get_xticks()


def test_equal_values_still_have_a_scale(axes):
    panels.draw_intervals(axes, [interval("net", 0.5, 0.5, 0.5)], "G-mean")
    low, high = axes.get_xlim()
    assert low < 0.5 < high


def test_words_say_the_verdict_not_the_color_alone(axes):
    panels.draw_intervals(axes, [interval("net")], "difference", zero=0)
    words = {text.get_text(): text.get_fontweight() for text in axes.texts}
    assert words == {"net": "bold", "a / b": "normal", "better": "bold"}


def test_a_bar_is_as_long_as_its_images(axes):
    panels.draw_bars(axes, [Bar("rare", "augmented", 60, 300, STYLE)])
    old, new = axes.patches
    assert (old.get_width(), new.get_x(), new.get_width()) == (60, 60, 300)
    assert "60 + 300 new" in [text.get_text() for text in axes.texts]


def test_shares_end_at_one(axes):
    lines = panels.epoch_lines([result()], "valid_gmean", {"original": STYLE})
    panels.draw_epochs(axes, lines, "valid_gmean", "G-mean")
    assert axes.get_ylim()[1] <= 1.01
    assert axes.get_xlabel() == "epoch"
