"""A comparison in sentences, as a table of text, and as the scalars of summary.json."""

import math
from collections.abc import Iterator, Mapping, Sequence

from toolkit.evaluation import judgment
from toolkit.evaluation.comparison import Comparison
from toolkit.evaluation.contrasts import AUC, GMEAN, RANKING, ArmEstimate, Contrast, tested_metric
from toolkit.evaluation.leaderboard import Standing
from toolkit.evaluation.remedies import more_images
from toolkit.io.text import shorten
from toolkit.metrics.intervals import FEWEST, explain_ends
from toolkit.metrics.significance import (
    MOST_RUNS,
    Difference,
    detectable_difference,
    expected_parts,
)

TABLE_METRICS = (RANKING, GMEAN, "accuracy", "recall")
"""Metrics in the printed table, if they were compared."""
PAGE_METRICS = (*TABLE_METRICS, "balanced_accuracy", AUC)
"""Metrics in the tables of the page."""
SUMMARY_METRICS = (*TABLE_METRICS, AUC)
"""Metrics in summary.json, if they were compared: few, because DVC gives each a column."""
RECALL, SHARED, SPREADS = 0.9, 0.5, (0.0, 0.04)
"""What is expected of runs before any result: recalls, correlation, and spread over the seeds."""
RAISED = 20
"""Seeds of each arm that more test images are counted for, where neither alone settles."""

HEADLINE = (GMEAN, "recall", RANKING)
"""What stands first in summary.json, beside the verdict."""

Scalars = dict[str, float | str]
Summary = dict[str, dict[str, Scalars]]
Bounds = dict[str, tuple[float, float]]


