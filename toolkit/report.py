"""Numbers -> files, tables and the page; computes no result of its own."""

import base64
import csv
import importlib.resources
import io
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from toolkit import files, plots
from toolkit import predictions as table
from toolkit.audit import Audit, Finding
from toolkit.canvas import arm_styles
from toolkit.comparison import Comparison, headline, notes, summary
from toolkit.comparison import table as rows_of
from toolkit.metrics import evaluate, matrix_of
from toolkit.predictions import Predictions
from toolkit.results import (
    HISTORY_FILE,
    METRICS_FILE,
    PREDICTIONS_FILE,
    Key,
    Result,
    curves,
    read_history,
)

MOST_PATHS = 5
"""Files that the page names for each audit finding."""


# --- the stages' files ------------------------------------------------------------------------


def write_evaluation(
    output: Path,
    predictions: Predictions,
    positive: str | None,
    key: Key,
    history: Path | None = None,
) -> dict[str, float]:
    """Write the folder of one evaluation, and return its metrics.

    predictions.csv, confusion_matrix.csv and .png, metrics.json with the run's key, and for a run
    its history as .csv and its curves as .png. Raises InputError as `evaluate` and
    `files.new_folder` do.
    """
    metrics = evaluate(predictions, positive)
    classes, matrix = predictions.classes, matrix_of(predictions)
    with files.new_folder(output, METRICS_FILE) as folder:
        table.write(folder / PREDICTIONS_FILE, predictions)
        files.write(folder / "confusion_matrix.csv", _matrix_csv(classes, matrix.tolist()))
        picture = plots.confusion(matrix, classes, _name(key))
        files.write(folder / "confusion_matrix.png", picture)
        if history is not None:
            files.write(folder / HISTORY_FILE, history.read_bytes())
            files.write(folder / "curves.png", plots.curves(read_history(history), _name(key)))
        side = {**asdict(key), "positive": positive, **metrics}
        files.write(folder / METRICS_FILE, _json(side))
    return metrics


def _name(key: Key) -> str:
    return f"{key.arm}, {key.recipe}, seed {key.seed}"


def _matrix_csv(classes: Sequence[str], matrix: Sequence[Sequence[int]]) -> str:
    """Rows actual, columns predicted, each under its class's name."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["actual", *classes])
    writer.writerows([name, *row] for name, row in zip(classes, matrix, strict=True))
    return stream.getvalue()


def write_comparison(path: Path, compared: Comparison, results: Sequence[Result]) -> None:
    """Write the summary to `path`, and curves.csv, curves.png and comparison.png beside it."""
    files.write(path.parent / "curves.csv", curves(results))
    files.write(path.parent / "curves.png", plots.overlay(results))
    files.write(path.parent / "comparison.png", plots.comparison(compared))
    files.write(path, _json(summary(compared)))


def _json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


# --- the page ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Picture:
    """A picture in the page: data URIs (`dark` may be empty), its words, and its CSS width."""

    light: str
    dark: str
    alt: str
    width: int


def page(
    compared: Comparison,
    results: Sequence[Result],
    *,
    audit: Audit | None = None,
    contact_sheets: Mapping[str, bytes] | None = None,
    params: str = "",
) -> str:
    """One HTML page that needs nothing else: no script, no network, every text escaped.

    `contact_sheets` are PNGs by arm, `params` the text of params.yaml.
    """
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = importlib.resources.files("toolkit") / "templates" / "report.html.j2"
    header, *rows = rows_of(compared)
    return environment.from_string(source.read_text(encoding="utf-8")).render(
        arms=[arm for arm in compared.arms if arm != compared.baseline],
        baseline=compared.baseline,
        headline=headline(compared),
        notes=notes(compared),
        header=header,
        rows=rows,
        colours={arm: style["color"] for arm, style in arm_styles(compared.arms).items()},
        test=compared.test,
        comparison=_comparison_picture(compared),
        curves=_curves_picture(results),
        matrices=[_matrix_picture(result) for result in results],
        counts=_counts(audit),
        findings=[(finding, _paths(finding)) for finding in audit.findings] if audit else [],
        contact_sheets={arm: _sheet(arm, png) for arm, png in (contact_sheets or {}).items()},
        params=params,
    )


def _comparison_picture(compared: Comparison) -> Picture:
    means = "; ".join(
        f"{row.recipe}, {row.arm}: G-mean {row.mean('gmean'):.4f}, "
        f"accuracy {row.mean('accuracy'):.4f}"
        for row in compared.rows
    )
    alt = f"G-mean and accuracy on the test images, by recipe and arm. {means}."
    return _picture(plots.comparison(compared), plots.comparison(compared, dark=True), alt)


def _curves_picture(results: Sequence[Result]) -> Picture | None:
    trained = [result for result in results if result.history]
    if not trained:
        return None
    names = ", ".join(dict.fromkeys(result.recipe for result in trained))
    alt = f"Loss, accuracy and G-mean on the valid images by epoch, all arms, for {names}."
    return _picture(plots.overlay(trained), plots.overlay(trained, dark=True), alt)


def _matrix_picture(result: Result) -> Picture:
    classes, matrix = result.predictions.classes, matrix_of(result.predictions)
    name = _name(result.key)
    found = "; ".join(
        f"of {row.sum()} images of {label}, {row[index]} were called {label}"
        for index, (label, row) in enumerate(zip(classes, matrix, strict=True))
    )
    light, dark = (plots.confusion(matrix, classes, name, dark=dark) for dark in (False, True))
    return _picture(light, dark, f"Confusion matrix of {name}: {found}.", scale=2)


def _sheet(arm: str, png: bytes) -> Picture:
    return _picture(png, None, f"Contact sheet of the arm {arm}: parents and new images.", scale=1)


def _picture(light: bytes, dark: bytes | None, alt: str, scale: float = 1.5) -> Picture:
    (width,) = struct.unpack(">I", light[16:20])  # PNG: the first chunk begins with the width
    return Picture(_uri(light), _uri(dark) if dark else "", alt, round(width / scale))


def _uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _counts(audit: Audit | None) -> list[list[str]]:
    """Images of each class by split as rows of text, a header first; empty if unknown."""
    counts = audit.counts if audit else {}
    classes = sorted({name for split in counts.values() for name in split})
    body = [[s or "all", *(str(n.get(c, 0)) for c in classes)] for s, n in counts.items()]
    return [["split", *classes], *body] if body else []


def _paths(finding: Finding) -> str:
    more = len(finding.paths) - MOST_PATHS
    return ", ".join(finding.paths[:MOST_PATHS]) + (f" and {more} more" if more > 0 else "")
