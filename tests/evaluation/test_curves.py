"""Which diagrams a run has, and their points."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from tests.helpers.pages import CLASSES, result
from toolkit.evaluation import curves
from toolkit.evaluation.curves import DIAGRAMS
from toolkit.metrics.predictions import Predictions


def valid():
    return replace(result(seed=5).predictions, ids=tuple(f"v{n}" for n in range(30)))


@pytest.mark.parametrize("name", DIAGRAMS)
def test_every_diagram_has_points_in_the_unit_square(name):
    points = DIAGRAMS[name].points([result(valid=valid())])
    assert len(points.x) == len(points.y) > 2
    assert all(0 <= end <= 1 for axis in (points.x, points.y) for end in (axis.min(), axis.max()))


@pytest.mark.parametrize("name", DIAGRAMS)
def test_a_run_without_scores_has_none(name):
    bare = replace(result().predictions, scores=None)
    assert DIAGRAMS[name].points([replace(result(), predictions=bare)]) is None


@pytest.mark.parametrize("name", ["roc", "precision_recall", "thresholds"])
def test_without_a_positive_class_only_reliability_is_left(name):
    run = replace(result(valid=valid()), positive=None)
    assert DIAGRAMS[name].points([run]) is None
    assert DIAGRAMS["reliability"].points([run]) is not None


def test_images_of_one_class_alone_have_no_roc():
    predictions = result().predictions
    alone = replace(predictions, actual=(CLASSES[0],) * len(predictions.ids))
    assert DIAGRAMS["roc"].points([replace(result(), predictions=alone)]) is None


def test_the_roc_is_scikit_learns():
    run = result()
    points = DIAGRAMS["roc"].points([run])
    rates, recalls, _ = roc_curve(
        run.predictions.actual_index, run.predictions.scores[:, 1], drop_intermediate=False
    )
    np.testing.assert_allclose(points.x, rates)
    np.testing.assert_allclose(points.y, recalls)


def test_the_reliability_of_runs_together_counts_all_their_images():
    runs = [result(seed=seed) for seed in (0, 1, 2)]
    assert DIAGRAMS["reliability"].points(runs).count.sum() == 3 * 30


def test_the_chosen_threshold_lies_on_the_curve():
    run = result(valid=valid())
    threshold, gmean = curves.threshold_point(run)
    called = valid().scores[:, 1] >= threshold
    actual = valid().actual_index == 1
    recalls = [(called == actual)[actual == side].mean() for side in (True, False)]
    assert threshold == run.metrics["threshold"]
    assert gmean == pytest.approx(np.sqrt(np.prod(recalls)))


def test_the_chosen_threshold_lies_on_the_whole_curve_not_on_the_thinned_one():
    rng = np.random.default_rng(0)
    actual = np.arange(3000) % 2
    score = 1 / (1 + np.exp(-rng.normal(size=3000) - actual))
    names = np.array(CLASSES)
    many = Predictions(
        CLASSES, tuple(map(str, range(3000))), tuple(names[actual]),
        tuple(names[(score >= 0.5).astype(int)]), np.stack([1 - score, score], axis=1),
    )  # fmt: skip
    for threshold in rng.uniform(0.2, 0.8, 20):
        run = replace(result(valid=many), metrics={"threshold": threshold})
        called = score >= threshold
        expected = np.sqrt(called[actual == 1].mean() * (~called)[actual == 0].mean())
        assert curves.threshold_point(run)[1] == pytest.approx(expected, abs=1e-12)


def test_the_calibration_error_is_that_of_the_curve():
    run = result()
    points = DIAGRAMS["reliability"].points([run])
    assert curves.calibration_error(points) == pytest.approx(run.metrics[f"ece_{CLASSES[1]}"])
    assert curves.calibration_error(DIAGRAMS["roc"].points([run])) is None


def test_nothing_is_chosen_without_valid_predictions():
    assert curves.threshold_point(result()) is None


def test_a_table_names_each_run_and_reads_back_exactly():
    runs = [result(), result("augmented", seed=1)]
    rows = list(csv.DictReader(io.StringIO(curves.curves_csv(runs, DIAGRAMS["roc"]))))
    points = DIAGRAMS["roc"].points(runs[:1])
    first = [row for row in rows if row["run"] == "original-net-0"]
    assert [float(row["recall"]) for row in first] == points.y.tolist()
    assert list(rows[-1])[:4] == ["run", "arm", "recipe", "seed"]
    assert rows[-1]["seed"] == "1"
