"""Diagrams of scores: the points of each for a run, and those of all runs as CSV."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from toolkit.evaluation.results import RunResult
from toolkit.io import csv
from toolkit.metrics import curves
from toolkit.metrics.arrays import Floats, Labels
from toolkit.metrics.confusion import matrix_of, normalize_rows
from toolkit.metrics.predictions import Predictions


@dataclass(frozen=True, eq=False)
class CurvePoints:
    """A curve, [T], with the number of images of each point where points are bins of images."""

    x: Floats
    y: Floats
    count: Labels | None = None


@dataclass(frozen=True)
class Diagram:
    """One kind of diagram.

    `x` and `y` are the axis labels, in which {positive} is the class; `columns` are their names in
    a CSV. `points` are those of one run or of several pooled, None if they lack what it needs;
    `pooled` says that the runs of an arm are drawn as one curve. `metric` summarizes a run, `of` is
    its name; `steps` is matplotlib's drawstyle; `diagonal` is drawn where it means something.
    """

    title: str
    x: str
    y: str
    columns: tuple[str, str]
    points: Callable[[Sequence[RunResult]], CurvePoints | None]
    metric: str
    of: str
    pooled: bool = False
    steps: Literal["default", "steps-pre"] = "default"
    diagonal: bool = False


def _roc(results: Sequence[RunResult]) -> CurvePoints | None:
    scored = _one_vs_rest([result.predictions for result in results], results[0].positive)
    if scored is None:
        return None
    curve = curves.thin(curves.roc_curve(*scored))
    return CurvePoints(curve.false_positive_rate, curve.recall)


def _precision_recall(results: Sequence[RunResult]) -> CurvePoints | None:
    scored = _one_vs_rest([result.predictions for result in results], results[0].positive)
    if scored is None:
        return None
    curve = curves.thin(curves.precision_recall_curve(*scored))
    return CurvePoints(curve.recall, curve.precision)


def _reliability(results: Sequence[RunResult]) -> CurvePoints | None:
    scored = _scored([result.predictions for result in results])
    if scored is None:
        return None
    positive = results[0].positive
    column = results[0].predictions.classes.index(positive) if positive else None
    curve = curves.reliability_curve(*scored, column)
    return CurvePoints(curve.score, curve.fraction, curve.count)


def _thresholds(results: Sequence[RunResult]) -> CurvePoints | None:
    curve = _valid_curve(results)
    if curve is None:
        return None
    curve = curves.thin(curve)
    return CurvePoints(curve.threshold, curve.gmean)


def _valid_curve(results: Sequence[RunResult]) -> curves.ThresholdCurve | None:
    valid = [result.valid for result in results if result.valid]
    scored = _one_vs_rest(valid, results[0].positive) if len(valid) == len(results) else None
    return None if scored is None else curves.threshold_curve(*scored)


def _scored(predictions: Sequence[Predictions]) -> tuple[Labels, Floats] | None:
    """Pool actual classes and scores; None unless all have scores."""
    scores = [of.scores for of in predictions if of.scores is not None]
    if len(scores) < len(predictions):
        return None
    return np.concatenate([of.actual_index for of in predictions]), np.concatenate(scores)


def _one_vs_rest(
    predictions: Sequence[Predictions], positive: str | None
) -> tuple[Labels, Floats, int] | None:
    """Add the number of the positive class; None unless there are images of it and of others."""
    scored = _scored(predictions)
    if scored is None or positive is None or len(set(scored[0].tolist())) < 2:
        return None
    column = predictions[0].classes.index(positive)
    return (*scored, column) if column in scored[0] else None


def threshold_point(result: RunResult) -> tuple[float, float] | None:
    """Return the threshold that was chosen on valid, and the G-mean that it gives there."""
    curve = _valid_curve([result])
    if curve is None or "threshold" not in result.metrics:
        return None
    threshold = result.metrics["threshold"]
    at = min(int(curve.threshold.searchsorted(threshold)), len(curve.threshold) - 1)
    return threshold, float(curve.gmean[at])


def calibration_error(points: CurvePoints) -> float | None:
    """Return the expected calibration error of a reliability curve; None for another curve."""
    if points.count is None:
        return None
    gaps = np.abs(points.y - points.x) * points.count
    return float(gaps.sum() / points.count.sum())


def curves_csv(results: Sequence[RunResult], diagram: Diagram) -> str:
    """Return the points of all runs as one long CSV: run, arm, recipe, seed, diagram.columns."""
    header = ["run", "arm", "recipe", "seed", *diagram.columns]
    return csv.csv_text(header, (row for result in results for row in _points(result, diagram)))


def confusion_csv(results: Sequence[RunResult]) -> str:
    """Return a confusion matrix for each recipe and arm as one long CSV, over all seeds.

    A row for each actual and predicted class: how many images of the first became the second, and
    which fraction that is of the actual class.
    """
    rows: list[list[object]] = []
    for recipe, arm in dict.fromkeys((result.recipe, result.arm) for result in results):
        of = [each.predictions for each in results if (each.recipe, each.arm) == (recipe, arm)]
        counts = np.sum([matrix_of(each) for each in of], axis=0)
        fractions = normalize_rows(counts)
        rows += [
            [recipe, arm, actual, predicted, int(counts[i, j]), float(fractions[i, j])]
            for i, actual in enumerate(of[0].classes)
            for j, predicted in enumerate(of[0].classes)
        ]
    return csv.csv_text(["recipe", "arm", "actual", "predicted", "images", "fraction"], rows)


def _points(result: RunResult, diagram: Diagram) -> Iterator[list[object]]:
    points = diagram.points([result])
    for x, y in zip(points.x, points.y, strict=True) if points else ():
        yield [str(result.key), result.arm, result.recipe, result.seed, float(x), float(y)]


def reliability_csv(predictions: Predictions) -> str:
    """Return the bins of the calibration errors as CSV: score, fraction that is correct, images.

    `of` is the class that is held against the rest, and empty for the highest score. Raises
    InputError without scores.
    """
    actual, scores = predictions.actual_index, predictions.required_scores("calibration")
    lines: list[list[object]] = []
    for column, name in enumerate(("", *predictions.classes), start=-1):
        curve = curves.reliability_curve(actual, scores, None if column < 0 else column)
        for score, fraction, count in zip(curve.score, curve.fraction, curve.count, strict=True):
            lines.append([name, float(score), float(fraction), int(count)])
    return csv.csv_text(["of", "score", "fraction", "images"], lines)


DIAGRAMS = {
    "roc": Diagram(
        "ROC",
        "false-positive rate",
        "recall of {positive}",
        ("false_positive_rate", "recall"),
        _roc,
        "roc_auc",
        "area under the curve",
        diagonal=True,
    ),
    "precision_recall": Diagram(
        "Precision and recall",
        "recall of {positive}",
        "precision",
        ("recall", "precision"),
        _precision_recall,
        "average_precision",
        "average precision",
    ),
    "reliability": Diagram(
        "Reliability",
        "score of {positive}",
        "fraction that is {positive}",
        ("score", "fraction"),
        _reliability,
        "ece",
        "expected calibration error",
        pooled=True,
        diagonal=True,
    ),
    "thresholds": Diagram(
        "Threshold, on valid",
        "threshold on the score of {positive}",
        "G-mean on valid",
        ("threshold", "gmean"),
        _thresholds,
        "threshold",
        "chosen threshold",
        steps="steps-pre",
    ),
}
