"""Candidates of `advise`: remedies that are cross-fitted, a few divisions into folds at a time."""

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from toolkit.errors import InputError
from toolkit.evaluation import advice, judgment
from toolkit.evaluation.remedies import (
    HeldOutImages,
    HeldOutScores,
    RemedyComparison,
    compare_remedies,
)
from toolkit.evaluation.sequential import plan_looks
from toolkit.metrics.arrays import Floats, Labels
from toolkit.pipeline import trained
from toolkit.pipeline.timing import PLANNED, TimeBudget, TimeUpError
from toolkit.pipeline.trained import TrainableImages
from toolkit.progress import Track
from toolkit.training.pretrained import heads
from toolkit.training.pretrained.heads import TrainingSet
from toolkit.training.state import TrainingJob

MOST_TIMES = 8
"""So many times the first repeats are the most."""
AT_LEAST = (advice.NOTHING, advice.BALANCED)
"""Networks that advice from scratch needs: the one to beat, and the declared one."""

Fit = Callable[[Sequence[Labels], int], tuple[list[Floats], float]]
"""Takes divisions into folds, each [N], and the number of the first one; returns scores [N, K] for
each of them, and the CPU seconds spent."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A remedy to try; see HeldOutScores. `seconds` are of CPU, for its preparation."""

    name: str
    fit: Fit
    tuned: bool = False
    seconds: float = 0.0
    random: bool = False


def head_candidate(
    name: str, data: TrainingSet, track: Track, *, tuned: bool = False, seconds: float = 0.0
) -> Candidate:
    """Return a classifier on features as a candidate; `seconds` were spent to prepare it."""

    def fit(divisions: Sequence[Labels], _: int) -> tuple[list[Floats], float]:
        begun = time.process_time()
        scores = [heads.cross_fit(data, one) for one in track(divisions, name, len(divisions))]
        return scores, time.process_time() - begun

    return Candidate(name, fit, tuned, seconds)


def cross_fit_candidates(
    candidates: Sequence[Candidate],
    divisions: Sequence[Labels],
    before: Mapping[str, HeldOutScores],
) -> dict[str, HeldOutScores]:
    """Return the scores of each candidate in all divisions; only those not in `before` are new."""
    held = dict(before)
    for one in candidates:
        known = held.get(one.name, HeldOutScores(one.name, (), one.tuned, one.seconds, one.random))
        if todo := divisions[len(known.repeats) :]:
            scores, seconds = one.fit(todo, len(known.repeats))
            held[one.name] = replace(
                known, repeats=(*known.repeats, *scores), seconds=known.seconds + seconds
            )
    return held


# --- rounds -----------------------------------------------------------------------------------


def compare_rounds(
    images: HeldOutImages,
    candidates: Sequence[Candidate],
    slow: Callable[[], Sequence[Candidate]],
    divide: Callable[[], Labels],
    budget: TimeBudget,
    settings: Mapping[str, Any],
) -> tuple[HeldOutImages, RemedyComparison]:
    """Compare the candidates, with those that are `slow` as long as there is time for them.

    With a `budget` more divisions into folds, each from `divide`, are compared until it is spent.
    `settings` are those of `compare_remedies`. Returns the images with all divisions, too.
    """
    begun, repeats = time.monotonic(), len(images.folds)
    held = cross_fit_candidates(candidates, images.folds, {})
    waiting = [*slow()]
    with contextlib.suppress(TimeUpError):
        while waiting:
            held = cross_fit_candidates(waiting[:1], images.folds, held)
            candidates = [*candidates, waiting.pop(0)]
    if waiting:
        left = ", ".join(advice.TITLES[one.name] for one in waiting)
        budget.say(f"the time is up: left out are {left}; raise --max-minutes")
    each = (time.monotonic() - begun) / repeats
    rounds = plan_rounds(repeats, each, budget)
    for count, following in zip(rounds, (*rounds[1:], rounds[-1]), strict=True):
        added = [divide() for _ in range(count - len(images.folds))]
        larger = replace(images, folds=(*images.folds, *added))
        with contextlib.suppress(TimeUpError):  # then the divisions before are compared
            held, images = cross_fit_candidates(candidates, larger.folds, held), larger
        compared = compare_remedies(
            images, _in_order(held), looks=rounds if len(rounds) > 1 else (), **settings
        )
        if compared[compared.declared].verdict != judgment.UNKNOWN:
            break
        if len(images.folds) < count or not budget.affords(each * (following - count)):
            budget.say(f"the time is up after {len(images.folds)} divisions into folds")
            break
    return images, compared


def _in_order(held: Mapping[str, HeldOutScores]) -> list[HeldOutScores]:
    """Return the remedies by effort, a chosen threshold among them: the scores of doing nothing."""
    threshold = replace(held[advice.NOTHING], name=advice.THRESHOLD, tuned=True)
    every = {**held, advice.THRESHOLD: threshold}
    return [every[name] for name in advice.TITLES if name in every]


