"""Tests and intervals of differences, against scipy, the definitions and known answers."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from toolkit.metrics import significance
from toolkit.metrics.significance import (
    area_covariance,
    delong_covariance,
    difference,
    holm,
    mcnemar,
    mean_interval,
    t_quantile,
)

MANY = 10**9  # so many images that their number adds no uncertainty


def test_quantiles_are_scipys():
    assert t_quantile(0.975) == pytest.approx(stats.norm.ppf(0.975))
    assert t_quantile(0.975, 3) == pytest.approx(stats.t.ppf(0.975, 3))


def test_holm_steps_down_and_never_decreases():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1, 1]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_no_correction_and_bonferronis(ps):
    for before, after in zip(ps, holm(ps), strict=True):
        assert before <= after <= min(1, before * len(ps))


# --- two networks on the same images ----------------------------------------------------------


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_the_binomial_test_of_the_discordant_images(only_arm, only_other):
    arm = np.repeat([True, False, True], [only_arm, only_other, 20])
    other = np.repeat([False, True, True], [only_arm, only_other, 20])
    result = mcnemar(arm, other)
    assert (result.only_arm, result.only_other) == (only_arm, only_other)
    if only_arm + only_other:
        expected = stats.binomtest(only_arm, only_arm + only_other).pvalue
        assert result.p == pytest.approx(expected, rel=1e-12)


def test_mcnemar_of_equal_networks_is_one():
    assert mcnemar(np.array([True, False]), np.array([True, False])).p == 1


def by_all_pairs(positive, scores):
    """DeLong's structural components as they are defined, without sorting."""
    inside, outside = scores[:, positive], scores[:, ~positive]
    wins = (inside[:, :, None] > outside[:, None, :]) + 0.5 * (
        inside[:, :, None] == outside[:, None, :]
    )
    left, right = wins.mean(axis=2), wins.mean(axis=1)
    covariance = np.cov(left) / left.shape[1] + np.cov(right) / right.shape[1]
    return wins.mean(axis=(1, 2)), np.atleast_2d(covariance)


