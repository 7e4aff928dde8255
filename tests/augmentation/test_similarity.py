"""How much a new image differs from its original, and which ones are near-duplicates."""

import numpy as np
import pytest
from PIL import Image

from toolkit.augmentation import similarity
from toolkit.augmentation.similarity import Similarity
from toolkit.augmentation.transforms import registry

RNG = np.random.default_rng(0)


def photo(seed=0, side=128):
    """Smooth colors with a little noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray((smooth + rng.integers(-2, 3, smooth.shape)).clip(0, 255).astype("u1"))


def compare(original, *pictures):
    """How each picture compares with the original and the ones before it."""
    grays = [similarity.sample_grays(picture) for picture in (original, *pictures)]
    return similarity.compare_images(grays[0], grays[1:])


def transformed(name, picture, **params):
    return registry.find_transform(name).apply(picture, params)


def test_the_hash_compares_each_point_with_its_left_neighbor():
    """In steps of two gray levels: 0 and 1 are equal."""
    grays = np.zeros((3, 16, 16), np.uint8)
    grays[1, 0, 0], grays[2, 0, 0] = 1, 2
    hashes = similarity.difference_hashes(grays)
    assert np.bitwise_count(hashes).sum(axis=1).tolist() == [240, 240, 239]
    assert np.array_equal(hashes[0], hashes[1])


def test_the_change_is_the_mean_of_all_pixels_within_the_error_of_a_sample():
    picture = photo()
    other = transformed("rotate", picture, angle=12.0)
    exact = np.abs(np.asarray(picture.convert("L"), int) - np.asarray(other.convert("L"))).mean()
    assert compare(picture, other)[0].change == pytest.approx(exact, rel=0.25)
    lighter = Image.fromarray((np.asarray(picture) // 2 + 100).astype(np.uint8))
    assert compare(lighter, Image.fromarray(np.asarray(lighter) + 7))[0].change == 7


def test_the_change_is_exactly_the_mean_of_the_points():
    for _ in range(50):
        one, other = RNG.integers(0, 256, (2, 16, 16), dtype=np.uint8)
        pictures = [Image.fromarray(grays).convert("RGB") for grays in (one, other)]
        (result,) = compare(*pictures)
        mirrored = one[:, ::-1].astype(int)
        assert result.change == np.abs(other - one.astype(int)).mean()
        assert result.moved == min(result.change, np.abs(other - mirrored).mean())


def test_black_and_white_are_as_far_apart_as_can_be():
    black, white = Image.new("RGB", (16, 16)), Image.new("RGB", (16, 16), "white")
    assert compare(black, white)[0].change == 255
    assert compare(white, black)[0].change == 255


def test_a_flip_changes_much_but_has_not_moved():
    picture = photo()
    flipped = transformed("horizontal_flip", picture, applied=True)
    (result,) = compare(picture, flipped)
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
        (result,) = compare(photo(seed), transformed(name, photo(seed), **params))
        assert result.near_duplicate == near_duplicate


def test_the_second_of_two_equal_new_images_is_a_near_duplicate():
    flipped = transformed("horizontal_flip", photo(), applied=True)
    assert [one.near_duplicate for one in compare(photo(), flipped, flipped)] == [False, True]


def test_others_are_not_compared_with_a_near_duplicate():
    """Each light point makes one bit differ: 20 more than in the image before."""
    chain = []
    for count in (0, 20, 40, 60, 80):
        grays, points = np.zeros((16, 16), np.uint8), np.arange(count)
        grays[points // 7, 1 + 2 * (points % 7)] = 2
        chain.append(grays.tobytes())
    compared = similarity.compare_images(chain[0], chain[1:])
    assert [one.near_duplicate for one in compared] == [True, False, True, False]


def test_no_two_photos_are_near_duplicates():
    photos = [photo(seed) for seed in range(50)]
    assert not any(one.near_duplicate for one in compare(*photos))


def test_tiny_pictures_are_compared_too():
    dot = Image.new("RGB", (1, 1), "red")
    expected = Similarity(76.0, 76.0, near_duplicate=True)
    assert compare(dot, Image.new("RGB", (1, 1))) == [expected]


def test_an_original_without_new_images_is_compared_with_none():
    assert compare(photo()) == []
