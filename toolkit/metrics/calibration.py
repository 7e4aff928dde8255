"""Calibration of scores: temperature scaling, and correction for a change of class balance."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from toolkit.errors import InputError
from toolkit.metrics.arrays import Floats, Labels
from toolkit.metrics.predictions import Predictions

LOWEST, HIGHEST = 0.1, 10.0
"""Range of temperatures. Where valid has no mistake, the lowest always fits best."""
FLOOR = float(np.finfo(np.float64).eps)
"""Scores are clipped here, as in the log loss."""
BISECTIONS = 40


def fit_temperature(valid: Predictions) -> float:
    """Return the T, 0.1 to 10, that minimizes the log loss of softmax(log(scores) / T) on `valid`.

    Guo, Pleiss, Sun and Weinberger, 2017. Above 1 the network is overconfident. The loss is convex
    in 1 / T, so that bisection by the sign of its slope finds the minimum. Returns 1 if no other T
    is better. Raises InputError without scores.
    """
    logs, actual = _logs(valid), valid.actual_index
    low, high = np.log(LOWEST), np.log(HIGHEST)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        hotter = _slope(logs, actual, np.exp(middle)) > 0
        low, high = (middle, high) if hotter else (low, middle)
    fitted = float(np.clip(np.exp((low + high) / 2), LOWEST, HIGHEST))
    return fitted if _loss(logs, actual, fitted) < _loss(logs, actual, 1.0) else 1.0


def _slope(logs: Floats, actual: Labels, temperature: float) -> float:
    """Return the derivative of the log loss by 1 / T: expected minus actual log score."""
    expected = (_softmax(logs / temperature) * logs).sum(axis=1)
    return float((expected - logs[np.arange(len(logs)), actual]).mean())


def _loss(logs: Floats, actual: Labels, temperature: float) -> float:
    scores = _softmax(logs / temperature)[np.arange(len(logs)), actual]
    return float(-np.log(np.maximum(scores, FLOOR)).mean())


def apply_temperature(predictions: Predictions, temperature: float) -> Predictions:
    """Return the predictions with the scores softmax(log(scores) / T); the classes stay."""
    return replace(
        predictions, scores=soften(predictions.required_scores("calibration"), temperature)
    )


def soften(scores: Floats, temperature: float) -> Floats:
    """Return softmax(log(scores) / T) of scores [N, classes], which are at least FLOOR."""
    return _softmax(np.log(np.maximum(scores, FLOOR)) / temperature)


def correct_prior(
    predictions: Predictions, trained: Mapping[str, int], target: Mapping[str, int]
) -> Predictions:
    """Return the predictions as if classes had been as frequent in training as in `target`.

    Both are numbers of images by class. Each score is multiplied by the ratio of the class's
    frequencies in `target` and `trained`, rows are normalized, and the class with the highest score
    is predicted (Saerens, Latinne and Decaestecker, 2002). Raises InputError where a class has no
    image in one of them, and without scores.
    """
    classes, scores = predictions.classes, predictions.required_scores("calibration")
    weighted = scores * _prior(target, classes, "valid") / _prior(trained, classes, "training")
    corrected = weighted / weighted.sum(axis=1, keepdims=True)
    predicted = tuple(classes[index] for index in corrected.argmax(axis=1))
    return replace(predictions, predicted=predicted, scores=corrected)


def _prior(counts: Mapping[str, int], classes: tuple[str, ...], where: str) -> Floats:
    images = np.array([counts.get(name, 0) for name in classes], dtype=np.float64)
    for index in np.flatnonzero(images == 0):
        message = f"class {classes[index]!r} has no image in {where}"
        raise InputError(f"{message}, so scores cannot be corrected for the class balance")
    return np.asarray(images / images.sum())


def _logs(predictions: Predictions) -> Floats:
    scores = predictions.required_scores("calibration")
    return np.asarray(np.log(np.maximum(scores, FLOOR)))


def _softmax(logits: Floats) -> Floats:
    from scipy.special import softmax

    return np.asarray(softmax(logits, axis=1))
