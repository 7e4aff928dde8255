"""A comparison in sentences, as a table of text, and as the scalars of summary.json."""

import math
from collections.abc import Sequence

from toolkit.evaluation.comparison import Comparison
from toolkit.evaluation.contrasts import BETTER, INCONCLUSIVE, TESTED, WORSE, ArmEstimate, Contrast
from toolkit.metrics.intervals import FEWEST
from toolkit.metrics.significance import Difference

TABLE_METRICS = (TESTED, "accuracy", "recall")
"""Metrics in the printed table, if they were compared."""
PAGE_METRICS = (*TABLE_METRICS, "balanced_accuracy", "roc_auc")
"""Metrics in the tables of the page."""
SUMMARY_METRICS = (*TABLE_METRICS, "roc_auc")
"""Metrics in summary.json, if they were compared: few, because DVC gives each a column."""

Scalars = dict[str, float | str]
Summary = dict[str, dict[str, Scalars]]


def metric_title(metric: str, positive: str | None = None) -> str:
    """Return the name of a compared metric in tables."""
    names = {
        "gmean": "G-mean",
        "accuracy": "accuracy",
        "roc_auc": "ROC AUC",
        "balanced_accuracy": "balanced accuracy",
        "recall": f"recall of {positive}",
    }
    return names.get(metric, f"recall of {metric.removeprefix('recall_')}")


