"""The leaderboard: who stands on it, in what order, and how probably each is the best."""

from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.test_comparison import BASE, GOOD, arms, scored
from toolkit.evaluation.comparison import compare_results
from toolkit.evaluation.contrasts import GMEAN, estimate_arm, estimate_metrics
from toolkit.evaluation.leaderboard import (
    COPIES,
    NOTHING,
    THRESHOLD,
    _draw_mean,
    leaderboard_table,
    standing_to_take,
)
from toolkit.evaluation.results import HISTORY
from toolkit.evaluation.verdict import comparison_notes


def board(*groups):
    runs = [run for group in groups for run in group]
    return compare_results(runs, control="duplicated", resamples=400).leaderboard


@pytest.fixture(scope="module")
def standings():
    """Copies only move the threshold; new images teach something."""
    return board(
        [scored("original", seed, 2.0, -2.0) for seed in range(3)],
        [replace(scored("original", seed, 2.0), arm="duplicated") for seed in range(3)],
        [scored("augmented", seed, 3.0) for seed in range(3)],
    )


def test_the_baseline_stands_there_twice_and_the_control_as_copies(standings):
    assert standings[0].title == "augmented"
    assert {of.title for of in standings} == {NOTHING, THRESHOLD, COPIES, "augmented"}
    assert standings[-1].title == NOTHING
    by_title = {of.title: of for of in standings}
    assert by_title[THRESHOLD].gmean == pytest.approx(by_title[COPIES].gmean, abs=0.01)


def test_the_best_is_found_and_the_probabilities_add_up(standings):
    assert standings[0].best > 0.9
    assert sum(of.best for of in standings) == pytest.approx(1)


def test_counts_are_those_of_the_decisions(standings):
    nothing = standings[-1]
    runs = [scored("original", seed, 2.0, -2.0).predictions for seed in range(3)]
    right = [
        actual == predicted == "b"
        for run in runs
        for actual, predicted in zip(run.actual, run.predicted, strict=True)
    ]
    assert (nothing.found, nothing.rare, nothing.others) == (sum(right) / 3, 90, 500)
    header, *rows = leaderboard_table(standings)
    assert header == ["remedy", "recipe", "G-mean", "found", "false alarms", "best"]
    assert rows[-1][3] == f"{nothing.found:.0f} of 90"


def test_the_least_effort_within_the_margin_of_the_best_is_taken(standings):
    titles = [standing_to_take(standings, margin).title for margin in (0.0, 1.0)]
    assert titles == ["augmented", NOTHING]
    assert standing_to_take([replace(of, gmean=0.0) for of in standings], 1.0) is None
    taken = standing_to_take(standings, 0.0)
    marked = [row[0] for row in leaderboard_table(standings, taken=taken) if row[0][0] == "*"]
    assert marked == ["* augmented"]


def test_equal_remedies_are_the_best_equally_probably():
    same = [scored("original", seed, 2.0) for seed in range(2)]
    copies = [replace(run, arm="duplicated") for run in same]
    shares = [of.best for of in board(same, copies) if of.title in (THRESHOLD, COPIES)]
    assert shares[0] == pytest.approx(shares[1], abs=0.1)


def test_without_scores_only_decisions_stand_there():
    bare = [
        replace(run, predictions=replace(run.predictions, scores=None))
        for run in arms(original=BASE, augmented=GOOD)
    ]
    assert [of.title for of in board(bare)] == ["augmented", NOTHING]


def test_what_is_lacking_is_named_with_the_lines_that_add_it():
    runs = [scored(arm, seed, 2.0) for arm in ("original", "augmented") for seed in range(2)]
    runs = [replace(run, history={"epoch": (1.0,)}) for run in runs]
    lacking = " ".join(comparison_notes(compare_results(runs, resamples=300, published=[])))
    assert "`control: duplicated` in compare" in lacking
    assert "`homework: {policy: homework}` in augment.arms" in lacking
    there = compare_results(runs, resamples=300, published=["augmented"])
    assert "augmented, the published way" in {of.title for of in there.leaderboard}
    assert "lacks the published way" not in " ".join(comparison_notes(there))


def test_the_size_of_the_networks_stands_there_where_it_is_known():
    runs = [scored(arm, 0, 2.0) for arm in ("original", "augmented")]
    assert leaderboard_table(compare_results(runs).leaderboard)[0][-1] == "best"
    sized = [replace(run, metrics={"network_mb": 44.7}) for run in runs]
    header, *rows = leaderboard_table(compare_results([*sized]).leaderboard)
    assert (header[-1], {row[-1] for row in rows}) == ("MB", {"44.7"})


@pytest.mark.parametrize("fixed", [True, False])
def test_draws_of_cross_fitted_arms_reach_as_far_as_their_intervals(fixed):
    """Two divisions that happen to differ are no two trainings: their spread is not Student's."""
    folds = np.arange(590) % 5
    runs = [scored("original", seed, 3.0 - seed) for seed in range(2)]
    history = dict.fromkeys(HISTORY, (0.0 if fixed else 1.0,))
    runs = [
        replace(of, predictions=replace(of.predictions, folds=folds), history=history)
        for of in runs
    ]
    metrics = estimate_metrics(runs, "b", 2000, 0)
    row = estimate_arm(runs, [0, 1], metrics)
    drawn = _draw_mean(metrics[GMEAN], [0, 1], np.random.default_rng(0), folds=True)
    low, high = row.intervals[GMEAN]
    reach = np.quantile(drawn, 0.975) - np.quantile(drawn, 0.025)
    assert reach == pytest.approx(high - low, rel=0.25)
