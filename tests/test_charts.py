"""The page's charts: drawing, words and table say the same."""

import pytest

from tests.pages import NASTY, result
from toolkit import charts
from toolkit.canvas import arm_styles
from toolkit.comparison import compare
from toolkit.panels import Bar

ARMS = ("original", "augmented", NASTY)


@pytest.fixture(scope="module")
def compared():
    runs = [result(arm, seed=seed) for arm in ARMS for seed in (0, 1)]
    return compare(runs, resamples=200)


def test_differences_say_their_numbers_in_words_and_in_the_table(compared):
    chart = charts.differences(compared)
    for row, spot in zip(chart.table[1:], chart.drawing.spots, strict=True):
        assert row[-1] in spot.text
        assert row[-1] in chart.alt
    assert "p " in chart.drawing.spots[0].text
    assert NASTY in chart.alt  # escaped by the template


def test_one_arm_alone_differs_from_nothing():
    assert charts.differences(compare([result()], resamples=200)) is None


def test_gmeans_name_the_seeds(compared):
    spot = charts.gmeans(compared).drawing.spots[0]
    first, second = compared.rows[0].values["gmean"]
    assert f"seeds: {first:.3f}, {second:.3f}" in spot.text


def test_recalls_are_of_one_recipe(compared):
    chart = charts.recalls(compared, "net")
    assert len(chart.table) == 1 + 2 * 2
    assert charts.recalls(compared, "another") is None


def test_a_probe_is_set_against_a_coin():
    chart = charts.probes({"augmented": {"all": (0.7, 0.6, 0.8)}}, ARMS)
    assert chart.table[1] == ("augmented", "0.700 (0.600 to 0.800)")
    assert charts.probes({}, ARMS) is None


def test_bars_say_originals_and_new_images():
    style = arm_styles(ARMS)["augmented"]
    chart = charts.images([Bar("rare", "augmented", 60, 300, style)])
    assert chart.table[1] == ("rare", "augmented", "60", "300")
    assert "60 originals, 300 new" in chart.alt


def test_a_swatch_has_the_arms_colour():
    found = charts.swatches(ARMS)
    assert "var(--vermilion)" in found["augmented"].body
    assert "var(--purple)" in found[NASTY].body
