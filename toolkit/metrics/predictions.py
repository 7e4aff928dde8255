"""Predictions of a network, or of any other tool, and the CSV file that holds them."""

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from toolkit.errors import InputError, explain_error
from toolkit.io import files
from toolkit.io.csv import csv_text
from toolkit.io.notebook import html_table
from toolkit.metrics.arrays import Floats, Labels
from toolkit.metrics.columns import (
    EITHER,
    ERROR,
    SCORE,
    USUAL,
    PredictionTable,
    ToldColumns,
    are_probabilities,
    find_id,
    find_label_columns,
    missing_column,
    nothing_shared,
    read_classes,
    read_table,
    same_spelling,
)
from toolkit.metrics.score_columns import LONE, TOLERANCE, Question, find_scores, highest, unclear

FOLD = "fold"
"""The column of the folds of cross-fitted images."""
SHOWN = 20
"""Images that a table in a notebook shows."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Actual and predicted classes of N images, with class probabilities where they are known.

    `classes` are K >= 2 names in alphabetical order, `scores` float64 [N, K]. `actual` is empty for
    images without labels; `problems` are those that could not be read, id -> reason. `folds` [N]
    are the folds of cross-fitted images, each predicted by what was trained without its fold.
    Raises InputError for duplicate ids, unknown classes and scores that are not probabilities.
    """

    classes: tuple[str, ...]
    ids: tuple[str, ...]
    actual: tuple[str, ...]
    predicted: tuple[str, ...]
    scores: Floats | None = None
    problems: Mapping[str, str] = field(default_factory=dict)
    folds: Labels | None = None

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
            f"id {predictions.ids[row]!r}; apply softmax (for logits: --logits), or "
            "remove the score columns"
        )


def _positions(labels: Sequence[str], classes: Sequence[str]) -> Labels:
    position = {name: index for index, name in enumerate(classes)}
    return np.array([position[label] for label in labels], dtype=np.int64)


# --- the file ---------------------------------------------------------------------------------


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write a CSV file: see `predictions_csv`."""
    files.write_file(path, predictions_csv(predictions))


def predictions_csv(predictions: Predictions, *, errors: bool = False) -> str:
    """Return a CSV table with the columns id, actual, predicted and, if known, score_<class>.

    Of images without labels the columns are path, predicted and the scores. Scores read back
    exactly. Without scores, a class that never occurs is lost. Folds are the column fold. With
    `errors` the last column is of this name, and each of the problems has a row, which has nothing
    else; to read the table leaves these rows out.
    """
    names = [] if predictions.scores is None else [f"{SCORE}{c}" for c in predictions.classes]
    scores = np.empty((len(predictions.ids), 0)) if not names else predictions.scores
    known = ["id", "actual"] if predictions.actual else ["path"]
    labels = [predictions.ids, *([predictions.actual] if predictions.actual else [])]
    lines = (
        [*texts, *(repr(float(number)) for number in row)]
        for *texts, row in zip(*labels, predictions.predicted, np.asarray(scores), strict=True)
    )
    header = [*known, "predicted", *names]
    if predictions.folds is not None:
        header, folds = [*header, FOLD], predictions.folds.tolist()
        lines = ([*line, fold] for line, fold in zip(lines, folds, strict=True))
    if not errors:
        return csv_text(header, lines)
    empty = [""] * (len(header) - 1)
    failed = ([name, *empty, reason] for name, reason in predictions.problems.items())
    return csv_text([*header, ERROR], [*([*line, ""] for line in lines), *failed])


def read_predictions(
    path: Path, columns: ToldColumns = USUAL, say: Callable[[str], object] = lambda _: None
) -> Predictions:
    """Read a CSV file with the columns actual and predicted; id and score_<class> are optional.

    Without ids the rows are numbered from 1. A column fold with several whole numbers holds the
    folds of cross-fitted images. Other columns are ignored. The classes are those that
    occur or have a score column. Tables of other tools are understood by the usual names of their
    columns, or by those in `columns`, and `say` is told in one sentence what was understood.
    Raises InputError that names the file, and the line or the option that decides.
    """
    try:
        read, said = _understand(read_table(path.read_bytes()), columns)
    except FileNotFoundError:
        remedy = "name a CSV of predictions, or a folder that `toolkit evaluate` wrote"
        raise InputError(f"{path}: no such file; {remedy}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from None
    except (InputError, csv.Error, OSError) as error:
        raise InputError(f"{path}: {explain_error(error)}") from error
    if said:
        say(f"{path}: {'; '.join(said)}")
    return read


def _understand(table: PredictionTable, columns: ToldColumns) -> tuple[Predictions, list[str]]:
    """Return what a table holds, and clauses on what its words alone do not say."""
    said = [*table.said]
    actual, predicted = find_label_columns(table, columns)
    if not table.rows:
        raise InputError("has a header but no predictions")
    truth = read_classes(table, actual)
    guess = None if predicted is None else read_classes(table, predicted)
    lone = [column for column, name in enumerate(table.plain) if name in LONE]
    if guess and predicted is not None and are_probabilities(truth, guess):
        lone, predicted, guess = [predicted], None, None
    ident = find_id(table, columns, (actual, predicted), said)
    roles = {"actual": actual, "predicted": predicted, "id": ident}
    used = {role: column for role, column in roles.items() if column is not None}
    said += [f"{r} is {table.header[c]!r}" for r, c in used.items() if table.header[c] != r]
    truth, guess = same_spelling(table, truth, guess, said)
    folds = _find_folds(table)
    taken = {*used.values(), *([table.header.index(FOLD)] if folds is not None else [])}
    rest = [column for column in range(len(table.header)) if column not in taken]
    lone = [column for column in lone if column in rest]
    doubt = table.header[actual] if table.plain[actual] in EITHER and not columns.actual else ""
    scores = find_scores(Question(table, rest, lone, truth, guess, columns, said, doubt))
    if guess is None:
        if scores is None:
            raise InputError(missing_column(table, "predicted", columns))
        guess = highest(scores, said)
        if doubt and guess == truth:
            raise InputError(unclear(doubt))
    elif not {*truth} & {*guess} and not (scores and scores.named):
        raise InputError(nothing_shared(table, used, truth, guess))
    classes = scores.classes if scores else tuple(sorted({*truth, *guess}))
    numbered = tuple(str(number) for number in range(1, len(table.rows) + 1))
    ids = numbered if ident is None else table[ident]
    values = scores.values if scores else None
    return Predictions(classes, ids, truth, guess, values, folds=folds), said


def _find_folds(table: PredictionTable) -> Labels | None:
    """Return the folds of a table that has them; None if there are not several whole numbers."""
    if table.header.count(FOLD) != 1:
        return None
    texts = table[table.header.index(FOLD)]
    if len({*texts}) < 2 or not all(text.isascii() and text.isdecimal() for text in texts):
        return None
    return np.array([int(text) for text in texts], dtype=np.int64)