def metric_title(metric: str, positive: str | None = None) -> str:
    """Return the name of a compared metric in tables."""
    names = {
        GMEAN: "G-mean",
        RANKING: "G-mean at threshold",
        "accuracy": "accuracy",
        AUC: "ROC AUC",
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


def _difference(difference: Difference, name: str = "G-mean") -> str:
    low, high = difference.low, difference.high
    return f"{name} {difference.value:+z.3f} (95% interval {low:+z.3f} to {high:+z.3f})"


# --- sentences --------------------------------------------------------------------------------


def declared_standings(compared: Comparison) -> tuple[Contrast, Standing, Standing] | None:
    """Return the declared contrast, and how its arm and the other one stand; None without it."""
    primary = next((contrast for contrast in compared.contrasts if contrast.primary), None)
    standings = {(of.recipe, of.arm, of.metric): of for of in compared.leaderboard}
    if primary is None:
        return None
    arm, before = (
        standings.get((primary.recipe, name, primary.metric))
        for name in (primary.arm, primary.against)
    )
    return (primary, arm, before) if arm and before else None


def counts_sentence(compared: Comparison) -> str:
    """State in images what the arm of the declared contrast finds; "" where nothing is declared."""
    if not (declared := declared_standings(compared)):
        return ""
    primary, arm, before = declared
    return (
        f"With {arm.recipe}, {arm.arm} finds {round(arm.found)} of {arm.rare} images of "
        f"{shorten(primary.rare[0], 40)!r} where {before.arm} finds {round(before.found)}, with "
        f"{round(arm.alarms)} false alarms in {arm.others} where that has {round(before.alarms)}."
    )


def verdict_headline(compared: Comparison, *, whole: bool = True) -> list[str]:
    """Return the primary contrast's sentence, then one for each other pair of arms.

    The first is not the `whole` sentence if what the page says elsewhere is left out: whether the
    threshold moved, and what would settle it.
    """
    primary = [contrast for contrast in compared.contrasts if contrast.primary]
    others = [c for c in compared.contrasts if c.arm != compared.control or c.primary]
    exploratory = [c for c in others or compared.contrasts if not c.primary]
    pairs = dict.fromkeys((c.arm, c.against) for c in exploratory)
    return [
        *(verdict_sentence(contrast, whole=whole) for contrast in primary),
        *(_overall([c for c in exploratory if (c.arm, c.against) == pair]) for pair in pairs),
    ]


def _overall(group: Sequence[Contrast]) -> str:
    if len(group) == 1:
        return verdict_sentence(group[0])
    verdicts = {
        verdict: [
            f"{c.recipe} (G-mean {c.tested.value:+z.3f})" for c in group if c.verdict == verdict
        ]
        for verdict in judgment.VERDICTS
    }
    parts = [f"{verdict} with {_listed(names)}" for verdict, names in verdicts.items() if names]
    return f"{group[0].arm} against {group[0].against}: {'; '.join(parts)}."


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def design_sentence(test_images: Mapping[str, int], seeds: int) -> str:
    """Say before any result what difference so many test images and seeds will find."""
    rare = min(test_images, key=lambda name: test_images[name])
    number = test_images[rare]
    images = f"{number} test image{'' if number == 1 else 's'} of {shorten(rare, 40)!r}"
    if seeds < 2:
        return (
            f"With {images} and one seed a verdict on arms is not possible: name at least three "
            "seeds in compare.seeds"
        )
    sizes = [
        detectable_difference(
            expected_parts(
                list(test_images.values()), seeds, recall=RECALL, spread=spread, shared=SHARED
            ).error()
        )
        for spread in SPREADS
    ]
    return (
        f"With {images} and {seeds} seeds a true difference in G-mean is found four times in five "
        f"from {sizes[0]:.2f} if training hardly varies, and from {min(1.0, sizes[1]):.2f} if runs "
        f"of an arm vary by {SPREADS[1]:g}"
    )


def verdict_sentence(contrast: Contrast, *, whole: bool = True) -> str:
    """Return the verdict in plain words: on the ranking, then at .5, and what would settle it."""
    return " ".join([verdict_title(contrast), *_reasons(contrast, whole=whole)])


def verdict_title(contrast: Contrast) -> str:
    """Return the verdict alone, and whether the contrast was declared before any result."""
    role = "primary" if contrast.primary else "exploratory"
    title = f"{contrast.arm} against {contrast.against}, {contrast.recipe}"
    return f"{title}: {contrast.verdict} ({role})."


def _reasons(contrast: Contrast, *, whole: bool) -> Iterator[str]:
    if contrast.single:
        yield (
            f"These networks differ by {_difference(contrast.tested)}, which accounts for the "
            "sampling of the test images only: one run per arm cannot show what another training "
            "run would give. Train at least three seeds."
        )
        return
    p = f"{p_statement(contrast.p)}{_uncorrected(contrast)}"
    if contrast.metric == RANKING:
        area = contrast.differences.get(AUC)
        beside = f"; {_difference(area, 'ROC AUC')}" if area else ""
        yield f"In ranking: {_difference(contrast.tested, 'G-mean at threshold')}, {p}{beside}."
        yield f"At .5: {_difference(contrast.as_predicted)}, {contrast.verdict_as_predicted}."
    else:
        yield f"{_difference(contrast.tested)}, {p}; without scores there is no ranking."
    if whole:
        yield from moved_statement(contrast)
    if contrast.verdict == judgment.UNKNOWN:
        yield f"{detectable_statement(contrast)}."
        if whole:
            yield from settling_statement(contrast)


def moved_statement(contrast: Contrast) -> Iterator[str]:
    """Say that only the threshold moved, where that is so."""
    moved = judgment.threshold_moved(contrast.verdict_as_predicted, contrast.verdict)
    if contrast.metric == RANKING and moved:
        yield f"{moved[0].upper()}{moved[1:]}."


def detectable_statement(contrast: Contrast) -> str:
    """State the true difference that would have been detected with power 0.8."""
    if contrast.tested.arm == contrast.tested.other == 0:
        return "Neither arm ever recognizes one of the classes: two G-means of 0 say nothing"
    if math.isnan(contrast.detectable):
        return "With a G-mean of 0 or 1 it is unknown what difference would have been detected"
    if math.isinf(contrast.detectable):
        return "No true difference, however large, would have been detected 4 times in 5"
    return f"A true difference of {contrast.detectable:.3f} would have been detected 4 times in 5"


def settling_statement(contrast: Contrast) -> Iterator[str]:
    """Say how many seeds or test images would settle what is not yet known, if any would."""
    if contrast.verdict != judgment.UNKNOWN or contrast.single or math.isnan(contrast.detectable):
        return
    seeds, images = seeds_to_settle(contrast), images_to_settle(contrast)
    name = repr(shorten(contrast.rare[0], 40))
    ways = [
        *([f"{seeds} seeds of each arm"] if seeds else []),
        *([f"{images} test images of {name}"] if images else []),
    ]
    size = contrast.to_settle
    if not ways and (both := images_to_settle(contrast, (RAISED, RAISED))):
        ways = [f"{RAISED} seeds of each arm with {both} test images of {name}"]
    if ways:
        yield f"A difference of {size:.3f} would be settled by {' or by '.join(ways)}."
    else:
        yield f"Not even {MOST_RUNS} seeds of each arm would settle a difference of {size:.3f}."


def seeds_to_settle(contrast: Contrast) -> int | None:
    """Return how many seeds of each arm would settle it with these images; None for no number."""
    return contrast.tested.runs_needed(contrast.to_settle, contrast.tests)


def images_to_settle(contrast: Contrast, runs: tuple[int, int] | None = None) -> int | None:
    """Return how many test images of the rarest class would settle it; None for no number."""
    times = contrast.tested.images_needed(contrast.to_settle, contrast.tests, runs)
    return None if times is None else math.ceil(contrast.rare[1] * times)


def _uncorrected(contrast: Contrast) -> str:
    """Mention the uncorrected p-value if the correction changed it."""
    p = contrast.tested.p
    return f" ({format_p(p)} uncorrected)" if format_p(p) != format_p(contrast.p) else ""


def comparison_notes(*comparisons: Comparison, more: bool = True) -> list[str]:
    """Return sentences to print below tables of comparisons: what the numbers rest on.

    Without `more` they do not say what more images would bring.
    """
    first, test_images = comparisons[0], comparisons[0].test_images
    rarest = min(test_images, key=lambda name: test_images[name])
    images = test_images[rarest]
    estimates = [estimate for compared in comparisons for estimate in compared.estimates]
    contrasts = [contrast for compared in comparisons for contrast in compared.contrasts]
    notes = [
        *dict.fromkeys(warning for compared in comparisons for warning in compared.warnings),
        f"Class {rarest!r} has {images} test image{'' if images == 1 else 's'}, so each of them is "
        f"{1 / images:.3f} of its recall.",
        _interval_note(
            sorted({len(estimate.seeds) for estimate in estimates}),
            folds=bool(contrasts) and all(c.scope == "folds" for c in contrasts),
            trained=any(c.tested.parts.folds for c in contrasts),
        ),
        *_ranking_note(first),
        *_look_note(first),
        *_correction_note(contrasts),
    ]
    for recipe, curve in first.learning.items():
        if more and (gain := more_images(curve, repr(shorten(rarest, 40)))):
            notes.append(f"With the recipe {recipe}, {gain}")
    lacking = [recipe for recipe in first.recipes if recipe not in first.learning]
    if first.learning and lacking:
        named = " and ".join(lacking)
        notes.append(f"There is no learning curve of {named}: only frozen recipes have one.")
    if images < FEWEST:
        notes.append(f"Fewer than {FEWEST} images of a class are too few to compare ROC AUCs.")
    if any(contrast.trained for contrast in contrasts):
        notes += _lacking_notes(first)
    notes += _end_notes(estimates)
    return notes


def _lacking_notes(compared: Comparison) -> Iterator[str]:
    """Say which remedy the leaderboard lacks, and the lines that add it."""
    if compared.control is None:
        yield (
            "There is no control: name an arm of plain copies in compare.control, and more of the "
            "same is told from new images. In params.yaml: `duplicated: {policy: duplicate}` in "
            "augment.arms, `duplicated` in compare.arms, and `control: duplicated` in compare."
        )
    if compared.published == ():
        yield (
            "The leaderboard lacks the published way. In params.yaml: `homework: {policy: "
            "homework}` in augment.arms, and `homework` in compare.arms."
        )


def _look_note(compared: Comparison) -> Iterator[str]:
    look = compared.look
    if look.planned > 1:
        yield (
            f"Look {look.number} of at most {look.planned} at the primary contrast: its p-value "
            "and interval are corrected for all looks, which raise false alarms in 5% together "
            f"(nominal level {look.level:.4f})."
        )


def _ranking_note(compared: Comparison) -> Iterator[str]:
    if RANKING in compared.metrics:
        what = "threshold" if len(compared.test_images) == 2 else "factor for each class"
        yield (
            f"In ranking: at the {what} with the best G-mean on validation images, or on the other "
            "folds or fifths of the test images where there are none. At .5: as predicted."
        )


def _correction_note(contrasts: Sequence[Contrast]) -> Iterator[str]:
    others = sum(not contrast.primary for contrast in contrasts)
    if any(contrast.primary and contrast.tests == 1 for contrast in contrasts):
        yield (
            "The primary contrast is tested at 5% without correction, which is right if it was "
            "declared before any result."
        )
    if others > 1:
        yield f"p-values of the {others} exploratory comparisons are Holm-corrected."


def _end_notes(estimates: Sequence[ArmEstimate]) -> Iterator[str]:
    """Say why an interval ends at its own value, and what a G-mean of 0 means."""
    shown = [
        (row.mean(metric), row.intervals[metric])
        for row in estimates
        for metric in PAGE_METRICS
        if metric in row.values
    ]
    if said := explain_ends(shown):
        yield said
    if any(0.0 in row.values[metric] for row in estimates for metric in {GMEAN, row.metric}):
        yield (
            "A G-mean of 0 means that a class was never predicted correctly: its interval says "
            "little."
        )


def _interval_note(counts: Sequence[int], *, folds: bool, trained: bool) -> str:
    if folds:
        chance = " and the randomness of training, seen between the folds" if trained else ""
        return (
            "Cross-fitted: each image is tested by what was trained without its fold. Intervals "
            f"account for the sampling of the images{chance}; divisions into folds are averaged."
        )
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
    tested = metric_title(tested_metric(compared.metrics))
    header = ["recipe", "arm", "seeds", *names, f"{tested} against {compared.baseline}"]
    contrasts = {(c.recipe, c.arm): c for c in compared.against(compared.baseline)}
    body = [
        _cells(row, metrics, contrasts.get((row.recipe, row.arm))) for row in compared.estimates
    ]
    return [[*header, "p", "verdict", "at .5"], *body]


def _cells(row: ArmEstimate, metrics: Sequence[str], contrast: Contrast | None) -> list[str]:
    cells = [row.recipe, row.arm, str(len(row.seeds))]
    for metric in metrics:
        low, high = row.intervals[metric]
        cells.append(f"{row.mean(metric):.3f} ({low:.3f} to {high:.3f})")
    if contrast is None:
        return [*cells, "baseline", "", "", ""]
    change = format_difference(contrast.tested)
    verdicts = (contrast.verdict, contrast.verdict_as_predicted)
    return [*cells, change, format_p(contrast.p), *verdicts]


def comparison_markdown(compared: Comparison) -> str:
    """Return the table and its notes as GitHub Markdown."""
    header, *body = [[escape_markdown(cell) for cell in row] for row in comparison_table(compared)]
    rule = ["---"] * 2 + ["---:"] * (len(header) - 4) + ["---"] * 2
    lines = [f"| {' | '.join(cells)} |" for cells in (header, rule, *body)]
    return "\n".join(
        [*lines, "", *(f"- {escape_markdown(note)}" for note in comparison_notes(compared)), ""]
    )


def escape_markdown(text: str) -> str:
    """Keep a name from ending a cell or turning into HTML."""
    kept = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{c}" if c in "\\|`*[]" else c for c in kept)


# --- summary.json -----------------------------------------------------------------------------


def summarize_comparison(compared: Comparison) -> dict[str, float | str | dict[str, Scalars]]:
    """Return scalars by recipe and arm for summary.json, because DVC's tables leave lists out.

    These are means over the seeds, the verdicts, the differences, and for G-means the standard
    deviation over the seeds (`spread`); docs/comparing.md says what each key means. Before them
    stand HEADLINE and the verdict of the primary contrast, or of the first arm where there is none:
    the first columns of `dvc exp show`. A recipe that is called like one of these takes its place.
    """
    nested: Summary = {recipe: {} for recipe in compared.recipes}
    for row in compared.estimates:
        shown = [*dict.fromkeys((*HEADLINE, *SUMMARY_METRICS))]
        nested[row.recipe][row.arm] = {m: row.mean(m) for m in shown if m in compared.metrics}
    for contrast in compared.contrasts:
        suffix = _against(contrast, compared)
        scalars = {f"{name}{suffix}": value for name, value in _contrast_scalars(contrast).items()}
        nested[contrast.recipe][contrast.arm] |= scalars
    for of in compared.leaderboard:
        if of.metric == tested_metric(compared.metrics):
            nested[of.recipe][of.arm]["probability_best"] = of.best
    for row in compared.estimates:
        nested[row.recipe][row.arm] |= _spreads(row)
    return _headline(compared, nested) | nested


def _headline(compared: Comparison, nested: Summary) -> Scalars:
    shown: Sequence[ArmEstimate | Contrast] = [
        *(contrast for contrast in compared.contrasts if contrast.primary),
        *compared.estimates,
    ]
    own = nested[shown[0].recipe][shown[0].arm]
    means = {key: own[key] for key in HEADLINE if key in own}
    return means if isinstance(shown[0], ArmEstimate) else means | {"verdict": shown[0].verdict}


def _against(contrast: Contrast, compared: Comparison) -> str:
    return "" if contrast.against == compared.baseline else f"_against_{contrast.against}"


def _spreads(row: ArmEstimate) -> Scalars:
    found = {metric: row.std(metric) for metric in dict.fromkeys((row.metric, GMEAN))}
    spreads = {f"{metric}_spread": value for metric, value in found.items() if value is not None}
    return {"seeds": len(row.seeds), **spreads}


def interval_ends(compared: Comparison) -> dict[str, dict[str, Bounds]]:
    """Return the 95% intervals by recipe and arm: of the G-means, and of their differences.

    They stand in a file of their own, which is no metric of DVC: its tables show one column for
    each number, and would have three times as many.
    """
    nested: dict[str, dict[str, Bounds]] = {recipe: {} for recipe in compared.recipes}
    for row in compared.estimates:
        metrics = dict.fromkeys((row.metric, GMEAN))
        nested[row.recipe][row.arm] = {metric: row.intervals[metric] for metric in metrics}
    for contrast in compared.contrasts:
        suffix = _against(contrast, compared)
        nested[contrast.recipe][contrast.arm] |= {
            f"{metric}_difference{suffix}": (of.low, of.high)
            for metric in (RANKING, AUC, GMEAN)
            if (of := contrast.differences.get(metric))
        }
    return nested


def _contrast_scalars(contrast: Contrast) -> Scalars:
    scalars: Scalars = {
        "verdict": contrast.verdict,
        "role": "primary" if contrast.primary else "exploratory",
        "p": contrast.p,
        "verdict_as_predicted": contrast.verdict_as_predicted,
        "p_as_predicted": contrast.p_as_predicted,
    }
    for metric in (RANKING, AUC, GMEAN):
        if of := contrast.differences.get(metric):
            scalars[f"{metric}_difference"] = of.value
    if contrast.verdict == judgment.UNKNOWN and not math.isnan(contrast.detectable):
        needed = {
            "seeds_to_settle": seeds_to_settle(contrast),
            "images_to_settle": images_to_settle(contrast),
        }
        scalars |= {name: value for name, value in needed.items() if value is not None}
    if math.isfinite(contrast.detectable):
        scalars["detectable"] = contrast.detectable
    return scalars
