"""95 % intervals for one network's numbers on its test images.

The bootstrap for all, with the scale that each kind of number asks for; Wilson's interval (1927)
for proportions, DeLong's for areas under ROC curves. How often they hold the truth is measured by
benchmarks/coverage.py.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

from toolkit.metrics import classification, confusion, significance
from toolkit.metrics.bootstrap import bootstrap_metrics
from toolkit.metrics.predictions import Predictions
from toolkit.metrics.scores import Floats
from toolkit.metrics.significance import TAILS, t_quantile

ConfidenceInterval = tuple[float, float]


def confidence_intervals(
    predictions: Predictions,
    positive: str | None = None,
    *,
    resamples: int = 2000,
    seed: int = 0,
    beta: float = 2.0,
) -> dict[str, ConfidenceInterval]:
    """The interval of each metric of `classification.compute_metrics` but n.

    A log loss or Brier score has none if it is exactly 0, or if a class has
    one image. Raises InputError as `classification.compute_metrics` does.
    """
    points = classification.compute_metrics(predictions, positive, beta)
    drawn = bootstrap_metrics(predictions, positive, resamples=resamples, seed=seed, beta=beta)
    found = {name: _holding(points[name], ends) for name, ends in _percentiles(drawn).items()}
    found |= _proportions(confusion.matrix_of(predictions), predictions.classes, positive)
    if predictions.scores is not None:
        counts = np.bincount(predictions.actual_index)
        found |= _of_scores(points, drawn, int(counts[counts > 0].min()))
        found |= _areas(predictions, positive)
    known = {name: ends for name, ends in found.items() if name in points}
    return {name: ends for name, ends in known.items() if np.isfinite(ends).all()}


def wilson(right: int, all_images: int) -> ConfidenceInterval:
    """Wilson's score interval (1927) of the proportion `right` / `all_images`; of none, 0 to 1."""
    if all_images == 0:
        return 0.0, 1.0
    z2, share = t_quantile(TAILS[1]) ** 2, right / all_images
    middle = (share + z2 / (2 * all_images)) / (1 + z2 / all_images)
    spread = share * (1 - share) / all_images + z2 / (4 * all_images**2)
    reach = math.sqrt(z2 * spread) / (1 + z2 / all_images)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _holding(point: float, ends: Floats) -> ConfidenceInterval:
    """The ends, moved to the value itself where it lies outside: at 0 or 1, say."""
    return min(point, float(ends[0])), max(point, float(ends[1]))


def _percentiles(drawn: Mapping[str, Floats]) -> dict[str, Floats]:
    table = np.quantile(np.stack(list(drawn.values())), TAILS, axis=1)
    return dict(zip(drawn, table.T, strict=True))


def _proportions(
    matrix: confusion.Matrix, classes: tuple[str, ...], positive: str | None
) -> dict[str, ConfidenceInterval]:
    """Accuracy, and each class's recall and specificity: shares of images that were given.

    Precision is none: how many images a network calls by a name is luck as well.
    """
    total, right = int(matrix.sum()), np.diagonal(matrix)
    images, called = matrix.sum(axis=1), matrix.sum(axis=0)
    found = {"accuracy": wilson(int(right.sum()), total)}
    for k, label in enumerate(classes):
        others = total - int(images[k])
        rejected = others - int(called[k] - right[k])
        found[f"recall_{label}"] = wilson(int(right[k]), int(images[k]))
        found[f"specificity_{label}"] = wilson(rejected, others)
    if positive is not None:
        found |= {name: found[f"{name}_{positive}"] for name in ("recall", "specificity")}
    return found


# --- of the scores ----------------------------------------------------------------------------


def _of_scores(
    points: Mapping[str, float], drawn: Mapping[str, Floats], rarest: int
) -> dict[str, ConfidenceInterval]:
    return {
        name: make(points[name], drawn[name], rarest)
        for name in drawn
        for family, make in FAMILIES.items()
        if name.removeprefix("macro_").startswith(family)
    }


def _on_log(point: float, drawn: Floats, rarest: int) -> ConfidenceInterval:
    if point <= 0:
        return math.nan, math.nan
    reach = float(np.log(drawn).std()) * _student(rarest)
    return point * math.exp(-reach), point * math.exp(reach)


def _on_logit(point: float, error: float, rarest: int) -> ConfidenceInterval:
    """Of a number from 0 to 1. One at the end is treated as a share of the rarest class."""
    if point in (0.0, 1.0):
        return wilson(round(point * rarest), rarest)
    middle, reach = float(_logit(np.array(point))), error * _student(rarest)
    return _expit(middle - reach), _expit(middle + reach)


def _ranked(point: float, drawn: Floats, rarest: int) -> ConfidenceInterval:
    return _on_logit(point, float(_logit(drawn).std()), rarest)


def _biased(point: float, drawn: Floats, _: int) -> ConfidenceInterval:
    """Of the calibration error, which chance only makes larger: more so in the resamples."""
    high = float(np.quantile(drawn, TAILS[1]))
    return max(0.0, 2 * point - high), max(point, point + high - float(drawn.mean()))


FAMILIES: Mapping[str, Callable[[float, Floats, int], ConfidenceInterval]] = {
    "loss": _on_log,
    "brier": _on_log,
    "ece": _biased,
    "roc_auc": _ranked,
    "average_precision": _ranked,
}
"""How names begin -> the interval of a value, its draws, and the images of the rarest class."""


def _areas(predictions: Predictions, positive: str | None) -> dict[str, ConfidenceInterval]:
    """DeLong's intervals of the classes' areas, on the logit scale, where they cover best."""
    scores, actual = predictions.scores, predictions.actual_index
    if scores is None:
        return {}
    found = {}
    counts = np.bincount(actual, minlength=len(predictions.classes))
    for k, label in enumerate(predictions.classes):
        if not 1 < counts[k] < len(actual) - 1:
            continue
        (area,), ((variance,),) = significance.delong_covariance(actual == k, scores[None, :, k])
        rarest = int(min(counts[k], len(actual) - counts[k]))
        error = math.sqrt(variance) / max(area * (1 - area), 1e-300)
        found[f"roc_auc_{label}"] = _on_logit(float(area), error, rarest)
        if label == positive:
            found["roc_auc"] = found[f"roc_auc_{label}"]
    return found


def _student(rarest: int) -> float:
    """How many standard errors the interval reaches: Student's t for so few images.

    The second factor undoes the Bayesian bootstrap's n / (n + 1) in the variance.
    """
    if rarest < 2:
        return math.inf
    return t_quantile(TAILS[1], rarest - 1) * math.sqrt((rarest + 1) / (rarest - 1))


def _logit(values: Floats) -> Floats:
    tiny = 1e-12
    held = np.clip(values, tiny, 1 - tiny)
    return np.asarray(np.log(held / (1 - held)))


def _expit(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0
