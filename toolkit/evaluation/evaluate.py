"""Predictions -> the numbers of one evaluation, its folder, and what is printed of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from toolkit.evaluation.results import (
    RunKey,
)
from toolkit.io.text import shorten
from toolkit.metrics import calibration, thresholds
from toolkit.metrics.classification import compute_metrics
from toolkit.metrics.intervals import ConfidenceInterval, confidence_intervals
from toolkit.metrics.mistakes import ExplainedExample
from toolkit.metrics.params import EvaluateParams
from toolkit.metrics.predictions import Predictions

THRESHOLD = ("accuracy", "gmean", "balanced_accuracy", "recall", "precision", "f1")
CALIBRATED = ("loss", "brier", "ece")
PRIOR = (*CALIBRATED, "accuracy", "gmean")
"""What is measured again at the threshold, with the temperature, with the corrected prior."""
TITLES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "gmean": "G-mean",
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "loss": "log loss",
    "brier": "Brier score",
    "ece": "ECE",
}
MOST_CLASSES = 12
"""Classes up to which the recall of each is printed."""


T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class RunOutputs:
    """What is evaluated: test predictions, and where known what else the run left.

    `valid` are predictions of the valid split, on which threshold and temperature are chosen;
    `trained` the images of each class that the run was trained on; `history` the run's
    history.csv; `explained` the images to show, None where there is no network to explain them.
    """

    key: RunKey
    test: Predictions
    valid: Predictions | None = None
    trained: Mapping[str, int] | None = None
    history: Path | None = None
    explained: Sequence[ExplainedExample] | None = None


@dataclass(frozen=True)
class Evaluation:
    """Metrics by name, and the 95 % intervals of those that have one."""

    values: Mapping[str, float]
    intervals: Mapping[str, ConfidenceInterval]


# --- the numbers ------------------------------------------------------------------------------


def evaluate_run(evidence: RunOutputs, settings: EvaluateParams) -> Evaluation:
    """All numbers of an evaluation: `classification.compute_metrics`'s and those tuned on valid.

    With valid predictions also `temperature` and calibrated_<name>; with two classes and a positive
    one `threshold` and threshold_<name>; with known training counts prior_<name>, corrected to the
    class balance of valid. Test decides none of them. Raises InputError as
    `compute_metrics`, `thresholds.check_disjoint` and `thresholds.choose_threshold` do.
    """
    numbers = _measured(evidence.test, settings)
    if evidence.valid is None:
        return numbers
    thresholds.check_disjoint(evidence.valid, evidence.test)
    decided = _at_threshold(evidence.test, evidence.valid, settings)
    values = {**numbers.values, **decided.values}
    values |= _calibrated(evidence.test, evidence.valid, settings)
    values |= _corrected(evidence.test, evidence.valid, evidence.trained, settings)
    return Evaluation(values, {**numbers.intervals, **decided.intervals})


def _measured(predictions: Predictions, settings: EvaluateParams) -> Evaluation:
    positive, beta = settings.positive, settings.beta
    draws = {"resamples": settings.resamples, "seed": settings.seed}
    known = confidence_intervals(predictions, positive, beta=beta, **draws)
    return Evaluation(compute_metrics(predictions, positive, beta), known)


def _at_threshold(test: Predictions, valid: Predictions, settings: EvaluateParams) -> Evaluation:
    positive = settings.positive
    if positive is None or len(test.classes) != 2:
        return Evaluation({}, {})
    threshold = thresholds.choose_threshold(valid, positive, settings)
    # Without the scores: what depends on them does not change with the threshold.
    decided = replace(thresholds.apply_threshold(test, positive, threshold), scores=None)
    found = _measured(decided, settings)
    values = _prefixed("threshold", found.values, THRESHOLD)
    known = _prefixed("threshold", found.intervals, THRESHOLD)
    return Evaluation({"threshold": threshold, **values}, known)


def _prefixed(prefix: str, of: Mapping[str, T], names: Iterable[str]) -> dict[str, T]:
    """Those of the names that are known, under their new names."""
    return {f"{prefix}_{name}": of[name] for name in names if name in of}


def _calibrated(
    test: Predictions, valid: Predictions, settings: EvaluateParams
) -> dict[str, float]:
    heat = calibration.fit_temperature(valid)
    values = compute_metrics(
        calibration.apply_temperature(test, heat), settings.positive, settings.beta
    )
    return {"temperature": heat, **_prefixed("calibrated", values, CALIBRATED)}


def _corrected(
    test: Predictions,
    valid: Predictions,
    trained: Mapping[str, int] | None,
    settings: EvaluateParams,
) -> dict[str, float]:
    if trained is None:
        return {}
    target = {name: valid.actual.count(name) for name in valid.classes}
    corrected = calibration.correct_prior(test, trained, target)
    values = compute_metrics(corrected, settings.positive, settings.beta)
    return _prefixed("prior", values, PRIOR)


# --- what is printed --------------------------------------------------------------------------


def metric_table(numbers: Evaluation, classes: Sequence[str]) -> list[list[str]]:
    """The main numbers as rows of text, header first."""
    recalls = {f"recall_{name}": f"recall of {shorten(name, 40)}" for name in classes}
    shown = TITLES if len(classes) > MOST_CLASSES else {**TITLES, **recalls}
    known = {key: title for key, title in shown.items() if key in numbers.values}
    body = [
        [title, f"{numbers.values[key]:.4f}", _interval(numbers.intervals.get(key))]
        for key, title in known.items()
    ]
    return [["metric", "value", "95 % interval"], *body]


def _interval(ends: ConfidenceInterval | None) -> str:
    return f"{ends[0]:.4f} to {ends[1]:.4f}" if ends else ""


def evaluation_notes(
    evidence: RunOutputs, values: Mapping[str, float], settings: EvaluateParams
) -> Iterable[str]:
    """What is undefined and why, and what tuning on valid changed, in sentences."""
    for name in sorted({*evidence.test.classes} - {*evidence.test.actual}):
        yield (
            f"class {shorten(name, 40)!r} has no test images: its recall, G-mean, balanced "
            "accuracy and all else that needs one of it are undefined, and left out"
        )
    if evidence.valid is not None and settings.positive is None and len(evidence.test.classes) == 2:
        yield "no threshold was chosen: say which class is the positive one, with --positive"
    if "threshold" in values:
        rule = thresholds.describe_rule(settings.threshold)
        changed = _change(values, "threshold", ("gmean", "recall", "precision"))
        yield f"threshold {values['threshold']:.4g} (chosen on valid, {rule}): {changed}"
    if "temperature" in values:
        changed = _change(values, "calibrated", CALIBRATED)
        yield f"temperature {values['temperature']:.3g} (fitted on valid): {changed}"
    if "prior_loss" in values:
        changed = _change(values, "prior", (*CALIBRATED, "gmean"))
        yield f"scores corrected to the class balance of valid: {changed}"


def _change(values: Mapping[str, float], prefix: str, names: Iterable[str]) -> str:
    known = [name for name in names if f"{prefix}_{name}" in values]
    pairs = ((TITLES.get(n, n), values[n], values[f"{prefix}_{n}"]) for n in known)
    return ", ".join(f"{title} {before:.4f} -> {after:.4f}" for title, before, after in pairs)
