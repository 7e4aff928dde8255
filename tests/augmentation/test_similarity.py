"""How much a new image differs from its original, and which ones are near-duplicates."""

import numpy as np
import pytest
from PIL import Image

from toolkit.augmentation import similarity
from toolkit.augmentation.similarity import Fingerprinter, Similarity
from toolkit.augmentation.transforms import registry

RNG = np.random.default_rng(0)


def photo(seed=0, side=128):
    """Smooth colors with a little noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray((smooth + rng.integers(-2, 3, smooth.shape)).clip(0, 255).astype("u1"))


def transformed(name, picture, **params):
    return registry.find_transform(name).apply(picture, params)


def test_the_hash_compares_each_point_with_its_left_neighbor():
    grays = np.zeros((16, 16), np.uint8)
    assert similarity.difference_hash(grays) == 2**240 - 1
    grays[0, 0] = 2
    assert similarity.difference_hash(grays) == 2**239 - 1
    grays[0, 0] = 1  # of the same two gray levels as 0
    assert similarity.difference_hash(grays) == 2**240 - 1


def test_the_change_is_the_mean_of_all_pixels_within_the_error_of_a_sample():
    picture = photo()
    other = transformed("rotate", picture, angle=12.0)
    exact = np.abs(np.asarray(picture.convert("L"), int) - np.asarray(other.convert("L"))).mean()
    assert Fingerprinter(picture).compare(other).change == pytest.approx(exact, rel=0.25)
    lighter = Image.fromarray((np.asarray(picture) // 2 + 100).astype(np.uint8))
    assert Fingerprinter(lighter).compare(Image.fromarray(np.asarray(lighter) + 7)).change == 7


def test_the_change_is_exactly_the_mean_of_the_points():
    for _ in range(50):
        one, other = RNG.integers(0, 256, (2, 16, 16), dtype=np.uint8)
        pictures = [Image.fromarray(grays).convert("RGB") for grays in (one, other)]
        result = Fingerprinter(pictures[0]).compare(pictures[1])
        mirrored = one[:, ::-1].astype(int)
        assert result.change == np.abs(other - one.astype(int)).mean()
        assert result.moved == min(result.change, np.abs(other - mirrored).mean())


def test_black_and_white_are_as_far_apart_as_can_be():
    black, white = Image.new("RGB", (16, 16)), Image.new("RGB", (16, 16), "white")
    assert Fingerprinter(black).compare(white).change == 255
    assert Fingerprinter(white).compare(black).change == 255


def test_a_flip_changes_much_but_has_not_moved():
    picture = photo()
    flipped = transformed("horizontal_flip", picture, applied=True)
    result = Fingerprinter(picture).compare(flipped)
    assert result.change > 20
    assert result.moved < 8
    assert not result.near_duplicate


@pytest.mark.parametrize(
    ("name", "params", "near_duplicate"),
    [
        ("identity", {}, True),
        ("gaussian_blur", {"sigma": 1.0}, True),
        ("sharpness", {"applied": True, "factor": 1.25}, True),
        ("rotate", {"angle": 0.3}, True),
        ("rotate", {"angle": 20}, False),
        ("horizontal_flip", {"applied": True}, False),
        ("resized_crop", {"left": 40, "top": 40, "width": 60, "height": 60}, False),
    ],
)
def test_near_duplicates_are_those_that_look_the_same(name, params, near_duplicate):
    for seed in range(3):
        result = Fingerprinter(photo(seed)).compare(transformed(name, photo(seed), **params))
        assert result.near_duplicate == near_duplicate


def test_the_second_of_two_equal_new_images_is_a_near_duplicate():
    flipped = transformed("horizontal_flip", photo(), applied=True)
    fingerprinter = Fingerprinter(photo())
    assert [fingerprinter.compare(flipped).near_duplicate for _ in range(2)] == [False, True]


def test_no_two_photos_are_near_duplicates():
    for seed in range(50):
        assert not Fingerprinter(photo(seed)).compare(photo(seed + 1)).near_duplicate


def test_tiny_pictures_are_compared_too():
    dot = Image.new("RGB", (1, 1), "red")
    result = Fingerprinter(dot).compare(Image.new("RGB", (1, 1)))
    assert result == Similarity(76.0, 76.0, near_duplicate=True)
