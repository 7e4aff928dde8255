"""What turns the scores of a network into an answer: a temperature, and a threshold.

Here they are chosen for `train`, `evaluate`, `predict`, `compare` and `advise`.
"""

from dataclasses import dataclass, replace

from toolkit.metrics import calibration, params, thresholds
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


def at_calibrated(decisions: Decisions, threshold: float) -> Decisions:
    """Return the decisions with another threshold, on the softened score of the positive class."""
    raw = threshold
    if 0 < threshold < 1:
        raw = float(1 / (1 + ((1 - threshold) / threshold) ** decisions.temperature))
    return replace(decisions, threshold=raw)
