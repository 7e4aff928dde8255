"""Predictions of a network, or of any other tool, and the CSV file that holds them."""

import csv
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from toolkit.errors import InputError, explain_error
from toolkit.io import files
from toolkit.io.csv import csv_text, unescape_formula, whole_lines
from toolkit.io.notebook import html_table
from toolkit.metrics.arrays import Floats, Labels

SCORE = "score_"
"""How the columns with scores begin; the class follows."""
SHOWN = 20
"""Images that a table in a notebook shows."""
TOLERANCE = 0.01
"""How far the scores of a row may add up to more or less than 1: other tools write few digits."""

Line = tuple[int, list[str]]
"""A row of a CSV file, and the number of the line that it ends on."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Actual and predicted classes of N images, with class probabilities where they are known.

    `classes` are K >= 2 names in alphabetical order, `scores` float64 [N, K]. `actual` is empty for
    images without labels; `problems` are those that could not be read, id -> reason. Raises
    InputError for duplicate ids, unknown classes and scores that are not probabilities.
    """

    classes: tuple[str, ...]
    ids: tuple[str, ...]
    actual: tuple[str, ...]
    predicted: tuple[str, ...]
    scores: Floats | None = None
    problems: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what the class promises."""
        _check_classes(self.classes)
        _check_labels(self)
        if self.scores is not None:
            _check_scores(self, self.scores)

    def __repr__(self) -> str:
        scores = "without scores" if self.scores is None else "with scores"
        size = f"{len(self.ids)} images, {len(self.classes)} classes"
        return f"Predictions({size}, {self._accuracy()}, {scores})"

    def _accuracy(self) -> str:
        if not self.actual:
            return "without labels"
        return f"accuracy {float((self.actual_index == self.predicted_index).mean()):.3f}"

    def _repr_html_(self) -> str:
        scores = self.required_scores("a table") if self.scores is not None else None
        names = self.classes if scores is not None else ()
        rows = [
            [
                *([image, self.actual[row]] if self.actual else [image]),
                self.predicted[row],
                *([] if scores is None else (f"{score:.3f}" for score in scores[row])),
            ]
            for row, image in enumerate(self.ids[:SHOWN])
        ]
        header = ["id", *(["actual"] if self.actual else []), "predicted", *names]
        return html_table([header, *rows], f"{len(self.ids)} images, {self._accuracy()}")

    @cached_property
    def actual_index(self) -> Labels:
        """The actual classes as positions in `classes`, int64 [N].

        Raises InputError for images without labels.
        """
        if not self.actual:
            raise InputError("the actual classes are not known, and nothing can be measured")
        return _positions(self.actual, self.classes)

    @cached_property
    def predicted_index(self) -> Labels:
        """The predicted classes as positions in `classes`, int64 [N]."""
        return _positions(self.predicted, self.classes)

    def required_scores(self, purpose: str) -> Floats:
        """Return the scores [N, K]. Raises InputError where there are none for the purpose."""
        if self.scores is None:
            raise InputError(f"{purpose} needs scores; add score_<class> columns")
        return self.scores


def _check_classes(classes: tuple[str, ...]) -> None:
    if list(classes) != sorted(set(classes)):
        raise InputError(f"classes must be alphabetical and distinct, got {list(classes)}")
    if len(classes) < 2:
        raise InputError(f"there must be at least two classes, got {list(classes)}")


def _check_labels(predictions: Predictions) -> None:
    ids, actual, predicted = predictions.ids, predictions.actual, predictions.predicted
    if not len(ids) == len(predicted) > 0 or len(actual) not in (0, len(ids)):
        sizes = f"{len(ids)}, {len(actual)} and {len(predicted)}"
        raise InputError(f"ids, actual and predicted must be equally long, got {sizes}")
    for name, count in Counter(ids).items():
        if count > 1:
            raise InputError(f"id {name!r} occurs {count} times in the predictions")
    for label in {*actual, *predicted} - set(predictions.classes):
        raise InputError(f"class must be one of {list(predictions.classes)}, got {label!r}")


def _check_scores(predictions: Predictions, scores: Floats) -> None:
    shape = [len(predictions.ids), len(predictions.classes)]
    if list(scores.shape) != shape:
        raise InputError(f"scores must have the shape {shape}, got {list(scores.shape)}")
    valid = (scores >= 0).all(axis=1) & (np.abs(scores.sum(axis=1) - 1) <= TOLERANCE)
    if not valid.all():
        row = int(np.flatnonzero(~valid)[0])
        raise InputError(
            f"scores must be probabilities that add up to 1, got {scores[row].tolist()} for "
            f"id {predictions.ids[row]!r}; apply softmax, or remove the score columns"
        )


def _positions(labels: Sequence[str], classes: Sequence[str]) -> Labels:
    position = {name: index for index, name in enumerate(classes)}
    return np.array([position[label] for label in labels], dtype=np.int64)


# --- the file ---------------------------------------------------------------------------------


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write a CSV file: see `predictions_csv`."""
    files.write_file(path, predictions_csv(predictions))


