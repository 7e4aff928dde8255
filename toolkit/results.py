"""What one run reached on the test images, read back from its files."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import InputError
from toolkit.metrics import evaluate
from toolkit.predictions import Predictions
from toolkit.predictions import read as read_predictions

METRICS_FILE, PREDICTIONS_FILE, HISTORY_FILE = "metrics.json", "predictions.csv", "history.csv"
HISTORY = ("epoch", "train_loss", "valid_loss", "valid_accuracy", "valid_gmean", "learning_rate")

History = Mapping[str, tuple[float, ...]]
"""The columns HISTORY, one number an epoch."""


@dataclass(frozen=True)
class Key:
    """Which run it is; as text, <arm>-<recipe>-<seed>."""

    arm: str
    recipe: str
    seed: int

    def __str__(self) -> str:
        return f"{self.arm}-{self.recipe}-{self.seed}"


@dataclass(frozen=True, eq=False)
class Result:
    """What one arm, trained with one recipe and seed, reached on the test images."""

    arm: str
    recipe: str
    seed: int
    metrics: Mapping[str, float]
    predictions: Predictions
    positive: str | None = None
    history: History | None = None

    @property
    def key(self) -> Key:
        """Which run it is."""
        return Key(self.arm, self.recipe, self.seed)


def read_result(path: Path, positive: str | None = None) -> Result:
    """Read a folder that `evaluate` wrote, or a CSV of predictions.

    A CSV becomes an arm with the file's name (the folder's, for `predictions.csv`) in the recipe
    "predictions", and is evaluated with `positive`. Raises InputError that names the file.
    """
    if path.name == PREDICTIONS_FILE and (path.parent / METRICS_FILE).is_file():
        path = path.parent
    if path.is_dir():
        return _read_folder(path)
    predictions = read_predictions(path)
    arm = path.absolute().parent.name if path.name == PREDICTIONS_FILE else path.stem
    try:
        metrics = evaluate(predictions, positive)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return Result(arm, "predictions", 0, metrics, predictions, positive)


def _read_folder(folder: Path) -> Result:
    path = folder / METRICS_FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        arm, recipe, seed = (found.pop(name) for name in ("arm", "recipe", "seed"))
        positive = found.pop("positive", None)
        metrics = {name: _number(found[name]) for name in ("n", "accuracy", "gmean", *found)}
        key = (str(arm), str(recipe), int(seed))
    except FileNotFoundError:
        message = f"{path}: no such file; `toolkit evaluate` writes it"
        raise InputError(message) from None
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        message = f"{path}: not the metrics of a run ({error}); run `toolkit evaluate` again"
        raise InputError(message) from error
    history = folder / HISTORY_FILE
    predictions = read_predictions(folder / PREDICTIONS_FILE)
    curves = read_history(history) if history.is_file() else None
    return Result(*key, metrics, predictions, positive, curves)


def _number(value: Any) -> float:
    if not isinstance(value, int | float):
        raise TypeError(f"expected numbers, got {value!r}")
    return value


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
        raise InputError(f"{path}: not a training history: {error}") from error


def curves(results: Sequence[Result]) -> str:
    """All histories as one long CSV: run, arm, recipe, seed and the columns HISTORY."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["run", "arm", "recipe", "seed", *HISTORY])
    for result in results:
        if result.history is None:
            continue
        for numbers in zip(*(result.history[name] for name in HISTORY), strict=True):
            epoch, *rest = numbers
            key = (result.arm, result.recipe, result.seed)
            writer.writerow([result.key, *key, int(epoch), *(repr(number) for number in rest)])
    return stream.getvalue()
