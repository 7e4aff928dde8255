"""Results of runs on the test images, read back from the files that evaluation wrote."""

import csv
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import InputError, explain_error
from toolkit.io import files
from toolkit.io.csv import csv_text, read_rows
from toolkit.io.manifest import is_file_name
from toolkit.metrics.arrays import Floats
from toolkit.metrics.classification import compute_metrics
from toolkit.metrics.columns import USUAL, ToldColumns
from toolkit.metrics.predictions import Predictions, read_predictions

METRICS_FILE, PREDICTIONS_FILE, HISTORY_FILE = "metrics.json", "predictions.csv", "history.csv"
VALID_FILE, MISTAKES_FILE = "valid_predictions.csv", "mistakes/mistakes.csv"
TABLES = (PREDICTIONS_FILE, VALID_FILE, HISTORY_FILE, MISTAKES_FILE)
"""Those of them that are there have their sha256 in metrics.json."""
HISTORY = ("epoch", "train_loss", "valid_loss", "valid_accuracy", "valid_gmean", "learning_rate")
REQUIRED = ("n", "accuracy")
"""Metrics that every evaluation has."""
MISTAKES_COLUMNS = ("file", "id", "path", "actual", "predicted", "score", "kind")

History = Mapping[str, tuple[float, ...]]
"""The columns HISTORY, with one number per epoch."""


@dataclass(frozen=True)
class RunKey:
    """Identity of a run; as text <arm>-<recipe>-<seed>."""

    arm: str
    recipe: str
    seed: int

    def __str__(self) -> str:
        return f"{self.arm}-{self.recipe}-{self.seed}"

    @property
    def place(self) -> Path:
        """Where it lies among others: <arm>-<recipe>/<seed>."""
        return Path(f"{self.arm}-{self.recipe}") / str(self.seed)

    @property
    def title(self) -> str:
        """The same for people."""
        return f"{self.arm}, {self.recipe}, seed {self.seed}"


@dataclass(frozen=True, eq=False)
class RunResult:
    """Metrics and predictions of one run on the test images.

    `metrics` are by name, without the intervals in metrics.json, as a comparison has its own.
    `history` is None for predictions of another tool. `valid` are the predictions on the valid
    split, on which the threshold was chosen. `conditions` are what runs that are compared should
    share, such as "device" -> "cpu"; `unfinished` says how far a training came that did not end.
    `folder` is where the evaluation lies, None for a CSV file. `learning` is the learning curve of
    a frozen network: images of the rarest class, and G-mean.
    """

    arm: str
    recipe: str
    seed: int
    metrics: Mapping[str, float]
    predictions: Predictions
    positive: str | None = None
    history: History | None = None
    valid: Predictions | None = None
    conditions: Mapping[str, str] = field(default_factory=dict)
    unfinished: str = ""
    folder: Path | None = None
    learning: tuple[tuple[int, float], ...] = ()

    @property
    def fixed(self) -> bool:
        """Whether chance has no part in its training: heads were fitted, without learning rates."""
        return self.history is not None and not is_trained(self.history)

    @property
    def key(self) -> RunKey:
        """The identity of the run."""
        return RunKey(self.arm, self.recipe, self.seed)


@dataclass(frozen=True)
class Mistake:
    """A test image to look at; `file` is its picture: the photo beside its Grad-CAM.

    `path` is the image's path in the test manifest. `score` is that of the predicted class for the
    kind "mistake", and of the actual class for the kind "hardest".
    """

    file: Path
    id: str
    path: str
    actual: str
    predicted: str
    score: float
    kind: str


def read_result(
    path: Path,
    columns: ToldColumns = USUAL,
    arm: str | None = None,
    seed: int = 0,
    say: Callable[[str], object] = lambda _: None,
) -> RunResult:
    """Read a folder that `evaluate` wrote, or a CSV file of predictions.

    A CSV file becomes a run of the recipe "predictions" with `seed`, and is evaluated with the
    positive class of `columns`. Its arm is `arm`, or else the name of the file, for
    predictions.csv that of its folder. A folder ignores these arguments. `say` is told what was
    understood of another tool's table. Raises InputError that names the file.
    """
    if path.name == PREDICTIONS_FILE and (path.parent / METRICS_FILE).is_file():
        path = path.parent
    if path.is_dir():
        return _read_folder(path)
    predictions, positive = read_predictions(path, columns, say), columns.positive
    name = path.absolute().parent.name if path.name == PREDICTIONS_FILE else path.stem
    try:
        metrics = compute_metrics(predictions, positive)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return RunResult(arm or name, "predictions", seed, metrics, predictions, positive)


