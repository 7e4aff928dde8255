"""A comparison as sentences, a table of texts, and the scalars of summary.json."""

from collections.abc import Sequence

from toolkit.evaluation.comparison import Comparison
from toolkit.evaluation.contrasts import BETTER, INCONCLUSIVE, TESTED, WORSE, ArmEstimate, Contrast
from toolkit.metrics.significance import Difference

SHOWN = (TESTED, "accuracy", "recall")
"""What stands in the printed table, where it was compared."""
LISTED = (*SHOWN, "balanced_accuracy", "roc_auc")
"""What stands in the page's tables."""
SUMMARISED = (*SHOWN, "roc_auc")
"""What stands in summary.json, where it was compared: few, for DVC shows each in a column."""


def metric_title(metric: str, positive: str | None = None) -> str:
    """A compared metric's name for people."""
    names = {
        "gmean": "G-mean",
        "roc_auc": "ROC AUC",
        "balanced_accuracy": "balanced accuracy",
        "recall": f"recall of {positive}",
    }
    return names.get(metric, metric.replace("recall_", "recall of "))


def chance(p: float) -> str:
    """A p-value with as many digits as mean something."""
    return "below 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def signed_interval(difference: Difference) -> str:
    """A difference and its interval."""
    low, high = difference.low, difference.high
    return f"{difference.value:+z.3f} (95 % interval {low:+z.3f} to {high:+z.3f})"


# --- sentences --------------------------------------------------------------------------------


def verdict_headline(compared: Comparison) -> list[str]:
    """What the comparison says of each arm: a sentence against the baseline, one the control."""
    others = [c for c in compared.contrasts if c.arm != compared.control] or compared.contrasts
    pairs = dict.fromkeys((c.arm, c.against) for c in others)
    return [_overall([c for c in others if (c.arm, c.against) == pair]) for pair in pairs]


def _overall(group: Sequence[Contrast]) -> str:
    if len(group) == 1:
        return verdict_sentence(group[0])
    verdicts = {
        verdict: [
            f"{c.recipe} (G-mean {c.tested.value:+z.3f})" for c in group if c.verdict == verdict
        ]
        for verdict in (BETTER, WORSE, INCONCLUSIVE)
    }
    told = [f"{verdict} with {_listed(names)}" for verdict, names in verdicts.items() if names]
    return f"{group[0].arm} against {group[0].against}: {'; '.join(told)}."


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def verdict_sentence(contrast: Contrast) -> str:
    """The verdict in plain words, with the difference, its interval and how sure it is."""
    who = f"{contrast.arm} against {contrast.against}, {contrast.recipe}: {contrast.verdict}"
    numbers = f"G-mean {signed_interval(contrast.tested)}"
    if contrast.scope == "networks" and contrast.trained:
        return (
            f"{who}. These networks differ by {numbers}, counting the luck of the test images; "
            "what another training run would give, one run of an arm cannot say. Train three "
            "seeds or more."
        )
    if contrast.verdict != INCONCLUSIVE:
        return f"{who}. {numbers}, p {chance(contrast.p_holm)}{_family(contrast)}."
    p = f"p {chance(contrast.p_holm)}{_family(contrast)}"
    return f"{who}. {numbers}, {p}. {detectable_difference(contrast)}."


def detectable_difference(contrast: Contrast) -> str:
    """How large a true difference had to be to be found; none is larger than 1."""
    if contrast.detectable >= 1:
        return "No true difference, however large, would have been found 4 times in 5"
    return f"A true difference of {contrast.detectable:.3f} would have been found 4 times in 5"


def _family(contrast: Contrast) -> str:
    """Say so where the correction changed p."""
    alone = contrast.tested.p
    return f" ({chance(alone)} on its own)" if chance(alone) != chance(contrast.p_holm) else ""


def comparison_notes(*comparisons: Comparison) -> list[str]:
    """Return what tables of comparisons do not say, as sentences to print below them."""
    test_images = comparisons[0].test_images
    rarest = min(test_images, key=lambda name: test_images[name])
    images = test_images[rarest]
    estimates = [estimate for compared in comparisons for estimate in compared.estimates]
    contrasts = sum(len(compared.contrasts) for compared in comparisons)
    notes = [
        f"{rarest!r} has {images} test images: each of them is {1 / images:.3f} of its recall.",
        _seeds_note(sorted({len(estimate.seeds) for estimate in estimates})),
    ]
    if contrasts > 1:
        notes.append(f"p is Holm-corrected for all {contrasts} comparisons.")
    if any(0.0 in estimate.values[TESTED] for estimate in estimates):
        notes.append("A G-mean of 0 means a class with recall 0: its interval says little.")
    return notes


