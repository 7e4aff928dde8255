"""The tables of the page as rows of text, header first; only counts are summed here."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from toolkit.evaluation import verdict
from toolkit.evaluation.comparison import Comparison
from toolkit.evaluation.contrasts import ArmEstimate, Contrast, tested_metric
from toolkit.evaluation.results import RunResult
from toolkit.io.manifest import Manifest
from toolkit.metrics.confusion import matrix_of, normalize_rows
from toolkit.reporting.arms import Probes, TransformSummary
from toolkit.reporting.plots.forest import MINUS, format_signed
from toolkit.reporting.plots.panels import Bar, Style
from toolkit.reporting.plots.style import arm_styles, hex_color

Table = list[list[str]]
MOST_LEFT_OUT = 100
"""Rows of the table of files that are left out."""

# --- the verdict ------------------------------------------------------------------------------


def arm_table(compared: Comparison) -> Table:
    """Return the means of every arm with their intervals, and the spread over its seeds."""
    metrics = [metric for metric in verdict.PAGE_METRICS if metric in compared.metrics]
    names = [verdict.metric_title(metric, compared.positive) for metric in metrics]
    header = ["recipe", "arm", "seeds", *names, "SD over seeds"]
    return [header, *([row.recipe, row.arm, *_means(row, metrics)] for row in compared.estimates)]


def _means(row: ArmEstimate, metrics: Sequence[str]) -> list[str]:
    ends = {metric: row.intervals[metric] for metric in metrics}
    cells = [f"{row.mean(m):.3f} ({low:.3f} to {high:.3f})" for m, (low, high) in ends.items()]
    spread = row.std(row.metric)
    return [str(len(row.seeds)), *cells, "" if spread is None else f"{spread:.3f}"]


def contrast_table(compared: Comparison) -> Table:
    """Return both statements on every contrast: the ranking and its tests, and as predicted."""
    ranking = [verdict.metric_title(tested_metric(compared.metrics)), "95% interval"]
    header = ["recipe", "arms", "role", "verdict", *ranking, "p", "p, corrected", "detectable"]
    return [
        [*header, "verdict at .5", "G-mean at .5", "interval at .5"],
        *(_contrast(contrast) for contrast in compared.contrasts),
    ]


def _contrast(of: Contrast) -> list[str]:
    value, low, high = _signed(of, of.metric)
    plain, plain_low, plain_high = _signed(of, "gmean")
    ps = [verdict.format_p(of.tested.p), verdict.format_p(of.p)]
    size = f"{of.detectable:.3f}" if math.isfinite(of.detectable) else "none"
    role = "primary" if of.primary else "exploratory"
    return [
        *(of.recipe, arm_pair(of), role, of.verdict, value, f"{low} to {high}", *ps, size),
        *(of.verdict_as_predicted, plain, f"{plain_low} to {plain_high}"),
    ]


def _signed(of: Contrast, metric: str) -> tuple[str, str, str]:
    """Format the difference in a metric, and the ends of its interval."""
    difference = of.differences[metric]
    value, low, high = map(format_signed, (difference.value, difference.low, difference.high))
    return value, low, high


def arm_pair(of: Contrast) -> str:
    """Name the two arms of a contrast."""
    return f"{of.arm} {MINUS} {of.against}"


def difference_table(compared: Comparison, metrics: Sequence[str]) -> Table:
    """Return the differences of every contrast in those of the metrics that were compared."""
    metrics = [metric for metric in metrics if metric in compared.metrics]
    titles = [verdict.metric_title(metric, compared.positive) for metric in metrics]
    return [
        ["recipe", "arms", *titles],
        *([of.recipe, arm_pair(of), *_differences(of, metrics)] for of in compared.contrasts),
    ]


def _differences(of: Contrast, metrics: Sequence[str]) -> list[str]:
    signed = (_signed(of, metric) for metric in metrics)
    return [f"{value} ({low} to {high})" for value, low, high in signed]


def mcnemar_table(compared: Comparison) -> Table:
    """Return McNemar's test of each pair of runs with the same seed."""
    header = ["recipe", "arms", "pair", "only first correct", "only second correct", "p"]
    return [header] + [
        [of.recipe, arm_pair(of), str(n), str(m.only_arm), str(m.only_other), verdict.format_p(m.p)]
        for of in compared.contrasts
        for n, m in enumerate(of.mcnemar, start=1)
    ]


# --- the data ---------------------------------------------------------------------------------


def count_table(splits: Mapping[str, Manifest], arms: Mapping[str, Manifest]) -> Table:
    """Count the images per class in each split, and in the training set of each arm."""
    classes = next(iter(splits.values())).classes
    body = [
        [f"{split}, by folds" if of.divisions else split, *map(str, of.counts().values())]
        for split, of in splits.items()
    ]
    for arm, of in arms.items():
        new = derived_counts(of)
        cells = [f"{n - new[name]} + {new[name]} new" for name, n in of.counts().items()]
        if any(new.values()):
            body.append([f"train, {arm}", *cells])
    return [["images", *classes], *body]


def cut_sentences(train: Manifest) -> list[str]:
    """Return what `prepare` said about images of the source's train that lie in other splits."""
    said = train.notes.get("cut", ())
    return [str(line) for line in said] if isinstance(said, list) else []


