"""95 % confidence intervals of one network's metrics on its test images.

The bootstrap for all, on the scale that each kind of metric asks for; Wilson's interval (1927) for
proportions and DeLong's for areas under ROC curves. benchmarks/coverage.py measures their coverage.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

from toolkit.metrics import bootstrap, classification, confusion
from toolkit.metrics.arrays import Floats
from toolkit.metrics.predictions import Predictions
from toolkit.metrics.significance import TAILS, area_covariance, t_quantile

ConfidenceInterval = tuple[float, float]


def confidence_intervals(
    predictions: Predictions,
    positive: str | None = None,
    *,
    resamples: int = 2000,
    seed: int = 0,
    beta: float = 2.0,
) -> dict[str, ConfidenceInterval]:
    """Return the interval of each metric of `classification.compute_metrics` except n.

    A log loss or Brier score has none if it is exactly 0, or if a class has one image. Raises
    InputError as `classification.compute_metrics` does.
    """
    values = classification.compute_metrics(predictions, positive, beta)
    drawn = bootstrap.bootstrap_metrics(
        predictions, positive, resamples=resamples, seed=seed, beta=beta
    )
    k = len(predictions.classes)
    ends = {
        name: percentile_interval(name, values[name], each, k)
        for name, each in drawn.items()
        if name in values
    }
    ends |= _proportions(confusion.matrix_of(predictions), predictions.classes, positive)
    if predictions.scores is not None:
        counts = np.bincount(predictions.actual_index)
        ends |= _of_scores(values, drawn, int(counts[counts > 0].min()))
        ends |= _areas(predictions, predictions.scores, positive)
    return {name: each for name, each in ends.items() if name in values and np.isfinite(each).all()}


def wilson(successes: int, trials: int) -> ConfidenceInterval:
    """Return Wilson's score interval (1927) of a proportion; 0 to 1 for no trials.

    It equals `scipy.stats.binomtest(...).proportion_ci(method="wilson")`, whose import takes half
    a second.
    """
    if trials == 0:
        return 0.0, 1.0
    z2, proportion = t_quantile(TAILS[1]) ** 2, successes / trials
    middle = (proportion + z2 / (2 * trials)) / (1 + z2 / trials)
    variance = proportion * (1 - proportion) / trials + z2 / (4 * trials**2)
    reach = math.sqrt(z2 * variance) / (1 + z2 / trials)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def percentile_interval(name: str, value: float, drawn: Floats, classes: int) -> ConfidenceInterval:
    """Return the interval of a metric of confusion matrices from its resamples [R].

    It includes the value, and ends where the metric does. Metrics of all classes together are
    recentered.
    """
    if name in confusion.METRICS or name.startswith("macro_"):
        drawn = bootstrap.recenter(drawn, np.asarray(value), classes)
    low, high = np.quantile(drawn, TAILS)
    lowest = -1.0 if name in confusion.SIGNED else 0.0
    return max(lowest, min(value, float(low))), min(1.0, max(value, float(high)))


def _proportions(
    matrix: confusion.Matrix, classes: tuple[str, ...], positive: str | None
) -> dict[str, ConfidenceInterval]:
    """Return the intervals of accuracy, and of each class's recall and specificity.

    Precision is no such proportion: how often a network predicts a class is random as well.
    """
    total, correct = int(matrix.sum()), np.diagonal(matrix)
    support, predicted = matrix.sum(axis=1), matrix.sum(axis=0)
    ends = {"accuracy": wilson(int(correct.sum()), total)}
    for k, label in enumerate(classes):
        negatives = total - int(support[k])
        true_negatives = negatives - int(predicted[k] - correct[k])
        ends[f"recall_{label}"] = wilson(int(correct[k]), int(support[k]))
        ends[f"specificity_{label}"] = wilson(true_negatives, negatives)
    if positive is not None:
        ends |= {name: ends[f"{name}_{positive}"] for name in ("recall", "specificity")}
    return ends


# --- metrics of the scores --------------------------------------------------------------------


def _of_scores(
    values: Mapping[str, float], drawn: Mapping[str, Floats], rarest: int
) -> dict[str, ConfidenceInterval]:
    return {
        name: interval(values[name], drawn[name], rarest)
        for name in drawn
        for family, interval in FAMILIES.items()
        if name.removeprefix("macro_").startswith(family)
    }


def _on_log(value: float, drawn: Floats, rarest: int) -> ConfidenceInterval:
    if value <= 0:
        return math.nan, math.nan
    reach = float(np.log(drawn).std()) * _errors(rarest)
    return value * math.exp(-reach), value * math.exp(reach)


def _on_logit(value: float, error: float, rarest: int) -> ConfidenceInterval:
    """Return the interval of a value from 0 to 1; at the ends, as of a proportion of the rarest."""
    from scipy.special import expit

    if value in (0.0, 1.0):
        return wilson(round(value * rarest), rarest)
    middle, reach = float(_logit(np.array(value))), error * _errors(rarest)
    return float(expit(middle - reach)), float(expit(middle + reach))


def _ranking(value: float, drawn: Floats, rarest: int) -> ConfidenceInterval:
    return _on_logit(value, float(_logit(drawn).std()), rarest)


def _biased(value: float, drawn: Floats, _: int) -> ConfidenceInterval:
    """Return the interval of the calibration error, which noise biases upwards twice."""
    high = float(np.quantile(drawn, TAILS[1]))
    return max(0.0, 2 * value - high), max(value, value + high - float(drawn.mean()))


FAMILIES: Mapping[str, Callable[[float, Floats, int], ConfidenceInterval]] = {
    "loss": _on_log,
    "brier": _on_log,
    "ece": _biased,
    "roc_auc": _ranking,
    "average_precision": _ranking,
}
"""How names begin -> the interval of a value, its resamples and the rarest class's images."""


def _areas(
    predictions: Predictions, scores: Floats, positive: str | None
) -> dict[str, ConfidenceInterval]:
    """Return DeLong's intervals of the areas, on the logit scale, where their coverage is best."""
    actual, ends = predictions.actual_index, {}
    counts = np.bincount(actual, minlength=len(predictions.classes))
    for k, label in enumerate(predictions.classes):
        if not 1 < counts[k] < len(actual) - 1:
            continue
        (area,), ((variance,),) = area_covariance(actual == k, scores[None, :, k])
        rarest = int(min(counts[k], len(actual) - counts[k]))
        error = math.sqrt(variance) / max(area * (1 - area), 1e-300)
        ends[f"roc_auc_{label}"] = _on_logit(float(area), error, rarest)
        if label == positive:
            ends["roc_auc"] = ends[f"roc_auc_{label}"]
    return ends


def _errors(rarest: int) -> float:
    """Return how many standard errors the interval reaches: Student's t for so few images.

    The second factor undoes the Bayesian bootstrap's n / (n + 1) in the variance.
    """
    if rarest < 2:
        return math.inf
    return t_quantile(TAILS[1], rarest - 1) * math.sqrt((rarest + 1) / (rarest - 1))


def _logit(values: Floats) -> Floats:
    from scipy.special import logit

    return np.asarray(logit(np.clip(values, 1e-12, 1 - 1e-12)))
