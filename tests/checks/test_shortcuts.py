"""A property that gives the class away is found, chance is not, and the classes' sizes are told."""

import math

import numpy as np
import pytest
from PIL import Image

from tests.helpers import audits, planted
from toolkit.checks import imbalance, params, shortcuts
from toolkit.io.images import read_image


@pytest.fixture
def photos(tmp_path):
    return audits.fill(tmp_path / "photos", {"a": 40, "b": 40})


@pytest.mark.parametrize("kind", planted.SHORTCUTS)
def test_a_property_of_one_class_is_told(photos, kind):
    for path in (photos / "b").iterdir():
        path.write_bytes(planted.SHORTCUTS[kind](Image.fromarray(read_image(path))))
    result = audits.run(photos)
    assert result.of("shortcuts")
    assert result.checks["shortcuts"].score > 0.5
    assert all("predicts the class: balanced accuracy" in f.message for f in result.of("shortcuts"))


def test_names_of_the_sources_are_told(photos):
    for path in list((photos / "a").iterdir()):
        path.rename(path.with_name(f"IMG_{path.name}"))
    (finding,) = audits.run(photos).of("shortcuts")
    assert finding.message.startswith("the file's name predicts the class: balanced accuracy 1.00")
    assert "'img' has 100 % of a and 0 % of the rest" in finding.message


def test_equal_classes_and_few_images_have_no_shortcut(photos):
    assert audits.run(photos).of("shortcuts") == []
    for path in list((photos / "a").iterdir())[:25]:
        path.rename(path.with_name(f"x{path.name}"))
        (photos / "b" / path.name).unlink()
    result = audits.run(photos)
    assert (result.checks["shortcuts"].score, result.of("shortcuts")) == (None, [])


def test_skill_is_one_for_a_perfect_property_and_none_for_chance():
    actual = np.arange(400) % 2
    assert shortcuts.skill(actual, actual) == 1
    rng = np.random.default_rng(0)
    by_chance = [shortcuts.skill(rng.integers(0, 12, 400), actual) for _ in range(200)]
    assert max(by_chance) < params.CheckThresholds().shortcuts / 2


def test_skill_is_that_of_the_classes_and_not_of_the_common_one():
    actual = np.repeat([0, 1], [380, 20])
    assert shortcuts.skill(np.zeros(400, dtype=int), actual) == 0


# --- imbalance --------------------------------------------------------------------------------


def test_the_ratio_is_told_with_what_a_guesser_scores(tmp_path):
    folder = audits.fill(tmp_path / "x", {"a": 16, "b": 4})
    (finding,) = audits.run(folder).of("imbalance")
    assert finding.score == 4
    assert "4.0 a to one b: always saying a has accuracy 0.800 and G-mean 0" in finding.message
    assert "with 1 test images of b" in finding.message


def test_the_sources_own_test_split_is_counted(tmp_path):
    folder = audits.fill(tmp_path / "x", {"train/a": 12, "train/b": 2, "test/a": 4, "test/b": 3})
    assert "with 3 test images of b" in audits.run(folder).of("imbalance")[0].message


@pytest.mark.parametrize("counts", [{"a": 6, "b": 2}, {"a": 6}, {"a": 6, "b": 0}])
def test_mild_imbalance_and_a_missing_class_are_not_told(tmp_path, counts):
    assert audits.run(audits.fill(tmp_path / "x", counts)).of("imbalance") == []


def test_the_smallest_difference_is_that_of_a_simulation():
    """Two networks whose recalls differ by it are told apart four times in five."""
    images, rng = 90, np.random.default_rng(0)
    size = imbalance.smallest(images)
    hits = rng.binomial(images, [0.8 - size / 2, 0.8 + size / 2], (20_000, 2)) / images
    mean = hits.mean(axis=1)
    error = np.sqrt(2 * mean * (1 - mean) / images)
    found = np.abs(hits[:, 1] - hits[:, 0]) > 1.96 * error
    assert found.mean() == pytest.approx(0.8, abs=0.04)
    assert math.isclose(imbalance.smallest(4 * images), size / 2)
