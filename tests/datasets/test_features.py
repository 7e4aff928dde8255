"""Image statistics with known answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from tests.conftest import noise
from toolkit.datasets import features
from toolkit.errors import InputError

PICTURE = noise(np.random.default_rng(0), 64)


def part(name: str, pixels: np.ndarray) -> np.ndarray:
    gray = pixels.mean(axis=2, dtype=np.float32) / 255
    return np.ravel(features.FEATURES[name](pixels, gray))


@given(
    st.integers(8, 40), st.integers(8, 40), st.integers(0, 5), st.sampled_from([1, 2, 256])
)  # fmt: skip
def test_every_image_gives_the_same_number_of_finite_numbers(height, width, seed, values):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, values, (height, width, 3)).astype(np.uint8)
    vector = features.image_features(pixels)
    assert vector.shape == (117,)
    assert np.isfinite(vector).all()


def test_a_tiny_image_is_refused():
    with pytest.raises(InputError, match="at least 8 x 8 pixels, got 7 x 20"):
        features.image_features(np.zeros((7, 20, 3), dtype=np.uint8))


def test_colors_and_contrast_are_those_of_the_blocks():
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    pixels[:2, :2] = (255, 0, 51)
    assert part("colors", pixels)[:6].tolist() == pytest.approx([1, 0, 0.2, 0, 0, 0])
    assert part("contrast", pixels).tolist() == [0] * 16
    pixels[0, 0] = pixels[1, 1] = 255
    pixels[0, 1] = pixels[1, 0] = 0
    assert part("contrast", pixels)[0] == pytest.approx(0.5)


def test_a_blurred_image_is_less_sharp_and_a_grainy_one_noisier():
    blurred = np.array(Image.fromarray(PICTURE).filter(ImageFilter.GaussianBlur(1)))
    grain = np.random.default_rng(1).normal(0, 8, PICTURE.shape)
    grainy = np.clip(PICTURE + grain, 0, 255).astype(np.uint8)
    assert (part("sharpness", blurred) < part("sharpness", PICTURE)).all()
    assert (part("noise", grainy) > part("noise", PICTURE)).all()


def test_edges_tell_the_direction_of_the_gradient():
    ramp = np.repeat(np.arange(0, 128, 2, dtype=np.uint8), 64 * 3).reshape(64, 64, 3)
    assert part("edges", ramp).argmax() == 4  # downwards: a quarter turn is sector 4 of 8
    assert part("edges", ramp.swapaxes(0, 1).copy()).argmax() == 0
    assert part("edges", ramp).sum() == pytest.approx(1, abs=1e-4)


def test_a_turned_image_has_black_corners_and_a_padded_one_black_sides():
    turned = np.array(Image.fromarray(PICTURE).rotate(20))
    assert (part("border", turned)[:4] > 0.5).all()
    padded = np.pad(PICTURE, ((4, 4), (4, 4), (0, 0)))
    assert part("border", padded)[4:].tolist() == [0] * 4


def test_levels_that_a_stretched_image_does_not_use_are_found():
    even = np.arange(0, 256, 2, dtype=np.uint8).repeat(2).reshape(16, 16)
    low, high, black, white, unused = part("levels", np.stack([even] * 3, axis=2))[:5]
    assert (low, black, white) == (0, 2 / 256, 0)
    assert high == pytest.approx(254 / 255)
    assert unused == pytest.approx(1 - 128 / 255)


def test_repeats_are_equal_neighbors():
    columns = np.tile(np.arange(16, dtype=np.uint8)[None, :, None], (16, 1, 3))
    assert part("repeats", columns).tolist() == [0, 1, 0, 0]
