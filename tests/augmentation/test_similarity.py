"""How much an image changed, and near-copies: numpy as the oracle, and known answers."""

import numpy as np
import pytest
from PIL import Image

from toolkit.augmentation import similarity
from toolkit.augmentation.similarity import Fingerprinter
from toolkit.augmentation.transforms import registry

RNG = np.random.default_rng(0)


def photo(seed=0, side=128):
    """Smooth colors with a little grain."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray((smooth + rng.integers(-2, 3, smooth.shape)).clip(0, 255).astype("u1"))


def grey(points):
    """A picture of which each point is seen as it is."""
    return Image.fromarray(points).convert("RGB")


def changed(name, picture, **params):
    return registry.find_transform(name).change(picture, params)


def test_the_fingerprint_compares_each_point_with_its_left_neighbor():
    for _ in range(20):
        points = RNG.integers(0, 256, (16, 16), dtype=np.uint8) & 0xFE
        bits = np.zeros((16, 16, 8), bool)
        bits[:, 1:, 0] = points[:, 1:] >= points[:, :-1]
        expected = int.from_bytes(np.packbits(bits).tobytes(), "big")
        assert similarity.fingerprint(points.tobytes()) == expected


def test_the_change_is_the_mean_of_all_pixels_within_the_error_of_a_sample():
    picture = photo()
    other = changed("rotate", picture, angle=12.0)
    exact = np.abs(np.asarray(picture.convert("L"), int) - np.asarray(other.convert("L"))).mean()
    assert Fingerprinter(picture).look(other).change == pytest.approx(exact, rel=0.25)
    lighter = Image.fromarray((np.asarray(picture) // 2 + 100).astype(np.uint8))
    assert Fingerprinter(lighter).look(Image.fromarray(np.asarray(lighter) + 7)).change == 7


@pytest.mark.parametrize("most", [1, 2, 255, 256])
def test_the_change_is_exactly_the_mean_of_the_points(most):
    for _ in range(50):
        one, other = RNG.integers(256 - most, 256, (2, 16, 16), dtype=np.uint8)
        eye, mirrored = Fingerprinter(grey(one)), one[:, ::-1].astype(int)
        look = eye.look(grey(other))
        assert look.change == np.abs(other - one.astype(int)).mean()
        assert look.moved == min(look.change, np.abs(other - mirrored).mean())


def test_black_and_white_are_as_far_apart_as_can_be():
    black, white = Image.new("RGB", (16, 16)), Image.new("RGB", (16, 16), "white")
    assert Fingerprinter(black).look(white).change == Fingerprinter(white).look(black).change == 255


def test_a_flip_changes_much_but_has_not_moved():
    picture = photo()
    look = Fingerprinter(picture).look(changed("horizontal_flip", picture, acted=True))
    assert look.change > 20
    assert look.moved < 8
    assert not look.near


@pytest.mark.parametrize(
    ("name", "params", "near"),
    [
        ("identity", {}, True),
        ("gaussian_blur", {"sigma": 1.0}, True),
        ("sharpness", {"acted": True, "factor": 1.25}, True),
        ("rotate", {"angle": 0.3}, True),
        ("rotate", {"angle": 20}, False),
        ("horizontal_flip", {"acted": True}, False),
        ("resized_crop", {"left": 40, "top": 40, "width": 60, "height": 60}, False),
    ],
)
def test_near_copies_are_those_that_look_the_same(name, params, near):
    for seed in range(3):
        picture = photo(seed)
        assert Fingerprinter(picture).look(changed(name, picture, **params)).near == near


def test_the_second_of_two_equal_new_images_is_a_near_copy():
    eye, flipped = Fingerprinter(photo()), changed("horizontal_flip", photo(), acted=True)
    assert [eye.look(flipped).near, eye.look(flipped).near] == [False, True]


def test_no_two_photos_are_near_copies():
    assert not any(Fingerprinter(photo(k)).look(photo(k + 1)).near for k in range(50))


def test_tiny_pictures_are_looked_at_too():
    dot = Image.new("RGB", (1, 1), "red")
    assert Fingerprinter(dot).look(Image.new("RGB", (1, 1))) == similarity.Similarity(
        76.0, 76.0, near=True
    )
