"""Tests of differences, against scipy and known answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from toolkit.metrics.significance import difference, holm, mcnemar, mean_interval, t_quantile

MANY = 10**9  # so many images that their number leaves no doubt


def test_mcnemar_is_the_binomial_test_of_the_discordant_images():
    arm = np.array([True] * 9 + [False] * 3 + [True] * 20)
    other = np.array([False] * 9 + [True] * 3 + [True] * 20)
    found = mcnemar(arm, other)
    assert (found.only_arm, found.only_other) == (9, 3)
    assert found.p == pytest.approx(stats.binomtest(3, 12).pvalue)


def test_mcnemar_of_equal_networks_is_one():
    assert mcnemar(np.array([True, False]), np.array([True, False])).p == 1


def test_holm_steps_down_and_never_decreases():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1, 1]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_no_correction_and_bonferronis(ps):
    for before, after in zip(ps, holm(ps), strict=True):
        assert before <= after <= min(1, before * len(ps))


def test_without_luck_of_images_it_is_welchs_test():
    """Nothing varies but training: the two-sample t-test with unequal variances."""
    arm, other = np.array([0.91, 0.94, 0.92, 0.95]), np.array([0.88, 0.93, 0.90])
    found = difference(arm, other, np.zeros((7, 7)), MANY)
    welch = stats.ttest_ind(arm, other, equal_var=False)
    assert found.p == pytest.approx(welch.pvalue)
    interval = welch.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_without_luck_of_training_it_is_the_images_alone():
    """All runs equal and fully dependent on the images: a z-test of their difference."""
    covariance = np.full((4, 4), 0.0004)
    covariance[:2, 2:] = covariance[2:, :2] = 0.0001
    found = difference(np.array([0.9, 0.9]), np.array([0.8, 0.8]), covariance, MANY)
    error = (0.0004 + 0.0004 - 2 * 0.0001) ** 0.5
    assert found.p == pytest.approx(2 * stats.norm.sf(0.1 / error))
    assert found.high - found.value == pytest.approx(1.959964 * error)
    assert found.detectable == pytest.approx((1.959964 + 0.841621) * error, rel=1e-5)


def test_one_run_each_counts_what_the_images_do_to_both():
    covariance = np.array([[0.0004, 0.0003], [0.0003, 0.0005]])
    found = difference(np.array([0.9]), np.array([0.88]), covariance, 90)
    reach = stats.t.ppf(0.975, 89) * (0.0004 + 0.0005 - 2 * 0.0003) ** 0.5
    assert (found.low, found.high) == pytest.approx((0.02 - reach, 0.02 + reach))


def test_few_rare_images_widen_the_interval():
    covariance = np.array([[0.0004, 0.0], [0.0, 0.0004]])
    widths = [
        np.ptp([f.low, f.high])
        for f in (difference(np.array([0.9]), np.array([0.8]), covariance, n) for n in (3, 40, 900))
    ]
    assert widths == sorted(widths, reverse=True)


def test_nothing_that_varies_leaves_no_doubt():
    nothing = np.zeros((2, 2))
    assert difference(np.array([0.9]), np.array([0.9]), nothing, 9).p == 1
    assert difference(np.array([0.9]), np.array([0.8]), nothing, 9).p == 0


def test_the_mean_of_runs_has_students_interval():
    values = np.array([0.91, 0.94, 0.92])
    expected = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    assert mean_interval(values, np.zeros((3, 3)), MANY) == pytest.approx(expected)


def test_quantiles_are_scipys():
    assert t_quantile(0.975) == pytest.approx(stats.norm.ppf(0.975))
    assert t_quantile(0.975, 3) == pytest.approx(stats.t.ppf(0.975, 3))


def test_runs_that_happen_to_agree_are_no_surer_than_these_very_networks():
    """Three independent runs, equal by luck: their number alone does not make them sure."""
    values, covariance = np.full(3, 0.9), np.eye(6) * 0.0009
    reach = stats.t.ppf(0.975, 89) * (0.0009 / 3) ** 0.5
    assert mean_interval(values, covariance[:3, :3], 90) == pytest.approx(
        (0.9 - reach, 0.9 + reach)
    )
    found = difference(values, values, covariance, 90)
    assert found.high == pytest.approx(2**0.5 * reach)
