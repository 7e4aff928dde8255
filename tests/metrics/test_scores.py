"""Numbers from probabilities against scikit-learn, with ties and weights."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import mannwhitneyu
from sklearn import metrics as oracle

from toolkit.errors import InputError
from toolkit.metrics import scores

SURE = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
ONE_VS_REST = {f"{name} of the last": metric for name, metric in scores.ONE_VS_REST.items()}
BY_CLASS = {**ONE_VS_REST, **scores.RANKINGS}
ALL = (*scores.SCORES, *BY_CLASS)


def measure(name, actual, probabilities, weights=None):
    """Any metric; one of a class is that of the last."""
    if name in scores.SCORES:
        return scores.SCORES[name](actual, probabilities, weights)
    return BY_CLASS[name](actual, probabilities, probabilities.shape[1] - 1, weights)


@st.composite
def scored(draw, most=5):
    """Labels of 2 to `most` classes, each with an image, and probabilities with many ties."""
    classes = draw(st.integers(2, most))
    more = draw(st.lists(st.integers(0, classes - 1), max_size=40))
    actual = np.array([*range(classes), *more])
    raw = draw(arrays(np.float64, (len(actual), classes), elements=st.integers(1, 5)))
    return classes, actual, raw / raw.sum(axis=1, keepdims=True)


@st.composite
def weighted(draw):
    """The same, with three resamples in which no class is lost."""
    classes, actual, probabilities = draw(scored())
    counts = st.one_of(st.integers(0, 4), st.floats(1e-3, 10))
    weights = draw(arrays(np.float64, (3, len(actual)), elements=counts))
    weights[:, :classes] += 1
    return classes, actual, probabilities, weights


def by_scikit_learn(name, actual, probabilities, weights):
    """The oracle of one resample; that of a class is of the last."""
    classes = probabilities.shape[1]
    last = (actual == classes - 1, probabilities[:, -1])
    options = {"sample_weight": weights}
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == actual
    return {
        "loss": lambda: oracle.log_loss(actual, probabilities, labels=range(classes), **options),
        "brier": lambda: oracle.brier_score_loss(
            actual, probabilities, labels=range(classes), **options
        ),
        "ece": lambda: ece_by_definition(sure, right, weights),
        "loss of the last": lambda: oracle.log_loss(*last, labels=[False, True], **options),
        "brier of the last": lambda: oracle.brier_score_loss(*last, pos_label=True, **options),
        "ece of the last": lambda: ece_by_definition(last[1], last[0], weights),
        "roc_auc": lambda: oracle.roc_auc_score(*last, **options),
        "average_precision": lambda: oracle.average_precision_score(*last, **options),
    }[name]()


def ece_by_definition(score, true, weights):
    total = 0.0
    for low, high in itertools.pairwise(np.linspace(0, 1, 16)):
        inside = (score > low) & (score <= high)
        if weights[inside].sum() > 0:
            gap = np.average(true[inside] - score[inside], weights=weights[inside])
            total += weights[inside].sum() / weights.sum() * abs(gap)
    return total


@pytest.mark.parametrize("name", ALL)
@given(case=scored())
def test_every_metric_agrees_with_its_oracle(name, case):
    _, actual, probabilities = case
    expected = by_scikit_learn(name, actual, probabilities, np.ones(len(actual)))
    assert measure(name, actual, probabilities) == pytest.approx(expected, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("name", ALL)
@given(case=weighted())
def test_every_metric_of_resamples_agrees_with_its_oracle_one_by_one(name, case):
    _, actual, probabilities, weights = case
    values = measure(name, actual, probabilities, weights)
    expected = [by_scikit_learn(name, actual, probabilities, one) for one in weights]
    assert values == pytest.approx(expected, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("name", ALL)
@given(case=weighted())
def test_resamples_at_once_equal_the_loop_over_them(name, case):
    """Leading axes keep their shape, and a single resample gives one number."""
    _, actual, probabilities, weights = case
    loop = [measure(name, actual, probabilities, one) for one in weights]
    assert all(isinstance(value, float) for value in loop)
    values = measure(name, actual, probabilities, weights[:, None, :])
    assert values.shape == (3, 1)
    assert values[:, 0] == pytest.approx(loop, rel=1e-14, abs=1e-15)


@pytest.mark.parametrize("name", ALL)
@given(case=scored(most=3), data=st.data())
def test_a_weight_of_two_is_an_image_that_stands_twice(name, case, data):
    classes, actual, probabilities = case
    counts = data.draw(arrays(np.int64, len(actual), elements=st.integers(0, 3)))
    counts[:classes] += 1
    rows = np.repeat(np.arange(len(actual)), counts)
    repeated = measure(name, actual[rows], probabilities[rows])
    weight = counts.astype(np.float64)
    assert measure(name, actual, probabilities, weight) == pytest.approx(repeated, abs=1e-14)


@given(scored(most=2))
def test_the_auc_is_the_u_of_mann_and_whitney_over_all_pairs(case):
    _, actual, probabilities = case
    one, zero = (probabilities[actual == label, 1] for label in (1, 0))
    pairs = len(one) * len(zero)
    expected = mannwhitneyu(one, zero, method="asymptotic").statistic / pairs
    assert scores.roc_auc(actual, probabilities, 1) == pytest.approx(expected)


def test_many_resamples_are_ranked_in_blocks_without_a_seam():
    rng = np.random.default_rng(0)
    actual = (rng.random(500) < 0.2).astype(int)
    positive = rng.random(500).round(2)
    probabilities = np.stack([1 - positive, positive], axis=1)
    weights = rng.random((1000, 500))
    assert weights.size > 3 * scores.BLOCK
    for rank in scores.RANKINGS.values():
        loop = [rank(actual, probabilities, 1, one) for one in weights]
        assert (rank(actual, probabilities, 1, weights) == loop).all()


@pytest.mark.parametrize("name", ALL)
def test_sure_and_right_scores_are_the_best_there_are(name):
    best = 1 if name in scores.RANKINGS else 0
    assert measure(name, np.array([0, 1, 1]), SURE) == best


@pytest.mark.parametrize(("name", "worst"), [("brier", 1), ("ece", 1), ("roc_auc", 0)])
def test_sure_and_wrong_scores_are_the_worst_there_are(name, worst):
    assert measure(name, np.array([1, 0, 0]), SURE) == worst


def test_log_loss_stays_finite_at_a_score_of_zero():
    assert scores.log_loss(np.array([1]), SURE[:1]) == pytest.approx(36.04, abs=0.01)


def test_equal_scores_have_an_auc_of_one_half_and_the_prevalence_as_average_precision():
    actual, equal = np.array([0, 0, 0, 1]), np.full((4, 2), 0.5)
    assert scores.roc_auc(actual, equal, 1) == 0.5
    assert scores.average_precision(actual, equal, 1) == 0.25


def test_bins_have_their_upper_end_and_not_their_lower_one():
    values = np.array([0.0, 1 / 15, 0.07, 14 / 15, 0.94, 1.0])
    assert scores.bin_of(values).tolist() == [0, 0, 1, 13, 14, 14]


@pytest.mark.parametrize("rank", scores.RANKINGS.values())
@pytest.mark.parametrize("actual", [[0, 0, 0], [1, 1, 1]])
def test_a_class_with_no_images_or_all_of_them_has_no_ranking(rank, actual):
    with pytest.raises(InputError, match="class number 1 has no images, or all of them"):
        rank(np.array(actual), SURE, 1, None)


@pytest.mark.parametrize("rank", scores.RANKINGS.values())
def test_a_resample_that_lost_a_class_is_refused(rank):
    weights = np.array([[1.0, 1, 1], [1, 0, 0]])
    with pytest.raises(InputError, match="class number 0 has no images, or all of them"):
        rank(np.array([0, 1, 1]), SURE, 0, weights)
