"""The page's tables as rows of text, a header first; nothing is computed but sums of counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from toolkit.evaluation.comparison import Comparison
from toolkit.evaluation.contrasts import ArmEstimate, Contrast
from toolkit.evaluation.results import RunResult
from toolkit.io.manifest import Manifest
from toolkit.metrics.confusion import matrix_of
from toolkit.reporting import verdict
from toolkit.reporting.arms import Probes, TransformSummary
from toolkit.reporting.plots.forest import MINUS, signed_number
from toolkit.reporting.plots.panels import Bar, Style
from toolkit.reporting.plots.style import arm_styles, tint

Table = list[list[str]]
# --- the verdict ------------------------------------------------------------------------------


def arm_table(compared: Comparison) -> Table:
    """Every arm's means with their intervals, and how much the seeds differ."""
    shown = [metric for metric in verdict.LISTED if metric in compared.metrics]
    names = [verdict.metric_title(metric, compared.positive) for metric in shown]
    header = ["recipe", "arm", "seeds", *names, "G-mean, SD over seeds"]
    return [header, *([row.recipe, row.arm, *_means(row, shown)] for row in compared.estimates)]


def _means(row: ArmEstimate, shown: Sequence[str]) -> list[str]:
    ends = {metric: row.intervals[metric] for metric in shown}
    cells = [f"{row.mean(m):.3f} ({low:.3f} to {high:.3f})" for m, (low, high) in ends.items()]
    spread = row.std("gmean")
    return [str(len(row.seeds)), *cells, "" if spread is None else f"{spread:.3f}"]


def contrast_table(compared: Comparison) -> Table:
    """Every contrast's difference of G-mean with all that was said of it."""
    header = ["recipe", "arms", "verdict", "G-mean", "95 % interval", "p alone", "p corrected"]
    return [[*header, "detectable"], *(_contrast(contrast) for contrast in compared.contrasts)]


def _contrast(of: Contrast) -> list[str]:
    found = of.differences["gmean"]
    ends = f"{signed_number(found.low)} to {signed_number(found.high)}"
    ps = [verdict.chance(found.p), verdict.chance(of.p_holm)]
    size = f"{of.detectable:.3f}" if of.detectable < 1 else "none"
    return [of.recipe, pair_table(of), of.verdict, signed_number(found.value), ends, *ps, size]


def pair_table(of: Contrast) -> str:
    """Which arm is set against which."""
    return f"{of.arm} {MINUS} {of.against}"


def difference_table(compared: Comparison, metrics: Sequence[str]) -> Table:
    """Every contrast's differences of these metrics, where they were compared."""
    shown = [metric for metric in metrics if metric in compared.metrics]
    header = [
        "recipe",
        "arms",
        *(verdict.metric_title(metric, compared.positive) for metric in shown),
    ]
    return [
        header,
        *([of.recipe, pair_table(of), *_changes(of, shown)] for of in compared.contrasts),
    ]


def _changes(of: Contrast, shown: Sequence[str]) -> list[str]:
    found = [of.differences[metric] for metric in shown]
    return [
        f"{signed_number(d.value)} ({signed_number(d.low)} to {signed_number(d.high)})"
        for d in found
    ]


def image_by_image(compared: Comparison) -> Table:
    """McNemar's test of each pair of runs with the same seed."""
    header = ["recipe", "arms", "pair of runs", "only the first right", "only the second", "p"]
    return [header] + [
        [of.recipe, pair_table(of), str(n), str(m.only_arm), str(m.only_other), verdict.chance(m.p)]
        for of in compared.contrasts
        for n, m in enumerate(of.mcnemar, start=1)
    ]


# --- the data ---------------------------------------------------------------------------------


def count_table(splits: Mapping[str, Manifest], arms: Mapping[str, Manifest]) -> Table:
    """Images of each class in each split, and those that each arm trains on."""
    classes = next(iter(splits.values())).classes
    body = [[split, *map(str, of.counts().values())] for split, of in splits.items()]
    for arm, of in arms.items():
        new = new_images(of)
        cells = [f"{n - new[name]} + {new[name]} new" for name, n in of.counts().items()]
        if any(new.values()):
            body.append([f"train, {arm}", *cells])
    return [["images", *classes], *body]


def new_images(of: Manifest) -> dict[str, int]:
    """Derived images of each class."""
    derived = [sample.label for sample in of.samples if sample.derived]
    return {name: derived.count(name) for name in of.classes}


