"""Areas and their covariance, against the definition by all pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from toolkit.metrics import significance


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
    areas, covariance = significance.delong_covariance(positive, scores)
    expected, spread = by_all_pairs(positive, scores)
    np.testing.assert_allclose(areas, expected, rtol=1e-12)
    np.testing.assert_allclose(covariance, spread, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(areas, [roc_auc_score(positive, row) for row in scores])


def test_the_same_network_twice_differs_by_nothing():
    rng = np.random.default_rng(0)
    positive, row = rng.random(100) < 0.3, rng.random(100)
    _, covariance = significance.delong_covariance(positive, np.stack([row, row]))
    assert abs(np.array([1, -1]) @ covariance @ np.array([1, -1])) < 1e-15


def test_the_variance_is_what_other_test_images_would_give():
    """Over many draws of 90 and 500 images, the spread of the AUC is what one draw predicts."""
    rng = np.random.default_rng(0)
    positive = np.arange(590) < 90
    draws = rng.standard_normal((400, 590)) + 1.5 * positive
    found = [significance.delong_covariance(positive, row[None]) for row in draws]
    spread = np.std([area[0] for area, _ in found])
    predicted = np.mean([covariance[0, 0] for _, covariance in found]) ** 0.5
    assert predicted == pytest.approx(spread, rel=0.1)


def test_one_image_of_a_kind_has_no_variance():
    with pytest.raises(ValueError, match="two images of either kind at least, got 1 and 2"):
        significance.delong_covariance(np.array([True, False, False]), np.zeros((1, 3)))
