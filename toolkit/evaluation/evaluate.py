"""Evaluation of one run: its metrics on test, and those tuned on valid."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from toolkit.evaluation.results import RunKey
from toolkit.io.notebook import html_table
from toolkit.io.text import shorten
from toolkit.metrics import calibration, thresholds
from toolkit.metrics.classification import compute_metrics
from toolkit.metrics.decisions import apply_out_of_fold, decide_at_threshold
from toolkit.metrics.intervals import (
    FEWEST,
    ConfidenceInterval,
    confidence_intervals,
    explain_ends,
)
from toolkit.metrics.mistakes import ExplainedExample
from toolkit.metrics.params import EvaluateParams
from toolkit.metrics.predictions import Predictions

THRESHOLD = ("accuracy", "gmean", "balanced_accuracy", "recall", "precision", "f1")
CALIBRATED = ("loss", "brier", "ece")
PRIOR = (*CALIBRATED, "accuracy", "gmean")
"""Metrics computed again at the threshold, with the temperature, with the corrected prior."""
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
"""The metrics that are printed, and their names for people."""
MOST_CLASSES = 12
"""Number of classes up to which the recall of each is printed."""

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class RunOutputs:
    """What is evaluated: predictions on test, and whatever else a run left.

    `valid` are predictions on the valid split, which the threshold and the temperature are chosen
    on; `trained` the number of training images of each class; `history` the run's history.csv;
    `network_mb` the size of its weights on disk, in megabytes;
    `learning` its learning curve, if it has one: images of the rarest class, and G-mean;
    `explained` the images to show, None without a network to explain them; `beside` what the
    network of a cross-fitted run decides of a test split of the source. `conditions` and
    `unfinished` are those of `RunResult`.
    """

    key: RunKey
    test: Predictions
    valid: Predictions | None = None
    trained: Mapping[str, int] | None = None
    history: Path | None = None
    explained: Sequence[ExplainedExample] | None = None
    conditions: Mapping[str, str] = field(default_factory=dict)
    unfinished: str = ""
    network_mb: float | None = None
    learning: Sequence[tuple[int, float]] = ()
    beside: Predictions | None = None


@dataclass(frozen=True)
class Evaluation:
    """Metrics by name, and the 95% confidence intervals of those that have one.

    `notes` say what is undefined and why, and what tuning on valid changed.
    """

    metrics: Mapping[str, float]
    intervals: Mapping[str, ConfidenceInterval]
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        main = [name for name in TITLES if name in self.metrics][:3]
        shown = [f"{TITLES[name]} {self.metrics[name]:.3f}" for name in main]
        return f"Evaluation({', '.join(shown)}; {len(self.metrics)} metrics)"

    def _repr_html_(self) -> str:
        return html_table(metric_table(self))


def evaluate_run(run: RunOutputs, params: EvaluateParams) -> Evaluation:
    """Compute `classification.compute_metrics` of test, and the metrics tuned on valid.

    With valid predictions these are `temperature` and calibrated_<name>; with two classes, one of
    them positive, `threshold` and threshold_<name>; with the training counts also prior_<name>,
    corrected to the class balance of valid. Nothing is tuned on test: what is applied to a fold of
    a cross-fitted run is tuned on the others, and `threshold` and `temperature` themselves, which
    its network takes along, on all. Raises InputError as `compute_metrics`,
    `thresholds.check_disjoint` and `thresholds.choose_threshold` do.
    """
    evaluation = _evaluate(run.test, params)
    metrics, intervals = dict(evaluation.metrics), dict(evaluation.intervals)
    tuning = run.test if run.test.folds is not None else run.valid
    if tuning is not None:
        if tuning is not run.test:
            thresholds.check_disjoint(tuning, run.test)
        tuned = _at_threshold(run.test, tuning, params)
        metrics |= tuned.metrics
        intervals |= tuned.intervals
        metrics |= _calibrated(run.test, tuning, params)
        metrics |= _prior_corrected(run.test, tuning, run.trained, params)
    if run.beside is not None:
        own = compute_metrics(run.beside, params.positive, params.beta)
        metrics |= _prefixed("test", own, TITLES)
    notes = (*_notes(run, metrics, params), *_notes_beside(run.beside, metrics))
    found = Evaluation(metrics, intervals, run.test.classes, notes)
    shown = [name for name in _titles(found) if name in metrics and name in intervals]
    ends = explain_ends((metrics[name], intervals[name]) for name in shown)
    return replace(found, notes=(*notes, *([ends] if ends else [])))


def _evaluate(predictions: Predictions, params: EvaluateParams) -> Evaluation:
    positive, beta = params.positive, params.beta
    intervals = confidence_intervals(
        predictions, positive, resamples=params.resamples, seed=params.seed, beta=beta
    )
    return Evaluation(compute_metrics(predictions, positive, beta), intervals)


def _tuned(
    test: Predictions, valid: Predictions, apply: Callable[[Predictions, Predictions], Predictions]
) -> Predictions:
    """Return `apply(test, valid)`; for a cross-fitted run, for each fold with the others."""
    if test.folds is None:
        return apply(test, valid)
    return apply_out_of_fold(test, test.folds, apply)


def _at_threshold(test: Predictions, valid: Predictions, params: EvaluateParams) -> Evaluation:
    positive = params.positive
    if positive is None or len(test.classes) != 2:
        return Evaluation({}, {})
    threshold = thresholds.choose_threshold(valid, positive, params)

    def decide(own: Predictions, others: Predictions) -> Predictions:
        return decide_at_threshold(own, others, params)

    # Without the scores: metrics of the scores do not depend on the threshold.
    decided = replace(_tuned(test, valid, decide), scores=None)
    evaluation = _evaluate(decided, params)
    metrics = _prefixed("threshold", evaluation.metrics, THRESHOLD)
    intervals = _prefixed("threshold", evaluation.intervals, THRESHOLD)
    return Evaluation({"threshold": threshold, **metrics}, intervals)


def _prefixed(prefix: str, values: Mapping[str, T], names: Iterable[str]) -> dict[str, T]:
    return {f"{prefix}_{name}": values[name] for name in names if name in values}


def _calibrated(test: Predictions, valid: Predictions, params: EvaluateParams) -> dict[str, float]:
    temperature = calibration.fit_temperature(valid)
    calibrated = _tuned(
        test,
        valid,
        lambda own, others: calibration.apply_temperature(own, calibration.fit_temperature(others)),
    )
    metrics = compute_metrics(calibrated, params.positive, params.beta)
    return {"temperature": temperature, **_prefixed("calibrated", metrics, CALIBRATED)}


def _prior_corrected(
    test: Predictions,
    valid: Predictions,
    trained: Mapping[str, int] | None,
    params: EvaluateParams,
) -> dict[str, float]:
    if trained is None:
        return {}
    target = {name: valid.actual.count(name) for name in valid.classes}
    corrected = calibration.correct_prior(test, trained, target)
    return _prefixed("prior", compute_metrics(corrected, params.positive, params.beta), PRIOR)


# --- as text ----------------------------------------------------------------------------------


def metric_table(evaluation: Evaluation) -> list[list[str]]:
    """Return the main metrics as rows of text, header first."""
    rows = [
        [title, f"{evaluation.metrics[name]:.4f}", _interval(evaluation.intervals.get(name))]
        for name, title in _titles(evaluation).items()
        if name in evaluation.metrics
    ]
    return [["metric", "value", "95% interval"], *rows]


def _titles(evaluation: Evaluation) -> dict[str, str]:
    """Return the metrics that are printed, with their titles."""
    recalls = {f"recall_{name}": f"recall of {shorten(name, 40)}" for name in evaluation.classes}
    return TITLES if len(evaluation.classes) > MOST_CLASSES else {**TITLES, **recalls}


def run_table(evaluations: Mapping[str, Evaluation]) -> list[list[str]]:
    """Return the main metrics of several runs as rows of text, a run each, header first."""
    names = [name for name in TITLES if all(name in of.metrics for of in evaluations.values())]
    rows = [
        [run, *(f"{evaluation.metrics[name]:.4f}" for name in names)]
        for run, evaluation in evaluations.items()
    ]
    return [["run", *(TITLES[name] for name in names)], *rows]


def _interval(ends: ConfidenceInterval | None) -> str:
    return f"{ends[0]:.4f} to {ends[1]:.4f}" if ends else ""


def _notes(run: RunOutputs, metrics: Mapping[str, float], params: EvaluateParams) -> Iterator[str]:
    """Yield sentences on what is undefined, and on what tuning on valid changed."""
    for name in sorted({*run.test.classes} - {*run.test.actual}):
        yield (
            f"class {shorten(name, 40)!r} has no test images: its recall, the G-mean, the balanced "
            "accuracy and all other metrics that need one are undefined and left out"
        )
    counts = {name: run.test.actual.count(name) for name in run.test.classes}
    for name, images in counts.items() if run.test.scores is not None else ():
        if 0 < images < FEWEST:
            yield (
                f"class {shorten(name, 40)!r} has {images} test image{'' if images == 1 else 's'}: "
                "too few for intervals of log loss, Brier score, calibration error, ROC AUC and "
                "average precision"
            )
    if run.valid is not None and params.positive is None and len(run.test.classes) == 2:
        yield "no threshold was chosen: name the positive class with --positive"
    where = "valid" if run.test.folds is None else "the other folds; of all for its network"
    if "threshold" in metrics:
        rule = thresholds.describe_rule(params.threshold)
        change = _change(metrics, "threshold", ("gmean", "recall", "precision"))
        yield f"threshold {metrics['threshold']:.4g} (chosen on {where}, {rule}): {change}"
    if "temperature" in metrics:
        change = _change(metrics, "calibrated", CALIBRATED)
        yield f"temperature {metrics['temperature']:.3g} (fitted on {where}): {change}"
    if "prior_loss" in metrics:
        change = _change(metrics, "prior", (*CALIBRATED, "gmean"))
        yield f"scores corrected to the class balance of {where}: {change}"


def _notes_beside(beside: Predictions | None, metrics: Mapping[str, float]) -> Iterator[str]:
    if beside is not None:
        known = {name: metrics.get(f"test_{name}") for name in TITLES}
        shown = [f"{TITLES[name]} {of:.4f}" for name, of in known.items() if of is not None]
        yield (
            f"its network, trained on all images, on the {len(beside.ids)} test images of the "
            f"source: {', '.join(shown)}"
        )


def _change(metrics: Mapping[str, float], prefix: str, names: Iterable[str]) -> str:
    tuned = {name: f"{prefix}_{name}" for name in names if f"{prefix}_{name}" in metrics}
    return ", ".join(
        f"{TITLES.get(name, name)} {metrics[name]:.4f} -> {metrics[key]:.4f}"
        for name, key in tuned.items()
    )
