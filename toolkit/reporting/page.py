"""The sections of the page, as plain values for its template."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from toolkit.checks import thumbnails
from toolkit.checks.findings import Audit
from toolkit.evaluation import judgment
from toolkit.evaluation.comparison import Comparison
from toolkit.evaluation.contrasts import AUC, tested_metric
from toolkit.evaluation.curves import DIAGRAMS
from toolkit.evaluation.leaderboard import leaderboard_table
from toolkit.evaluation.remedies import more_images
from toolkit.evaluation.results import RunResult, is_trained_in_folds
from toolkit.evaluation.verdict import (
    PAGE_METRICS,
    comparison_notes,
    counts_sentence,
    declared_standings,
    detectable_statement,
    format_difference,
    metric_title,
    settling_statement,
    verdict_headline,
)
from toolkit.io import files, manifest
from toolkit.io.manifest import SPLITS, Manifest
from toolkit.io.text import count_reasons, shorten
from toolkit.reporting import charts, curves, gallery, tables
from toolkit.reporting.advice import TONES, draw_learning, place_dots
from toolkit.reporting.arms import find_sheets, read_probes, read_summaries
from toolkit.reporting.audit import check_sections, class_count_table, outcome_table
from toolkit.reporting.charts import Chart
from toolkit.reporting.plots.panels import PANELS

MAX_RECALLS = 24
"""Rows up to which the recalls of all classes are drawn."""
MAX_CLASSES = 12
"""Classes up to which a confusion matrix is shown."""
PACKAGES = (
    "imbalanced-images", "torch", "torchvision", "numpy", "pillow", "matplotlib", "dvc",
)  # fmt: skip
MISTAKE_KINDS = {
    "mistake": ("Most confident mistakes", "Highest score of the predicted class first."),
    "hardest": ("Hardest images of the rare class", "Lowest score of the actual class first."),
}
"""Title and order of each kind of mistakes."""


@dataclass(frozen=True)
class PageInputs:
    """Everything that the page shows; what is None or empty is left out.

    `audited` is the folder with the audit's thumbnails, `prepared` that with train, valid and test,
    `arms` that with a folder, the sheets and the summary of each arm, `probes` that with
    <arm>.json; `params` is the text of params.yaml.
    """

    compared: Comparison
    results: Sequence[RunResult]
    audit: Audit | None = None
    audited: Path | None = None
    prepared: Path | None = None
    arms: Path | None = None
    probes: Path | None = None
    params: str = ""

    def recipes(self) -> dict[str, list[RunResult]]:
        """Return the results of each recipe."""
        return {
            recipe: [result for result in self.results if result.recipe == recipe]
            for recipe in self.compared.recipes
        }


def page_sections(inputs: PageInputs) -> dict[str, Any]:
    """Return the values of all sections by name."""
    return {
        "arms": {arm: f"swatch-{n}" for n, arm in enumerate(inputs.compared.arms)},
        "swatches": charts.swatches(inputs.compared.arms),
        "compared": inputs.compared,
        "first": first_screen(inputs.compared),
        "verdict": verdict_section(inputs.compared),
        "data": data_section(inputs),
        "training": training_section(inputs),
        "unmeasured": [
            recipe
            for recipe, results in inputs.recipes().items()
            if any(is_trained_in_folds(of.history, of.predictions) for of in results)
        ],
        "networks": network_section(inputs),
        "errors": error_section(inputs),
        "provenance": provenance_section(inputs),
    }


def verdict_section(compared: Comparison) -> dict[str, Any]:
    """Return section 1: the verdict."""
    recalls = [f"recall_{name}" for name in compared.test_images]
    tested = tested_metric(compared.metrics)
    others = [metric for metric in PAGE_METRICS if metric not in (tested, "gmean", "recall")]
    drawn = len(recalls) * len(compared.arms) <= MAX_RECALLS
    recall_charts = [charts.recall_chart(compared, r) for r in compared.recipes if drawn]
    return {
        "headline": verdict_headline(compared),
        "tested": metric_title(tested),
        "leaderboard": leaderboard_table(compared.leaderboard),
        "notes": comparison_notes(compared),
        "learning": {
            recipe: placed
            for recipe, curve in compared.learning.items()
            if (placed := draw_learning(curve))
        },
        "differences": charts.difference_chart(compared),
        "gmeans": charts.gmean_chart(compared),
        "recalls": [chart for chart in recall_charts if chart],
        "arms": tables.arm_table(compared),
        "contrasts": tables.contrast_table(compared),
        "others": tables.difference_table(compared, [*others, *recalls]),
        "mcnemar": tables.mcnemar_table(compared),
    }


def first_screen(compared: Comparison) -> dict[str, Any] | None:
    """Return what the declared contrast brings, in counts; None where nothing was declared."""
    if not (declared := declared_standings(compared)):
        return None
    primary, arm, before = declared
    area = primary.differences.get(AUC)
    curve = compared.learning.get(primary.recipe, {})
    unknown = primary.verdict == judgment.UNKNOWN
    steps = [
        more_images(curve, repr(shorten(primary.rare[0], 40))),
        f"{detectable_statement(primary)}." if unknown else "",
        *settling_statement(primary),
    ]
    return {
        "badge": primary.verdict.capitalize(),
        "tone": TONES[primary.verdict],
        "counts": counts_sentence(compared),
        "arm": arm,
        "before": before,
        "rare": shorten(primary.rare[0], 40),
        "dots": place_dots(round(arm.found), arm.rare),
        "numbers": [
            f"G-mean {arm.gmean:.3f} ({arm.low:.3f} to {arm.high:.3f})",
            format_difference(primary.tested),
            *([f"in ranking: AUC {area.arm:.3f}"] if area else []),
        ],
        "curve": draw_learning(curve),
        "steps": [step for step in steps if step],
    }


def data_section(inputs: PageInputs) -> dict[str, Any]:
    """Return section 2: the data."""
    arms, audit = inputs.compared.arms, inputs.audit
    pictures = thumbnails.read_thumbnails(inputs.audited) if inputs.audited else {}
    splits = _manifests(inputs.prepared, SPLITS)
    manifests = _manifests(inputs.arms, arms)
    train = inputs.prepared / "train" if inputs.prepared else None
    probes = read_probes(inputs.probes, arms)
    bars = tables.class_bars(manifests, arms) if manifests else []
    return {
        "counts": tables.count_table(splits, manifests) if splits else [],
        "read": audit.read if audit else "",
        "cut": tables.cut_sentences(splits["train"]) if splits else [],
        "left_out": tables.left_out_table(splits["train"]) if splits else [],
        "reasons": count_reasons(splits["train"].notes.get("left_out", [])) if splits else "",
        "images": charts.image_count_chart(bars) if bars else None,
        "samples": gallery.sample_strips(train, splits["train"]) if train else [],
        "audited": audit is not None,
        "source": class_count_table(audit) if audit else [],
        "outcomes": outcome_table(audit) if audit else [],
        "checks": check_sections(audit, pictures) if audit else [],
        "sheets": _sheets(inputs, ".png", "Contact sheet"),
        "most_changed": _sheets(inputs, "-most-changed.png", "Most changed images"),
        "new": tables.new_image_table(read_summaries(inputs.arms, arms)),
        "probe": charts.probe_chart(probes, arms),
        "transforms": tables.separation_table(probes),
    }


def _manifests(folder: Path | None, names: Sequence[str]) -> dict[str, Manifest]:
    return {name: manifest.read_manifest(folder / name) for name in names} if folder else {}


def _sheets(inputs: PageInputs, suffix: str, title: str) -> dict[str, gallery.InlineImage]:
    paths = find_sheets(inputs.arms, inputs.compared.arms, suffix)
    return {
        arm: gallery.inline_sheet(
            path, f"{title} of the arm {arm}: each original at the left, its new images beside it"
        )
        for arm, path in paths.items()
    }


def training_section(inputs: PageInputs) -> dict[str, list[Chart]]:
    """Return section 3: curves by epoch, for each recipe that has a history."""
    sections = {}
    for n, (recipe, results) in enumerate(inputs.recipes().items()):
        trained = [result for result in results if result.history]
        if trained:
            sections[recipe] = [
                curves.history_chart(trained, inputs.compared.arms, column, title, f"{column}-{n}")
                for column, title in PANELS
            ]
    return sections


def network_section(inputs: PageInputs) -> dict[str, Any]:
    """Return section 4: confusion matrices and diagrams of each recipe, and the tuning."""
    few = len(inputs.compared.test_images) <= MAX_CLASSES
    recipes = inputs.recipes()
    return {
        "matrices": {
            recipe: tables.confusion_tables(results) if few else []
            for recipe, results in recipes.items()
        },
        "diagrams": {
            recipe: _diagrams(results, inputs.compared.arms, n)
            for n, (recipe, results) in enumerate(recipes.items())
        },
        "tuned": tables.tuning_table(inputs.results),
    }


def _diagrams(results: Sequence[RunResult], arms: Sequence[str], number: int) -> list[Chart]:
    drawn = [
        curves.diagram_chart(results, arms, kind, f"{name}-{number}")
        for name, kind in DIAGRAMS.items()
    ]
    return [chart for chart in drawn if chart]


def error_section(inputs: PageInputs) -> dict[str, dict[str, Any]]:
    """Return section 5: mistakes and changes, for each recipe that has images of them."""
    sections = {}
    for recipe, results in inputs.recipes().items():
        strips = gallery.mistake_strips(results)
        test = inputs.prepared / "test" if inputs.prepared else None
        changed = gallery.change_strips(inputs.compared, results, test) if test else []
        if strips or changed:
            kinds = [
                (*titles, strips[kind]) for kind, titles in MISTAKE_KINDS.items() if kind in strips
            ]
            sections[recipe] = {"kinds": kinds, "changed": changed}
    return sections


def provenance_section(inputs: PageInputs) -> dict[str, Any]:
    """Return section 6: how the results were made."""
    folders = [inputs.prepared / split for split in SPLITS] if inputs.prepared else []
    folders += [inputs.arms / arm for arm in inputs.compared.arms] if inputs.arms else []
    hashes = [
        [f"{folder.parent.name}/{folder.name}", files.sha256(folder / manifest.TABLE)]
        for folder in folders
    ]
    return {
        "params": inputs.params,
        "hashes": [["folder", "sha256 of its manifest"], *hashes] if hashes else [],
        "versions": [["package", "version"], *_versions()],
    }


def _versions() -> list[list[str]]:
    return [["Python", platform.python_version()], *([name, _version(name)] for name in PACKAGES)]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
