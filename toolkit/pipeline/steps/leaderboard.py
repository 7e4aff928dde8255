"""`toolkit leaderboard`, and `toolkit.leaderboard`."""

import contextlib
import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from toolkit.errors import InputError
from toolkit.evaluation import judgment
from toolkit.evaluation.advice import taken_standing
from toolkit.evaluation.comparison import Comparison, compare_results, look_at_primary
from toolkit.evaluation.contrasts import Contrast
from toolkit.evaluation.leaderboard import leaderboard_table
from toolkit.evaluation.results import read_result
from toolkit.evaluation.sequential import plan_looks
from toolkit.evaluation.verdict import verdict_sentence
from toolkit.io.notebook import html_table
from toolkit.io.schema import PositiveNumber, check
from toolkit.metrics.significance import MOST_RUNS
from toolkit.pipeline import experiments, params, paths, revisions
from toolkit.pipeline.params import Params
from toolkit.pipeline.seeds import check_more_seeds, name_seeds, plan_in_params
from toolkit.pipeline.timing import PLANNED, TimeBudget, TimeUpError, arm_seconds

Remedy: TypeAlias = tuple[str, str]
"""A recipe with an arm."""


@dataclass(frozen=True)
class Leaderboard:
    """The remedies of a project: their comparison, and the seconds of a run by recipe and arm."""

    comparison: Comparison
    seconds: Mapping[tuple[str, str], float]

    def _repr_html_(self) -> str:
        sentences = map(verdict_sentence, filter(_is_primary, self.comparison.contrasts))
        return html_table(self.rows, " ".join(sentences))

    @property
    def rows(self) -> list[list[str]]:
        """The table, header first."""
        taken = taken_standing(self.comparison)
        return leaderboard_table(self.comparison.leaderboard, self.seconds, taken)


def leaderboard(
    *,
    until_sure: bool = False,
    max_minutes: float | None = None,
    say: Callable[[str], object] = lambda _: None,
) -> Leaderboard:
    """Run what the project in the working folder declares, and rank its remedies.

    That is what `dvc repro` does. With `max_minutes` the cheap remedies are run first, frozen
    networks before others, and those for which there is no time are left out; what was begun goes
    on with the next call. `until_sure` adds seeds to params.yaml, and divisions into folds
    where images are divided, until the primary contrast is settled: looks are planned before any
    result and written to `compare.looks`, so that looking several times raises no more false alarms
    (see `evaluation.sequential`), and with `max_minutes` only where they are expected to fit. `say`
    is told what will be done and how long it takes. Raises InputError outside a project, for stages
    that fail, where seeds do not differ, and if no remedy is done in time.
    """
    check(PositiveNumber | None, max_minutes, "--max-minutes")
    log = paths.LEADERBOARD_LOGS / "repro.log"

    def reproduce(*stages: str, seconds: float | None = None) -> None:
        say(f"{' '.join(('dvc repro', *stages))}; what it says goes to {log}")
        experiments.run_dvc(Path(), log, "repro", *stages, seconds=seconds)

    settings = params.read_settings(paths.PARAMS)
    budget = TimeBudget(math.inf if max_minutes is None else 60 * max_minutes, until_sure, say)
    if until_sure:
        return _until_sure(budget, reproduce)
    if budget.limited:
        return _read(_within(budget, settings, reproduce))
    reproduce()
    return _read()


class Reproduce(Protocol):
    """Run stages of the project, all without names, for at most so many seconds."""

    def __call__(self, *stages: str, seconds: float | None = None) -> None:
        """Raise TimeUpError when the time is up."""


def _within(budget: TimeBudget, settings: Params, reproduce: Reproduce) -> list[Remedy]:
    """Run the remedies of the project in the order of their cost; return those that were done."""
    wanted = _by_cost(settings, arm_seconds(revisions.run_keys(settings.compare)))
    listed = ", ".join(f"{recipe} with {arm}" for recipe, arm in wanted)
    budget.say(f"at most {budget.seconds / 60:.3g} min, the cheap ones first: {listed}")
    done, took = list[Remedy](), dict[str, float]()
    with contextlib.suppress(TimeUpError):
        reproduce("prepare", seconds=budget.left)
        for recipe, arm in wanted:
            if budget.affords(took.get(recipe, 0.0)):
                began = time.monotonic()
                reproduce(f"train@{arm}-{recipe}", seconds=budget.left)
                reproduce("--single-item", "evaluate", seconds=budget.left)
                took[recipe] = time.monotonic() - began
                done.append((recipe, arm))
    if len(done) == len(wanted):
        reproduce()
        return done
    left = ", ".join(f"{recipe} with {arm}" for recipe, arm in wanted if (recipe, arm) not in done)
    kept = "what was begun is kept, and the same command goes on with it"
    if not done:
        raise InputError(f"--max-minutes {budget.seconds / 60:.3g}: no remedy was done; {kept}")
    budget.say(f"the time is up, left out: {left}; {kept}")
    return done


