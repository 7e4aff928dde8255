"""All metrics by name: which there are, which are left out, and whose numbers they are."""

import json
import subprocess
import sys

import numpy as np
import pytest
from sklearn import metrics as oracle

from tests.helpers.waiting import TIMEOUT
from toolkit.errors import InputError
from toolkit.metrics import classification, confusion, scores
from toolkit.metrics.classification import compute_metrics
from toolkit.metrics.predictions import Predictions


@pytest.fixture
def four():
    """Four images of two classes, three of them right."""
    table = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.55, 0.45]])
    return Predictions(("a", "b"), tuple("wxyz"), tuple("aabb"), tuple("aaba"), table)


@pytest.fixture
def three():
    """One image of each of three classes, all right."""
    table = np.array([[0.5, 0.3, 0.2], [0.4, 0.5, 0.1], [0.1, 0.2, 0.7]])
    return Predictions(tuple("abc"), tuple("123"), tuple("abc"), tuple("abc"), table)


def test_metrics_are_flat_finite_and_named_by_class(four):
    values = compute_metrics(four, "b")
    assert values["n"] == 4
    assert values["accuracy"] == 0.75
    assert (values["recall_a"], values["recall_b"]) == (1, 0.5)
    assert (values["precision"], values["recall"]) == (values["precision_b"], values["recall_b"])
    assert values["f1"] == pytest.approx(2 / 3)
    assert values["roc_auc"] == 1
    json.dumps(values, allow_nan=False)


def test_every_metric_is_there_for_all_for_each_class_and_averaged(three):
    values = compute_metrics(three)
    per_class = [*confusion.PER_CLASS, *scores.ONE_VS_REST, *scores.RANKINGS]
    assert {*confusion.METRICS, *scores.SCORES, *scores.RANKINGS} < set(values)
    assert {f"{name}_{label}" for name in per_class for label in "abc"} < set(values)
    macro = {name for name in values if name.startswith("macro_")}
    assert macro == {f"macro_{name}" for name in per_class if name != "recall"}


def test_the_average_over_classes_is_their_mean(four):
    values = compute_metrics(four)
    averaged = [name.removeprefix("macro_") for name in values if name.startswith("macro_")]
    assert {"precision", "iba", "ece", "average_precision"} < set(averaged)
    for name in averaged:
        mean = (values[f"{name}_a"] + values[f"{name}_b"]) / 2
        assert values[f"macro_{name}"] == pytest.approx(mean)


def test_the_weight_of_the_recall_can_be_chosen(four):
    assert compute_metrics(four, "b")["fbeta"] == pytest.approx(5 / 9)
    assert compute_metrics(four, "b", beta=0.5)["fbeta"] == pytest.approx(5 / 6)
    assert compute_metrics(four, "b", beta=1.0)["fbeta"] == compute_metrics(four, "b")["f1"]


def test_the_positive_class_decides_whose_numbers_have_no_suffix(three):
    assert not set(confusion.PER_CLASS) & set(compute_metrics(three))
    values = compute_metrics(three, "b")
    for name in (*confusion.PER_CLASS, *scores.RANKINGS):
        assert values[name] == values[f"{name}_b"]


def test_without_a_positive_class_the_rankings_are_averaged(three):
    values, truth = compute_metrics(three), np.eye(3)
    expected = oracle.average_precision_score(truth, three.scores, average="macro")
    assert values["average_precision"] == pytest.approx(expected)
    areas = [oracle.roc_auc_score(truth[:, k], three.scores[:, k]) for k in range(3)]
    assert [values[f"roc_auc_{label}"] for label in "abc"] == pytest.approx(areas)
    assert values["roc_auc"] == pytest.approx(np.mean(areas))


def test_all_resamples_at_once_have_the_names_and_numbers_of_one(four):
    batch = np.stack([confusion.matrix_of(four)] * 2)
    weights = np.ones((2, 4))
    values = classification.matrix_metrics(batch, four.classes, "b")
    values |= classification.score_metrics(
        four.actual_index, four.scores, four.classes, "b", weights
    )
    once = compute_metrics(four, "b")
    assert [*once] == ["n", *values]
    for name, both in values.items():
        assert both == pytest.approx([once[name]] * 2)


def test_a_number_that_one_resample_leaves_undefined_is_left_out():
    batch = np.array([[[5, 0], [1, 2]], [[5, 1], [0, 0]]])
    assert {"gmean", "accuracy"} & set(classification.matrix_metrics(batch, ("a", "b"))) == {
        "accuracy"
    }


def test_without_scores_there_are_no_metrics_of_scores():
    plain = Predictions(("a", "b"), ("1", "2"), ("a", "b"), ("b", "b"))
    values = compute_metrics(plain)
    assert not {*scores.SCORES, *scores.RANKINGS} & set(values)
    assert values["precision_a"] == 0


def test_an_unknown_positive_class_is_refused_with_the_known_ones(four):
    with pytest.raises(InputError, match=r"evaluate.positive\) must be one of 'a', 'b', got 'c'"):
        compute_metrics(four, "c")


def test_what_a_class_without_test_images_leaves_undefined_is_left_out(three):
    """Two of three classes have images, of which the scores still say something."""
    predictions = Predictions(three.classes, ("1", "2"), ("a", "b"), ("a", "b"), three.scores[:2])
    values = compute_metrics(predictions, "c")
    json.dumps(values, allow_nan=False)
    assert {"accuracy", "mcc", "recall_a", "specificity_c", "roc_auc_b", "loss"} < set(values)
    undefined = {"gmean", "balanced_accuracy", "recall", "recall_c", "iba_c"}
    assert not (undefined | {"roc_auc", "roc_auc_c", "macro_roc_auc"}) & set(values)


def test_numbers_are_made_without_the_slow_imports():
    code = "import sys, toolkit.metrics.curves, toolkit.metrics.classification; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, timeout=TIMEOUT
    )
    assert not {"sklearn", "scipy", "torch", "matplotlib"} & set(done.stdout.decode().split())


def test_a_class_without_samples_has_no_metrics_and_does_not_lower_the_means():
    """Never 0: the means over three classes are those over the two that have images."""
    matrix = np.array([[45, 5, 0], [4, 36, 0], [0, 0, 0]])
    values = classification.matrix_metrics(matrix, ("a", "b", "c"))
    two = classification.matrix_metrics(matrix[:2, :2], ("a", "b"))
    assert not {"precision_c", "recall_c", "f1_c", "fbeta_c", "iba_c", "gmean"} & set(values)
    for name in ("macro_precision", "macro_f1", "macro_fbeta", "macro_iba", "precision_a", "f1_b"):
        assert values[name] == pytest.approx(two[name]), name
