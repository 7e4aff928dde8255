"""Scores that mean what they say: a temperature fitted on valid, and a change of class balance."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from toolkit.errors import InputError
from toolkit.metrics.predictions import Predictions

Floats = npt.NDArray[np.float64]

COLDEST, HOTTEST = 0.1, 10.0
"""The temperatures that are tried. Where valid has no mistake, any cold one would do."""
FLOOR = float(np.finfo(np.float64).eps)
"""Scores below count as this, as in the log loss."""
HALVINGS = 40


def fit_temperature(valid: Predictions) -> float:
    """The T, 0.1 to 10, with which softmax(log(scores) / T) has the least log loss on `valid`.

    Guo, Pleiss, Sun and Weinberger, 2017. Above 1 the network is too sure of itself. The loss is
    convex in 1 / T, so the sign of its slope leads there by bisection. 1 where no other T is
    better. Raises InputError without scores.
    """
    logs, actual = _logs(valid), valid.actual_index
    low, high = np.log(COLDEST), np.log(HOTTEST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        hotter = _slope(logs, actual, np.exp(middle)) > 0
        low, high = (middle, high) if hotter else (low, middle)
    found = float(np.clip(np.exp((low + high) / 2), COLDEST, HOTTEST))
    return found if _loss(logs, actual, found) < _loss(logs, actual, 1.0) else 1.0


def _slope(logs: Floats, actual: npt.NDArray[np.int64], heat: float) -> float:
    """The derivative of the log loss by 1 / T: expected less actual log score."""
    expected = (softmax(logs / heat) * logs).sum(axis=1)
    return float((expected - logs[np.arange(len(logs)), actual]).mean())


def _loss(logs: Floats, actual: npt.NDArray[np.int64], heat: float) -> float:
    scores = softmax(logs / heat)[np.arange(len(logs)), actual]
    return float(-np.log(np.maximum(scores, FLOOR)).mean())


def apply_temperature(predictions: Predictions, heat: float) -> Predictions:
    """The same with softmax(log(scores) / `heat`) for scores; the predicted classes stay."""
    return replace(predictions, scores=softmax(_logs(predictions) / heat))


def correct_prior(
    predictions: Predictions, trained: Mapping[str, int], target: Mapping[str, int]
) -> Predictions:
    """Predictions as if the classes had been as frequent in training as they are in `target`.

    Both are counts of images by class. Each score is multiplied by the class's share in `target`
    over that in `trained`, and the rows are made to add up to 1 again; the likeliest class is
    predicted (Saerens, Latinne and Decaestecker, 2002). Raises InputError where a class has no
    image in one of them, and without scores.
    """
    classes, scores = predictions.classes, _scores(predictions)
    weighed = scores * _prior(target, classes, "valid") / _prior(trained, classes, "training")
    corrected = weighed / weighed.sum(axis=1, keepdims=True)
    predicted = tuple(classes[index] for index in corrected.argmax(axis=1))
    return replace(predictions, predicted=predicted, scores=corrected)


def _prior(counts: Mapping[str, int], classes: tuple[str, ...], where: str) -> Floats:
    images = np.array([counts.get(name, 0) for name in classes], dtype=np.float64)
    for index in np.flatnonzero(images == 0):
        message = f"class {classes[index]!r} has no image in {where}"
        raise InputError(f"{message}, so scores cannot be corrected for the class balance")
    return np.asarray(images / images.sum())


def _logs(predictions: Predictions) -> Floats:
    return np.asarray(np.log(np.maximum(_scores(predictions), FLOOR)))


def softmax(logits: Floats) -> Floats:
    """Rows of logits [N, K] as probabilities that add up to 1."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _scores(predictions: Predictions) -> Floats:
    if predictions.scores is None:
        raise InputError("calibration needs scores; add score_<class> columns")
    return predictions.scores
