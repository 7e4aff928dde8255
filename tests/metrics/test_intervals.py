"""Intervals, against scipy and known answers; their coverage is measured in benchmarks/."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.metrics.test_bootstrap import drawn_predictions
from toolkit.metrics import classification, confusion
from toolkit.metrics.intervals import (
    area_interval,
    confidence_intervals,
    explain_ends,
    wilson,
)
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
    values, ends = (
        classification.compute_metrics(predictions, "b"),
        confidence_intervals(predictions, "b"),
    )
    assert set(ends) == set(values) - {"n"}
    for name, (low, high) in ends.items():
        assert low <= values[name] <= high, name
        assert high - low < 0.2, name


def test_recall_and_specificity_are_proportions():
    predictions = drawn_predictions()
    matrix, ends = confusion.matrix_of(predictions), confidence_intervals(predictions, "b")
    assert ends["recall"] == ends["recall_b"] == wilson(matrix[1, 1], 90)
    assert ends["specificity_b"] == ends["recall_a"] == wilson(matrix[0, 0], 500)


def test_the_accuracy_of_one_class_alone_varies_little_as_the_classes_images_are_given():
    """Always the common class: on any test split of 180 and 70 images that is 0.72."""
    low, high = confidence_intervals(many_classes([[180, 0], [70, 0]]), "b")["accuracy"]
    assert 0.70 < low < 0.72 < high < 0.74


def test_a_perfect_network_is_not_beyond_doubt():
    ends = confidence_intervals(perfect(), "b")
    for name in ("gmean", "balanced_accuracy", "f1", "mcc", "roc_auc", "average_precision"):
        low, high = ends[name]
        assert 0.4 < low < 0.95, name
        assert high > 0.97, name


def test_g_mean_widens_as_the_rare_class_shrinks():
    widths = [
        np.ptp(confidence_intervals(drawn_predictions(images))["gmean"])
        for images in ((500, 20), (500, 90), (500, 400))
    ]
    assert widths == sorted(widths, reverse=True)


def many_classes(matrix):
    """Predictions without scores that have this confusion matrix."""
    matrix = np.asarray(matrix)
    names = np.array([chr(97 + k) for k in range(len(matrix))])
    rows, columns = (np.repeat(of.ravel(), matrix.ravel()) for of in np.indices(matrix.shape))
    ids = tuple(map(str, range(matrix.sum())))
    return Predictions(tuple(names), ids, tuple(names[rows]), tuple(names[columns]))


@pytest.mark.parametrize(("classes", "images", "wrong"), [(10, 10, 1), (20, 20, 2), (5, 50, 3)])
def test_many_equal_classes_know_as_much_as_all_their_images(classes, images, wrong):
    """With as many images in each class the balanced accuracy is the accuracy."""
    shifted = np.roll(np.eye(classes, dtype=int), 1, axis=1)
    matrix = np.eye(classes, dtype=int) * (images - wrong) + shifted * wrong
    ends = confidence_intervals(many_classes(matrix))
    for name in ("balanced_accuracy", "gmean", "macro_f1", "macro_precision", "mcc", "kappa"):
        assert ends[name] == pytest.approx(ends["accuracy"], abs=0.025), name


def test_a_loss_of_nothing_has_no_interval():
    sure = perfect()
    scores = np.round(sure.scores)
    ends = confidence_intervals(
        Predictions(sure.classes, sure.ids, sure.actual, sure.predicted, scores)
    )
    assert "loss" not in ends
    assert "brier" not in ends


def test_predictions_without_scores_have_the_intervals_of_their_matrix():
    predictions = drawn_predictions()
    ends = confidence_intervals(replace(predictions, scores=None), "b")
    assert ends["gmean"] == confidence_intervals(predictions, "b")["gmean"]
    assert "roc_auc" not in ends


LIMITS = {"loss": (0, 36.05), "mcc": (-1, 1), "kappa": (-1, 1)}


@given(
    seed=st.integers(0, 10**6),
    images=st.tuples(st.integers(1, 40), st.integers(1, 6)),
    gap=st.sampled_from([0.0, 2.6, 6.0, 30.0]),
)
@settings(max_examples=60)
def test_no_interval_misses_its_value_leaves_the_range_or_is_a_point(seed, images, gap):
    predictions = drawn_predictions(images, gap, seed)
    values = classification.compute_metrics(predictions, "b")
    for name, (low, high) in confidence_intervals(predictions, "b", resamples=200).items():
        least, most = LIMITS.get(name.removeprefix("macro_").split("_")[0], (0, 1))
        assert least <= low <= values[name] <= high <= most, name
        assert low < high, name


@pytest.mark.parametrize("images", [1, 2])
def test_metrics_of_the_scores_of_too_few_images_have_no_interval(images):
    ends = confidence_intervals(drawn_predictions((30, images)), "b")
    assert "gmean" in ends
    assert not {"loss", "brier", "ece", "roc_auc", "average_precision", "macro_ece"} & set(ends)
    assert "roc_auc" in confidence_intervals(drawn_predictions((30, 3)), "b")


def test_an_almost_perfect_ranking_is_as_sure_as_a_perfect_one():
    """On the logit scale alone, 0.9998 would have an interval from 0."""
    low, high = area_interval(0.9998, 0.003**2, 90)
    assert wilson(90, 90)[0] - 0.01 < low < 0.97
    assert high > 0.9999


def test_one_image_of_a_class_is_borne():
    ends = confidence_intervals(drawn_predictions((30, 1)), "b")
    assert ends["recall"][1] - ends["recall"][0] > 0.5
    assert all(np.isfinite(interval).all() for interval in ends.values())


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
    ends = confidence_intervals(predictions)
    assert {"roc_auc", "roc_auc_c", "average_precision", "gmean", "macro_f1"} <= set(ends)
    assert {"loss_c", "brier_c", "ece_c", "macro_loss", "macro_roc_auc"} <= set(ends)


def test_a_class_without_test_images_leaves_the_intervals_of_the_others():
    predictions = drawn_predictions()
    scores = np.hstack([predictions.scores * 0.9, np.full((590, 1), 0.1)])
    wider = replace(predictions, classes=("a", "b", "c"), scores=scores)
    ends = confidence_intervals(wider)
    assert set(ends) <= set(classification.compute_metrics(wider))
    assert {"accuracy", "recall_b", "roc_auc_a", "loss"} <= set(ends)
    assert all(np.isfinite(each).all() for each in ends.values())


def test_an_interval_that_ends_at_its_value_says_why():
    assert explain_ends([(0.5, (0.4, 0.6))]) == ""
    assert explain_ends([(1.0, (0.9, 1.0)), (0.0, (0.0, 0.1))]).endswith("end there: 0 and 1.")
    both = explain_ends([(1.0, (0.9, 1.0)), (0.7, (0.7, 0.9))])
    assert "metrics end there: 1, or because all samples of the images give values on one" in both
