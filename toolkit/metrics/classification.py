"""Predictions -> all numbers by name: those of the confusion matrix and those of the scores.

What is undefined, as a class has no images, is left out.
"""

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np

from toolkit.errors import InputError
from toolkit.metrics.confusion import METRICS, PER_CLASS, Matrices, fbeta, matrix_of
from toolkit.metrics.predictions import Predictions
from toolkit.metrics.scores import ONE_VS_REST, RANKINGS, SCORES, Floats, Labels, ranking_metrics


def compute_metrics(
    predictions: Predictions, positive: str | None = None, beta: float = 2.0
) -> dict[str, float]:
    """All metrics, flat: `n` and what `of_matrix` and `of_scores` give, without what is undefined.

    Raises InputError where `positive` is no class.
    """
    classes, matrix = predictions.classes, matrix_of(predictions)
    if positive is not None and positive not in classes:
        known = ", ".join(map(repr, classes))
        raise InputError(
            f"the positive class (evaluate.positive) must be one of {known}, got {positive!r}"
        )
    values = matrix_metrics(matrix, classes, positive, beta)
    if predictions.scores is not None:
        values |= score_metrics(predictions.actual_index, predictions.scores, classes, positive)
    return {"n": len(predictions.ids)} | {name: float(value) for name, value in values.items()}


def matrix_metrics(
    matrix: Matrices, classes: Sequence[str], positive: str | None = None, beta: float = 2.0
) -> dict[str, Floats]:
    """All metrics of [..., K, K] matrices by name, each [...].

    `<metric>`, `<metric>_<class>` and `macro_<metric>`, the mean over the classes (that of the
    recalls is the balanced accuracy); with `positive` also the `<metric>` of that class. What is
    undefined for one matrix or more is left out.
    """
    values = {name: metric(matrix) for name, metric in METRICS.items()}
    for name, metric in (PER_CLASS | {"fbeta": partial(fbeta, beta=beta)}).items():
        each = np.moveaxis(metric(matrix), -1, 0)
        named = _by_class(name, each, classes)
        if positive is not None:
            named[name] = named[f"{name}_{positive}"]
        values |= named if name == "recall" else named | {f"macro_{name}": each.mean(axis=0)}
    return {name: value for name, value in values.items() if not np.isnan(value).any()}


def score_metrics(
    actual: Labels,
    scores: Floats,
    classes: Sequence[str],
    positive: str | None = None,
    weights: Floats | None = None,
) -> dict[str, Floats]:
    """All metrics of the scores by name, each [...] with weights [..., N] (see `scores`).

    `loss`, `brier` and `ece` are of all classes together. With the name of a class, and the two
    rankings always, numbers are of that class against the rest; `macro_<metric>` is their mean.
    Rankings without a class are of `positive`, or that mean if it is None. What is undefined, as
    a class has no images or all of them, is left out.
    """
    values = {name: metric(actual, scores, weights) for name, metric in SCORES.items()}
    images = np.bincount(actual, minlength=len(classes))
    for name, each in _one_vs_rest(actual, scores, images, weights).items():
        named = {f"{name}_{classes[number]}": value for number, value in each.items()}
        if len(each) == len(classes):
            named[f"macro_{name}"] = np.mean(list(each.values()), axis=0)
        plain = f"macro_{name}" if positive is None else f"{name}_{positive}"
        if name in RANKINGS and plain in named:
            named[name] = named[plain]
        values |= named
    return values


def _one_vs_rest(
    actual: Labels, scores: Floats, images: Labels, weights: Floats | None
) -> dict[str, dict[int, Floats]]:
    """Metric -> the number of each class for which it is defined -> its values."""
    found: dict[str, dict[int, Floats]] = {name: {} for name in (*ONE_VS_REST, *RANKINGS)}
    for number, n in enumerate(images):
        for name, metric in ONE_VS_REST.items():
            found[name][number] = metric(actual, scores, number, weights)
        if 0 < n < len(actual):
            for name, value in ranking_metrics(actual, scores, number, weights).items():
                found[name][number] = value
    return found


def _by_class(name: str, each: Iterable[Floats], classes: Sequence[str]) -> dict[str, Floats]:
    return {f"{name}_{label}": value for label, value in zip(classes, each, strict=True)}