def class_bars(arms: Mapping[str, Manifest], shown: Sequence[str]) -> list[Bar]:
    """Images to train on of each class and arm; one bar where all arms have the same originals."""
    classes = next(iter(arms.values())).classes
    return [bar for name in classes for bar in _bars(arms, arm_styles(shown), name)]


def _bars(arms: Mapping[str, Manifest], styles: Mapping[str, Style], name: str) -> list[Bar]:
    new = {arm: new_images(of)[name] for arm, of in arms.items()}
    old = {arm: of.counts()[name] - new[arm] for arm, of in arms.items()}
    if not any(new.values()) and len(set(old.values())) == 1:
        return [Bar(name, "every arm", next(iter(old.values())), 0, {"color": tint("grey")})]
    return [Bar(name, arm, old[arm], new[arm], styles[arm]) for arm in arms]


def transform_table(found: Probes) -> Table:
    """What the probes say of each transform; a header alone where there are none."""
    body = [
        [arm, name.replace("_", " "), f"{auc:.3f} ({low:.3f} to {high:.3f})"]
        for arm, parts in found.items()
        for name, (auc, low, high) in parts.items()
        if name != "all"
    ]
    return [["arm", "transform", "area under the curve"], *body]


def new_image_table(found: Mapping[str, Mapping[str, TransformSummary]]) -> Table:
    """How many new images each transform made, and how new they are; a header alone for none."""
    header = ["arm", "transform", "new images", "equal to their original", "near-copies"]
    body = [
        [arm, name.replace("_", " "), str(part.new), *_shares(part), f"{part.change:.1f}"]
        for arm, parts in found.items()
        for name, part in parts.items()
    ]
    return [[*header, "mean change, grey levels"], *body]


def _shares(part: TransformSummary) -> list[str]:
    copies = (part.identical, part.near_copies)
    return [f"{n} ({100 * n / part.new:.0f} %)" for n in copies]


# --- the networks -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """Images of one actual and one predicted class: how many, their share of the row in tenths."""

    count: int
    share: str
    level: int
    right: bool


@dataclass(frozen=True)
class MatrixTable:
    """An arm's confusion matrix, rows actual; its runs' counts are added up."""

    arm: str
    runs: int
    classes: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def confusion_tables(results: Sequence[RunResult]) -> list[MatrixTable]:
    """A confusion matrix for each arm of one recipe."""
    arms = dict.fromkeys(result.arm for result in results)
    return [_matrix(arm, [result for result in results if result.arm == arm]) for arm in arms]


def _matrix(arm: str, runs: Sequence[RunResult]) -> MatrixTable:
    total = sum(matrix_of(run.predictions) for run in runs[1:]) + matrix_of(runs[0].predictions)
    shares = total / total.sum(axis=1, keepdims=True).clip(1)
    rows = tuple(
        tuple(
            Cell(int(n), f"{share:.1%}", round(10 * float(share)), row == column)
            for column, (n, share) in enumerate(zip(total[row], shares[row], strict=True))
        )
        for row in range(len(total))
    )
    return MatrixTable(arm, len(runs), runs[0].predictions.classes, rows)


TUNED = {
    "threshold": "threshold",
    "gmean": "G-mean at 0.5",
    "threshold_gmean": "at the threshold",
    "temperature": "temperature",
    "ece": "ECE",
    "calibrated_ece": "ECE calibrated",
    "prior_ece": "ECE prior-corrected",
    "brier": "Brier",
    "calibrated_brier": "Brier calibrated",
    "prior_brier": "Brier prior-corrected",
}
"""What tuning on valid changed on test: metric -> column."""


def tuned_table(results: Sequence[RunResult]) -> Table:
    """Threshold, calibration and prior correction, run by run; empty where nothing was tuned."""
    found = [name for name in TUNED if any(name in result.metrics for result in results)]
    if not {"threshold", "temperature"} & set(found):
        return []
    body = [[r.recipe, r.arm, str(r.seed), *_numbers(r, found)] for r in results]
    return [["recipe", "arm", "seed", *(TUNED[name] for name in found)], *body]


def _numbers(result: RunResult, names: Sequence[str]) -> list[str]:
    return [f"{result.metrics[n]:.3f}" if n in result.metrics else "" for n in names]