@given(seed=st.integers(0, 10**6), networks=st.integers(1, 3), levels=st.integers(2, 30))
def test_areas_and_covariance_are_those_of_all_pairs_also_with_ties(seed, networks, levels):
    rng = np.random.default_rng(seed)
    positive = np.array([True, True, False, False, *(rng.random(20) < 0.4)])
    scores = rng.integers(0, levels, (networks, 24)) / levels
    areas, covariance = delong_covariance(positive, scores)
    expected, spread = by_all_pairs(positive, scores)
    np.testing.assert_allclose(areas, expected, rtol=1e-12)
    np.testing.assert_allclose(covariance, spread, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(areas, [roc_auc_score(positive, row) for row in scores])


def test_the_same_network_twice_differs_by_nothing():
    rng = np.random.default_rng(0)
    positive, row = rng.random(100) < 0.3, rng.random(100)
    _, covariance = delong_covariance(positive, np.stack([row, row]))
    assert abs(np.array([1, -1]) @ covariance @ np.array([1, -1])) < 1e-15


def test_the_variance_is_what_other_test_images_would_give():
    """Over many samples of 90 and 500 images, the spread of the AUC is what one predicts."""
    rng = np.random.default_rng(0)
    positive = np.arange(590) < 90
    rows = rng.standard_normal((400, 590)) + 1.5 * positive
    results = [delong_covariance(positive, row[None]) for row in rows]
    spread = np.std([area[0] for area, _ in results])
    predicted = np.mean([covariance[0, 0] for _, covariance in results]) ** 0.5
    assert predicted == pytest.approx(spread, rel=0.1)


def test_one_image_of_a_kind_has_no_variance():
    with pytest.raises(ValueError, match="two images of each kind, got 1 and 2"):
        delong_covariance(np.array([True, False, False]), np.zeros((1, 3)))


# --- two arms, each trained several times -----------------------------------------------------


def test_without_variance_of_images_the_degrees_of_freedom_lie_half_way_to_welchs():
    rng = np.random.default_rng(0)
    arm, other = (rng.normal(0.9, luck, 3) for luck in (0.02, 0.05))
    result = difference(arm, other, np.zeros((6, 6)), MANY)
    error = (stats.sem(arm) ** 2 + stats.sem(other) ** 2) ** 0.5
    freedom = (2 + stats.ttest_ind(arm, other, equal_var=False).df) / 2
    assert result.p == pytest.approx(2 * stats.t.sf(abs(result.value) / error, freedom))


@pytest.mark.parametrize("spreads", [(1.0, 1.0), (1.0, 5.5)])
@pytest.mark.parametrize("runs", [(3, 3), (2, 10)])
def test_equal_arms_rarely_differ_however_unequally_they_are_trained(runs, spreads):
    """Where images add as much variance to a run as training, and some that an arm shares."""
    rng, n, covariance = np.random.default_rng(0), 600, np.eye(sum(runs))
    covariance[: runs[0], : runs[0]] += 0.25
    covariance[runs[0] :, runs[0] :] += 0.25
    alarms = 0
    for _ in range(n):
        arm, other = (
            rng.normal(0, 0.5) + spread * rng.normal(size=count)
            for count, spread in zip(runs, spreads, strict=True)
        )
        alarms += difference(arm, other, covariance, 110).p < 0.05
    assert 0.001 < alarms / n < 0.05 + 2 * (0.05 * 0.95 / n) ** 0.5


def test_without_variance_of_training_it_is_the_images_alone():
    """All runs equal and fully dependent on the images: a z-test of their difference."""
    covariance = np.full((4, 4), 0.0004)
    covariance[:2, 2:] = covariance[2:, :2] = 0.0001
    result = difference(np.array([0.9, 0.9]), np.array([0.8, 0.8]), covariance, MANY)
    error = (0.0004 + 0.0004 - 2 * 0.0001) ** 0.5
    assert result.p == pytest.approx(2 * stats.norm.sf(0.1 / error))
    assert result.high - result.value == pytest.approx(1.959964 * error)
    assert result.detectable(1) == pytest.approx((1.959964 + 0.841621) * error, rel=1e-5)


def test_one_run_each_counts_what_the_images_do_to_both():
    covariance = np.array([[0.0004, 0.0003], [0.0003, 0.0005]])
    result = difference(np.array([0.9]), np.array([0.88]), covariance, 90)
    reach = stats.t.ppf(0.975, 89) * (0.0004 + 0.0005 - 2 * 0.0003) ** 0.5
    assert (result.low, result.high) == pytest.approx((0.02 - reach, 0.02 + reach))


def test_few_rare_images_widen_the_interval():
    arm, other, covariance = np.array([0.9]), np.array([0.8]), np.diag([0.0004, 0.0004])
    results = [difference(arm, other, covariance, images) for images in (3, 40, 900)]
    widths = [result.high - result.low for result in results]
    assert widths == sorted(widths, reverse=True)


def test_equal_runs_differ_by_exactly_nothing():
    """0.1 + 0.1 + 0.1 is not 0.3, and 2 runs against 7 are no verdict out of rounding."""
    covariance = np.full((9, 9), 0.0004) + np.eye(9) * 1e-12
    result = difference(np.full(2, 0.8314), np.full(7, 0.8314), covariance, 90)
    assert (result.value, result.p) == (0, 1)


def test_the_detectable_difference_counts_holms_correction():
    """Four tests: the first of them needs p below 0.05 / 4."""
    result = difference(np.array([0.9]), np.array([0.8]), np.diag([0.0004, 0.0004]), MANY)
    error = 0.0008**0.5
    expected = (stats.norm.ppf(1 - 0.05 / 8) + stats.norm.ppf(0.8)) * error
    assert result.detectable(4) == pytest.approx(expected)


def test_no_difference_beyond_what_is_possible_is_detectable():
    wide = difference(np.array([0.6]), np.array([0.5]), np.diag([0.04, 0.04]), MANY)
    assert wide.detectable(1) == np.inf  # 0.79, but from 0.5 there are 0.5 to either side


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_at_the_ends_it_is_unknown_what_is_detectable(end):
    result = difference(np.array([end]), np.array([0.5]), np.diag([1e-4, 1e-4]), 90)
    assert np.isnan(result.detectable(1))


def test_equal_perfect_rankings_may_still_differ():
    positive = np.repeat([True, False], [5, 30])
    areas, covariance = area_covariance(positive, np.stack([positive.astype(float)] * 2))
    result = difference(areas[:1], areas[1:], covariance, 5)
    assert result.value == 0
    assert -0.3 < result.low < -0.05 < 0.05 < result.high < 0.3


def test_the_mean_of_runs_has_students_interval():
    values = np.array([0.91, 0.94, 0.92])
    expected = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    points = np.stack([values, values], axis=1)
    assert mean_interval(values, points, np.zeros((3, 3))) == pytest.approx(expected)


def test_equal_runs_have_the_interval_of_one():
    """One number has one interval: three times the same network is that network."""
    values, ends = np.full(3, 0.9), np.tile([0.82, 0.95], (3, 1))
    assert mean_interval(values, ends, np.full((3, 3), 0.0009)) == pytest.approx((0.82, 0.95))


def test_independent_runs_that_happen_to_agree_are_surer_by_their_number():
    """And never surer than these very networks: a half of each reach remains for four."""
    values, ends = np.full(4, 0.9), np.tile([0.82, 0.95], (4, 1))
    assert mean_interval(values, ends, np.eye(4) * 0.0009) == pytest.approx((0.86, 0.925))


def test_training_adds_to_the_images_by_its_square():
    values, ends = np.array([0.8, 0.9]), np.array([[0.7, 0.83], [0.8, 0.93]])
    reach = stats.t.ppf(0.975, 1) * 0.05
    low, high = mean_interval(values, ends, np.full((2, 2), 0.0009))
    assert 0.85 - low == pytest.approx(np.hypot(0.1, reach))
    assert high - 0.85 == pytest.approx(np.hypot(0.03, reach))


def test_runs_that_happen_to_agree_differ_as_these_very_networks_do():
    """Three independent runs, equal by luck: their number alone does not make them sure."""
    values, covariance = np.full(3, 0.9), np.eye(6) * 0.0009
    reach = stats.t.ppf(0.975, 89) * (2 * 0.0009 / 3) ** 0.5
    assert difference(values, values, covariance, 90).high == pytest.approx(reach)


# --- what would settle it ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def few():
    """Two runs of each arm that vary by 0.02, on images that add an error of 0.01."""
    covariance = np.full((4, 4), 0.0002)
    covariance[:2, 2:] = covariance[2:, :2] = 0.00015
    return difference(np.array([0.86, 0.9]), np.array([0.84, 0.88]), covariance, 200)


def test_the_seeds_that_would_settle_it_are_the_fewest_that_do(few):
    needed = few.runs_needed(0.06)
    assert few.detectable() > 0.06
    assert few.detectable(runs=(needed, needed)) <= 0.06
    assert few.detectable(runs=(needed - 1, needed - 1)) > 0.06


def test_the_images_that_would_settle_it_are_as_few_as_do(few):
    many = dataclasses.replace(few, parts=dataclasses.replace(few.parts, training=(1e-6, 1e-6)))
    times = many.images_needed(0.02)
    assert many.detectable(times=times) <= 0.02
    assert many.detectable(times=0.99 * times) > 0.02


def test_nothing_is_asked_for_that_cannot_settle_it(few):
    assert few.runs_needed(0.001) is None  # the images are too few
    assert few.images_needed(0.001) is None  # the seeds are
    assert few.runs_needed(few.detectable()) is None  # nothing more is needed


def test_the_design_says_beforehand_what_can_be_found():
    """Like independent networks of recall 0.9 on 90 and 500 images, half of their errors shared."""
    one = significance.expected_parts((500, 90), 1, recall=0.9, spread=0.04, shared=0.5)
    variance = (0.09 / 500 + 0.09 / 90) / 4
    assert one.error()[0] == pytest.approx((2 * variance * 0.5) ** 0.5)
    sizes = [
        significance.detectable_difference(
            significance.expected_parts((500, 90), n, recall=0.9, spread=0.04, shared=0.5).error()
        )
        for n in (2, 3, 5, 20)
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[1] == pytest.approx(0.16, abs=0.02)