def format_p(p: float) -> str:
    """Format a p-value with its significant digits."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def p_statement(p: float) -> str:
    """State a p-value: "p < 0.001" or "p = 0.031"."""
    text = format_p(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def format_difference(difference: Difference) -> str:
    """Format a difference with the ends of its interval: "+0.121 (+0.066 to +0.175)"."""
    ends = f"({difference.low:+z.3f} to {difference.high:+z.3f})"
    return f"{difference.value:+z.3f} {ends}"


def _difference(difference: Difference) -> str:
    low, high = difference.low, difference.high
    return f"G-mean {difference.value:+z.3f} (95% interval {low:+z.3f} to {high:+z.3f})"


# --- sentences --------------------------------------------------------------------------------


def verdict_headline(compared: Comparison) -> list[str]:
    """Return a sentence for each arm against the baseline, and one against the control."""
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
    parts = [f"{verdict} with {_listed(names)}" for verdict, names in verdicts.items() if names]
    return f"{group[0].arm} against {group[0].against}: {'; '.join(parts)}."


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def verdict_sentence(contrast: Contrast) -> str:
    """Return the verdict in plain words, with the difference, its interval and its p-value."""
    verdict = f"{contrast.arm} against {contrast.against}, {contrast.recipe}: {contrast.verdict}"
    difference = _difference(contrast.tested)
    if contrast.scope == "networks" and contrast.trained:
        return (
            f"{verdict}. These networks differ by {difference}, which accounts for the sampling of "
            "the test images only: one run per arm cannot show what another training run would "
            "give. Train at least three seeds."
        )
    p = f"{p_statement(contrast.p_holm)}{_uncorrected(contrast)}"
    if contrast.verdict != INCONCLUSIVE:
        return f"{verdict}. {difference}, {p}."
    return f"{verdict}. {difference}, {p}. {detectable_difference(contrast)}."


def detectable_difference(contrast: Contrast) -> str:
    """State the true difference that would have been detected with power 0.8."""
    if math.isnan(contrast.detectable):
        return "With a G-mean of 0 or 1 it is unknown what difference would have been detected"
    if math.isinf(contrast.detectable):
        return "No true difference, however large, would have been detected 4 times in 5"
    return f"A true difference of {contrast.detectable:.3f} would have been detected 4 times in 5"


def _uncorrected(contrast: Contrast) -> str:
    """Mention the uncorrected p-value if the correction changed it."""
    p = contrast.tested.p
    return f" ({format_p(p)} uncorrected)" if format_p(p) != format_p(contrast.p_holm) else ""


def comparison_notes(*comparisons: Comparison) -> list[str]:
    """Return sentences to print below tables of comparisons: what the numbers rest on."""
    test_images = comparisons[0].test_images
    rarest = min(test_images, key=lambda name: test_images[name])
    images = test_images[rarest]
    estimates = [estimate for compared in comparisons for estimate in compared.estimates]
    contrasts = sum(len(compared.contrasts) for compared in comparisons)
    notes = [
        *dict.fromkeys(warning for compared in comparisons for warning in compared.warnings),
        f"Class {rarest!r} has {images} test image{'' if images == 1 else 's'}, so each of them is "
        f"{1 / images:.3f} of its recall.",
        _interval_note(sorted({len(estimate.seeds) for estimate in estimates})),
    ]
    if comparisons[0].positive and images < FEWEST:
        notes.append(f"Fewer than {FEWEST} images of a class are too few to compare ROC AUCs.")
    if contrasts > 1:
        notes.append(f"p-values are Holm-corrected for all {contrasts} comparisons.")
    if any(0.0 in estimate.values[TESTED] for estimate in estimates):
        notes.append(
            "A G-mean of 0 means that a class was never predicted correctly: its interval says "
            "little."
        )
    return notes


def _interval_note(counts: Sequence[int]) -> str:
    if counts[0] == 1:
        return "Arms with one seed: intervals account for the sampling of the test images only."
    seeds = " to ".join(str(n) for n in dict.fromkeys((counts[0], counts[-1])))
    return (
        f"{seeds} seeds: intervals account for the sampling of the test images and the randomness "
        "of training."
    )


# --- tables -----------------------------------------------------------------------------------


def comparison_table(compared: Comparison) -> list[list[str]]:
    """Return rows of text, header first: means, differences, p-values and verdicts."""
    metrics = [metric for metric in TABLE_METRICS if metric in compared.metrics]
    names = [metric_title(metric, compared.positive) for metric in metrics]
    header = ["recipe", "arm", "seeds", *names, f"G-mean against {compared.baseline}"]
    contrasts = {(c.recipe, c.arm): c for c in compared.against(compared.baseline)}
    body = [
        _cells(row, metrics, contrasts.get((row.recipe, row.arm))) for row in compared.estimates
    ]
    return [[*header, "p", "verdict"], *body]


def _cells(row: ArmEstimate, metrics: Sequence[str], contrast: Contrast | None) -> list[str]:
    cells = [row.recipe, row.arm, str(len(row.seeds))]
    for metric in metrics:
        low, high = row.intervals[metric]
        cells.append(f"{row.mean(metric):.3f} ({low:.3f} to {high:.3f})")
    if contrast is None:
        return [*cells, "baseline", "", ""]
    change = format_difference(contrast.tested)
    return [*cells, change, format_p(contrast.p_holm), contrast.verdict]


def comparison_markdown(compared: Comparison) -> str:
    """Return the table and its notes as GitHub Markdown."""
    header, *body = [[_escape(cell) for cell in row] for row in comparison_table(compared)]
    rule = ["---"] * 2 + ["---:"] * (len(header) - 3) + ["---"]
    lines = [f"| {' | '.join(cells)} |" for cells in (header, rule, *body)]
    return "\n".join(
        [*lines, "", *(f"- {_escape(note)}" for note in comparison_notes(compared)), ""]
    )


def _escape(text: str) -> str:
    """Keep a name from ending a cell or turning into HTML."""
    kept = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{c}" if c in "\\|`*[]" else c for c in kept)


# --- summary.json -----------------------------------------------------------------------------


def summarize_comparison(compared: Comparison) -> Summary:
    """Return scalars by recipe and arm for summary.json, because DVC's tables leave lists out.

    These are means over the seeds, and for the tested metric also the interval, the standard
    deviation over the seeds (`spread`), the differences and the verdicts.
    """
    nested: Summary = {recipe: {} for recipe in compared.recipes}
    for row in compared.estimates:
        nested[row.recipe][row.arm] = _scalars(row, compared.metrics)
    for contrast in compared.contrasts:
        suffix = "" if contrast.against == compared.baseline else f"_against_{contrast.against}"
        scalars = {f"{name}{suffix}": value for name, value in _contrast_scalars(contrast).items()}
        nested[contrast.recipe][contrast.arm] |= scalars
    return nested


def _scalars(row: ArmEstimate, compared: Sequence[str]) -> Scalars:
    (low, high), spread = row.intervals[TESTED], row.std(TESTED)
    ends: Scalars = {"seeds": len(row.seeds), f"{TESTED}_low": low, f"{TESTED}_high": high}
    if spread is not None:
        ends[f"{TESTED}_spread"] = spread
    return ends | {metric: row.mean(metric) for metric in SUMMARY_METRICS if metric in compared}


def _contrast_scalars(contrast: Contrast) -> Scalars:
    tested, detectable = contrast.tested, contrast.detectable
    return {
        f"{TESTED}_difference": tested.value,
        f"{TESTED}_difference_low": tested.low,
        f"{TESTED}_difference_high": tested.high,
        "p": contrast.p_holm,
        **({"detectable": detectable} if math.isfinite(detectable) else {}),
        "verdict": contrast.verdict,
    }
