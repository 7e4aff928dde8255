"""DIAGRAMS of scores: which points each has for a run, and all runs' points as CSV."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from toolkit.evaluation.results import RunResult
from toolkit.io import csv
from toolkit.metrics import curves
from toolkit.metrics.arrays import Floats, Labels
from toolkit.metrics.predictions import Predictions


@dataclass(frozen=True, eq=False)
class CurvePoints:
    """A curve, [T]; where points stand for several images, how many."""

    x: Floats
    y: Floats
    count: Labels | None = None


@dataclass(frozen=True)
class Diagram:
    """One kind of diagram.

    `x` and `y` name the axes, {positive} standing for the class; `columns` the same in a CSV.
    `points` are those of one run or of several together, None where they lack what it needs;
    `pooled` says that an arm's runs are drawn together. `metric` is the number that sums a run up,
    called `of`; `steps` is matplotlib's drawstyle; `diagonal` is drawn where it means something.
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
    known = _rare([result.predictions for result in results], results[0].positive)
    if known is None:
        return None
    curve = curves.thin(curves.roc_curve(*known))
    return CurvePoints(curve.false_positive_rate, curve.recall)


def _precision_recall(results: Sequence[RunResult]) -> CurvePoints | None:
    known = _rare([result.predictions for result in results], results[0].positive)
    if known is None:
        return None
    curve = curves.thin(curves.precision_recall_curve(*known))
    return CurvePoints(curve.recall, curve.precision)


def _reliability(results: Sequence[RunResult]) -> CurvePoints | None:
    known = _known([result.predictions for result in results])
    if known is None:
        return None
    positive = results[0].positive
    column = results[0].predictions.classes.index(positive) if positive else None
    curve = curves.reliability_curve(*known, column)
    return CurvePoints(curve.score, curve.fraction, curve.count)


def _thresholds(results: Sequence[RunResult]) -> CurvePoints | None:
    valid = [result.valid for result in results if result.valid]
    known = _rare(valid, results[0].positive) if len(valid) == len(results) else None
    if known is None:
        return None
    curve = curves.thin(curves.threshold_curve(*known))
    return CurvePoints(curve.threshold, curve.gmean)


def _known(given: Sequence[Predictions]) -> tuple[Labels, Floats] | None:
    """Actual classes and scores of all together, where all have scores."""
    scores = [of.scores for of in given if of.scores is not None]
    if len(scores) < len(given):
        return None
    return np.concatenate([of.actual_index for of in given]), np.concatenate(scores)


def _rare(given: Sequence[Predictions], positive: str | None) -> tuple[Labels, Floats, int] | None:
    """The same, and the positive class, where there are images of it and others."""
    known = _known(given)
    if known is None or positive is None or len(set(known[0].tolist())) < 2:
        return None
    column = given[0].classes.index(positive)
    return (*known, column) if column in known[0] else None


def threshold_point(result: RunResult) -> tuple[float, float] | None:
    """The threshold that was chosen on valid, and the G-mean that it gives there."""
    points = _thresholds([result])
    if points is None or "threshold" not in result.metrics:
        return None
    threshold = result.metrics["threshold"]
    at = min(int(points.x.searchsorted(threshold)), len(points.x) - 1)
    return threshold, float(points.y[at])


def curves_csv(results: Sequence[RunResult], diagram: Diagram) -> str:
    """All runs' points as one long CSV: run, arm, recipe, seed and the diagram's columns."""
    header = ["run", "arm", "recipe", "seed", *diagram.columns]
    return csv.csv_text(header, (row for one in results for row in _points(one, diagram)))


def _points(result: RunResult, diagram: Diagram) -> Iterator[list[object]]:
    points = diagram.points([result])
    for x, y in zip(points.x, points.y, strict=True) if points else ():
        yield [str(result.key), result.arm, result.recipe, result.seed, float(x), float(y)]


def reliability_csv(given: Predictions) -> str:
    """The bins of the calibration errors as CSV: how sure, how often right, how many images.

    `of` is a class against the rest, and empty for the highest score. Raises ValueError without
    scores.
    """
    if given.scores is None:
        raise ValueError("expected predictions with scores")
    lines: list[list[object]] = []
    for number, name in enumerate(("", *given.classes)):
        column = None if number == 0 else number - 1
        found = curves.reliability_curve(given.actual_index, given.scores, column)
        for score, share, count in zip(found.score, found.fraction, found.count, strict=True):
            lines.append([name, float(score), float(share), int(count)])
    return csv.csv_text(["of", "score", "share", "images"], lines)


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
        "share that is {positive}",
        ("score", "share"),
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
