"""Images that no person would have chosen are flagged, and only these."""

import pytest
from PIL import Image

from tests.helpers import audits, planted
from toolkit.io import images


@pytest.fixture
def photos(tmp_path):
    return audits.fill(tmp_path / "photos", {"a": 10, "b": 10}, size=96)


@pytest.mark.parametrize("check", ["dark", "bright", "blurred", "low_information", "odd_aspect",
                                   "odd_size", "grey"])  # fmt: skip
def test_one_odd_image_is_the_only_one_flagged(photos, check):
    sound = Image.fromarray(images.read_image(photos / "a" / "000.png"))
    (photos / "a" / "000.png").write_bytes(planted.FILES[check](sound))
    result = audits.run(photos, near_duplicates="warn")
    (finding,) = result.findings_of(check)
    assert finding.paths == ("a/000.png",)
    assert finding.score == result.checks[check].score or check == "grey"


def test_thresholds_are_params_and_action_may_drop(photos):
    result = audits.run(photos, thresholds={"bright": 0.05}, bright="drop")
    assert result.checks["bright"].flagged == 20
    assert all(finding.drop == finding.samples for finding in result.findings_of("bright"))
    scores = [finding.score for finding in result.findings_of("bright")]
    assert scores == sorted(scores, reverse=True)


def test_grayscale_images_among_grayscale_ones_are_not_odd(photos):
    for path in sorted(photos.rglob("*.png"))[:10]:
        Image.open(path).convert("L").save(path)
    assert audits.run(photos).findings_of("grey") == []