def left_out_table(train: Manifest) -> Table:
    """List the files that `prepare` left out of all splits, MOST_LEFT_OUT at most, and why."""
    files = train.notes.get("left_out", ())
    more = len(files) - MOST_LEFT_OUT
    rows = [[file["path"], file["reason"]] for file in files[:MOST_LEFT_OUT]]
    last = [[f"{more} more", "listed in data/prepared/train/manifest.json"]] if more > 0 else []
    return [["file", "reason"], *rows, *last] if rows else []


def derived_counts(manifest: Manifest) -> dict[str, int]:
    """Count the derived images of each class."""
    labels = [sample.label for sample in manifest.samples if sample.derived]
    return {name: labels.count(name) for name in manifest.classes}


def class_bars(manifests: Mapping[str, Manifest], arms: Sequence[str]) -> list[Bar]:
    """Return the training images per class and arm; one bar if all arms have the same originals."""
    classes = next(iter(manifests.values())).classes
    return [bar for name in classes for bar in _bars(manifests, arm_styles(arms), name)]


def _bars(manifests: Mapping[str, Manifest], styles: Mapping[str, Style], name: str) -> list[Bar]:
    new = {arm: derived_counts(of)[name] for arm, of in manifests.items()}
    old = {arm: of.counts()[name] - new[arm] for arm, of in manifests.items()}
    if not any(new.values()) and len(set(old.values())) == 1:
        return [Bar(name, "all arms", next(iter(old.values())), 0, {"color": hex_color("gray")})]
    return [Bar(name, arm, old[arm], new[arm], styles[arm]) for arm in manifests]


def separation_table(probes: Probes) -> Table:
    """Return the AUC of the probes by transform; only a header if there are none."""
    body = [
        [arm, name.replace("_", " "), f"{auc:.3f} ({low:.3f} to {high:.3f})"]
        for arm, parts in probes.items()
        for name, (auc, low, high) in parts.items()
        if name != "all"
    ]
    return [["arm", "transform", "AUC"], *body]


def new_image_table(summaries: Mapping[str, Mapping[str, TransformSummary]]) -> Table:
    """Count the new images by transform, and their duplicates; only a header if there are none."""
    header = ["arm", "transform", "new images", "identical to original", "near-duplicates"]
    body = [
        [arm, name.replace("_", " "), str(part.new), *_duplicates(part), f"{part.change:.1f}"]
        for arm, parts in summaries.items()
        for name, part in parts.items()
    ]
    return [[*header, "mean change, gray levels"], *body]


def _duplicates(part: TransformSummary) -> list[str]:
    return [f"{n} ({n / part.new:.0%})" for n in (part.identical, part.near_duplicates)]


# --- the networks -----------------------------------------------------------------------------


@dataclass(frozen=True)
class MatrixCell:
    """Images of one actual and one predicted class, and their fraction of the row.

    `level` is that fraction in tenths, `correct` whether the classes are the same.
    """

    count: int
    fraction: str
    level: int
    correct: bool


@dataclass(frozen=True)
class MatrixTable:
    """The confusion matrix of an arm, rows actual, with the counts of its runs added up."""

    arm: str
    runs: int
    classes: tuple[str, ...]
    rows: tuple[tuple[MatrixCell, ...], ...]


def confusion_tables(results: Sequence[RunResult]) -> list[MatrixTable]:
    """Return the confusion matrix of each arm of one recipe."""
    arms = dict.fromkeys(result.arm for result in results)
    return [_matrix(arm, [result for result in results if result.arm == arm]) for arm in arms]


def _matrix(arm: str, runs: Sequence[RunResult]) -> MatrixTable:
    total = sum((matrix_of(run.predictions) for run in runs[1:]), matrix_of(runs[0].predictions))
    fractions = normalize_rows(total)
    rows = tuple(
        tuple(
            MatrixCell(int(n), f"{of:.1%}", round(10 * float(of)), row == column)
            for column, (n, of) in enumerate(zip(total[row], fractions[row], strict=True))
        )
        for row in range(len(total))
    )
    return MatrixTable(arm, len(runs), runs[0].predictions.classes, rows)


TUNED = {
    "threshold": "threshold",
    "gmean": "G-mean as predicted",
    "threshold_gmean": "G-mean at threshold",
    "temperature": "temperature",
    "ece": "ECE",
    "calibrated_ece": "ECE, calibrated",
    "prior_ece": "ECE, prior-corrected",
    "brier": "Brier",
    "calibrated_brier": "Brier, calibrated",
    "prior_brier": "Brier, prior-corrected",
}
"""Metrics before and after tuning on the validation images, and their columns."""


def tuning_table(results: Sequence[RunResult]) -> Table:
    """Return what threshold, calibration and prior correction change per run; empty if untuned."""
    metrics = [name for name in TUNED if any(name in result.metrics for result in results)]
    if not {"threshold", "temperature"} & set(metrics):
        return []
    body = [[r.recipe, r.arm, str(r.seed), *_numbers(r, metrics)] for r in results]
    return [["recipe", "arm", "seed", *(TUNED[name] for name in metrics)], *body]


def _numbers(result: RunResult, names: Sequence[str]) -> list[str]:
    return [f"{result.metrics[n]:.3f}" if n in result.metrics else "" for n in names]
