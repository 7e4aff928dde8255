"""What each section of the page shows, as plain values for its template."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from toolkit.checks import thumbnails
from toolkit.checks.findings import Audit
from toolkit.evaluation.comparison import Comparison
from toolkit.evaluation.curves import DIAGRAMS
from toolkit.evaluation.results import RunResult
from toolkit.io import files, manifest
from toolkit.io.manifest import SPLITS, Manifest
from toolkit.reporting import charts, curves, gallery, tables
from toolkit.reporting.arms import read_probes, read_sheets, read_summaries
from toolkit.reporting.audit import check_sections, finding_summary, outcomes
from toolkit.reporting.charts import Chart
from toolkit.reporting.plots.panels import PANELS
from toolkit.reporting.verdict import LISTED, comparison_notes, verdict_headline

MOST_RECALLS = 24
"""Rows up to which the recalls of all classes are drawn."""
MOST_WRITTEN = 12
"""Classes up to which a confusion matrix is shown."""
PACKAGES = (
    "imbalanced-images", "torch", "torchvision", "numpy", "pillow", "matplotlib", "dvc",
)  # fmt: skip
KINDS = {
    "mistake": ("The most confident mistakes", "Wrong, and sure of it: highest score first."),
    "hardest": ("The hardest images of the rare class", "Lowest score of the right class first."),
}


@dataclass(frozen=True)
class PageInputs:
    """Everything that the page is made of; what is None or empty is left out.

    `audited` is the folder with the audit's pictures, `prepared` that with train, valid and test,
    `arms` that with a folder, the sheets and the summary of each arm, `runs` that of the
    evaluations, `probes` that with <arm>.json; `params` is the text of params.yaml.
    """

    compared: Comparison
    results: Sequence[RunResult]
    audit: Audit | None = None
    audited: Path | None = None
    prepared: Path | None = None
    arms: Path | None = None
    runs: Path | None = None
    probes: Path | None = None
    params: str = ""

    def recipes(self) -> dict[str, list[RunResult]]:
        """The results of each recipe."""
        return {
            recipe: [result for result in self.results if result.recipe == recipe]
            for recipe in self.compared.recipes
        }


def page_sections(given: PageInputs) -> dict[str, Any]:
    """The values of all sections, by the section's name."""
    return {
        "arms": {arm: f"swatch-{n}" for n, arm in enumerate(given.compared.arms)},
        "swatches": charts.swatches(given.compared.arms),
        "compared": given.compared,
        "verdict": verdict_section(given.compared),
        "data": data_section(given),
        "training": training_section(given),
        "networks": network_section(given),
        "errors": error_section(given),
        "made": provenance_section(given),
    }


def verdict_section(compared: Comparison) -> dict[str, Any]:
    """1. The verdict."""
    recalls = [f"recall_{name}" for name in compared.test_images]
    others = [metric for metric in LISTED if metric not in ("gmean", "recall")]
    drawn = len(recalls) * len(compared.arms) <= MOST_RECALLS
    found = [charts.recall_chart(compared, recipe) for recipe in compared.recipes if drawn]
    return {
        "headline": verdict_headline(compared),
        "notes": comparison_notes(compared),
        "differences": charts.difference_chart(compared),
        "gmeans": charts.gmean_chart(compared),
        "recalls": [chart for chart in found if chart],
        "arms": tables.arm_table(compared),
        "contrasts": tables.contrast_table(compared),
        "others": tables.difference_table(compared, [*others, *recalls]),
        "image_by_image": tables.image_by_image(compared),
    }


