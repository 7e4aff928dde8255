"""Resamples: their sums, their moments, and one weight an image for all networks."""

import numpy as np
import pytest
from scipy import stats

from toolkit.metrics import bootstrap, classification, confusion
from toolkit.metrics.predictions import Predictions

MATRIX = np.array([[480, 20], [9, 81]])


def rng():
    return np.random.default_rng(0)


def drawn_predictions(images=(500, 90), gap=2.6, seed=0):
    """Scores of two normal distributions, `gap` apart."""
    actual = np.repeat([0, 1], images)
    noise = np.random.default_rng(seed).standard_normal(len(actual))
    score = 1 / (1 + np.exp(1.6 - gap * actual - noise))
    names = np.array(["a", "b"])
    predicted, ids = (score > 0.5).astype(int), map(str, range(len(actual)))
    scores = np.stack([1 - score, score], axis=1)
    labels = (tuple(names[column]) for column in (actual, predicted))
    return Predictions(("a", "b"), tuple(ids), *labels, scores=scores)


def test_every_class_keeps_its_number_of_images():
    np.testing.assert_allclose(
        bootstrap.resample_matrices(rng(), MATRIX, 50).sum(axis=2), np.tile([500.0, 90.0], (50, 1))
    )


def test_recalls_are_drawn_from_jeffreys_distribution():
    drawn = confusion.recall(bootstrap.resample_matrices(rng(), MATRIX, 4000))[:, 1]
    assert stats.kstest(drawn, stats.beta(81.5, 9.5).cdf).pvalue > 0.01


def test_a_class_that_was_found_completely_still_varies():
    drawn = confusion.gmean(bootstrap.resample_matrices(rng(), np.diag([500, 90]), 2000))
    assert 0.95 < np.quantile(drawn, 0.025) < 0.99


def test_networks_share_the_weight_of_an_image():
    """Two networks that differ on five images of 90 differ little in every resample."""
    actual = np.repeat([0, 1], [500, 90])
    first = actual.copy()
    first[500:520] = 0
    second = first.copy()
    second[500:505] = 1
    drawn = bootstrap.paired_matrices(rng(), actual, np.stack([first, second]), 2, 2000)
    np.testing.assert_allclose(drawn.sum(axis=3)[0, 0], [500, 90])
    left, right = confusion.recall(drawn)[:, :, 1]
    assert (right - left).mean() == pytest.approx(5 / 91, abs=0.005)
    assert (right - left).std() == pytest.approx((5 / 90 * 85 / 90 / 90) ** 0.5, rel=0.25)
    assert np.corrcoef(left, right)[0, 1] > 0.8


def test_networks_that_say_the_same_differ_by_less_than_an_image():
    actual = np.repeat([0, 1], [50, 9])
    drawn = bootstrap.paired_matrices(rng(), actual, np.stack([actual, actual]), 2, 2000)
    left, right = confusion.recall(drawn)[:, :, 1]
    assert 0.3 / 10 < (left - right).std() < 1 / 10


def test_the_marginals_of_paired_draws_are_those_of_single_ones():
    actual = np.repeat([0, 1], [500, 90])
    predicted = np.repeat([0, 1, 0, 1], [480, 20, 9, 81])
    other = np.repeat([0, 1, 0, 1], [470, 30, 19, 71])
    drawn = bootstrap.paired_matrices(rng(), actual, np.stack([predicted, other]), 2, 4000)
    single = bootstrap.resample_matrices(rng(), MATRIX, 4000)
    both = (confusion.gmean(drawn[0]), confusion.gmean(single))
    assert stats.ks_2samp(*both).pvalue > 0.01


def test_the_weights_of_a_class_add_up_to_its_images():
    actual = np.repeat([0, 1, 2], [30, 5, 3000])
    drawn = bootstrap.bootstrap_weights(rng(), actual, np.arange(3035.0), 20)
    labels = actual[drawn.samples]
    for label, images in enumerate((30, 5, 3000)):
        np.testing.assert_allclose(drawn.weights[:, labels == label].sum(axis=1), images)
        assert drawn.counts[labels == label].sum() == images
    assert len(drawn.samples) == 30 + 5 + bootstrap.MOST


def test_a_number_varies_as_much_from_representatives_as_from_all_images(monkeypatch):
    predictions = drawn_predictions((3000, 2500))
    few = bootstrap.bootstrap_metrics(predictions, "b", resamples=1500)
    monkeypatch.setattr(bootstrap, "MOST", 10**6)
    every = bootstrap.bootstrap_metrics(predictions, "b", resamples=1500)
    for name in ("roc_auc", "average_precision", "loss", "brier"):
        assert few[name].std() == pytest.approx(every[name].std(), rel=0.1)
        assert few[name].mean() == pytest.approx(every[name].mean(), abs=0.2 * every[name].std())


def test_the_same_seed_gives_the_same_draws():
    predictions = drawn_predictions()
    one, two, other = (
        bootstrap.bootstrap_metrics(predictions, seed=s, resamples=200) for s in (1, 1, 2)
    )
    assert all((one[name] == two[name]).all() for name in one)
    assert (one["gmean"] != other["gmean"]).any()


def test_every_metric_is_resampled_around_its_value():
    predictions = drawn_predictions()
    points = classification.compute_metrics(predictions, "b")
    drawn = bootstrap.bootstrap_metrics(predictions, "b", resamples=400)
    assert set(drawn) == set(points) - {"n"}
    for name in ("gmean", "accuracy", "mcc", "f1_b", "roc_auc", "average_precision", "loss"):
        assert abs(drawn[name].mean() - points[name]) < 0.5 * drawn[name].std()
