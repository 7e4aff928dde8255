"""A temperature and a threshold, chosen on some images, decide on others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.metrics import calibration, thresholds
from toolkit.metrics.decisions import Decisions, apply_decisions, at_calibrated, choose_decisions
from toolkit.metrics.params import EvaluateParams
from toolkit.metrics.predictions import Predictions


def drawn(seed: int, classes: tuple[str, ...] = ("no", "yes"), count: int = 60) -> Predictions:
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.ones(len(classes)), count)
    actual = tuple(classes[rng.choice(len(classes), p=row)] for row in scores)
    predicted = tuple(classes[row.argmax()] for row in scores)
    return Predictions(classes, tuple(map(str, range(count))), actual, predicted, scores)


def test_they_are_those_of_the_evaluation():
    valid, test = drawn(0), drawn(1)
    settings = EvaluateParams(positive="yes")
    decided = apply_decisions(test, choose_decisions(valid, settings))
    threshold = thresholds.choose_threshold(valid, "yes", settings)
    temperature = calibration.fit_temperature(valid)
    assert decided.predicted == thresholds.apply_threshold(test, "yes", threshold).predicted
    assert np.array_equal(decided.scores, calibration.apply_temperature(test, temperature).scores)


@pytest.mark.parametrize("positive", [None, "b"])
def test_of_several_classes_the_likeliest_is_predicted(positive):
    test = drawn(1, ("a", "b", "c"))
    decisions = choose_decisions(drawn(0, ("a", "b", "c")), EvaluateParams(positive=positive))
    assert decisions.threshold is None
    assert apply_decisions(test, decisions).predicted == test.predicted


@given(st.floats(0.1, 4), st.floats(0.01, 0.99))
def test_a_threshold_on_probabilities_is_one_on_scores(temperature, threshold):
    decisions = at_calibrated(Decisions(temperature, "yes"), threshold)
    assert decisions.calibrated_threshold == pytest.approx(threshold, rel=1e-6)


@pytest.mark.parametrize(("threshold", "expected"), [(0.0, {"yes"}), (1.0, {"no"})])
def test_the_ends_of_the_range_predict_one_class(threshold, expected):
    decided = apply_decisions(drawn(0), at_calibrated(Decisions(2.0, "yes"), threshold))
    assert set(decided.predicted) == expected
