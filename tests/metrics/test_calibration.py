"""Temperature and prior correction: answers known in advance, scipy and Bayes as oracles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from toolkit.errors import InputError
from toolkit.metrics import calibration, scores
from toolkit.metrics.predictions import Predictions


def drawn(seed, n=400, classes=3, spread=1.0, temperature=1.0):
    """Images whose class is drawn from softmax(logits), scored as softmax(logits / T)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (n, classes))
    true = softmax(logits, axis=1)
    actual = [int(rng.choice(classes, p=row)) for row in true]
    return predict(actual, softmax(logits / temperature, axis=1))


def predict(actual, probabilities):
    names = tuple("abcdef"[: probabilities.shape[1]])
    ids = tuple(map(str, range(len(actual))))
    predicted = tuple(names[k] for k in probabilities.argmax(axis=1))
    return Predictions(names, ids, tuple(names[k] for k in actual), predicted, probabilities)


def loss(predictions):
    return scores.log_loss(predictions.actual_index, predictions.scores)


@pytest.mark.parametrize("temperature", [0.25, 0.5, 2.0, 4.0])
def test_logits_that_were_divided_are_multiplied_back(temperature):
    """Whatever temperature fits, dividing the logits by T divides it by T."""
    fitting = calibration.fit_temperature(drawn(0))
    assert calibration.fit_temperature(drawn(0, temperature=temperature)) == pytest.approx(
        fitting / temperature, rel=1e-9
    )


def test_scores_that_mean_what_they_say_need_no_temperature():
    assert calibration.fit_temperature(drawn(0, n=20_000)) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_the_temperature_is_the_one_that_scipy_finds(seed):
    changed = drawn(seed, n=60, temperature=0.4)

    def cost(log_heat):
        return loss(calibration.apply_temperature(changed, np.exp(log_heat)))

    best = minimize_scalar(
        cost, bounds=np.log([0.1, 10]), method="bounded", options={"xatol": 1e-9}
    )
    assert calibration.fit_temperature(changed) == pytest.approx(np.exp(best.x), rel=1e-5)


rows = st.lists(st.floats(0.01, 1), min_size=3, max_size=3).map(lambda r: [x / sum(r) for x in r])
images = st.lists(st.tuples(st.integers(0, 2), rows), min_size=1, max_size=20).map(
    lambda pairs: predict([label for label, _ in pairs], np.array([row for _, row in pairs]))
)


@given(images, st.floats(0.1, 10))
def test_a_temperature_changes_no_predicted_class(predictions, temperature):
    changed = calibration.apply_temperature(predictions, temperature)
    assert changed.predicted == predictions.predicted
    top = changed.scores[np.arange(len(changed.ids)), predictions.predicted_index]
    assert (top == changed.scores.max(axis=1)).all()


@given(images)
def test_the_fitted_temperature_never_makes_valid_worse(predictions):
    temperature = calibration.fit_temperature(predictions)
    assert 0.1 <= temperature <= 10
    changed = calibration.apply_temperature(predictions, temperature)
    assert loss(changed) <= loss(predictions) + 1e-12


def test_without_mistakes_the_temperature_stops_at_its_end():
    assert calibration.fit_temperature(predict([0, 1], np.array([[0.9, 0.1], [0.2, 0.8]]))) == (
        pytest.approx(0.1)
    )


def test_without_information_the_temperature_is_one():
    assert calibration.fit_temperature(predict([0, 1, 1], np.full((3, 2), 0.5))) == 1


def test_scores_of_zero_are_borne():
    """As other tools round them; one of them for the actual class."""
    predictions = predict([0, 1, 1], np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]))
    temperature = calibration.fit_temperature(predictions)
    assert np.isfinite(calibration.apply_temperature(predictions, temperature).scores).all()
    assert loss(calibration.apply_temperature(predictions, temperature)) < loss(predictions)


# --- prior correction -------------------------------------------------------------------------


@given(images, st.lists(st.integers(1, 500), min_size=3, max_size=3), st.integers(1, 9))
def test_equal_shares_change_nothing(predictions, counts, times):
    trained = dict(zip("abc", counts, strict=True))
    target = {name: n * times for name, n in trained.items()}
    changed = calibration.correct_prior(predictions, trained, target)
    assert np.allclose(changed.scores, predictions.scores, rtol=0, atol=1e-12)


@given(images, *[st.lists(st.integers(1, 500), min_size=3, max_size=3)] * 2)
def test_correcting_back_undoes_it(predictions, first, second):
    one, two = (dict(zip("abc", counts, strict=True)) for counts in (first, second))
    there = calibration.correct_prior(predictions, one, two)
    back = calibration.correct_prior(there, two, one)
    assert np.allclose(back.scores, predictions.scores, rtol=0, atol=1e-12)
    assert np.allclose(there.scores.sum(axis=1), 1, rtol=0, atol=1e-12)


def test_a_known_answer():
    """Trained half and half, used where b is one of ten: its odds are divided by nine."""
    predictions = predict([1, 1], np.array([[0.4, 0.6], [0.05, 0.95]]))
    changed = calibration.correct_prior(predictions, {"a": 5, "b": 5}, {"a": 9, "b": 1})
    assert changed.scores[:, 1] == pytest.approx([1.5 / 10.5, 19 / 28])
    assert changed.predicted == ("a", "b")


def test_it_gives_bayes_answer_for_two_bells():
    """Scores of one class balance, corrected to another, are those that the other balance gives."""
    x = np.linspace(-3, 4, 50)
    bells = np.stack([np.exp(-(x**2) / 2), np.exp(-((x - 1) ** 2) / 2)], axis=1)
    before, after = (bells * [n, 1] / (bells * [n, 1]).sum(axis=1, keepdims=True) for n in (1, 6))
    predictions = predict([0] * 50, before)
    changed = calibration.correct_prior(predictions, {"a": 7, "b": 7}, {"a": 6, "b": 1})
    assert np.allclose(changed.scores, after, rtol=1e-12)


def test_a_class_that_is_missing_is_named():
    predictions = predict([0], np.array([[0.5, 0.5]]))
    with pytest.raises(InputError, match="class 'b' has no image in training"):
        calibration.correct_prior(predictions, {"a": 3}, {"a": 1, "b": 1})
    with pytest.raises(InputError, match="class 'b' has no image in valid"):
        calibration.correct_prior(predictions, {"a": 3, "b": 3}, {"a": 1, "b": 0})


def test_scores_are_needed():
    bare = Predictions(("a", "b"), ("1",), ("a",), ("a",))
    with pytest.raises(InputError, match="calibration needs scores"):
        calibration.fit_temperature(bare)
