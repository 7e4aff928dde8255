"""The charts of the page: drawing, description and table have the same numbers."""

import pytest

from tests.helpers.pages import NASTY, result
from toolkit.evaluation.comparison import compare_results
from toolkit.reporting import charts
from toolkit.reporting.plots.panels import Bar
from toolkit.reporting.plots.style import arm_styles

ARMS = ("original", "augmented", NASTY)


@pytest.fixture(scope="module")
def compared():
    runs = [result(arm, seed=seed) for arm in ARMS for seed in (0, 1)]
    return compare_results(runs, resamples=200)


def test_differences_have_their_numbers_in_tooltips_and_in_the_table(compared):
    chart = charts.difference_chart(compared)
    for row, spot in zip(chart.table[1:], chart.drawing.spots, strict=True):
        assert row[-1] in spot.text
        assert row[-1] in chart.alt
    assert "p " in chart.drawing.spots[0].text
    assert NASTY in chart.alt  # escaped by the template


def test_a_single_arm_has_no_differences():
    assert charts.difference_chart(compare_results([result()], resamples=200)) is None


def test_gmeans_name_the_seeds(compared):
    spot = charts.gmean_chart(compared).drawing.spots[0]
    first, second = compared.estimates[0].values["threshold_gmean"]
    assert f"seeds: {first:.3f}, {second:.3f}" in spot.text


def test_recalls_are_of_one_recipe(compared):
    chart = charts.recall_chart(compared, "net")
    assert len(chart.table) == 1 + 2 * 2
    assert charts.recall_chart(compared, "another") is None


def test_a_probe_is_compared_with_chance():
    chart = charts.probe_chart({"augmented": {"all": (0.7, 0.6, 0.8)}}, ARMS)
    assert chart.table[1] == ("augmented", "0.700 (0.600 to 0.800)")
    assert charts.probe_chart({}, ARMS) is None


def test_bars_count_originals_and_new_images():
    style = arm_styles(ARMS)["augmented"]
    chart = charts.image_count_chart([Bar("rare", "augmented", 60, 300, style)])
    assert chart.table[1] == ("rare", "augmented", "60", "300")
    assert "60 originals, 300 new" in chart.alt


def test_a_swatch_has_the_color_of_its_arm():
    drawings = charts.swatches(ARMS)
    assert "var(--vermilion)" in drawings["augmented"].body
    assert "var(--purple)" in drawings[NASTY].body
