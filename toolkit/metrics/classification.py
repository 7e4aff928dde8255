"""All metrics of predictions by name: those of the confusion matrix and those of the scores.

Metrics that are undefined because a class has no samples are left out.
"""

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np

from toolkit.errors import InputError
from toolkit.metrics.arrays import Floats, Labels
from toolkit.metrics.confusion import METRICS, PER_CLASS, Matrices, fbeta, matrix_of
from toolkit.metrics.predictions import Predictions
from toolkit.metrics.scores import ONE_VS_REST, RANKINGS, SCORES, ranking_metrics


def compute_metrics(
    predictions: Predictions, positive: str | None = None, beta: float = 2.0
) -> dict[str, float]:
    """Compute `n` and everything that `matrix_metrics` and `score_metrics` return.

    Raises InputError if `positive` is not one of the classes.
    """
    classes, matrix = predictions.classes, matrix_of(predictions)
    if positive is not None and positive not in classes:
        listed = ", ".join(map(repr, classes))
        raise InputError(
            f"the positive class (evaluate.positive) must be one of {listed}, got {positive!r}"
        )
    values = matrix_metrics(matrix, classes, positive, beta)
    if predictions.scores is not None:
        values |= score_metrics(predictions.actual_index, predictions.scores, classes, positive)
    return {"n": len(predictions.ids)} | {name: float(value) for name, value in values.items()}


def matrix_metrics(
    matrix: Matrices, classes: Sequence[str], positive: str | None = None, beta: float = 2.0
) -> dict[str, Floats]:
    """Compute all metrics of confusion matrices [..., K, K] by name, each [...].

    The names are `<metric>`, `<metric>_<class>` and `macro_<metric>`, the mean over the classes
    that have samples (except for recall, whose mean is the balanced accuracy). With `positive`,
    per-class metrics also stand under their plain name, for that class. Metrics that are undefined
    for any of the matrices are left out.
    """
    values = {name: metric(matrix) for name, metric in METRICS.items()}
    for name, metric in (PER_CLASS | {"fbeta": partial(fbeta, beta=beta)}).items():
        each = np.moveaxis(metric(matrix), -1, 0)
        named = _by_class(name, each, classes)
        if positive is not None:
            named[name] = named[f"{name}_{positive}"]
        values |= named if name == "recall" else named | {f"macro_{name}": _mean_defined(each)}
    return {name: value for name, value in values.items() if not np.isnan(value).any()}


def score_metrics(
    actual: Labels,
    scores: Floats,
    classes: Sequence[str],
    positive: str | None = None,
    weights: Floats | None = None,
) -> dict[str, Floats]:
    """Compute all metrics of the scores by name, each [...] for weights [..., N] (see `scores`).

    `loss`, `brier` and `ece` are of all classes together, `<metric>_<class>` of one class against
    the rest and `macro_<metric>` the mean of these. The plain names of the ranking metrics stand
    for the class `positive`, or for the mean if it is None. Metrics that are undefined, because a
    class has no samples or all of them, are left out.
    """
    values = {name: metric(actual, scores, weights) for name, metric in SCORES.items()}
    support = np.bincount(actual, minlength=len(classes))
    for name, each in _one_vs_rest(actual, scores, support, weights).items():
        named = {f"{name}_{classes[number]}": value for number, value in each.items()}
        if len(each) == len(classes):
            named[f"macro_{name}"] = np.mean(list(each.values()), axis=0)
        plain = f"macro_{name}" if positive is None else f"{name}_{positive}"
        if name in RANKINGS and plain in named:
            named[name] = named[plain]
        values |= named
    return values


def _one_vs_rest(
    actual: Labels, scores: Floats, support: Labels, weights: Floats | None
) -> dict[str, dict[int, Floats]]:
    """Map each metric to its values by the number of each class for which it is defined."""
    values: dict[str, dict[int, Floats]] = {name: {} for name in (*ONE_VS_REST, *RANKINGS)}
    for number, samples in enumerate(support):
        for name, metric in ONE_VS_REST.items():
            values[name][number] = metric(actual, scores, number, weights)
        if 0 < samples < len(actual):
            for name, value in ranking_metrics(actual, scores, number, weights).items():
                values[name][number] = value
    return values


def _mean_defined(each: Floats) -> Floats:
    """Return the mean over the classes [K, ...] whose values are defined; NaN if none is."""
    count = np.asarray((~np.isnan(each)).sum(axis=0))
    undefined = np.full(count.shape, np.nan)
    mean: Floats = np.divide(np.nansum(each, axis=0), count, out=undefined, where=count > 0)
    return mean


def _by_class(name: str, each: Iterable[Floats], classes: Sequence[str]) -> dict[str, Floats]:
    return {f"{name}_{label}": value for label, value in zip(classes, each, strict=True)}