def predictions_csv(predictions: Predictions) -> str:
    """Return a CSV table with the columns id, actual, predicted and, if known, score_<class>.

    Of images without labels the columns are path, predicted and the scores. Scores read back
    exactly. Without scores, a class that never occurs is lost.
    """
    names = [] if predictions.scores is None else [f"{SCORE}{c}" for c in predictions.classes]
    scores = np.empty((len(predictions.ids), 0)) if not names else predictions.scores
    known = ["id", "actual"] if predictions.actual else ["path"]
    labels = [predictions.ids, *([predictions.actual] if predictions.actual else [])]
    lines = (
        [*texts, *(repr(float(number)) for number in row)]
        for *texts, row in zip(*labels, predictions.predicted, np.asarray(scores), strict=True)
    )
    return csv_text([*known, "predicted", *names], lines)


def read_predictions(path: Path) -> Predictions:
    """Read a CSV file with the columns actual and predicted; id and score_<class> are optional.

    Without ids the rows are numbered from 1. Other columns are ignored. The classes are those that
    occur or have a score column. Raises InputError that names the file and the line.
    """
    try:
        return _parse(_rows(path))
    except FileNotFoundError:
        remedy = "name a CSV of predictions, or a folder that `toolkit evaluate` wrote"
        raise InputError(f"{path}: no such file; {remedy}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from None
    except (InputError, csv.Error, OSError) as error:
        raise InputError(f"{path}: {explain_error(error)}") from error


def _rows(path: Path) -> list[Line]:
    """Read the rows that are not blank."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(whole_lines(stream), strict=True)
        return [
            (reader.line_num, [unescape_formula(field) for field in row]) for row in reader if row
        ]


def _parse(rows: list[Line]) -> Predictions:
    if not rows:
        raise InputError("empty file; expected the columns actual and predicted")
    (_, header), body = rows[0], rows[1:]
    columns = _columns(header)
    if not body:
        raise InputError("has a header but no predictions")
    for line, row in body:
        if len(row) != len(header):
            raise InputError(f"line {line} must have {len(header)} fields, got {len(row)}")
    actual, predicted = (_labels(body, name, columns[name]) for name in ("actual", "predicted"))
    scored = {name.removeprefix(SCORE) for name in columns if name.startswith(SCORE)}
    classes = tuple(sorted({*actual, *predicted, *scored}))
    numbered = tuple(str(number) for number in range(1, len(body) + 1))
    ids = tuple(row[columns["id"]] for _, row in body) if "id" in columns else numbered
    scores = _scores(body, classes, columns) if scored else None
    return Predictions(classes, ids, actual, predicted, scores)


def _columns(header: list[str]) -> dict[str, int]:
    """Return the position of each column that is read."""
    listed = ", ".join(header[:12])
    read = [h for h in header if h in ("id", "actual", "predicted") or h.startswith(SCORE)]
    for name in ("actual", "predicted"):
        if name not in read:
            raise InputError(f"column {name!r} is missing; the columns are: {listed}")
    for name in read:
        if header.count(name) > 1:
            raise InputError(f"column {name!r} occurs more than once; the columns are: {listed}")
    return {name: header.index(name) for name in read}


def _labels(body: list[Line], name: str, column: int) -> tuple[str, ...]:
    for line, row in body:
        if not row[column]:
            raise InputError(f"line {line}: {name} must be the name of a class, got nothing")
    return tuple(row[column] for _, row in body)


def _scores(body: list[Line], classes: tuple[str, ...], columns: dict[str, int]) -> Floats:
    names = [f"{SCORE}{name}" for name in classes]
    if missing := [name for name in names if name not in columns]:
        message = f"score columns are missing: {', '.join(missing)}"
        raise InputError(f"{message}; give one for every class, or none")
    rows = [[_number(row[columns[name]], name, line) for name in names] for line, row in body]
    return np.array(rows, dtype=np.float64)


def _number(text: str, name: str, line: int) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"line {line}: {name} must be a finite number, got {text!r}")
    return number
