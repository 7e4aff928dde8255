"""The sections of the page, as plain values for its template."""

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from toolkit.checks import thumbnails
from toolkit.checks.findings import Audit
from toolkit.evaluation import advice, leaderboard
from toolkit.evaluation.comparison import Comparison
from toolkit.evaluation.contrasts import AUC, tested_metric
from toolkit.evaluation.curves import DIAGRAMS
from toolkit.evaluation.leaderboard import Standing
from toolkit.evaluation.remedies import ErrorCounts, ErrorImage, more_images
from toolkit.evaluation.results import RunResult, is_trained_in_folds
from toolkit.evaluation.verdict import (
    PAGE_METRICS,
    comparison_notes,
    counts_sentence,
    metric_title,
    verdict_headline,
)
from toolkit.io import files, images, manifest
from toolkit.io.manifest import SPLITS, Manifest
from toolkit.io.samples import map_samples
from toolkit.io.text import count_reasons, shorten
from toolkit.reporting import charts, curves, gallery, tables
from toolkit.reporting.advice import (
    TONES,
    ErrorStrip,
    draw_learning,
    draw_rails,
    error_lines,
    error_strips,
    place_dots,
    places_to_look,
)
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

    `audited` is the folder with the audit's thumbnails, `raw` that with the images as they came,
    `prepared` that with train, valid and test, `arms` that with a folder, the sheets and the
    summary of each arm, `probes` that with <arm>.json; `params` is the text of params.yaml.
    """

    compared: Comparison
    results: Sequence[RunResult]
    audit: Audit | None = None
    audited: Path | None = None
    raw: Path | None = None
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
    compared = inputs.compared
    errors = advice.taken_errors(compared, inputs.results)
    photos = photo_strips(inputs, errors)
    return {
        "arms": {arm: f"swatch-{n}" for n, arm in enumerate(inputs.compared.arms)},
        "swatches": charts.swatches(inputs.compared.arms),
        "compared": inputs.compared,
        "first": first_screen(compared),
        "looks": places_to_look(
            errors if photos else None, advice.rare_class(compared), inputs.audit
        ),
        "weighted": [recipe for recipe, runs in inputs.recipes().items() if runs[0].fixed],
        "rows": remedy_rows(compared),
        "photos": photos,
        "verdict": verdict_section(compared),
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
    shown = [advice.remedy_curve(compared)] if compared.contrasts else []
    rare = repr(shorten(advice.rare_class(compared), 40))
    return {
        "headline": verdict_headline(compared, whole=False),
        "counts": counts_sentence(compared),
        "tested": metric_title(tested),
        "notes": comparison_notes(compared, more=False),
        "learning": {
            recipe: placed | {"gain": more_images(curve, rare)}
            for recipe, curve in compared.learning.items()
            if curve not in shown and (placed := draw_learning(curve))
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
    """Return which remedy to take and what it brings; None where there is nothing to compare."""
    if not (compared.contrasts and compared.leaderboard):
        return None
    taken, own = advice.taken_standing(compared), advice.taken_contrast(compared)
    primary = [contrast for contrast in compared.contrasts if contrast.primary]
    said = advice.remedy_sentences(compared)
    return {
        "badge": advice.remedy_badge(compared),
        "tone": TONES[own.verdict if own else ""],
        "headline": advice.remedy_headline(compared),
        "lead": said[1] if taken else "",
        "declared": [line for one in primary for line in advice.declared_sentences(one)],
        "taken": taken,
        "before": advice.nothing_standing(compared, taken) if taken else None,
        "rare": shorten(advice.rare_class(compared), 40),
        "dots": place_dots(round(taken.found), taken.rare) if taken else None,
        "runs": _number_of_runs(compared, taken),
        "numbers": list(_numbers_of(compared, taken)) if taken else [],
        "curve": draw_learning(advice.remedy_curve(compared)),
        "steps": advice.remedy_steps(compared),
    }


def _number_of_runs(compared: Comparison, taken: Standing | None) -> str:
    """Say that counts are means of several runs, where they are."""
    rows = (of for of in compared.estimates if taken and of.recipe == taken.recipe)
    runs = next((len(of.seeds) for of in rows if taken and of.arm == taken.arm), 1)
    return f", mean of {runs} runs" if runs > 1 else ""


def _numbers_of(compared: Comparison, taken: Standing) -> Iterator[str]:
    yield f"G-mean {taken.gmean:.3f} ({taken.low:.3f} to {taken.high:.3f})"
    yield f"best of {len(compared.leaderboard)} with a probability of {taken.best:.0%}"
    row = next(r for r in compared.estimates if (r.recipe, r.arm) == (taken.recipe, taken.arm))
    if AUC in row.values:
        yield f"in ranking: AUC {row.mean(AUC):.3f}"


def remedy_rows(compared: Comparison) -> list[dict[str, Any]]:
    """Return the leaderboard as rows of the table of remedies.

    Without seconds: the page would not have the same bytes each time.
    """
    standings, taken = compared.leaderboard, advice.taken_standing(compared)
    rails = draw_rails([(of.gmean, (of.low, of.high)) for of in standings]) if standings else []
    verdicts = {(of.recipe, of.arm): of.verdict for of in compared.against(compared.baseline)}
    several = len(compared.recipes) > 1
    columns = [{"best": f"{of.best:.0%}"} for of in standings]
    if any(of.network_mb is not None for of in standings):
        for column, of in zip(columns, standings, strict=True):
            column["MB"] = "" if of.network_mb is None else f"{of.network_mb:.3g}"
    return [
        {
            "title": of.title,
            "recipe": of.recipe if several else "",
            "tags": list(_tags_of(compared, of, taken)),
            "chosen": of == taken,
            "tone": TONES[verdicts.get((of.recipe, of.arm), "")],
            "verdict": verdicts.get((of.recipe, of.arm), "baseline"),
            "rail": rail,
            "found": round(of.found),
            "rare": of.rare,
            "alarms": round(of.alarms),
            "more": more,
        }
        for of, rail, more in zip(standings, rails, columns, strict=True)
    ]


def _tags_of(compared: Comparison, of: Standing, taken: Standing | None) -> Iterator[str]:
    if of == taken:
        yield "take this"
    if of.title == leaderboard.COPIES:
        yield "control"
    if compared.primary and (of.recipe, of.arm) == compared.primary[:2]:
        yield "declared"


def photo_strips(inputs: PageInputs, errors: ErrorCounts | None) -> list[ErrorStrip]:
    """Return the test images that the remedy to take gets wrong; none without the images."""
    if errors is None or inputs.prepared is None:
        return []
    folder = inputs.prepared / "test"
    samples = manifest.read_manifest(folder).by_id
    raw = manifest.read_manifest(inputs.raw).samples if inputs.raw else ()
    names = {manifest.prepared_stem(sample): sample.path for sample in raw}

    def show(some: Sequence[ErrorImage]) -> Iterator[gallery.InlineImage]:
        known = [(image, samples[image.id]) for image in some if image.id in samples]
        decoded = map_samples(folder, [sample for _, sample in known], images.decode)
        for (image, sample), pixels in zip(known, decoded, strict=True):
            name = names.get(Path(sample.path).stem, sample.path)
            lines = error_lines(name, image)
            yield gallery.inline_squares(pixels, f"{sample.label}: {', '.join(lines)}", lines)

    return error_strips(errors, advice.rare_class(inputs.compared), show)


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
        trained = [result for result in results if result.history and not result.fixed]
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
        "tuned_on": _tuned_on(inputs.results),
    }


def _tuned_on(results: Sequence[RunResult]) -> str:
    """Name the images that thresholds and temperatures were chosen on."""
    divided = {result.predictions.folds is not None for result in results}
    names = {False: "validation images", True: "the other folds"}
    return " or ".join(names[folds] for folds in sorted(divided))


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