def _read_folder(folder: Path) -> RunResult:
    path = folder / METRICS_FILE
    try:
        content = files.read_sealed(path)
        tables = _texts("tables", content.pop("tables", {}))
        arm, recipe, seed = (content.pop(name) for name in ("arm", "recipe", "seed"))
        positive = content.pop("positive", None)
        for words in ("intervals", "notes"):
            content.pop(words, None)
        conditions = _texts("conditions", content.pop("conditions", {}))
        unfinished = str(content.pop("unfinished", ""))
        learning = tuple(
            (int(_number("learning", count)), _number("learning", gmean))
            for count, gmean in content.pop("learning", ())
        )
        metrics = {name: _number(name, content[name]) for name in (*REQUIRED, *content)}
        key = (_name("arm", arm), _name("recipe", recipe), int(seed))
    except FileNotFoundError:
        message = f"{path}: no such file; `toolkit evaluate` writes it"
        raise InputError(message) from None
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        reason = f"not the metrics of a run ({explain_error(error)})"
        raise InputError(f"{path}: {reason}; run `toolkit evaluate` again") from error
    _check_tables(folder, tables)
    history, valid = folder / HISTORY_FILE, folder / VALID_FILE
    return RunResult(
        *key,
        metrics,
        read_predictions(folder / PREDICTIONS_FILE),
        positive,
        read_history(history) if history.is_file() else None,
        read_predictions(valid) if valid.is_file() else None,
        conditions,
        unfinished,
        folder,
        learning,
    )


def _check_tables(folder: Path, tables: Mapping[str, str]) -> None:
    """Raise InputError for a table that has another sha256 than metrics.json says, if it does."""
    for path in (folder / name for name in TABLES if name in tables):
        if path.is_file() and files.sha256(path) != tables[path.relative_to(folder).as_posix()]:
            problem = f"changed since it was written (its sha256 is not the one in {METRICS_FILE})"
            raise InputError(f"{path}: {problem}; run `toolkit evaluate` again")


def _name(key: str, value: Any) -> str:
    """Return a text that is part of a file's name."""
    if not isinstance(value, str) or not is_file_name(value):
        raise TypeError(f"{key} must be a file's name, got {str(value)[:80]!r}")
    return value


def _texts(key: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise TypeError(f"{key} must map names to texts")
    return value


def _number(name: str, value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise TypeError(f"{name} must be a finite number, got {value!r}")
    return float(value)


def read_mistakes(folder: Path) -> tuple[Mistake, ...]:
    """Read the images that `evaluate` chose to show in `folder`; none if it evaluated a CSV file.

    Raises InputError that names the file, also if an older version evaluated the run.
    """
    path = folder / MISTAKES_FILE
    if not path.is_file() and not (folder / HISTORY_FILE).is_file():
        return ()
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            lines = list(read_rows(stream))
        if not lines or tuple(lines[0]) != MISTAKES_COLUMNS:
            raise InputError(f"its columns must be {','.join(MISTAKES_COLUMNS)}")
        return tuple(_mistake(path.parent, line) for line in lines[1:])
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run `toolkit evaluate` again") from None
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise InputError(f"{path}: {explain_error(error)}; run `toolkit evaluate` again") from error


def _mistake(folder: Path, row: list[str]) -> Mistake:
    if len(row) != len(MISTAKES_COLUMNS):
        raise InputError(f"each row must have {len(MISTAKES_COLUMNS)} fields, got {len(row)}")
    name, ident, path, actual, predicted, score, kind = row
    picture = folder / name if is_file_name(name) else folder
    if picture.is_symlink() or not picture.is_file():
        raise InputError(f"there is no picture {name[:80]!r} beside it")
    number = _number("score", float(score))
    return Mistake(picture, ident, path, actual, predicted, number, kind)


def read_history(path: Path) -> History:
    """Read a history.csv with the columns HISTORY. Raises InputError that names the file."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            missing = [name for name in HISTORY if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"columns are missing: {', '.join(missing)}")
            rows = list(reader)
        return {name: tuple(float(row[name]) for row in rows) for name in HISTORY}
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise InputError(f"{path}: not a training history: {explain_error(error)}") from error


@dataclass(frozen=True, eq=False)
class HistoryBand:
    """A column of several histories: its mean, lowest and highest value, each [epochs]."""

    epochs: tuple[float, ...]
    mean: Floats
    low: Floats
    high: Floats


def is_trained_in_folds(history: History | None, predictions: Predictions) -> bool:
    """Return whether a history is measured on the images trained on, for want of others.

    That is so for networks that are trained, not frozen, where no image is left for validation.
    """
    return predictions.folds is not None and history is not None and is_trained(history)


def is_trained(history: History) -> bool:
    """Return whether a history is one of epochs: a frozen network has learning rates of 0."""
    return any(history["learning_rate"])


def history_band(histories: Sequence[History], column: str) -> HistoryBand:
    """Summarize a column of the histories over the epochs that all of them have."""
    length = min(len(history["epoch"]) for history in histories)
    values = np.array([history[column][:length] for history in histories])
    epochs = histories[0]["epoch"][:length]
    return HistoryBand(epochs, values.mean(axis=0), values.min(axis=0), values.max(axis=0))


def history_csv(results: Sequence[RunResult]) -> str:
    """Return all histories as one long CSV: run, arm, recipe, seed and the columns HISTORY."""
    header = ["run", "arm", "recipe", "seed", *HISTORY]
    return csv_text(header, (row for result in results for row in _epochs(result)))


def _epochs(result: RunResult) -> Iterator[list[object]]:
    history = result.history or dict.fromkeys(HISTORY, ())
    for epoch, *rest in zip(*(history[name] for name in HISTORY), strict=True):
        yield [str(result.key), result.arm, result.recipe, result.seed, int(epoch), *rest]
