"""Write the files of a comparison, and its page; no result is computed here."""

import json
from collections.abc import Sequence
from pathlib import Path

from toolkit.evaluation import curves, verdict
from toolkit.evaluation.comparison import Comparison
from toolkit.evaluation.results import RunResult, history_csv
from toolkit.io import files
from toolkit.reporting import html
from toolkit.reporting.page import PageInputs, page_sections
from toolkit.reporting.plots import figures

CSV = ("roc", "precision_recall", "reliability")
"""The diagrams whose points are written for `dvc plots`."""


def write_comparison(path: Path, compared: Comparison, results: Sequence[RunResult]) -> None:
    """Write the summary to `path`, and beside it what `dvc plots` shows.

    These are curves.csv and curves.png (by epoch), confusion.csv, comparison.png, and a CSV per
    diagram in CSV. intervals.json has the intervals, which are no metrics of DVC.
    """
    files.write_file(path.parent / "curves.csv", history_csv(results))
    files.write_file(path.parent / "curves.png", figures.overlay_figure(results))
    files.write_file(path.parent / "confusion.csv", curves.confusion_csv(results))
    files.write_file(path.parent / "comparison.png", figures.comparison_figure(compared))
    for name in CSV:
        table = curves.curves_csv(results, curves.DIAGRAMS[name])
        files.write_file(path.parent / f"{name}.csv", table)
    files.write_file(path.parent / "intervals.json", _json(verdict.interval_ends(compared)))
    files.write_file(path, _json(verdict.summarize_comparison(compared)))


def _json(content: object) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def comparison_page(inputs: PageInputs) -> str:
    """Return the page as HTML. Raises InputError for a file that cannot be read."""
    return html.render_template("report.html.j2", page_sections(inputs))
