"""The curves of the page."""

import math
from dataclasses import replace

import pytest

from tests.helpers.pages import history, result
from toolkit.evaluation.curves import DIAGRAMS, calibration_error
from toolkit.reporting import curves
from toolkit.reporting.curves import MAX_POINTS, MAX_STOPS, evenly_spaced

ARMS = ("original", "augmented")
RUNS = [result(arm, seed=seed) for arm in ARMS for seed in (0, 1)]


def test_every_epoch_has_a_value_for_every_arm():
    chart = curves.history_chart(RUNS, ARMS, "valid_loss", "loss", "loss-0")
    assert chart.table[0] == ("epoch", *ARMS)
    assert chart.table[1][1] == "0.750 (0.500 to 1.000)"
    assert chart.drawing.spots[0].text.startswith("epoch 1\noriginal 0.750 (0.500 to 1.000)")
    assert "epoch 4" in chart.alt


def test_long_trainings_have_a_limited_number_of_tooltips():
    runs = [replace(run, history=history(epochs=300)) for run in RUNS]
    chart = curves.history_chart(runs, ARMS, "valid_loss", "loss", "loss-0")
    assert len(chart.table) == 1 + MAX_STOPS
    assert (chart.table[1][0], chart.table[-1][0]) == ("1", "300")


def test_an_arm_that_stopped_earlier_has_no_number_there():
    runs = [RUNS[0], replace(RUNS[2], history=history(epochs=2))]
    chart = curves.history_chart(runs, ARMS, "valid_loss", "loss", "loss-0")
    assert chart.table[-1][2] == ""
    assert "augmented" not in chart.drawing.spots[-1].text


def test_a_gmean_that_is_undefined_says_so():
    column = {"valid_gmean": (math.nan, 0.5, 0.5, 0.5)}
    runs = [replace(RUNS[0], history=history() | column)]
    chart = curves.history_chart(runs, ARMS, "valid_gmean", "G-mean", "gmean-0")
    assert [row[1] for row in chart.table[1:3]] == ["undefined", "0.500"]


def test_a_diagram_has_a_curve_per_run_and_its_metric():
    chart = curves.diagram_chart(RUNS, ARMS, DIAGRAMS["roc"], "roc-0")
    areas = sorted(run.metrics["roc_auc"] for run in RUNS[:2])
    assert f"original {areas[0]:.3f} to {areas[1]:.3f}" in chart.caption
    assert chart.caption in chart.alt
    assert {row[0] for row in chart.table[1:]} == {
        f"{arm}, seed {seed}" for arm in ARMS for seed in (0, 1)
    }
    assert len(chart.drawing.spots) == len(chart.table) - 1 <= 4 * MAX_POINTS


def test_reliability_pools_the_runs_of_an_arm():
    chart = curves.diagram_chart(RUNS, ARMS, DIAGRAMS["reliability"], "reliability-0")
    assert {row[0] for row in chart.table[1:]} == {*ARMS}
    images = sum(int(row[3].split()[0]) for row in chart.table[1:] if row[0] == "original")
    assert images == 2 * 30
    points = DIAGRAMS["reliability"].points(RUNS[:2])
    assert f"original {calibration_error(points):.3f}" in chart.caption


def test_the_chosen_threshold_is_marked():
    runs = [replace(RUNS[0], valid=RUNS[1].predictions, metrics={"threshold": 0.4})]
    chart = curves.diagram_chart(runs, ARMS, DIAGRAMS["thresholds"], "thresholds-0")
    assert chart.table[-1][1:2] == ("0.400",)
    assert chart.table[-1][3] == "chosen"


def test_there_is_no_diagram_of_runs_without_scores():
    bare = replace(RUNS[0], predictions=replace(RUNS[0].predictions, scores=None))
    assert curves.diagram_chart([bare], ARMS, DIAGRAMS["roc"], "roc-0") is None


@pytest.mark.parametrize(("size", "most"), [(1, 9), (5, 9), (9, 9), (100, 9)])
def test_even_spacing_keeps_both_ends(size, most):
    indices = evenly_spaced(size, most)
    assert (indices[0], indices[-1]) == (0, size - 1)
    assert len(indices) == min(size, most)
