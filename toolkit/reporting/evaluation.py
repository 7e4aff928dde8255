"""Write the folder of one evaluation."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from toolkit.evaluation.curves import reliability_csv
from toolkit.evaluation.evaluate import Evaluation, RunOutputs, evaluate_run
from toolkit.evaluation.results import (
    HISTORY_FILE,
    METRICS_FILE,
    MISTAKES_FILE,
    PREDICTIONS_FILE,
    VALID_FILE,
    read_history,
)
from toolkit.io import csv, files
from toolkit.metrics.confusion import matrix_of
from toolkit.metrics.params import EvaluateParams
from toolkit.metrics.predictions import write_predictions
from toolkit.reporting import mistakes
from toolkit.reporting.plots import figures


def write_evaluation(output: Path, evidence: RunOutputs, settings: EvaluateParams) -> Evaluation:
    """Write the folder of one evaluation, and return its numbers.

    predictions.csv (and valid_predictions.csv), confusion_matrix.csv and .png, reliability.csv (the
    bins of the calibration errors), metrics.json with the run's key; for a run its history as .csv,
    its curves as .png, and mistakes/. Raises InputError as `measure` and `files.new_folder` do.
    """
    numbers = evaluate_run(evidence, settings)
    classes, matrix = evidence.test.classes, matrix_of(evidence.test)
    with files.new_folder(output, METRICS_FILE) as folder:
        write_predictions(folder / PREDICTIONS_FILE, evidence.test)
        if evidence.valid is not None:
            write_predictions(folder / VALID_FILE, evidence.valid)
        files.write_file(folder / "confusion_matrix.csv", _matrix_csv(classes, matrix.tolist()))
        if evidence.test.scores is not None:
            files.write_file(folder / "reliability.csv", reliability_csv(evidence.test))
        picture = figures.confusion_figure(matrix, classes, evidence.key.title)
        files.write_file(folder / "confusion_matrix.png", picture)
        if evidence.history is not None:
            files.write_file(folder / HISTORY_FILE, evidence.history.read_bytes())
            curves = figures.curve_figure(read_history(evidence.history), evidence.key.title)
            files.write_file(folder / "curves.png", curves)
        if evidence.explained is not None:
            mistakes.write_mistakes((folder / MISTAKES_FILE).parent, evidence.explained)
        side = {**asdict(evidence.key), "positive": settings.positive, **numbers.metrics}
        side["intervals"] = dict(numbers.intervals)
        files.write_json(folder / METRICS_FILE, side)
    return numbers


def _matrix_csv(classes: Sequence[str], matrix: Sequence[Sequence[int]]) -> str:
    """Rows actual, columns predicted, each under its class's name."""
    lines = ([name, *row] for name, row in zip(classes, matrix, strict=True))
    return csv.csv_text(["actual", *classes], lines)
