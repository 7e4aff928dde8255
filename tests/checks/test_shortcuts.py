"""A property that predicts the class is found, and chance is not."""

import numpy as np
import pytest
from PIL import Image

from tests.helpers import audits, planted
from toolkit.checks import params, shortcuts
from toolkit.io.images import read_image


@pytest.fixture
def photos(tmp_path):
    return audits.fill(tmp_path / "photos", {"a": 40, "b": 40})


@pytest.mark.parametrize("kind", planted.SHORTCUTS)
def test_a_property_of_one_class_is_found(photos, kind):
    for path in (photos / "b").iterdir():
        path.write_bytes(planted.SHORTCUTS[kind](Image.fromarray(read_image(path))))
    result = audits.run(photos)
    assert result.findings_of("shortcuts")
    assert result.checks["shortcuts"].score > 0.5
    assert all(
        "predicts the class: balanced accuracy" in f.message
        for f in result.findings_of("shortcuts")
    )


def test_naming_schemes_of_the_sources_are_found(photos):
    for path in list((photos / "a").iterdir()):
        path.rename(path.with_name(f"IMG_{path.name}"))
    (finding,) = audits.run(photos).findings_of("shortcuts")
    assert finding.message.startswith(
        "file name prefix predicts the class: balanced accuracy at least 1.00"
    )
    assert "'img' holds for 100% of a and 0% of the rest" in finding.message


def test_equal_classes_and_few_images_have_no_shortcut(photos):
    assert audits.run(photos).findings_of("shortcuts") == []
    for path in list((photos / "a").iterdir())[:25]:
        path.rename(path.with_name(f"x{path.name}"))
        (photos / "b" / path.name).unlink()
    result = audits.run(photos)
    assert (result.checks["shortcuts"].score, result.findings_of("shortcuts")) == (None, [])


def test_skill_is_one_for_a_perfect_property_and_none_for_chance():
    actual = np.arange(400) % 2
    assert shortcuts.skill(actual, actual, np.arange(400)) == 1
    rng = np.random.default_rng(0)
    by_chance = [
        shortcuts.skill(rng.integers(0, 12, 400), actual, np.arange(400)) for _ in range(200)
    ]
    assert max(by_chance) < params.CheckThresholds().shortcuts / 2


def test_skill_is_that_of_the_classes_and_not_of_the_common_one():
    actual = np.repeat([0, 1], [380, 20])
    assert shortcuts.skill(np.zeros(400, dtype=int), actual, np.arange(400)) == 0


def test_copies_of_a_picture_count_as_one_and_lie_in_one_fold():
    """By chance, the properties of few pictures in many copies differ."""
    rng = np.random.default_rng(0)
    pictures = np.repeat(np.arange(40), 10)
    actual = pictures % 2
    by_chance = [
        shortcuts.skill(rng.integers(0, 12, 40)[pictures], actual, pictures) for _ in range(200)
    ]
    assert np.mean(np.array(by_chance) > params.CheckThresholds().shortcuts) <= 0.01
    assert shortcuts.count_pictures(actual, pictures).tolist() == [20, 20]


def test_few_pictures_in_many_copies_are_no_shortcut(tmp_path):
    folder = audits.fill(tmp_path / "photos", {"a": 5, "b": 5})
    for original in sorted(folder.glob("*/*.png")):
        picture = Image.fromarray(read_image(original))
        for quality in (95, 85, 75, 65):
            picture.save(original.with_name(f"{original.stem}-{quality}.jpg"), quality=quality)
    result = audits.run(folder)
    assert (result.checks["shortcuts"].score, result.findings_of("shortcuts")) == (None, [])


def test_a_shortcut_among_copies_is_found(tmp_path):
    folder = audits.fill(tmp_path / "photos", {"a": 25, "b": 25})
    for original in sorted((folder / "b").iterdir()):
        for copy in range(2):
            (folder / "b" / f"copy{copy}{original.name}").write_bytes(original.read_bytes())
    assert audits.run(folder).findings_of("shortcuts")
