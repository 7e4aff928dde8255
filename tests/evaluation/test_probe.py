"""The probe's known answers: copies cannot be told from originals, negatives can."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import noise
from toolkit.errors import InputError
from toolkit.evaluation import probe
from toolkit.io import files, images, manifest
from toolkit.io.manifest import Manifest, Sample

COPY = ("copy", lambda pixels, _rng: pixels)
NEGATIVE = ("negative", lambda pixels, _rng: 255 - pixels)
FRESH = ("fresh", lambda _pixels, rng: noise(rng))


def arm(folder: Path, classes: dict[str, tuple[int, list]], *, shade: int = 0) -> Path:
    """Class -> originals, and how each new image is made; `shade` tells the classes apart."""
    rng = np.random.default_rng(0)
    samples: list[Sample] = []
    used: set[str] = set()

    def add(label: str, pixels, **parent) -> str:
        data = images.encode_png(pixels)
        digest = hashlib.sha256(data).hexdigest()
        ident = digest if digest not in used else f"{digest}-{len(samples)}"
        used.add(digest)
        files.write_file(folder / label / f"{len(samples)}.png", data)
        samples.append(Sample(ident, f"{label}/{len(samples)}.png", label, **parent))
        return ident

    for number, (label, (originals, changes)) in enumerate(sorted(classes.items())):
        for _ in range(originals):
            pixels = (noise(rng) // 2 + number * shade).astype(np.uint8)
            parent = add(label, pixels)
            for name, change in changes:
                add(label, change(pixels, rng), parent=parent, transform=name)
    manifest.write_manifest(folder, Manifest(tuple(sorted(classes)), tuple(samples)))
    return folder


def test_copies_cannot_be_told_from_their_originals(tmp_path):
    result = probe.probe_arm(arm(tmp_path, {"a": (20, []), "b": (15, [COPY, COPY])}))
    assert (result.auc, result.low, result.high) == (0.5, 0.5, 0.5)
    assert (result.originals, result.new) == (15, 30)


def test_negatives_can(tmp_path):
    result = probe.probe_arm(arm(tmp_path, {"a": (3, []), "b": (20, [NEGATIVE])}))
    assert result.auc > 0.95
    assert 0.7 < result.low <= result.auc <= result.high <= 1


def test_few_images_are_not_made_more_of_than_they_are(tmp_path):
    """Three of three told apart without a mistake: that may well be luck."""
    result = probe.probe_arm(arm(tmp_path, {"a": (3, [NEGATIVE])}))
    assert result.auc > 0.9
    assert result.low < 0.5


def test_other_pictures_of_the_same_kind_cannot(tmp_path):
    halved = ("fresh", lambda _pixels, rng: (noise(rng) // 2).astype(np.uint8))
    result = probe.probe_arm(arm(tmp_path, {"a": (60, [halved])}))
    assert result.low < 0.5 < result.high
    assert result.high - result.low < 0.35


def test_each_transform_has_a_number_of_its_own(tmp_path):
    result = probe.probe_arm(arm(tmp_path, {"a": (30, [COPY, NEGATIVE])}))
    assert result.by_transform["negative"].auc > 0.95
    assert result.by_transform["copy"].auc == pytest.approx(0.5, abs=0.05)
    assert result.by_transform["copy"].new == 30
    mean = (result.by_transform["negative"].auc + result.by_transform["copy"].auc) / 2
    assert result.auc == pytest.approx(mean, abs=1e-3)  # against the same originals


def test_classes_of_other_size_and_looks_do_not_give_copies_away(tmp_path):
    classes = {"a": (12, [COPY]), "b": (12, [COPY] * 5)}
    assert probe.probe_arm(arm(tmp_path, classes, shade=100)).auc == 0.5


def test_the_answer_is_the_same_with_any_number_of_workers(tmp_path):
    folder = arm(tmp_path, {"a": (40, [FRESH])})
    assert asdict(probe.probe_arm(folder)) == asdict(probe.probe_arm(folder, workers=2))


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ({"a": (3, []), "b": (3, [])}, "nothing to tell apart: there are no new images"),
        ({"a": (3, []), "b": (1, [COPY])}, "nothing to tell apart: all are copies of one original"),
    ],
)
def test_nothing_to_tell_apart_is_said_and_written_as_null(tmp_path, classes, message):
    result = probe.probe_arm(arm(tmp_path / "arm", classes))
    assert probe.describe_probe(result) == [message]
    probe.write_probe(tmp_path / "probe.json", result)
    written = json.loads((tmp_path / "probe.json").read_text())
    assert (written["auc"], written["low"], written["high"]) == (None, None, None)


def test_the_result_is_said_in_words(tmp_path):
    result = probe.probe_arm(arm(tmp_path, {"a": (20, [NEGATIVE])}))
    lines = probe.describe_probe(result)
    assert lines[0].startswith("20 new images can be told from 20 originals: AUC ")
    assert lines[1] == "0.5: cannot be told apart; 1: always"
    assert probe.probe_table(result)[1][:2] == ["negative", "20"]


def test_a_folder_without_manifest_and_a_changed_image_are_named(tmp_path):
    with pytest.raises(InputError, match=r"manifest.csv: no such file"):
        probe.probe_arm(tmp_path)
    folder = arm(tmp_path, {"a": (4, [COPY])})
    (folder / "a" / "2.png").write_bytes(b"other")
    with pytest.raises(InputError, match=r"a/2.png: changed since the manifest"):
        probe.probe_arm(folder)


def test_a_tiny_image_is_named(tmp_path):
    tiny = ("copy", lambda pixels, _rng: pixels[:4, :4])
    with pytest.raises(InputError, match=r"a/1.png: must be at least 8 x 8 pixels, got 4 x 4"):
        probe.probe_arm(arm(tmp_path, {"a": (3, [tiny])}))


def test_a_probe_is_shown_in_one_line(tmp_path):
    shown = "Probe(AUC 0.50 (0.50 to 0.50), 20 new images, 20 originals)"
    assert repr(probe.probe_arm(arm(tmp_path, {"a": (20, [COPY])}))) == shown
    nothing = probe.Probe(None, None, None, 3, 0, {})
    assert repr(nothing) == "Probe(no AUC, 0 new images, 3 originals)"