def _seeds_note(counts: Sequence[int]) -> str:
    if counts[0] == 1:
        return "Where an arm has one seed, intervals account for the test images alone."
    seeds = " to ".join(str(n) for n in dict.fromkeys((counts[0], counts[-1])))
    return f"{seeds} seeds: intervals account for the test images and for training."


# --- tables -----------------------------------------------------------------------------------


def comparison_table(compared: Comparison) -> list[list[str]]:
    """The comparison as rows of text, a header first: means, differences, p and verdicts."""
    shown = [metric for metric in SHOWN if metric in compared.metrics]
    names = [metric_title(metric, compared.positive) for metric in shown]
    header = ["recipe", "arm", "seeds", *names, f"G-mean against {compared.baseline}"]
    contrasts = {(c.recipe, c.arm): c for c in compared.against(compared.baseline)}
    body = [_cells(row, shown, contrasts.get((row.recipe, row.arm))) for row in compared.estimates]
    return [[*header, "p", "verdict"], *body]


def _cells(row: ArmEstimate, shown: Sequence[str], contrast: Contrast | None) -> list[str]:
    cells = [row.recipe, row.arm, str(len(row.seeds))]
    for metric in shown:
        low, high = row.intervals[metric]
        cells.append(f"{row.mean(metric):.3f} ({low:.3f} to {high:.3f})")
    if contrast is None:
        return [*cells, "baseline", "", ""]
    tested = contrast.tested
    change = f"{tested.value:+z.3f} ({tested.low:+z.3f} to {tested.high:+z.3f})"
    return [*cells, change, chance(contrast.p_holm), contrast.verdict]


def comparison_markdown(compared: Comparison) -> str:
    """The table and its notes as GitHub Markdown."""
    header, *body = [[_escape(cell) for cell in row] for row in comparison_table(compared)]
    rule = ["---"] * 2 + ["---:"] * (len(header) - 3) + ["---"]
    lines = [f"| {' | '.join(cells)} |" for cells in (header, rule, *body)]
    return "\n".join(
        [*lines, "", *(f"- {_escape(note)}" for note in comparison_notes(compared)), ""]
    )


def _escape(text: str) -> str:
    """Keep a name from ending a cell or becoming HTML."""
    kept = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{c}" if c in "\\|`*[]" else c for c in kept)


# --- summary.json -----------------------------------------------------------------------------

Scalars = dict[str, float | str]
Summary = dict[str, dict[str, Scalars]]


def summarize_comparison(compared: Comparison) -> Summary:
    """Recipe -> arm -> scalars, for summary.json: DVC's tables leave lists out.

    Means over the seeds; of the tested metric also the interval, the standard deviation over the
    seeds (`spread`), the differences and the verdicts.
    """
    nested: Summary = {recipe: {} for recipe in compared.recipes}
    for row in compared.estimates:
        nested[row.recipe][row.arm] = _scalars(row, compared.metrics)
    for contrast in compared.contrasts:
        suffix = "" if contrast.against == compared.baseline else f"_against_{contrast.against}"
        judged = {f"{name}{suffix}": value for name, value in _judged(contrast).items()}
        nested[contrast.recipe][contrast.arm] |= judged
    return nested


def _scalars(row: ArmEstimate, compared: Sequence[str]) -> Scalars:
    (low, high), spread = row.intervals[TESTED], row.std(TESTED)
    ends: Scalars = {"seeds": len(row.seeds), f"{TESTED}_low": low, f"{TESTED}_high": high}
    if spread is not None:
        ends[f"{TESTED}_spread"] = spread
    return ends | {metric: row.mean(metric) for metric in SUMMARISED if metric in compared}


def _judged(contrast: Contrast) -> Scalars:
    tested = contrast.tested
    return {
        f"{TESTED}_difference": tested.value,
        f"{TESTED}_difference_low": tested.low,
        f"{TESTED}_difference_high": tested.high,
        "p": contrast.p_holm,
        "detectable": contrast.detectable,
        "verdict": contrast.verdict,
    }
