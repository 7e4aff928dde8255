"""What turns the scores of a network into an answer: a temperature, and a threshold.

Here they are chosen for `train`, `evaluate`, `predict`, `compare` and `advise`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from toolkit.metrics import calibration, params, thresholds
from toolkit.metrics.arrays import Labels
from toolkit.metrics.predictions import Predictions


@dataclass(frozen=True)
class Decisions:
    """Chosen on images that neither train nor test the network.

    Scores are softened by `temperature`; with two classes `positive` is predicted where its score,
    as the network gives it, is at least `threshold`. Else the highest score decides.
    """

    temperature: float = 1.0
    positive: str | None = None
    threshold: float | None = None

    @property
    def calibrated_threshold(self) -> float | None:
        """The threshold on the softened score, 0..1, by which the same images are positive."""
        if self.threshold is None or not 0 < self.threshold < 1:
            return self.threshold
        odds = self.threshold / (1 - self.threshold)
        return float(1 / (1 + odds ** (-1 / self.temperature)))


def choose_decisions(valid: Predictions, settings: params.EvaluateParams) -> Decisions:
    """Choose on `valid`: the temperature and, with two classes and a positive one, the threshold.

    Raises InputError as `thresholds.choose_threshold` does.
    """
    temperature, positive = calibration.fit_temperature(valid), settings.positive
    if positive is None or len(valid.classes) != 2:
        return Decisions(temperature)
    threshold = thresholds.choose_threshold(valid, positive, settings)
    return Decisions(temperature, positive, threshold)


def apply_decisions(predictions: Predictions, decisions: Decisions) -> Predictions:
    """Return calibrated scores and the classes that the decisions make of them."""
    decided = predictions
    if decisions.positive is not None and decisions.threshold is not None:
        decided = thresholds.apply_threshold(predictions, decisions.positive, decisions.threshold)
    return calibration.apply_temperature(decided, decisions.temperature)


def decide_at_threshold(
    predictions: Predictions, tuning: Predictions, settings: params.EvaluateParams
) -> Predictions:
    """Return the predictions at a threshold that is chosen on `tuning`, other images.

    With two classes that of the positive one by the rule in `settings`, with more a factor for each
    class. The scores stay. Raises InputError without scores, and for a class without images in
    `tuning`.
    """
    if len(predictions.classes) > 2 or settings.positive is None:
        return thresholds.apply_factors(predictions, thresholds.class_factors(tuning))
    threshold = thresholds.choose_threshold(tuning, settings.positive, settings)
    return thresholds.apply_threshold(predictions, settings.positive, threshold)


def decide_on(predictions: Predictions, tuning: Predictions) -> Predictions:
    """Return `decide_at_threshold` with the best G-mean for the rarest class of `tuning`."""
    settings = params.EvaluateParams(positive=rarest_class(tuning))
    return decide_at_threshold(predictions, tuning, settings)


def rarest_class(predictions: Predictions) -> str:
    """Return the class with the fewest images."""
    return min(predictions.classes, key=predictions.actual.count)


def decide_out_of_fold(predictions: Predictions, folds: Labels) -> Predictions:
    """Return what `decide_on` does: each fold [N] on the images of the others."""
    return apply_out_of_fold(predictions, folds, decide_on)


def apply_out_of_fold(
    predictions: Predictions,
    folds: Labels,
    apply: Callable[[Predictions, Predictions], Predictions],
) -> Predictions:
    """Return `apply(own, others)` for the images of each fold [N], tuned on those of the others.

    So no image has a part in what is done to it.
    """
    predicted = np.empty(len(folds), dtype=object)
    scores = np.empty_like(predictions.required_scores("a decision"))
    for fold in np.unique(folds):
        own, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        applied = apply(_rows(predictions, own), _rows(predictions, others))
        predicted[own], scores[own] = applied.predicted, applied.required_scores("a decision")
    return replace(predictions, predicted=tuple(predicted), scores=scores)


def _rows(predictions: Predictions, rows: Labels) -> Predictions:
    ids, actual, predicted = (
        tuple(values[row] for row in rows)
        for values in (predictions.ids, predictions.actual, predictions.predicted)
    )
    scores = predictions.required_scores("a decision")[rows]
    return Predictions(predictions.classes, ids, actual, predicted, scores)


def at_calibrated(decisions: Decisions, threshold: float) -> Decisions:
    """Return the decisions with another threshold, on the softened score of the positive class."""
    raw = threshold
    if 0 < threshold < 1:
        raw = float(1 / (1 + ((1 - threshold) / threshold) ** decisions.temperature))
    return replace(decisions, threshold=raw)
