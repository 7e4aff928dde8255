"""Metrics against published numbers, scikit-learn and imbalanced-learn."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from imblearn.metrics import geometric_mean_score
from sklearn import metrics as oracle

from toolkit import metrics
from toolkit.errors import InputError
from toolkit.metrics import evaluate
from toolkit.predictions import Predictions

# What was printed for the test split; 0.9567769971222251 was printed with one 2 too few.
PUBLISHED = [
    ([[474, 26], [10, 80]], 0.9389830508474576, 0.9179687721631203),
    ([[479, 21], [4, 86]], 0.9576271186440678, 0.9567769971222251),
]
ROUNDED = [
    ([[293, 7], [5, 35]], 0.9647, 0.9244),
    ([[298, 2], [2, 38]], 0.9882, 0.9714),
]


@pytest.fixture
def four():
    """Four images of two classes, three of them right."""
    scores = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.55, 0.45]])
    return Predictions(("a", "b"), tuple("wxyz"), tuple("aabb"), tuple("aaba"), scores)


@st.composite
def outcomes(draw):
    """Actual and predicted labels of 2 to 5 classes, each with at least one image."""
    classes = draw(st.integers(2, 5))
    more = draw(st.lists(st.integers(0, classes - 1), max_size=40))
    actual = np.array([*range(classes), *more])
    predicted = draw(arrays(np.int64, len(actual), elements=st.integers(0, classes - 1)))
    return classes, actual, predicted


@st.composite
def scored(draw):
    """An outcome with probabilities."""
    classes, actual, _ = draw(outcomes())
    raw = draw(arrays(np.float64, (len(actual), classes), elements=st.floats(0.01, 1)))
    return classes, actual, raw / raw.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("matrix", "accuracy", "gmean"), PUBLISHED)
def test_published_test_results_come_out_to_the_last_digit(matrix, accuracy, gmean):
    assert metrics.accuracy(np.array(matrix)) == accuracy
    assert metrics.gmean(np.array(matrix)) == gmean


def test_the_published_gmean_is_the_matrix_but_for_a_lost_digit():
    """0.956776997122251 as printed is 2.6e-14 off; with another 2 it is exact."""
    assert metrics.gmean(np.array([[479, 21], [4, 86]])) == pytest.approx(
        0.956776997122251, abs=3e-14, rel=0
    )


@pytest.mark.parametrize(("matrix", "accuracy", "gmean"), ROUNDED)
def test_published_valid_results_come_out_as_rounded(matrix, accuracy, gmean):
    assert round(metrics.accuracy(np.array(matrix)), 4) == accuracy
    assert round(metrics.gmean(np.array(matrix)), 4) == gmean


@given(outcomes())
def test_everything_from_the_matrix_agrees_with_scikit_learn(outcome):
    classes, actual, predicted = outcome
    matrix = metrics.confusion_matrix(actual, predicted, classes)
    labels = {"labels": range(classes), "average": None, "zero_division": 0}
    precision, recall, f1, _ = oracle.precision_recall_fscore_support(actual, predicted, **labels)
    assert (matrix == oracle.confusion_matrix(actual, predicted, labels=range(classes))).all()
    assert metrics.precision(matrix) == pytest.approx(precision)
    assert metrics.recall(matrix) == pytest.approx(recall)
    assert metrics.f1(matrix) == pytest.approx(f1)
    assert metrics.accuracy(matrix) == pytest.approx(oracle.accuracy_score(actual, predicted))
    assert metrics.balanced_accuracy(matrix) == pytest.approx(recall.mean())
    assert metrics.mcc(matrix) == pytest.approx(oracle.matthews_corrcoef(actual, predicted))


@given(outcomes())
def test_gmean_agrees_with_imbalanced_learn(outcome):
    classes, actual, predicted = outcome
    expected = geometric_mean_score(actual, predicted, labels=range(classes))
    matrix = metrics.confusion_matrix(actual, predicted, classes)
    assert metrics.gmean(matrix) == pytest.approx(expected)


@given(scored())
def test_everything_from_the_scores_agrees_with_scikit_learn(case):
    classes, actual, scores = case
    labels = list(range(classes))
    expected = oracle.log_loss(actual, scores, labels=labels)
    assert metrics.log_loss(actual, scores) == pytest.approx(expected)
    truth = np.eye(classes)[actual]
    per_class = [oracle.roc_auc_score(truth[:, k], scores[:, k]) for k in labels]
    assert metrics.roc_auc(actual, scores) == pytest.approx(np.mean(per_class))
    assert metrics.roc_auc(actual, scores, positive=1) == pytest.approx(per_class[1])
    average = oracle.average_precision_score(truth, scores, average="macro")
    assert metrics.pr_auc(actual, scores) == pytest.approx(average)


@given(scored())
def test_brier_agrees_with_scikit_learn(case):
    """Halved for two classes, where scikit-learn takes the score of the second class."""
    classes, actual, scores = case
    if classes == 2:
        expected = oracle.brier_score_loss(actual, scores[:, 1])
    else:
        expected = oracle.mean_squared_error(np.eye(classes)[actual], scores) * classes
    assert metrics.brier(actual, scores) == pytest.approx(expected)


@given(scored())
def test_ece_agrees_with_its_definition(case):
    _, actual, scores = case
    total, edges = 0.0, np.linspace(0, 1, 16)
    for low, high in itertools.pairwise(edges):
        inside = (scores.max(axis=1) > low) & (scores.max(axis=1) <= high)
        if inside.any():
            right = (scores.argmax(axis=1) == actual)[inside].mean()
            total += inside.mean() * abs(right - scores.max(axis=1)[inside].mean())
    assert metrics.ece(actual, scores) == pytest.approx(total, abs=1e-12)


def test_ece_of_a_sure_and_wrong_answer_is_one():
    assert metrics.ece(np.array([0, 0]), np.array([[0.0, 1.0]] * 2)) == 1
    assert metrics.ece(np.array([1, 1]), np.array([[0.0, 1.0]] * 2)) == 0


def test_log_loss_stays_finite_at_a_score_of_zero():
    assert metrics.log_loss(np.array([0]), np.array([[0.0, 1.0]])) == pytest.approx(36.04, abs=0.01)


def test_a_class_without_test_images_has_no_recall_and_is_named():
    matrix = np.array([[5, 0], [0, 0]])
    for metric in (metrics.recall, metrics.balanced_accuracy, metrics.gmean):
        with pytest.raises(InputError, match=r"class 'rare' has no images.*G-mean"):
            metric(matrix, ("common", "rare"))
    with pytest.raises(InputError, match="class number 1"):
        metrics.gmean(matrix)


def test_a_class_that_is_never_predicted_has_precision_and_gmean_zero():
    """Always saying the majority class earns a G-mean of 0."""
    matrix = np.array([[90, 0], [10, 0]])
    assert metrics.precision(matrix).tolist() == [0.9, 0]
    assert metrics.f1(matrix)[1] == metrics.gmean(matrix) == metrics.mcc(matrix) == 0


def test_gmean_of_a_thousand_classes_does_not_underflow():
    matrix = np.full((1000, 1000), 1) + np.eye(1000, dtype=np.int64) * 332
    assert metrics.gmean(matrix) == pytest.approx(333 / 1332)


def test_mcc_of_a_million_images_does_not_overflow():
    assert metrics.mcc(np.array([[10**9, 0], [0, 10**9]])) == 1


def test_no_predictions_have_no_accuracy():
    with pytest.raises(InputError, match="no predictions"):
        metrics.accuracy(np.zeros((2, 2), dtype=np.int64))


@pytest.mark.parametrize("labels", [[0, 2], [-1, 0]])
def test_labels_outside_the_classes_are_refused(labels):
    with pytest.raises(ValueError, match="expected labels from 0 to 1"):
        metrics.confusion_matrix([0, 0], labels, 2)


def test_labels_of_two_lengths_are_refused():
    with pytest.raises(ValueError, match="one length"):
        metrics.confusion_matrix([0, 1], [0], 2)


@pytest.mark.parametrize("name", metrics.METRICS)
def test_every_metric_of_the_matrix_is_a_python_float_at_most_one(name):
    value = metrics.METRICS[name](np.array([[3, 1], [0, 2]]))
    assert isinstance(value, float)
    assert metrics.METRICS[name](np.array([[3, 0], [0, 2]])) == 1
    assert 0 < value < 1


@pytest.mark.parametrize("name", metrics.PER_CLASS)
def test_every_metric_per_class_is_one_for_a_perfect_result(name):
    assert metrics.PER_CLASS[name](np.array([[3, 0], [0, 2]])).tolist() == [1, 1]


@pytest.mark.parametrize("name", [*metrics.SCORES, *metrics.RANKINGS])
def test_every_metric_of_the_scores_is_best_for_sure_and_right_ones(name):
    actual, scores = np.array([0, 1, 1]), np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    if name in metrics.SCORES:
        assert metrics.SCORES[name](actual, scores) == 0
    else:
        assert metrics.RANKINGS[name](actual, scores, None) == 1
    assert math.isfinite(metrics.log_loss(actual, scores[:, ::-1]))


def test_metrics_are_flat_finite_and_named_by_class(four):
    values = evaluate(four, "b")
    assert values["n"] == 4
    assert values["accuracy"] == 0.75
    assert (values["recall_a"], values["recall_b"]) == (1, 0.5)
    assert (values["precision"], values["recall"]) == (values["precision_b"], values["recall_b"])
    assert values["f1"] == pytest.approx(2 / 3)
    assert values["roc_auc"] == 1
    json.dumps(values, allow_nan=False)


def test_the_positive_class_decides_whose_curve_is_meant():
    scores = np.array([[0.5, 0.3, 0.2], [0.4, 0.5, 0.1], [0.1, 0.2, 0.7]])
    three = Predictions(("a", "b", "c"), ("1", "2", "3"), ("a", "b", "c"), ("a", "b", "c"), scores)
    assert "recall" not in evaluate(three)
    assert evaluate(three, "c")["pr_auc"] == 1


def test_without_scores_there_are_no_metrics_of_scores():
    plain = Predictions(("a", "b"), ("1", "2"), ("a", "b"), ("b", "b"))
    values = evaluate(plain)
    assert not {"loss", "roc_auc", "pr_auc", "brier", "ece"} & set(values)
    assert values["precision_a"] == 0


def test_an_unknown_positive_class_is_refused_with_the_known_ones(four):
    with pytest.raises(InputError, match=r"evaluate.positive must be one of \['a', 'b'\], got 'c'"):
        evaluate(four, "c")


def test_a_class_without_test_images_is_refused_by_name():
    with pytest.raises(InputError, match="class 'b' has no images"):
        evaluate(Predictions(("a", "b"), ("1",), ("a",), ("b",)))
