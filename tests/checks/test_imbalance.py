"""The imbalance of the classes is reported with what it means for scores and for the test split."""

import math

import numpy as np
import pytest

from tests.helpers import audits
from toolkit.checks import imbalance


def test_the_ratio_is_reported_with_the_scores_of_a_majority_classifier(tmp_path):
    folder = audits.fill(tmp_path / "x", {"a": 16, "b": 4})
    (finding,) = audits.run(folder).findings_of("imbalance")
    assert finding.score == 4
    assert finding.message.startswith(
        "4.0 images of a per image of b: always predicting a has accuracy 0.800 and G-mean 0"
    )
    assert "with 1 test image of b" in finding.message


def test_the_sources_own_test_split_is_counted(tmp_path):
    folder = audits.fill(tmp_path / "x", {"train/a": 12, "train/b": 2, "test/a": 4, "test/b": 3})
    assert "with 3 test images of b" in audits.run(folder).findings_of("imbalance")[0].message


@pytest.mark.parametrize("counts", [{"a": 6, "b": 2}, {"a": 6}, {"a": 6, "b": 0}])
def test_mild_imbalance_and_a_missing_class_are_not_reported(tmp_path, counts):
    assert audits.run(audits.fill(tmp_path / "x", counts)).findings_of("imbalance") == []


def test_the_smallest_difference_is_that_of_a_simulation():
    """Two networks whose recalls differ by it are distinguished 4 times in 5."""
    images, rng = 90, np.random.default_rng(0)
    difference = imbalance.detectable_recall_difference(images)
    hits = rng.binomial(images, [0.8 - difference / 2, 0.8 + difference / 2], (20_000, 2)) / images
    mean = hits.mean(axis=1)
    error = np.sqrt(2 * mean * (1 - mean) / images)
    detected = np.abs(hits[:, 1] - hits[:, 0]) > 1.96 * error
    assert detected.mean() == pytest.approx(0.8, abs=0.04)
    assert math.isclose(imbalance.detectable_recall_difference(4 * images), difference / 2)
