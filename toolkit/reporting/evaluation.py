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
    TABLES,
    VALID_FILE,
    is_trained,
    is_trained_in_folds,
    read_history,
    read_result,
)
from toolkit.io import csv, files
from toolkit.metrics.confusion import matrix_of
from toolkit.metrics.params import EvaluateParams
from toolkit.metrics.predictions import write_predictions
from toolkit.reporting.mistakes import write_mistakes
from toolkit.reporting.plots import figures


def write_evaluation(output: Path, outputs: RunOutputs, settings: EvaluateParams) -> Evaluation:
    """Evaluate the outputs of a run, write the folder of the evaluation, and return its metrics.

    The folder holds predictions.csv (and valid_predictions.csv), confusion_matrix.csv and .png,
    reliability.csv (the bins of the calibration errors) and metrics.json with the run's key and
    the sha256 of the tables that are read again; for a network also history.csv, mistakes/ and, if
    it was trained in epochs and not frozen, curves.png. Raises InputError as `evaluate_run` and
    `files.new_folder` do.
    """
    evaluation = evaluate_run(outputs, settings)
    classes, matrix = outputs.test.classes, matrix_of(outputs.test)
    with files.new_folder(output, METRICS_FILE) as folder:
        write_predictions(folder / PREDICTIONS_FILE, outputs.test)
        if outputs.valid is not None:
            write_predictions(folder / VALID_FILE, outputs.valid)
        files.write_file(folder / "confusion_matrix.csv", _matrix_csv(classes, matrix.tolist()))
        if outputs.test.scores is not None:
            files.write_file(folder / "reliability.csv", reliability_csv(outputs.test))
        figure = figures.confusion_figure(matrix, classes, outputs.key.title)
        files.write_file(folder / "confusion_matrix.png", figure)
        _write_history(folder, outputs)
        if outputs.explained is not None:
            write_mistakes((folder / MISTAKES_FILE).parent, outputs.explained)
        metrics = {**asdict(outputs.key), "positive": settings.positive, **evaluation.metrics}
        if outputs.network_mb is not None:
            metrics["network_mb"] = outputs.network_mb
        if outputs.learning:
            metrics["learning"] = [list(pair) for pair in outputs.learning]
        if outputs.conditions:
            metrics["conditions"] = dict(outputs.conditions)
            metrics["unfinished"] = outputs.unfinished
        metrics["intervals"] = dict(evaluation.intervals)
        metrics["notes"] = list(evaluation.notes)
        metrics["tables"] = {
            name: files.sha256(folder / name) for name in TABLES if (folder / name).is_file()
        }
        files.write_sealed(folder / METRICS_FILE, metrics)
    return evaluation


def _write_history(folder: Path, outputs: RunOutputs) -> None:
    """Copy the history, if there is one, and draw it where it is one of epochs."""
    if outputs.history is None:
        return
    files.write_file(folder / HISTORY_FILE, outputs.history.read_bytes())
    history = read_history(outputs.history)
    if is_trained(history):
        same = is_trained_in_folds(history, outputs.test)
        measured = "same images" if same else "validation"
        curves = figures.curve_figure(history, outputs.key.title, measured)
        files.write_file(folder / "curves.png", curves)


def read_evaluation(folder: Path) -> Evaluation:
    """Read what `write_evaluation` returned. Raises InputError as `read_result` does."""
    result, content = read_result(folder), files.read_sealed(folder / METRICS_FILE)
    intervals = {name: (low, high) for name, (low, high) in content["intervals"].items()}
    notes = tuple(map(str, content["notes"]))
    return Evaluation(result.metrics, intervals, result.predictions.classes, notes)


def _matrix_csv(classes: Sequence[str], matrix: Sequence[Sequence[int]]) -> str:
    """Return the matrix as CSV, with a row per actual and a column per predicted class."""
    lines = ([name, *row] for name, row in zip(classes, matrix, strict=True))
    return csv.csv_text(["actual", *classes], lines)
