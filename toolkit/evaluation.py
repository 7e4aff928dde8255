"""Predictions -> the numbers of one evaluation, its folder, and what is printed of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

from toolkit import calibration, csv_files, files, mistakes, operating, plots, scored
from toolkit import predictions as table
from toolkit.canvas import short
from toolkit.confusion import matrix_of
from toolkit.intervals import Interval, intervals
from toolkit.metrics import evaluate
from toolkit.mistakes import Explained
from toolkit.predictions import Predictions
from toolkit.results import (
    HISTORY_FILE,
    METRICS_FILE,
    MISTAKES_FILE,
    PREDICTIONS_FILE,
    VALID_FILE,
    Key,
    read_history,
)
from toolkit.training_params import Evaluate

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
class Evidence:
    """What is evaluated: test predictions, and where known what else the run left.

    `valid` are predictions of the valid split, on which threshold and temperature are chosen;
    `trained` the images of each class that the run was trained on; `history` the run's
    history.csv; `explained` the images to show, None where there is no network to explain them.
    """

    key: Key
    test: Predictions
    valid: Predictions | None = None
    trained: Mapping[str, int] | None = None
    history: Path | None = None
    explained: Sequence[Explained] | None = None


@dataclass(frozen=True)
class Numbers:
    """Metrics by name, and the 95 % intervals of those that have one."""

    values: Mapping[str, float]
    intervals: Mapping[str, Interval]


def write(output: Path, evidence: Evidence, settings: Evaluate) -> Numbers:
    """Write the folder of one evaluation, and return its numbers.

    predictions.csv (and valid_predictions.csv), confusion_matrix.csv and .png, reliability.csv (the
    bins of the calibration errors), metrics.json with the run's key; for a run its history as .csv,
    its curves as .png, and mistakes/. Raises InputError as `measure` and `files.new_folder` do.
    """
    numbers = measure(evidence, settings)
    classes, matrix = evidence.test.classes, matrix_of(evidence.test)
    with files.new_folder(output, METRICS_FILE) as folder:
        table.write(folder / PREDICTIONS_FILE, evidence.test)
        if evidence.valid is not None:
            table.write(folder / VALID_FILE, evidence.valid)
        files.write(folder / "confusion_matrix.csv", _matrix_csv(classes, matrix.tolist()))
        if evidence.test.scores is not None:
            files.write(folder / "reliability.csv", scored.bins(evidence.test))
        picture = plots.confusion(matrix, classes, evidence.key.title)
        files.write(folder / "confusion_matrix.png", picture)
        if evidence.history is not None:
            files.write(folder / HISTORY_FILE, evidence.history.read_bytes())
            curves = plots.curves(read_history(evidence.history), evidence.key.title)
            files.write(folder / "curves.png", curves)
        if evidence.explained is not None:
            mistakes.write((folder / MISTAKES_FILE).parent, evidence.explained)
        side = {**asdict(evidence.key), "positive": settings.positive, **numbers.values}
        side["intervals"] = dict(numbers.intervals)
        files.write_json(folder / METRICS_FILE, side)
    return numbers


def _matrix_csv(classes: Sequence[str], matrix: Sequence[Sequence[int]]) -> str:
    """Rows actual, columns predicted, each under its class's name."""
    lines = ([name, *row] for name, row in zip(classes, matrix, strict=True))
    return csv_files.text(["actual", *classes], lines)


# --- the numbers ------------------------------------------------------------------------------


