"""Pictures that are unlike what a person would have chosen, and the numbers that tell them."""

import numpy as np
import pytest
from PIL import Image

from tests.helpers import audits, planted
from toolkit.checks import measures
from toolkit.io import images


@pytest.fixture
def photos(tmp_path):
    return audits.fill(tmp_path / "photos", {"a": 10, "b": 10}, size=96)


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


@pytest.mark.parametrize("check", ["dark", "bright", "blurred", "low_information", "odd_aspect",
                                   "odd_size", "grey"])  # fmt: skip
def test_one_odd_picture_is_the_only_one_flagged(photos, check):
    sound = Image.fromarray(images.read_image(photos / "a" / "000.png"))
    (photos / "a" / "000.png").write_bytes(planted.FILES[check](sound))
    result = audits.run(photos, near_duplicates="warn")
    (finding,) = result.of(check)
    assert finding.paths == ("a/000.png",)
    assert finding.score == result.checks[check].score or check == "grey"


def test_thresholds_are_params_and_action_may_drop(photos):
    result = audits.run(photos, thresholds={"bright": 0.05}, bright="drop")
    assert result.checks["bright"].flagged == 20
    assert all(finding.drop == finding.samples for finding in result.of("bright"))
    scores = [finding.score for finding in result.of("bright")]
    assert scores == sorted(scores, reverse=True)


def test_grey_pictures_among_grey_ones_are_not_odd(photos):
    for path in sorted(photos.rglob("*.png"))[:10]:
        Image.open(path).convert("L").save(path)
    assert audits.run(photos).of("grey") == []


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (flat(0, 0, 0), {"brightness": 0, "contrast": 0, "information": 0, "sharpness": 0}),
        (flat(255, 255, 255), {"brightness": 1, "darkest": 1, "brightest": 1, "colour": 0}),
        (flat(255, 0, 0), {"brightness": 0.299, "colour": 1, "warmth": 1, "greenness": -0.5}),
        (flat(0, 255, 0), {"brightness": 0.587, "warmth": 0, "greenness": 1}),
        (halves(), {"brightness": 0.5, "contrast": 0.5, "information": 1, "darkest": 0}),
    ],
)
def test_measures_have_known_answers(pixels, expected):
    found = measured(pixels)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-3)


def test_blur_lowers_the_sharpness_and_light_does_not():
    picture = Image.fromarray(audits.picture(np.random.default_rng(0), 96))
    sharp, dim = measured(np.asarray(picture)), measured(np.asarray(picture.point(lambda v: v / 2)))
    blurred = measured(images.decode(planted.FILES["blurred"](picture)))
    assert dim["sharpness"] == pytest.approx(sharp["sharpness"], rel=0.05)
    assert blurred["sharpness"] < sharp["sharpness"] / 4


def test_a_large_picture_is_measured_at_256_pixels():
    assert measures.reduced(Image.new("RGB", (1000, 500))).size == (256, 128)
    assert measures.reduced(Image.new("RGB", (100, 50))).size == (100, 50)
