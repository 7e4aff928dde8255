"""Advice: which remedy to take for a folder of photos, how sure that is, and what would help."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from toolkit.evaluation import judgment, leaderboard, remedies
from toolkit.evaluation.comparison import Comparison, in_order
from toolkit.evaluation.contrasts import RANKING, Contrast
from toolkit.evaluation.leaderboard import Standing
from toolkit.evaluation.ranking import at_thresholds
from toolkit.evaluation.remedies import ErrorCounts, RemedyComparison, RemedyResult
from toolkit.evaluation.results import RunResult
from toolkit.evaluation.verdict import (
    RECALL,
    SHARED,
    format_difference,
    format_p,
    moved_statement,
    settling_statement,
    verdict_title,
)
from toolkit.io.notebook import html_table
from toolkit.io.text import shorten
from toolkit.metrics.intervals import explain_ends
from toolkit.metrics.params import MARGIN
from toolkit.metrics.significance import detectable_difference, expected_parts

NOTHING, THRESHOLD, RECOMMENDED = "nothing", "threshold", "recommended"
BALANCED, COPIES, PHOTO, PUBLISHED = "balanced", "copies", "photo", "published"
TRAINED, TRAINED_NEW = "trained", "trained_new"
TITLES = {
    NOTHING: "do nothing",
    THRESHOLD: "choose a threshold",
    RECOMMENDED: "class weights, threshold chosen",
    BALANCED: "class-balanced batches, threshold chosen",
    COPIES: "plain copies",
    PHOTO: "new images",
    PUBLISHED: "new images, as published",
    TRAINED: "a network from scratch, plain copies",
    TRAINED_NEW: "a network from scratch, new images",
}
"""The remedies in the order of their effort, and what people call them."""
SLOW = (BALANCED, TRAINED, TRAINED_NEW)
"""Those that are networks always, and so are tried only with minutes to spend."""
CONTROL_WORDS = {
    judgment.BETTER: "teach more than plain copies",
    judgment.WORSE: "teach less than plain copies",
    judgment.EQUAL: "add nothing to plain copies",
    judgment.UNKNOWN: "may or may not add something to plain copies",
}
UNABLE = "Not yet known: no remedy recognizes every class"
NO_HELP = "Do nothing about the imbalance yet: no remedy is known to help"
LITTLE = "Do nothing about the imbalance: what helps brings less than the margin"
CHOOSE = "Choose a threshold"
KNOWN = {judgment.EQUAL, judgment.WORSE}
"""Verdicts on what is known not to help."""
BADGES = {
    judgment.BETTER: "Better, and sure",
    judgment.WORSE: "Worse",
    judgment.EQUAL: "Practically equal to doing nothing",
    judgment.UNKNOWN: "Not yet known",
    "": "Not yet known",
}
"""How sure the answer is, in a few words, by the verdict on the remedy to take."""
WEAK = 0.85
"""G-mean below which the features are said to be weak on these photos."""


@dataclass(frozen=True)
class Advice:
    """The remedies compared on the images of a folder, and which one to take.

    `counts`: images of each class that were tested; `notes`: what was left out, in sentences;
    `learning`: G-mean of the remedy "recommended" by the number of rare images trained on, the
    last one extrapolated to twice as many as there are; `seconds`: of CPU time, all in all;
    `folder`, `backbone` and `size` (pixels): what was tested, and with which features. Without a
    backbone, `network` says what was trained from scratch in its place, and there is no `learning`.
    """

    folder: str
    comparison: RemedyComparison
    counts: Mapping[str, int]
    backbone: str | None
    size: int
    folds: int
    repeats: int
    learning: Mapping[int, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    network: str = ""

    def __repr__(self) -> str:
        return f"Advice({self.comparison.chosen!r} of {len(self.comparison.results)} remedies)"

    def _repr_html_(self) -> str:
        return html_table(advice_table(self), " ".join(advice_sentences(self)))

    @property
    def chosen(self) -> RemedyResult:
        """The remedy to take."""
        return self.comparison[self.comparison.chosen]

    @property
    def taken(self) -> str | None:
        """The name of the remedy to take; None where no remedy recognizes every class."""
        return self.comparison.chosen if self.chosen.gmean > 0 else None

    @property
    def nothing(self) -> RemedyResult:
        """The result of doing nothing."""
        return self.comparison[NOTHING]


def advice_sentences(advice: Advice) -> list[str]:
    """Return what to do, what it brings, how sure that is, and what would settle or help most."""
    return [
        f"{headline(advice)}.",
        effect_sentence(advice),
        certainty_sentence(advice),
        *look_sentences(advice),
        *ranking_sentences(advice),
        *next_steps(advice),
        *end_sentences(advice),
    ]


def headline(advice: Advice) -> str:
    """Return the remedy to take, as a command."""
    if advice.taken is None:
        return UNABLE
    if advice.comparison.chosen == NOTHING and _harmless(advice):
        means = "pretrained features" if advice.backbone else "networks from scratch"
        return f"Do nothing about the imbalance: with {means} it does no harm"
    if advice.comparison.chosen == NOTHING:
        return LITTLE if _some_help(advice) else NO_HELP
    if advice.comparison.chosen == THRESHOLD:
        return CHOOSE
    return f"Take {TITLES[advice.comparison.chosen]}"


def _harmless(advice: Advice) -> bool:
    """Return whether every remedy is known to be no better than doing nothing."""
    return all(of.verdict in KNOWN for of in advice.comparison.results if of.difference)


def _some_help(advice: Advice) -> bool:
    """Return whether a remedy is known to be better than doing nothing, if only by little."""
    return any(of.verdict == judgment.BETTER for of in advice.comparison.results)


def effect_sentence(advice: Advice) -> str:
    """Return the rare images found and the false alarms, with the remedy and without."""
    before = None if advice.comparison.chosen == NOTHING else advice.nothing.errors
    return _effect(advice.chosen.errors, before, advice.comparison.rare)


def _effect(
    now: ErrorCounts | Standing, before: ErrorCounts | Standing | None, rare_class: str
) -> str:
    rare = f"{now.rare} images of {shorten(rare_class, 40)!r}"
    if before is None:
        return (
            f"The classifier finds {round(now.found)} of {rare}, with {round(now.alarms)} "
            f"false alarms in {now.others}."
        )
    return (
        f"It finds {round(now.found)} of {rare} instead of {round(before.found)}, with "
        f"{round(now.alarms)} false alarms in {now.others} instead of {round(before.alarms)}."
    )


def badge(advice: Advice) -> str:
    """Return how sure the answer is, in a few words."""
    if advice.taken == NOTHING:
        if _harmless(advice):
            return "No remedy needed"
        return "Little to gain" if _some_help(advice) else "No remedy known to help"
    return BADGES[advice.chosen.verdict]


def certainty_sentence(advice: Advice) -> str:
    """Return G-mean, its difference from doing nothing, and the verdict on it."""
    result = advice.chosen
    low, high = result.interval
    value = f"G-mean {result.gmean:.3f} ({low:.3f} to {high:.3f})"
    if result.difference is None:
        return f"{value}; each image was scored by classifiers that had not seen it."
    ends = format_difference(result.difference)
    declared = "declared before" if result.name == advice.comparison.declared else "exploratory"
    text = f"{value}, {ends} against doing nothing: {result.verdict} ({declared})"
    if result.verdict != judgment.UNKNOWN:
        return f"{text}."
    needed = remedies.images_needed(result)
    if needed is None:
        return f"{text}."
    return (
        f"{text}. About {needed} images of the rare class would settle a difference of that size."
    )


def ranking_sentences(advice: Advice) -> Iterator[str]:
    """Say whether something was learned or only the threshold moved, and what new images bring."""
    result = advice.chosen
    if result.name not in (NOTHING, THRESHOLD) and result.ranking is not None:
        if result.ranking_verdict == judgment.BETTER:
            yield f"The scores rank better too ({result.ranking.value:+z.3f} at chosen thresholds)."
        elif moved := judgment.threshold_moved(result.verdict, result.ranking_verdict):
            yield (
                "With thresholds chosen for both the difference is "
                f"{result.ranking.value:+z.3f} ({result.ranking_verdict}): {moved}."
            )
    for one in advice.comparison.results:
        if one.name == PHOTO and one.beyond_control is not None:
            ends = format_difference(one.beyond_control)
            yield f"New images {CONTROL_WORDS[one.control_verdict]}: {ends} in ranking."


def next_steps(advice: Advice) -> Iterator[str]:
    """Say what would help more."""
    if more := remedies.more_images(advice.learning, "the rare class"):
        yield more
    if advice.backbone is None:
        yield (
            "These networks are trained from scratch, and weaker where photos are few: install the "
            "weights of the pretrained network, and run this again."
        )
    elif advice.chosen.gmean < WEAK:
        yield (
            f"Frozen features of {advice.backbone} at {advice.size} px are weak on these photos: "
            "try a larger --size, another --backbone"
            f"{'' if _trained(advice) else ', and networks trained on them (--max-minutes 30)'}."
        )
    detectable = advice.comparison.detectable
    if math.isfinite(detectable):
        yield f"A true difference of {detectable:.3f} would have been found four times in five."


def end_sentences(advice: Advice) -> Iterator[str]:
    """Say why an interval in the table ends at its own value."""
    if said := explain_ends((of.gmean, of.interval) for of in advice.comparison.results):
        yield said


def expected_sentence(
    counts: Mapping[str, int], rare: str, repeats: int, *, scratch: bool = False
) -> str:
    """Say before any result what difference so many images, tested `repeats` times, will find.

    `scratch`: networks are trained from scratch, whose luck comes on top.
    """
    expected = expected_parts(
        list(counts.values()), repeats, recall=RECALL, spread=0.0, shared=SHARED
    )
    size = detectable_difference(expected.error())
    return (
        f"with {counts[rare]} images of {shorten(rare, 40)!r} a true difference in G-mean is found "
        f"four times in five from about {min(1.0, size):.2f}"
        + (", and later the more networks from scratch vary" if scratch else "")
    )


def _trained(advice: Advice) -> bool:
    return any(result.name in SLOW for result in advice.comparison.results)


def look_sentences(advice: Advice) -> Iterator[str]:
    """Say which of several looks this is, and that these raise no more false alarms."""
    look = advice.comparison.look
    if look.planned > 1:
        yield (
            f"Looked at {look.number} of at most {look.planned} times, with {advice.repeats} "
            "divisions into folds: the interval and the verdict of the declared comparison are "
            "corrected for all looks."
        )


def advice_table(advice: Advice) -> list[list[str]]:
    """Return one row per remedy as text, header first."""
    header = [
        "remedy",
        "G-mean",
        "found",
        "false alarms",
        "ranking",
        "AUC",
        "p",
        "verdict",
        "CPU s",
    ]
    return [header, *(_row(result, advice.taken) for result in advice.comparison.results)]


def _row(result: RemedyResult, taken: str | None) -> list[str]:
    low, high = result.interval
    mark = "* " if result.name == taken else ""
    return [
        mark + TITLES[result.name],
        f"{result.gmean:.3f} ({low:.3f} to {high:.3f})",
        f"{round(result.errors.found)} of {result.errors.rare}",
        f"{round(result.errors.alarms)} of {result.errors.others}",
        f"{result.ranked:.3f}",
        "" if result.auc is None else f"{result.auc:.3f}",
        "" if result.difference is None else format_p(result.p),
        result.verdict or "baseline",
        f"{result.seconds:.1f}",
    ]


def advice_summary(advice: Advice) -> dict[str, object]:
    """Return the advice as plain values, for JSON."""
    return {
        "folder": advice.folder,
        "counts": dict(advice.counts),
        "rare": advice.comparison.rare,
        "backbone": advice.backbone,
        "network": advice.network or None,
        "size": advice.size,
        "folds": advice.folds,
        "repeats": advice.repeats,
        "looks": advice.comparison.look.planned,
        "take": advice.taken,
        "declared": advice.comparison.declared,
        "sentences": advice_sentences(advice),
        "remedies": {of.name: _summary(of) for of in advice.comparison.results},
        "learning": {str(n): value for n, value in advice.learning.items()},
        "notes": list(advice.notes),
    }


def _summary(result: RemedyResult) -> dict[str, object]:
    errors = result.errors
    return {
        "gmean": result.gmean,
        "gmean_low": result.interval[0],
        "gmean_high": result.interval[1],
        "threshold_gmean": result.ranked,
        "roc_auc": result.auc,
        "found": errors.found,
        "rare": errors.rare,
        "false_alarms": errors.alarms,
        "others": errors.others,
        "verdict": result.verdict or None,
        "ranking_verdict": result.ranking_verdict or None,
        "p": result.p if result.difference else None,
        **{
            name: {"value": of.value, "low": of.low, "high": of.high} if of else None
            for name, of in (
                ("difference", result.difference),
                ("ranking_difference", result.ranking),
                ("beyond_copies", result.beyond_control),
            )
        },
        "missed": [image.id for image in errors.missed],
        "alarmed": [image.id for image in errors.alarmed],
    }


# --- of a project -----------------------------------------------------------------------------


def closing_sentences(compared: Comparison) -> list[str]:
    """Return the remedy to take, what it brings, the declared verdict, and what would help."""
    primary = [contrast for contrast in compared.contrasts if contrast.primary]
    return [
        *remedy_sentences(compared),
        *(sentence for contrast in primary for sentence in declared_sentences(contrast)),
        *remedy_steps(compared),
    ]


def remedy_sentences(compared: Comparison) -> list[str]:
    """Return which remedy of a comparison to take, what it brings and how sure that is."""
    taken = taken_standing(compared)
    if taken is None:
        return [f"{UNABLE}."] if compared.leaderboard else []
    before = nothing_standing(compared, taken)
    effect = _effect(taken, None if before == taken else before, rare_class(compared))
    low, high = taken.low, taken.high
    chance = (
        f"G-mean {taken.gmean:.3f} ({low:.3f} to {high:.3f}), the best of "
        f"{len(compared.leaderboard)} with a probability of {taken.best:.0%}."
    )
    own = taken_contrast(compared)
    exploratory = [verdict_title(own)] if own and not own.primary else []
    return [f"{remedy_headline(compared)}.", effect, chance, *exploratory]


def declared_sentences(contrast: Contrast) -> Iterator[str]:
    """Return the verdict on the declared contrast, and what it must not be taken for."""
    yield verdict_title(contrast)
    yield from moved_statement(contrast)
    if contrast.single:
        yield "One run of each arm says nothing about the next one: train at least three seeds."


def remedy_steps(compared: Comparison) -> list[str]:
    """Say what would settle the declared contrast of a project, and what would help more."""
    more = remedies.more_images(remedy_curve(compared), repr(shorten(rare_class(compared), 40)))
    primary = (contrast for contrast in compared.contrasts if contrast.primary)
    return [*filter(None, [more]), *(line for one in primary for line in settling_statement(one))]


def rare_class(compared: Comparison) -> str:
    """Return the class with the fewest test images."""
    return min(compared.test_images, key=lambda name: compared.test_images[name])


def taken_standing(compared: Comparison) -> Standing | None:
    """Return the remedy to take: the least effort whose G-mean is within the margin of the best.

    It is chosen as `advise` chooses; None where no remedy recognizes every class.
    """
    margin = compared.contrasts[0].margin if compared.contrasts else MARGIN
    return leaderboard.standing_to_take(compared.leaderboard, margin)


def nothing_standing(compared: Comparison, taken: Standing) -> Standing:
    """Return what the recipe of a standing does without any remedy."""
    same = (of for of in compared.leaderboard if of.recipe == taken.recipe)
    return next(of for of in same if of.title == leaderboard.NOTHING)


def taken_contrast(compared: Comparison) -> Contrast | None:
    """Return the contrast of the arm to take with the baseline; None where that is the baseline."""
    taken = taken_standing(compared)
    against = compared.against(compared.baseline)
    same = (one for one in against if taken and one.recipe == taken.recipe)
    return next((one for one in same if taken and one.arm == taken.arm), None)


def remedy_curve(compared: Comparison) -> Mapping[int, float]:
    """Return the learning curve of the recipe to take; empty where there is none."""
    taken = taken_standing(compared)
    return compared.learning.get(taken.recipe, {}) if taken else {}


def taken_errors(compared: Comparison, results: Sequence[RunResult]) -> ErrorCounts | None:
    """Return what the remedy to take gets wrong, image by image; None where there is none.

    `results` are those that were compared.
    """
    if not (taken := taken_standing(compared)):
        return None
    ids = results[0].predictions.ids
    runs = [of for of in results if (of.recipe, of.arm) == (taken.recipe, taken.arm)]
    decided = at_thresholds(runs) if taken.metric == RANKING else None
    several = decided or [of.predictions for of in runs]
    return remedies.count_errors([in_order(of, ids) for of in several], rare_class(compared))


def remedy_headline(compared: Comparison) -> str:
    """Return the remedy to take in a project, as a command, with the recipe if there are more."""
    taken = taken_standing(compared)
    if taken is None:
        return UNABLE
    recipe = shorten(taken.recipe, 40)
    if taken.title == leaderboard.NOTHING:
        return f"Take {recipe} as it is: {_nothing_more(_verdicts(compared, taken))}"
    take = f"Take {shorten(taken.title, 60)}"
    text = CHOOSE if taken.title == leaderboard.THRESHOLD else take
    return text if len(compared.recipes) == 1 else f"With {recipe}, {text[0].lower()}{text[1:]}"


def _nothing_more(verdicts: set[str]) -> str:
    """Say why nothing is done besides; a recipe may weight the classes by itself."""
    if judgment.BETTER in verdicts:
        return "what helps brings less than the margin"
    return "no remedy helps" if verdicts and verdicts <= KNOWN else "no remedy is known to help yet"


def remedy_badge(compared: Comparison) -> str:
    """Return how sure the remedy of a project is, in a few words."""
    taken, own = taken_standing(compared), taken_contrast(compared)
    if own is not None:
        sure = own.verdict == judgment.BETTER and own.primary
        role = " (exploratory)" if own.verdict == judgment.BETTER else ""
        return BADGES[own.verdict] if sure else f"{own.verdict.capitalize()}{role}"
    if taken is None:
        return BADGES[judgment.UNKNOWN]
    verdicts, nothing = _verdicts(compared, taken), taken.title == leaderboard.NOTHING
    if judgment.BETTER in verdicts:
        return "Little to gain" if nothing else "Little more to gain"
    if verdicts and verdicts <= KNOWN:
        return "No remedy needed" if nothing else "A threshold is enough"
    return "No remedy known to help" if nothing else "More is not known to help"


def _verdicts(compared: Comparison, taken: Standing) -> set[str]:
    """Return the verdicts on the arms against the baseline, with the recipe of a standing.

    Of doing nothing, which is judged as predicted, these are those at .5 too.
    """
    same = [of for of in compared.against(compared.baseline) if of.recipe == taken.recipe]
    at_half = same if taken.title == leaderboard.NOTHING else []
    return {of.verdict for of in same} | {of.verdict_as_predicted for of in at_half}
