"""Points of charts against scikit-learn's curves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from imblearn.metrics import geometric_mean_score
from sklearn import metrics as oracle
from sklearn.calibration import calibration_curve

from toolkit.errors import InputError
from toolkit.metrics import curves, scores

CURVES = [curves.roc_curve, curves.precision_recall_curve, curves.threshold_curve]


@st.composite
def scored(draw):
    """Labels of 2 to 4 classes, each with an image, and probabilities with many ties."""
    classes = draw(st.integers(2, 4))
    more = draw(st.lists(st.integers(0, classes - 1), max_size=40))
    actual = np.array([*range(classes), *more])
    raw = draw(arrays(np.float64, (len(actual), classes), elements=st.integers(1, 5)))
    return actual, raw / raw.sum(axis=1, keepdims=True)


@pytest.fixture
def many():
    """20,000 images of two classes, the rare one with higher scores."""
    rng = np.random.default_rng(0)
    actual = (rng.random(20_000) < 0.1).astype(int)
    positive = rng.beta(2 + 2 * actual, 3)
    return actual, np.stack([1 - positive, positive], axis=1)


@given(scored())
def test_the_roc_curve_is_that_of_scikit_learn(case):
    actual, table = case
    curve = curves.roc_curve(actual, table, 1)
    expected = oracle.roc_curve(actual == 1, table[:, 1], drop_intermediate=False)
    points = (curve.false_positive_rate, curve.recall, curve.threshold)
    for mine, theirs in zip(points, expected, strict=True):
        assert mine == pytest.approx(theirs)
    area = np.trapezoid(curve.recall, curve.false_positive_rate)
    assert area == pytest.approx(scores.roc_auc(actual, table, 1))


@given(scored())
def test_the_precision_recall_curve_is_that_of_scikit_learn(case):
    actual, table = case
    curve = curves.precision_recall_curve(actual, table, 0)
    precision, recall, threshold = oracle.precision_recall_curve(actual == 0, table[:, 0])
    assert curve.precision == pytest.approx(precision)
    assert curve.recall == pytest.approx(recall)
    assert curve.threshold == pytest.approx([*threshold, np.inf])


@given(scored())
def test_each_threshold_gives_what_calling_the_class_from_there_on_gives(case):
    actual, table = case
    curve = curves.threshold_curve(actual, table, 1)
    assert (curve.threshold[0], curve.threshold[-1]) == (0, 1)
    for at, gmean, recall, specificity in zip(*vars(curve).values(), strict=True):
        truth, called = actual == 1, table[:, 1] >= at
        assert gmean == pytest.approx(geometric_mean_score(truth, called))
        assert recall == pytest.approx(oracle.recall_score(truth, called))
        assert specificity == pytest.approx(oracle.recall_score(~truth, ~called))


@given(scored())
def test_the_reliability_of_a_class_is_scikit_learns_calibration_curve(case):
    actual, table = case
    curve = curves.reliability_curve(actual, table, 1)
    share, score = calibration_curve(actual == 1, table[:, 1], n_bins=scores.BINS)
    assert curve.fraction == pytest.approx(share)
    assert curve.score == pytest.approx(score)
    assert curve.count.sum() == len(actual)


@given(scored())
def test_the_gaps_of_the_reliability_make_the_calibration_error(case):
    actual, table = case
    curve = curves.reliability_curve(actual, table)
    gaps = np.abs(curve.fraction - curve.score) * curve.count / len(actual)
    assert gaps.sum() == pytest.approx(scores.ece(actual, table), abs=1e-12)


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("most", [2, 3, 200])
def test_a_thin_curve_has_few_points_of_the_whole_one_and_both_ends(many, curve, most):
    whole = curve(*many, 1)
    thin = curves.thin(whole, most)
    kept = np.searchsorted(np.sort(whole.threshold), thin.threshold)
    assert most / 2 < len(kept) <= most
    assert sorted(kept)[:: len(kept) - 1] == [0, len(whole.threshold) - 1]
    for mine, theirs in zip(vars(thin).values(), vars(whole).values(), strict=True):
        assert np.isin(mine, theirs).all()
        assert (mine[0], mine[-1]) == (theirs[0], theirs[-1])


def test_a_thin_curve_keeps_the_shape(many):
    whole = curves.roc_curve(*many, positive=1)
    thin = curves.thin(whole)
    steps = np.diff(thin.false_positive_rate) + np.diff(thin.recall)
    assert steps.max() < 0.03
    between = np.interp(whole.false_positive_rate, thin.false_positive_rate, thin.recall)
    assert np.abs(between - whole.recall).max() < 0.03


def test_a_short_curve_stays_as_it_is():
    curve = curves.roc_curve(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]), 1)
    assert curves.thin(curve) is curve


@pytest.mark.parametrize("curve", CURVES)
def test_a_class_without_images_has_no_curve(curve):
    with pytest.raises(InputError, match="class number 1 has no images, or all of them"):
        curve(np.array([0, 0]), np.array([[0.9, 0.1], [0.2, 0.8]]), 1)
