"""The measures of an image have known answers."""

import numpy as np
import pytest
from PIL import Image

from tests.helpers import audits, planted
from toolkit.checks import measures
from toolkit.io import images


def measured(pixels):
    return dict(
        zip(
            measures.MEASURES,
            measures.measure_image(images.to_picture(pixels)).tolist(),
            strict=True,
        )
    )


def flat(red, green, blue):
    return np.full((40, 60, 3), (red, green, blue), dtype=np.uint8)


def halves():
    pixels = flat(0, 0, 0)
    pixels[:, 30:] = 255
    return pixels


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (flat(0, 0, 0), {"brightness": 0, "contrast": 0, "entropy": 0, "sharpness": 0}),
        (flat(255, 255, 255), {"brightness": 1, "luma_05": 1, "luma_99": 1, "colorfulness": 0}),
        (flat(255, 0, 0), {"brightness": 0.299, "colorfulness": 1, "warmth": 1, "greenness": -0.5}),
        (flat(0, 255, 0), {"brightness": 0.587, "warmth": 0, "greenness": 1}),
        (halves(), {"brightness": 0.5, "contrast": 0.5, "entropy": 1, "luma_05": 0}),
    ],
)
def test_measures_have_known_answers(pixels, expected):
    values = measured(pixels)
    assert {name: values[name] for name in expected} == pytest.approx(expected, abs=1e-3)


def test_blur_lowers_the_sharpness_and_light_does_not():
    picture = Image.fromarray(audits.picture(np.random.default_rng(0), 96))
    sharp, dim = measured(np.asarray(picture)), measured(np.asarray(picture.point(lambda v: v / 2)))
    blurred = measured(images.decode(planted.FILES["blurred"](picture)))
    assert dim["sharpness"] == pytest.approx(sharp["sharpness"], rel=0.05)
    assert blurred["sharpness"] < sharp["sharpness"] / 4


def test_a_large_image_is_measured_at_256_pixels():
    assert measures.downscale(Image.new("RGB", (1000, 500))).size == (256, 128)
    assert measures.downscale(Image.new("RGB", (100, 50))).size == (100, 50)
