"""95% confidence intervals of one network's metrics on its test images.

The bootstrap for all, on the scale that each kind of metric asks for; Wilson's interval (1927) for
proportions and DeLong's for areas under ROC curves. benchmarks/coverage.py measures their coverage.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from toolkit.metrics import bootstrap, classification, confusion
from toolkit.metrics.arrays import Floats
from toolkit.metrics.predictions import Predictions
from toolkit.metrics.significance import TAILS, area_covariance, t_quantile

ConfidenceInterval = tuple[float, float]

FEWEST = 3
"""Images of a class from which metrics of the scores have an interval."""
MAX_LOSS = -math.log(np.finfo(np.float64).eps)
"""The largest log loss, of clipped scores."""


def confidence_intervals(
    predictions: Predictions,
    positive: str | None = None,
    *,
    resamples: int = 2000,
    seed: int = 0,
    beta: float = 2.0,
) -> dict[str, ConfidenceInterval]:
    """Return the interval of each metric of `classification.compute_metrics` except n.

    Each includes the value and lies in the metric's range. A log loss, Brier score or calibration
    error has none if it is exactly 0, and metrics of the scores have none with fewer than FEWEST
    images of a class. Raises InputError as `classification.compute_metrics` does.
    """
    values = classification.compute_metrics(predictions, positive, beta)
    drawn = bootstrap.bootstrap_metrics(
        predictions, positive, resamples=resamples, seed=seed, beta=beta
    )
    k = len(predictions.classes)
    ends = {
        name: _percentiles(name, values[name], each, k)
        for name, each in drawn.items()
        if name in values
    }
    ends |= _proportions(confusion.matrix_of(predictions), predictions.classes, positive)
    if predictions.scores is not None:
        counts = np.bincount(predictions.actual_index)
        ends |= _of_scores(values, drawn, int(counts[counts > 0].min()))
        ends |= _areas(predictions, predictions.scores, positive)
    within = {
        name: _within(_range(name, k), values[name], *each)
        for name, each in ends.items()
        if name in values and np.isfinite(each).all()
    }
    return {name: each for name, each in within.items() if each[0] < each[1]}


def network_intervals(
    matrix: confusion.Matrix,
    classes: tuple[str, ...],
    metrics: Sequence[str],
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, ConfidenceInterval]:
    """Return what `confidence_intervals` does for some of METRICS, and for recall_<class>."""
    drawn = bootstrap.resample_matrices(np.random.default_rng(seed), matrix, resamples)
    ends = dict[str, ConfidenceInterval]()
    for name in metrics:
        metric, k = confusion.METRICS[name], len(classes)
        value = float(metric(matrix))
        ends[name] = _within(_range(name, k), value, *_percentiles(name, value, metric(drawn), k))
    return ends | {
        f"recall_{label}": wilson(int(correct), int(support))
        for label, correct, support in zip(
            classes, np.diagonal(matrix), matrix.sum(axis=1), strict=True
        )
    }


def _range(name: str, classes: int) -> ConfidenceInterval:
    """Return the lowest and highest value of a metric."""
    if name in confusion.SIGNED:
        return -1.0, 1.0
    if name.removeprefix("macro_").startswith("loss"):
        return 0.0, MAX_LOSS
    return 0.0, 2.0 if name == "brier" and classes > 2 else 1.0


def _within(
    limits: ConfidenceInterval, value: float, low: float, high: float
) -> ConfidenceInterval:
    """Cut an interval at the limits; then include the value."""
    return min(value, max(limits[0], low)), max(value, min(limits[1], high))


def explain_ends(shown: Iterable[tuple[float, ConfidenceInterval]]) -> str:
    """Say of values with their intervals why some of these end at their own value; "" if none."""
    ends = {value for value, interval in shown if value in interval}
    limits, others = sorted(ends & {0.0, 1.0}), ends - {0.0, 1.0}
    listed = " and ".join(f"{value:.3g}" for value in limits)
    reasons = [
        *([f"metrics end there: {listed}"] if limits else []),
        *(["all samples of the images give values on one side of it"] if others else []),
    ]
    said = ", or because ".join(reasons)
    return f"An interval that ends at its own value does so because {said}." if said else ""


def wilson(successes: float, trials: int) -> ConfidenceInterval:
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


def area_interval(area: float, variance: float, images: int) -> ConfidenceInterval:
    """Return the interval of an area under a ROC curve, on the logit scale; at least FEWEST images.

    `images` is the number of the rarer kind. It lies within Wilson's interval of as many, because
    the variance is at most area (1 - area) / images (Birnbaum and Klose, 1957).
    """
    most = wilson(area * images, images)
    if area in (0.0, 1.0):
        return most
    low, high = _on_logit(area, math.sqrt(variance) / (area * (1 - area)), images)
    return max(low, most[0]), min(high, most[1])


def _percentiles(name: str, value: float, drawn: Floats, classes: int) -> ConfidenceInterval:
    """Return the percentiles of resamples [R]; those of all classes together are recentered."""
    if name in confusion.METRICS or name.startswith("macro_"):
        drawn = bootstrap.recenter(drawn, np.asarray(value), classes)
    low, high = np.quantile(drawn, TAILS)
    return float(low), float(high)


def _proportions(
    matrix: confusion.Matrix, classes: tuple[str, ...], positive: str | None
) -> dict[str, ConfidenceInterval]:
    """Return the intervals of each class's recall and specificity.

    Precision is no such proportion: how often a network predicts a class is random as well. Neither
    is accuracy: the numbers of test images of the classes are given, and what is not random (a
    network that always predicts the same class) must not widen its interval.
    """
    total, correct = int(matrix.sum()), np.diagonal(matrix)
    support, predicted = matrix.sum(axis=1), matrix.sum(axis=0)
    ends = dict[str, ConfidenceInterval]()
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
    if value <= 0 or rarest < FEWEST:
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
    if rarest < FEWEST:
        return math.nan, math.nan
    return _on_logit(value, float(_logit(drawn).std()), rarest)


def _biased(value: float, drawn: Floats, rarest: int) -> ConfidenceInterval:
    """Return the interval of the calibration error, which noise biases upwards.

    Resampling adds noise to noise: of pure noise, sqrt(2) - 1 of what there is already.
    """
    if rarest < FEWEST:
        return math.nan, math.nan
    added, reach = float(drawn.mean()) - value, np.quantile(drawn, TAILS) - drawn.mean()
    low = value - added / (math.sqrt(2) - 1) - float(reach[1])
    return low, value + float(reach[1])


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
        rarest = int(min(counts[k], len(actual) - counts[k]))
        if rarest < FEWEST:
            continue
        (area,), ((variance,),) = area_covariance(actual == k, scores[None, :, k])
        ends[f"roc_auc_{label}"] = area_interval(float(area), float(variance), rarest)
        if label == positive:
            ends["roc_auc"] = ends[f"roc_auc_{label}"]
    return ends


def _errors(rarest: int) -> float:
    """Return how many standard errors the interval reaches: Student's t for so few images.

    The second factor undoes the Bayesian bootstrap's n / (n + 1) in the variance.
    """
    return t_quantile(TAILS[1], rarest - 1) * math.sqrt((rarest + 1) / (rarest - 1))


def _logit(values: Floats) -> Floats:
    from scipy.special import logit

    return np.asarray(logit(np.clip(values, 1e-12, 1 - 1e-12)))
