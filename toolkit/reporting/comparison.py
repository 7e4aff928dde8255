"""The files of a comparison, and the page; computes no result of its own."""

import json
from collections.abc import Sequence
from pathlib import Path

from toolkit.evaluation import curves
from toolkit.evaluation.comparison import Comparison
from toolkit.evaluation.results import RunResult, history_csv
from toolkit.io import files
from toolkit.reporting import html, verdict
from toolkit.reporting.page import PageInputs, page_sections
from toolkit.reporting.plots import figures

CSV = ("roc", "precision_recall", "reliability")
"""The diagrams whose points are written for `dvc plots`."""


def write_comparison(path: Path, compared: Comparison, results: Sequence[RunResult]) -> None:
    """Write the summary to `path`, and beside it what `dvc plots` shows.

    curves.csv and curves.png (by epoch), comparison.png, and a CSV for each diagram of CSV.
    """
    summary = json.dumps(
        verdict.summarize_comparison(compared), indent=2, ensure_ascii=False, allow_nan=False
    )
    files.write_file(path.parent / "curves.csv", history_csv(results))
    files.write_file(path.parent / "curves.png", figures.overlay_figure(results))
    files.write_file(path.parent / "comparison.png", figures.comparison_figure(compared))
    for name in CSV:
        files.write_file(
            path.parent / f"{name}.csv", curves.curves_csv(results, curves.DIAGRAMS[name])
        )
    files.write_file(path, summary + "\n")


# --- the page ---------------------------------------------------------------------------------


def comparison_page(given: PageInputs) -> str:
    """The page as HTML (see `html_page`). Raises InputError for what cannot be read."""
    return html.render_template("report.html.j2", page_sections(given))
