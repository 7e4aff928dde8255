"""The files of a comparison, and the page; computes no result of its own."""

import json
from collections.abc import Sequence
from pathlib import Path

from toolkit import files, html_page, plots, scored, sections, wording
from toolkit.comparison import Comparison
from toolkit.results import Result, curves
from toolkit.sections import Inputs

CSV = ("roc", "precision_recall", "reliability")
"""The diagrams whose points are written for `dvc plots`."""


def write_comparison(path: Path, compared: Comparison, results: Sequence[Result]) -> None:
    """Write the summary to `path`, and beside it what `dvc plots` shows.

    curves.csv and curves.png (by epoch), comparison.png, and a CSV for each diagram of CSV.
    """
    summary = json.dumps(wording.summary(compared), indent=2, ensure_ascii=False, allow_nan=False)
    files.write(path.parent / "curves.csv", curves(results))
    files.write(path.parent / "curves.png", plots.overlay(results))
    files.write(path.parent / "comparison.png", plots.comparison(compared))
    for name in CSV:
        files.write(path.parent / f"{name}.csv", scored.table(results, scored.DIAGRAMS[name]))
    files.write(path, summary + "\n")


# --- the page ---------------------------------------------------------------------------------


def page(given: Inputs) -> str:
    """The page as HTML (see `html_page`). Raises InputError for what cannot be read."""
    return html_page.render("report.html.j2", sections.every(given))
