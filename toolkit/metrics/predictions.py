"""What a network, or any other tool, said about the test images."""

import csv
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from toolkit.errors import InputError
from toolkit.io import files
from toolkit.io.csv import bare, csv_text

SCORE = "score_"
TOLERANCE = 0.01
"""How far from 1 a row's scores may add up: other tools write few digits."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """N test images: id, actual and predicted class, and where known a probability per class.

    `classes` are alphabetical (K of them, at least two), `scores` float64 [N, K]. Raises
    InputError for repeated ids, unknown classes, and scores that are no probabilities.
    """

    classes: tuple[str, ...]
    ids: tuple[str, ...]
    actual: tuple[str, ...]
    predicted: tuple[str, ...]
    scores: npt.NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Check what the class promises."""
        _check_classes(self.classes)
        _check_labels(self)
        if self.scores is not None:
            _check_scores(self, self.scores)

    @cached_property
    def actual_index(self) -> npt.NDArray[np.int64]:
        """The actual classes as positions in `classes`, [N]."""
        return _positions(self.actual, self.classes)

    @cached_property
    def predicted_index(self) -> npt.NDArray[np.int64]:
        """The predicted classes as positions in `classes`, [N]."""
        return _positions(self.predicted, self.classes)


def _check_classes(classes: tuple[str, ...]) -> None:
    if list(classes) != sorted(set(classes)):
        raise InputError(f"classes must be alphabetical and distinct, got {list(classes)}")
    if len(classes) < 2:
        raise InputError(f"there must be at least two classes, got {list(classes)}")


def _check_labels(given: Predictions) -> None:
    if not len(given.ids) == len(given.actual) == len(given.predicted) > 0:
        sizes = f"{len(given.ids)}, {len(given.actual)} and {len(given.predicted)}"
        raise InputError(f"ids, actual and predicted must be equally long, got {sizes}")
    for name, count in Counter(given.ids).items():
        if count > 1:
            raise InputError(f"id {name!r} stands more than once in the predictions")
    for label in {*given.actual, *given.predicted} - set(given.classes):
        raise InputError(f"class must be one of {list(given.classes)}, got {label!r}")


def _check_scores(given: Predictions, scores: npt.NDArray[np.float64]) -> None:
    if scores.shape != (len(given.ids), len(given.classes)):
        shape = f"[{len(given.ids)}, {len(given.classes)}]"
        raise InputError(f"scores must have the shape {shape}, got {list(scores.shape)}")
    fine = (scores >= 0).all(axis=1) & (np.abs(scores.sum(axis=1) - 1) <= TOLERANCE)
    if not fine.all():
        row = int(np.flatnonzero(~fine)[0])
        raise InputError(
            f"scores must be probabilities that add up to 1, got {scores[row].tolist()} for "
            f"id {given.ids[row]!r}; apply softmax, or remove the score columns"
        )


def _positions(labels: Sequence[str], classes: Sequence[str]) -> npt.NDArray[np.int64]:
    position = {name: index for index, name in enumerate(classes)}
    return np.array([position[label] for label in labels], dtype=np.int64)


# --- the file ---------------------------------------------------------------------------------


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write a CSV with the columns id, actual, predicted and, where known, score_<class>.

    Floats read back exactly. Without scores a class that never occurs is lost.
    """
    names = [] if predictions.scores is None else [f"{SCORE}{c}" for c in predictions.classes]
    numbers = np.empty((len(predictions.ids), 0)) if not names else predictions.scores
    labels = zip(predictions.ids, predictions.actual, predictions.predicted, strict=True)
    lines = (
        [*texts, *(repr(float(number)) for number in row)]
        for texts, row in zip(labels, np.asarray(numbers), strict=True)
    )
    files.write_file(path, csv_text(["id", "actual", "predicted", *names], lines))


def read_predictions(path: Path) -> Predictions:
    """Read a CSV with the columns actual and predicted; id and score_<class> are optional.

    Without ids the rows are numbered from 1. Other columns are ignored. The classes are all that
    occur, and all that have a score column. Raises InputError that names the file and the line.
    """
    try:
        return _parse(_rows(path))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from None
    except (InputError, csv.Error, OSError) as error:
        raise InputError(f"{path}: {error}") from error


Line = tuple[int, list[str]]


def _rows(path: Path) -> list[Line]:
    """The rows that are not blank, each with the number of the line that it ends on."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        return [(reader.line_num, [bare(field) for field in row]) for row in reader if row]


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
    """Where each column that we read stands."""
    found = ", ".join(header[:12])
    wanted = [h for h in header if h in ("id", "actual", "predicted") or h.startswith(SCORE)]
    for name in ("actual", "predicted"):
        if name not in wanted:
            raise InputError(f"column {name!r} is missing; the columns are: {found}")
    for name in wanted:
        if header.count(name) > 1:
            raise InputError(f"column {name!r} stands more than once; the columns are: {found}")
    return {name: header.index(name) for name in wanted}


def _labels(body: list[Line], name: str, column: int) -> tuple[str, ...]:
    for line, row in body:
        if not row[column]:
            raise InputError(f"line {line}: {name} must name a class, got nothing")
    return tuple(row[column] for _, row in body)


def _scores(
    body: list[Line], classes: tuple[str, ...], columns: dict[str, int]
) -> npt.NDArray[np.float64]:
    missing = [f"{SCORE}{name}" for name in classes if f"{SCORE}{name}" not in columns]
    if missing:
        message = f"score columns are missing: {', '.join(missing)}"
        raise InputError(f"{message}; give one for every class, or none")
    chosen = [(f"{SCORE}{name}", columns[f"{SCORE}{name}"]) for name in classes]
    numbers = [[_number(row[at], name, line) for name, at in chosen] for line, row in body]
    return np.array(numbers, dtype=np.float64)


def _number(text: str, name: str, line: int) -> float:
    def refuse() -> NoReturn:
        raise InputError(f"line {line}: {name} must be a finite number, got {text!r}") from None

    try:
        number = float(text)
    except ValueError:
        refuse()
    if not math.isfinite(number):
        refuse()
    return number
