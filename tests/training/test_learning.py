"""The learning curve of heads on features."""

import numpy as np
import pytest

from toolkit.training.pretrained import heads, learning
from toolkit.training.pretrained.heads import TrainingSet


@pytest.fixture(scope="module")
def features():
    """Features of 60 images, of which every fourth is rare, and their folds."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 4 // 3
    return TrainingSet(rng.normal(size=(60, 3)) + labels[:, None], labels, 2, balanced=True)


FOLDS = np.arange(60) // 4 % 3


def curve(data, folds=FOLDS, rare=1):
    return learning.learning_curve(data, [folds], rare, np.random.default_rng(0))


def test_the_curve_ends_with_all_rare_images_and_is_the_same_again(features):
    assert list(curve(features)) == [2, 4, 8, 15]
    assert curve(features) == curve(features)


def test_only_as_many_rare_images_are_trained_on(features, monkeypatch):
    seen = []

    def cross_fit(data, folds, usable):
        seen.append(np.bincount(data.labels[usable]).tolist())
        return np.full((60, 2), 0.5)

    monkeypatch.setattr(heads, "cross_fit", cross_fit)
    monkeypatch.setattr(learning, "MOST_OTHERS", 30)
    curve(features)
    assert {common for common, _ in seen} == {30}
    assert {rare for _, rare in seen} <= {2, 4, 8, 15}


def test_rare_images_in_one_fold_alone_have_no_curve(features):
    alone = np.where(features.labels == 1, 0, FOLDS)
    assert curve(features, alone) == {}