def plan_rounds(repeats: int, seconds: float, budget: TimeBudget) -> tuple[int, ...]:
    """Return the numbers of repeats after which the remedies are compared: the last is the most.

    `seconds` are those of one more repeat. Results have no part in this plan.
    """
    if not (budget.limited or budget.until_sure):
        return (repeats,)
    most = MOST_TIMES * repeats
    if budget.limited:
        most = min(most, repeats + max(0, int(PLANNED * budget.left / max(seconds, 1e-3))))
    if most > repeats:
        budget.say(f"up to {most} divisions into folds, about {seconds:.1f} s each")
    return plan_looks(repeats, most) if budget.until_sure else (most,)


# --- networks ---------------------------------------------------------------------------------


def choose_networks(
    images_of: Mapping[str, TrainableImages],
    fits: int,
    budget: TimeBudget,
    seed: int,
    track: Track,
) -> list[Candidate]:
    """Return networks to train `fits` times each, as wide as the time allows.

    None where it is too short; either is said. They raise TimeUpError where it is up.
    """
    job, expected = _widest(images_of, fits, budget, seed)
    if job is None:
        count, minutes = fits * len(images_of), _minutes(expected, budget)
        budget.say(f"no networks are trained: {count} trainings need --max-minutes {minutes}")
        return []
    _announce(images_of, fits, job, expected, budget)
    return [
        _network_candidate(name, images, job, budget, track, budget)
        for name, images in images_of.items()
    ]


@dataclass(frozen=True, eq=False)
class ScratchPlan:
    """Networks from scratch that are compared in place of heads, in so many divisions into folds.

    `first` are those of AT_LEAST, which are trained even if that takes longer than planned, `slow`
    the others; `network` says in words what is trained.
    """

    first: list[Candidate]
    slow: list[Candidate]
    repeats: int
    network: str


def plan_from_scratch(
    images_of: Mapping[str, TrainableImages],
    folds: int,
    repeats: int,
    budget: TimeBudget,
    seed: int,
    track: Track,
) -> ScratchPlan:
    """Plan networks from scratch, as many of `images_of` as the time allows, as wide as it allows.

    The last of them are left out first, then all divisions into folds but one. What is planned is
    said. Raises InputError where the time is too short for the first two.
    """
    names, least, minutes = list(images_of), len(AT_LEAST), list[int]()
    job, chosen, divisions = None, dict(images_of), repeats
    for count, divisions in [*((n, repeats) for n in range(len(names), least - 1, -1)), (least, 1)]:
        chosen = {name: images_of[name] for name in names[:count]}
        job, expected = _widest(chosen, folds * divisions, budget, seed)
        minutes.append(_minutes(expected, budget))
        if job is not None:
            break
    if job is None:
        raise InputError(
            f"networks from scratch need --max-minutes {minutes[-1]} for so many photos; give so "
            "many, or take fewer photos of each class (--most)"
        )
    if left_out := [advice.TITLES[name] for name in names if name not in chosen]:
        budget.say(f"left out: {', '.join(left_out)}; --max-minutes {minutes[0]} would do for all")
    if divisions < repeats:
        budget.say(f"the photos are divided into folds once, not {repeats} times")
    _announce(chosen, folds * divisions, job, expected, budget)
    made = [
        _network_candidate(
            name, images, job, budget, track, TimeBudget() if name in AT_LEAST else budget
        )
        for name, images in chosen.items()
    ]
    return ScratchPlan(made[:least], made[least:], divisions, _describe(job))


def _network_candidate(
    name: str,
    images: TrainableImages,
    job: TrainingJob,
    budget: TimeBudget,
    track: Track,
    first: TimeBudget,
) -> Candidate:
    """Return a network as a candidate; its first divisions have the budget `first`."""

    def fit(divisions: Sequence[Labels], number: int) -> tuple[list[Floats], float]:
        within = budget if number else first
        training = replace(job, seed=job.seed + number)
        return trained.cross_fit_networks(images, divisions, training, within, track)

    return Candidate(name, fit, tuned=name in advice.SLOW, random=True)


def _widest(
    images_of: Mapping[str, TrainableImages], fits: int, budget: TimeBudget, seed: int
) -> tuple[TrainingJob | None, float]:
    """Return the widest network for all of the images, see `trained.widest_within`."""
    several = [*images_of.values()]
    return trained.widest_within(
        PLANNED * budget.left, seed, lambda job: trained.expected_seconds(several, job, fits)
    )


def _minutes(seconds: float, budget: TimeBudget) -> int:
    """Return the `--max-minutes` with which there would be time for what takes so long."""
    return math.ceil((seconds / PLANNED + budget.seconds - budget.left) / 60)


def _announce(
    images_of: Mapping[str, TrainableImages],
    fits: int,
    job: TrainingJob,
    expected: float,
    budget: TimeBudget,
) -> None:
    size = next(iter(images_of.values())).data.size
    budget.say(
        f"{fits * len(images_of)} networks are trained ({_describe(job, size)}): about "
        f"{expected / 60:.1f} min"
    )


def _describe(job: TrainingJob, size: int | None = None) -> str:
    """Return the network in words, and the pixels that it takes."""
    width = f", {job.recipe.width:g} of its channels" if job.recipe.width < 1 else ""
    pixels = f", {size} px" if size else ""
    return f"{job.name}{width}{pixels}, {job.recipe.epochs} epochs"
