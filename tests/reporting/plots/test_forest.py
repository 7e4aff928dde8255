"""A comparison as rows of a forest plot."""

import pytest

from tests.helpers.pages import CLASSES, result
from toolkit.evaluation.comparison import compare_results
from toolkit.reporting.plots import forest


@pytest.fixture(scope="module")
def compared():
    arms = ("original", "augmented", "duplicated")
    runs = [result(arm, seed=seed) for arm in arms for seed in (0, 1)]
    return compare_results(runs, control="duplicated", resamples=200)


def test_every_contrast_has_a_row_with_its_verdict(compared):
    rows = forest.difference_intervals(compared)
    assert [row.label.split(f" {forest.MINUS} ") for row in rows] == [
        ["augmented", "original"], ["duplicated", "original"], ["augmented", "duplicated"],
    ]  # fmt: skip
    for row, contrast in zip(rows, compared.contrasts, strict=True):
        assert (row.value, row.low) == (contrast.tested.value, contrast.tested.low)
        assert row.note.startswith(contrast.verdict)
        assert row.strong == (contrast.verdict != "not yet known")


def test_recalls_are_set_against_the_baseline_class_by_class(compared):
    rows = forest.recall_intervals(compared, "net")
    assert [row.group for row in rows] == [CLASSES[0]] * 2 + [CLASSES[1]] * 2
    difference = compared.contrasts[0].differences[f"recall_{CLASSES[0]}"]
    assert rows[0].value == difference.value


def test_with_one_arm_its_name_does_not_stand_under_every_class():
    compared = compare_results([result(), result("augmented")], resamples=200)
    rows = forest.recall_intervals(compared, "net")
    assert [(row.group, row.label) for row in rows] == [("", name) for name in CLASSES]


def test_an_arm_shows_its_seeds(compared):
    row = forest.arm_intervals(compared)[0]
    assert row.dots == compared.estimates[0].values["threshold_gmean"]
    assert row.value == compared.estimates[0].mean("threshold_gmean")


@pytest.mark.parametrize(
    ("value", "text"), [(0.1234, "+0.123"), (-0.5, "\u22120.500"), (-0.0001, "+0.000")]
)
def test_differences_have_a_sign_and_three_decimals(value, text):
    assert forest.format_signed(value) == text
