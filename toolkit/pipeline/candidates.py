"""Candidates of `advise`: remedies that are cross-fitted, a few divisions into folds at a time."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from toolkit.evaluation.remedies import HeldOutScores
from toolkit.evaluation.sequential import plan_looks
from toolkit.metrics.arrays import Floats, Labels
from toolkit.pipeline import trained
from toolkit.pipeline.timing import PLANNED, TimeBudget
from toolkit.pipeline.trained import TrainableImages
from toolkit.progress import Track
from toolkit.training.state import TrainingJob

MOST_TIMES = 8
"""So many times the first repeats are the most."""

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
    count, within = fits * len(images_of), PLANNED * budget.left

    def needed(job: TrainingJob) -> float:
        return sum(trained.expected_seconds(images, job, fits) for images in images_of.values())

    job, expected = trained.widest_within(within, seed, needed)
    if job is None:
        minutes = math.ceil((expected / PLANNED + budget.seconds - budget.left) / 60)
        budget.say(f"no networks are trained: {count} trainings need --max-minutes {minutes}")
        return []
    width = f", {job.recipe.width:g} of its channels" if job.recipe.width < 1 else ""
    budget.say(
        f"{count} networks are trained ({job.name}{width}, {job.recipe.size} px, "
        f"{job.recipe.epochs} epochs): about {expected / 60:.1f} min"
    )

    def candidate(name: str, data: TrainableImages) -> Candidate:
        def fit(divisions: Sequence[Labels], number: int) -> tuple[list[Floats], float]:
            training = replace(job, seed=seed + number)
            return trained.cross_fit_networks(data, divisions, training, budget, track)

        return Candidate(name, fit, tuned=True, random=True)

    return [candidate(name, data) for name, data in images_of.items()]