def _by_cost(settings: Params, seconds: Mapping[Remedy, float]) -> list[Remedy]:
    """Return the remedies: frozen networks first, then what took less; the baseline before others.

    `seconds` are those of a run, as far as they are known.
    """
    compare = settings.compare

    def cost(recipe: str) -> tuple[bool, float]:
        known = [of for (name, _), of in seconds.items() if name == recipe]
        return not settings.train.recipes[recipe].frozen, max(known, default=math.inf)

    first = [compare.baseline, *filter(None, [compare.control])]
    arms = [*first, *(arm for arm in compare.arms if arm not in first)]
    return [(recipe, arm) for recipe in sorted(compare.recipes, key=cost) for arm in arms]


def _until_sure(
    budget: TimeBudget,
    reproduce: Callable[[], object],
    read: Callable[[], Leaderboard] | None = None,
    path: Path = paths.PARAMS,
) -> Leaderboard:
    """Add seeds to the params at `path`, `reproduce` and `read` the results, until it is sure."""
    read = read or _read
    settings = params.read_settings(path)
    check_more_seeds(settings)
    reproduce()
    each = _seconds_of_a_seed(settings)
    looks = tuple(settings.compare.looks) or _plan(settings, each, budget)
    again = 0.0  # seconds that DVC takes besides
    if looks != tuple(settings.compare.looks) and len(looks) > 1:
        began = time.monotonic()
        plan_in_params(path, looks)
        reproduce()
        again = time.monotonic() - began
    while True:
        latest, seeds = read(), len(params.read_settings(path).compare.seeds)
        primary = next(filter(_is_primary, latest.comparison.contrasts))
        budget.say(f"{seeds} seeds of each arm: {primary.verdict}")
        following = next((count for count in looks if count > seeds), None)
        if primary.verdict != judgment.UNKNOWN or following is None:
            return latest
        needed = again + each * (following - seeds)
        if not budget.affords(needed):
            budget.say(f"the time is up: {following} seeds need {needed:.0f} s more")
            return latest
        name_seeds(path, following)
        reproduce()


def _plan(settings: Params, each: float, budget: TimeBudget) -> tuple[int, ...]:
    """Return the numbers of seeds to look at, and say what one more of each arm takes."""
    first, most = len(settings.compare.seeds), MOST_RUNS
    if budget.limited:
        most = min(most, first + max(0, int(PLANNED * budget.left / max(each, 1e-3))))
    looks = plan_looks(first, most)
    if len(looks) > 1:
        named = ", ".join(map(str, looks))
        budget.say(f"seeds of each arm are looked at: {named}; one more takes about {each:.0f} s")
    else:
        budget.say(f"no time for half as many seeds again: one more takes about {each:.0f} s")
    return looks


def _seconds_of_a_seed(settings: Params) -> float:
    """Return what one more seed of all arms and recipes takes, one run after the other."""
    known = arm_seconds(revisions.run_keys(settings.compare))
    pairs = len(settings.compare.arms) * len(settings.compare.recipes)
    return sum(known.values()) * pairs / max(1, len(known))


def _is_primary(contrast: Contrast) -> bool:
    return contrast.primary


def _read(only: Collection[Remedy] | None = None) -> Leaderboard:
    """Read the evaluations of params.yaml, or `only` those, and compare them as it says."""
    settings = params.read_settings(paths.PARAMS)
    compare = settings.compare
    results = [
        read_result(paths.RUNS / key.place)
        for key in revisions.run_keys(compare)
        if only is None or (key.recipe, key.arm) in only
    ]
    arms = {result.arm for result in results}
    compared = compare_results(
        results,
        compare.baseline,
        compare.control,
        resamples=compare.resamples,
        seed=compare.seed,
        primary=compare.declared,
        margin=compare.margin,
        published=[arm for arm in settings.published if arm in arms],
    )
    seconds = arm_seconds(result.key for result in results)
    return Leaderboard(look_at_primary(compared, compare.looks), seconds)
