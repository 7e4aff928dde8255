"""The images of the page."""

import base64
from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.pages import CLASSES, inputs, result
from toolkit.io import images, manifest
from toolkit.metrics.predictions import Predictions
from toolkit.reporting import gallery


@pytest.fixture(scope="module")
def page_inputs(tmp_path_factory):
    return inputs(tmp_path_factory.mktemp("project"))


def pixels(picture):
    return images.decode(base64.b64decode(picture.uri.removeprefix("data:image/jpeg;base64,")))


def test_samples_are_spread_over_the_class_and_no_picture_is_shown_twice(page_inputs):
    train = page_inputs.prepared / "train"
    common, rare = gallery.sample_strips(train, manifest.read_manifest(train))
    assert (common.title, len(common.pictures), common.total) == (CLASSES[0], 10, 12)
    assert (rare.title, len(rare.pictures), rare.total) == (CLASSES[1], 4, 4)
    assert len({picture.uri for picture in common.pictures}) == 10


def test_large_pictures_are_made_small_and_small_ones_are_left():
    for side in (32, 200):
        image = gallery.inline_squares(np.zeros((side, 2 * side, 3), np.uint8), "two squares")
        assert pixels(image).shape[:2] == (image.height, image.width)
        assert image.height == min(side, gallery.SIDE)
        assert image.width == 2 * image.height


def test_mistakes_are_those_of_each_arms_first_seed(page_inputs):
    strips = gallery.mistake_strips([r for r in page_inputs.results if r.recipe == "net"])
    assert list(strips) == ["mistake", "hardest"]
    assert [strip.title for strip in strips["mistake"]] == ["original", "augmented", "duplicated"]
    assert all(len(strip.pictures) <= gallery.MAX_MISTAKES for strip in strips["hardest"])
    assert strips["hardest"][0].pictures[0].lines[0] == CLASSES[1]


def predicted(*right):
    """Three images of the common and two of the rare class; which are right."""
    actual = (CLASSES[0],) * 3 + (CLASSES[1],) * 2
    other = {CLASSES[0]: CLASSES[1], CLASSES[1]: CLASSES[0]}
    said = tuple(a if r else other[a] for a, r in zip(actual, right, strict=True))
    return replace(result(), predictions=Predictions(CLASSES, tuple("abcde"), actual, said))


def test_changed_images_are_shown_with_how_many_runs_were_right(page_inputs):
    strips = gallery.change_strips(
        page_inputs.compared, page_inputs.results[:6], page_inputs.prepared / "test"
    )
    assert [strip.title for strip in strips] == [
        "fixed by augmented", "broken by augmented", "fixed by duplicated", "broken by duplicated",
    ]  # fmt: skip
    pictures = [picture for strip in strips for picture in strip.pictures]
    assert pictures
    assert all(picture.lines[1].startswith("correct ") for picture in pictures)


def test_images_of_another_test_split_are_counted_and_not_shown(page_inputs):
    runs = [predicted(0, 0, 0, 0, 0), replace(predicted(1, 1, 1, 1, 1), arm="augmented")]
    fixed, broken = gallery.change_strips(page_inputs.compared, runs, page_inputs.prepared / "test")
    assert (fixed.total, fixed.pictures, broken.total) == (5, (), 0)
