"""What each section of the page shows, as plain values for its template."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from toolkit import (
    arm_reports,
    audit_sections,
    charts,
    curve_charts,
    files,
    gallery,
    manifest,
    specimens,
    tables,
    wording,
)
from toolkit.charts import Chart
from toolkit.comparison import Comparison
from toolkit.findings import Audit
from toolkit.manifest import SPLITS, Manifest
from toolkit.panels import PANELS
from toolkit.results import Result
from toolkit.scored import DIAGRAMS

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
class Inputs:
    """Everything that the page is made of; what is None or empty is left out.

    `audited` is the folder with the audit's pictures, `prepared` that with train, valid and test,
    `arms` that with a folder, the sheets and the summary of each arm, `runs` that of the
    evaluations, `probes` that with <arm>.json; `params` is the text of params.yaml.
    """

    compared: Comparison
    results: Sequence[Result]
    audit: Audit | None = None
    audited: Path | None = None
    prepared: Path | None = None
    arms: Path | None = None
    runs: Path | None = None
    probes: Path | None = None
    params: str = ""

    def recipes(self) -> dict[str, list[Result]]:
        """The results of each recipe."""
        return {
            recipe: [result for result in self.results if result.recipe == recipe]
            for recipe in self.compared.recipes
        }


def every(given: Inputs) -> dict[str, Any]:
    """The values of all sections, by the section's name."""
    return {
        "arms": {arm: f"swatch-{n}" for n, arm in enumerate(given.compared.arms)},
        "swatches": charts.swatches(given.compared.arms),
        "compared": given.compared,
        "verdict": verdict(given.compared),
        "data": data(given),
        "training": training(given),
        "networks": networks(given),
        "errors": errors(given),
        "made": made(given),
    }


def verdict(compared: Comparison) -> dict[str, Any]:
    """1. The verdict."""
    recalls = [f"recall_{name}" for name in compared.test]
    others = [metric for metric in wording.LISTED if metric not in ("gmean", "recall")]
    drawn = len(recalls) * len(compared.arms) <= MOST_RECALLS
    found = [charts.recalls(compared, recipe) for recipe in compared.recipes if drawn]
    return {
        "headline": wording.headline(compared),
        "notes": wording.notes(compared),
        "differences": charts.differences(compared),
        "gmeans": charts.gmeans(compared),
        "recalls": [chart for chart in found if chart],
        "arms": tables.arms(compared),
        "contrasts": tables.contrasts(compared),
        "others": tables.differences(compared, [*others, *recalls]),
        "image_by_image": tables.image_by_image(compared),
    }


def data(given: Inputs) -> dict[str, Any]:
    """2. The data."""
    shown, audit = given.compared.arms, given.audit
    pictures = specimens.read(given.audited) if given.audited else {}
    splits = _manifests(given.prepared, SPLITS)
    arms = _manifests(given.arms, shown)
    train = given.prepared / "train" if given.prepared else None
    probes = arm_reports.probes(given.probes, shown)
    return {
        "counts": tables.counts(splits, arms) if splits else [],
        "images": charts.images(tables.bars(arms, shown)) if arms else None,
        "samples": gallery.samples(train, splits["train"]) if train else [],
        "audited": audit is not None,
        "found": audit_sections.found(audit) if audit else [],
        "outcomes": audit_sections.outcomes(audit) if audit else [],
        "checks": audit_sections.checks(audit, pictures) if audit else [],
        "sheets": _sheets(given, ".png", "Contact sheet of the arm {}: {}"),
        "most_changed": _sheets(
            given, "-most-changed.png", "Most changed images of the arm {}: {}"
        ),
        "new": tables.new(arm_reports.summaries(given.arms, shown)),
        "probe": charts.probes(probes, shown),
        "transforms": tables.transforms(probes),
    }


def _manifests(folder: Path | None, names: Sequence[str]) -> dict[str, Manifest]:
    return {name: manifest.read(folder / name) for name in names} if folder else {}


def _sheets(given: Inputs, ending: str, words: str) -> dict[str, gallery.Picture]:
    found = arm_reports.sheets(given.arms, given.compared.arms, ending)
    beside = "parents at the left, their new images beside them"
    return {arm: gallery.sheet(path, words.format(arm, beside)) for arm, path in found.items()}


def training(given: Inputs) -> dict[str, list[Chart]]:
    """3. Curves by epoch, for each recipe that has them."""
    found = {}
    for n, (recipe, results) in enumerate(given.recipes().items()):
        known = [result for result in results if result.history]
        if known:
            found[recipe] = [
                curve_charts.training(
                    known, given.compared.arms, column, f"{label} on valid", f"{column}-{n}"
                )
                for column, label in PANELS
            ]
    return found


def networks(given: Inputs) -> dict[str, Any]:
    """4. Confusion matrices and diagrams of each recipe, and what tuning changed."""
    few = len(given.compared.test) <= MOST_WRITTEN
    recipes = given.recipes()
    return {
        "matrices": {r: tables.matrices(results) if few else [] for r, results in recipes.items()},
        "diagrams": {
            recipe: _diagrams(results, given.compared.arms, n)
            for n, (recipe, results) in enumerate(recipes.items())
        },
        "tuned": tables.tuned(given.results),
    }


def _diagrams(results: Sequence[Result], arms: Sequence[str], number: int) -> list[Chart]:
    found = [
        curve_charts.diagram(results, arms, kind, f"{name}-{number}")
        for name, kind in DIAGRAMS.items()
    ]
    return [chart for chart in found if chart]


def errors(given: Inputs) -> dict[str, dict[str, Any]]:
    """5. Mistakes and changes, for each recipe that has pictures of them."""
    found = {}
    for recipe, results in given.recipes().items():
        shown = gallery.mistakes(given.runs, results) if given.runs else {}
        test = given.prepared / "test" if given.prepared else None
        turned = gallery.changed(given.compared, results, test) if test else []
        if shown or turned:
            kinds = [(*KINDS[kind], strips) for kind, strips in shown.items() if kind in KINDS]
            found[recipe] = {"kinds": kinds, "changed": turned}
    return found


def made(given: Inputs) -> dict[str, Any]:
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