def data_section(given: PageInputs) -> dict[str, Any]:
    """2. The data."""
    shown, audit = given.compared.arms, given.audit
    pictures = thumbnails.read_thumbnails(given.audited) if given.audited else {}
    splits = _manifests(given.prepared, SPLITS)
    arms = _manifests(given.arms, shown)
    train = given.prepared / "train" if given.prepared else None
    probes = read_probes(given.probes, shown)
    return {
        "counts": tables.count_table(splits, arms) if splits else [],
        "images": charts.image_count_chart(tables.class_bars(arms, shown)) if arms else None,
        "samples": gallery.sample_strips(train, splits["train"]) if train else [],
        "audited": audit is not None,
        "found": finding_summary(audit) if audit else [],
        "outcomes": outcomes(audit) if audit else [],
        "checks": check_sections(audit, pictures) if audit else [],
        "sheets": _sheets(given, ".png", "Contact sheet of the arm {}: {}"),
        "most_changed": _sheets(
            given, "-most-changed.png", "Most changed images of the arm {}: {}"
        ),
        "new": tables.new_image_table(read_summaries(given.arms, shown)),
        "probe": charts.probe_chart(probes, shown),
        "transforms": tables.transform_table(probes),
    }


def _manifests(folder: Path | None, names: Sequence[str]) -> dict[str, Manifest]:
    return {name: manifest.read_manifest(folder / name) for name in names} if folder else {}


def _sheets(given: PageInputs, ending: str, words: str) -> dict[str, gallery.InlineImage]:
    found = read_sheets(given.arms, given.compared.arms, ending)
    beside = "parents at the left, their new images beside them"
    return {
        arm: gallery.inline_sheet(path, words.format(arm, beside)) for arm, path in found.items()
    }


def training_section(given: PageInputs) -> dict[str, list[Chart]]:
    """3. Curves by epoch, for each recipe that has them."""
    found = {}
    for n, (recipe, results) in enumerate(given.recipes().items()):
        known = [result for result in results if result.history]
        if known:
            found[recipe] = [
                curves.history_chart(
                    known, given.compared.arms, column, f"{label} on valid", f"{column}-{n}"
                )
                for column, label in PANELS
            ]
    return found


def network_section(given: PageInputs) -> dict[str, Any]:
    """4. Confusion matrices and diagrams of each recipe, and what tuning changed."""
    few = len(given.compared.test_images) <= MOST_WRITTEN
    recipes = given.recipes()
    return {
        "matrices": {
            r: tables.confusion_tables(results) if few else [] for r, results in recipes.items()
        },
        "diagrams": {
            recipe: _diagrams(results, given.compared.arms, n)
            for n, (recipe, results) in enumerate(recipes.items())
        },
        "tuned": tables.tuned_table(given.results),
    }


def _diagrams(results: Sequence[RunResult], arms: Sequence[str], number: int) -> list[Chart]:
    found = [
        curves.diagram_chart(results, arms, kind, f"{name}-{number}")
        for name, kind in DIAGRAMS.items()
    ]
    return [chart for chart in found if chart]


def error_section(given: PageInputs) -> dict[str, dict[str, Any]]:
    """5. Mistakes and changes, for each recipe that has pictures of them."""
    found = {}
    for recipe, results in given.recipes().items():
        shown = gallery.mistake_strips(given.runs, results) if given.runs else {}
        test = given.prepared / "test" if given.prepared else None
        turned = gallery.changed(given.compared, results, test) if test else []
        if shown or turned:
            kinds = [(*KINDS[kind], strips) for kind, strips in shown.items() if kind in KINDS]
            found[recipe] = {"kinds": kinds, "changed": turned}
    return found


def provenance_section(given: PageInputs) -> dict[str, Any]:
    """6. How it was made."""
    folders = [given.prepared / split for split in SPLITS] if given.prepared else []
    folders += [given.arms / arm for arm in given.compared.arms] if given.arms else []
    hashes = [
        [f"{folder.parent.name}/{folder.name}", files.sha256(folder / manifest.TABLE)]
        for folder in folders
    ]
    return {
        "params": given.params,
        "hashes": [["folder", "sha256 of its manifest"], *hashes] if hashes else [],
        "versions": [["package", "version"], *_versions()],
    }


def _versions() -> list[list[str]]:
    own = [[name, _version(name)] for name in PACKAGES]
    return [["Python", platform.python_version()], *own]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
