"""Intervals, against scipy and known answers; their coverage is measured in benchmarks/."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.metrics.test_bootstrap import drawn_predictions
from toolkit.metrics import classification, confusion
from toolkit.metrics.intervals import confidence_intervals, wilson
from toolkit.metrics.predictions import Predictions


def perfect(images=(20, 9)):
    actual = np.repeat([0, 1], images)
    names = tuple(np.array(["a", "b"])[actual])
    scores = np.stack([0.9 - 0.8 * actual, 0.1 + 0.8 * actual], axis=1)
    return Predictions(("a", "b"), tuple(map(str, range(len(actual)))), names, names, scores)


@given(st.integers(0, 60), st.integers(1, 60))
def test_proportions_have_wilsons_interval(right, more):
    expected = stats.binomtest(right, right + more).proportion_ci(0.95, method="wilson")
    assert wilson(right, right + more) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_of_no_images_nothing_is_known():
    assert wilson(0, 0) == (0, 1)


def test_every_metric_has_an_interval_that_holds_it():
    predictions = drawn_predictions()
    points, found = (
        classification.compute_metrics(predictions, "b"),
        confidence_intervals(predictions, "b"),
    )
    assert set(found) == set(points) - {"n"}
    for name, (low, high) in found.items():
        assert low <= points[name] <= high, name
        assert high - low < 0.2, name


def test_recall_accuracy_and_specificity_are_proportions():
    predictions = drawn_predictions()
    matrix, found = confusion.matrix_of(predictions), confidence_intervals(predictions, "b")
    assert found["recall"] == found["recall_b"] == wilson(matrix[1, 1], 90)
    assert found["specificity_b"] == found["recall_a"] == wilson(matrix[0, 0], 500)
    assert found["accuracy"] == wilson(np.trace(matrix), 590)


def test_a_perfect_network_is_not_beyond_doubt():
    found = confidence_intervals(perfect(), "b")
    for name in ("gmean", "balanced_accuracy", "f1", "mcc", "roc_auc", "average_precision"):
        low, high = found[name]
        assert 0.4 < low < 0.95, name
        assert high > 0.97, name


def test_g_mean_widens_as_the_rare_class_shrinks():
    widths = [
        np.ptp(confidence_intervals(drawn_predictions(images))["gmean"])
        for images in ((500, 20), (500, 90), (500, 400))
    ]
    assert widths == sorted(widths, reverse=True)


def test_a_loss_of_nothing_has_no_interval():
    sure = perfect()
    scores = np.round(sure.scores)
    found = confidence_intervals(
        Predictions(sure.classes, sure.ids, sure.actual, sure.predicted, scores)
    )
    assert "loss" not in found
    assert "brier" not in found


def test_predictions_without_scores_have_the_intervals_of_their_matrix():
    given = drawn_predictions()
    bare = Predictions(given.classes, given.ids, given.actual, given.predicted)
    assert confidence_intervals(bare, "b")["gmean"] == confidence_intervals(given, "b")["gmean"]
    assert "roc_auc" not in confidence_intervals(bare, "b")


def test_one_image_of_a_class_is_borne():
    found = confidence_intervals(drawn_predictions((30, 1)), "b")
    assert found["recall"][1] - found["recall"][0] > 0.5
    assert all(np.isfinite(interval).all() for interval in found.values())


def test_three_classes_have_means_over_the_classes():
    rng = np.random.default_rng(0)
    actual = np.repeat([0, 1, 2], [40, 30, 20])
    raw = rng.random((90, 3)) + 2 * np.eye(3)[actual]
    scores = raw / raw.sum(axis=1, keepdims=True)
    names = np.array(["a", "b", "c"])
    predictions = Predictions(
        tuple(names), tuple(map(str, range(90))), tuple(names[actual]),
        tuple(names[scores.argmax(axis=1)]), scores,
    )  # fmt: skip
    found = confidence_intervals(predictions)
    assert {"roc_auc", "roc_auc_c", "average_precision", "gmean", "macro_f1"} <= set(found)
    assert {"loss_c", "brier_c", "ece_c", "macro_loss", "macro_roc_auc"} <= set(found)


def test_a_class_without_test_images_leaves_the_intervals_of_the_others():
    given = drawn_predictions()
    scores = np.hstack([given.scores * 0.9, np.full((590, 1), 0.1)])
    wider = Predictions((*given.classes, "c"), given.ids, given.actual, given.predicted, scores)
    found = confidence_intervals(wider)
    assert set(found) <= set(classification.compute_metrics(wider))
    assert {"accuracy", "recall_b", "roc_auc_a", "loss"} <= set(found)
    assert all(np.isfinite(ends).all() for ends in found.values())