def measure(evidence: Evidence, settings: Evaluate) -> Numbers:
    """All numbers of an evaluation: `metrics.evaluate`'s and those tuned on valid.

    With valid predictions also `temperature` and calibrated_<name>; with two classes and a positive
    one `threshold` and threshold_<name>; with known training counts prior_<name>, corrected to the
    class balance of valid. Test decides none of them. Raises InputError as `metrics.evaluate`,
    `operating.check_apart` and `operating.choose` do.
    """
    numbers = _measured(evidence.test, settings)
    if evidence.valid is None:
        return numbers
    operating.check_apart(evidence.valid, evidence.test)
    decided = _at_threshold(evidence.test, evidence.valid, settings)
    values = {**numbers.values, **decided.values}
    values |= _calibrated(evidence.test, evidence.valid, settings)
    values |= _corrected(evidence.test, evidence.valid, evidence.trained, settings)
    return Numbers(values, {**numbers.intervals, **decided.intervals})


def _measured(predictions: Predictions, settings: Evaluate) -> Numbers:
    positive, beta = settings.positive, settings.beta
    draws = {"resamples": settings.resamples, "seed": settings.seed}
    known = intervals(predictions, positive, beta=beta, **draws)
    return Numbers(evaluate(predictions, positive, beta), known)


def _at_threshold(test: Predictions, valid: Predictions, settings: Evaluate) -> Numbers:
    positive = settings.positive
    if positive is None or len(test.classes) != 2:
        return Numbers({}, {})
    threshold = operating.choose(valid, positive, settings)
    # Without the scores: what depends on them does not change with the threshold.
    decided = replace(operating.apply(test, positive, threshold), scores=None)
    found = _measured(decided, settings)
    values = _prefixed("threshold", found.values, THRESHOLD)
    known = _prefixed("threshold", found.intervals, THRESHOLD)
    return Numbers({"threshold": threshold, **values}, known)


def _prefixed(prefix: str, of: Mapping[str, T], names: Iterable[str]) -> dict[str, T]:
    """Those of the names that are known, under their new names."""
    return {f"{prefix}_{name}": of[name] for name in names if name in of}


def _calibrated(test: Predictions, valid: Predictions, settings: Evaluate) -> dict[str, float]:
    heat = calibration.temperature(valid)
    values = evaluate(calibration.tempered(test, heat), settings.positive, settings.beta)
    return {"temperature": heat, **_prefixed("calibrated", values, CALIBRATED)}


def _corrected(
    test: Predictions, valid: Predictions, trained: Mapping[str, int] | None, settings: Evaluate
) -> dict[str, float]:
    if trained is None:
        return {}
    target = {name: valid.actual.count(name) for name in valid.classes}
    corrected = calibration.prior_corrected(test, trained, target)
    values = evaluate(corrected, settings.positive, settings.beta)
    return _prefixed("prior", values, PRIOR)


# --- what is printed --------------------------------------------------------------------------


def rows(numbers: Numbers, classes: Sequence[str]) -> list[list[str]]:
    """The main numbers as rows of text, header first."""
    recalls = {f"recall_{name}": f"recall of {short(name, 40)}" for name in classes}
    shown = TITLES if len(classes) > MOST_CLASSES else {**TITLES, **recalls}
    known = {key: title for key, title in shown.items() if key in numbers.values}
    body = [
        [title, f"{numbers.values[key]:.4f}", _interval(numbers.intervals.get(key))]
        for key, title in known.items()
    ]
    return [["metric", "value", "95 % interval"], *body]


def _interval(ends: Interval | None) -> str:
    return f"{ends[0]:.4f} to {ends[1]:.4f}" if ends else ""


def remarks(evidence: Evidence, values: Mapping[str, float], settings: Evaluate) -> Iterable[str]:
    """What is undefined and why, and what tuning on valid changed, in sentences."""
    for name in sorted({*evidence.test.classes} - {*evidence.test.actual}):
        yield (
            f"class {short(name, 40)!r} has no test images: its recall, G-mean, balanced accuracy "
            "and all else that needs one of it are undefined, and left out"
        )
    if evidence.valid is not None and settings.positive is None and len(evidence.test.classes) == 2:
        yield "no threshold was chosen: say which class is the positive one, with --positive"
    if "threshold" in values:
        rule = operating.describe(settings.threshold)
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
