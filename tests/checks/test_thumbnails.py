"""Thumbnails of the findings are made within the limits, and read back."""

import numpy as np
import pytest
from PIL import Image

from tests.helpers import audits
from tests.helpers.pages import CLASSES, DUPLICATES, pictures
from toolkit.checks import thumbnails
from toolkit.checks.findings import Audit, CheckOutcome, Finding
from toolkit.datasets import folders
from toolkit.errors import InputError
from toolkit.io import images

LIMITS = images.ImageLimits()


def audited(folder, *findings):
    checks = {f.check: CheckOutcome("", f.action, None, None, 1) for f in findings}
    return Audit({}, findings, checks), folders.scan(folder), folder


def about(folder, *paths, check="dark"):
    samples = {sample.path: sample.id for sample in folders.scan(folder).samples}
    ids = tuple(samples[path] for path in paths if path in samples)
    return Finding(check, "warn", "", paths, ids)


@pytest.mark.parametrize(
    ("size", "expected"), [((400, 200), (48, 96)), ((30, 20), (20, 30)), ((3000, 2), (1, 96))]
)
def test_a_thumbnail_keeps_the_aspect_ratio(tmp_path, size, expected):
    (tmp_path / "a").mkdir()
    Image.new("CMYK", size).save(tmp_path / "a" / "x.jpg")
    few = thumbnails.make_thumbnails(*audited(tmp_path, about(tmp_path, "a/x.jpg")), LIMITS)
    assert [one.pixels.shape for one in few.values()] == [(*expected, 3)]


def test_the_first_findings_of_each_check_have_thumbnails_with_label_and_split(tmp_path):
    folder = audits.fill(tmp_path / "photos", {"train/a": 20, "test/a": 2})
    paths = [f"train/a/{n:03d}.png" for n in range(20)]
    singles = [about(folder, path) for path in paths]
    group = about(folder, *(f"test/a/{n:03d}.png" for n in range(2)), check="leaks")
    few = thumbnails.make_thumbnails(*audited(folder, *singles, group), LIMITS, processes=2)
    assert len(few) == thumbnails.SINGLES + 2
    assert {(one.label, one.split) for one in few.values()} == {("a", "train"), ("a", "test")}


def test_an_image_that_does_not_decode_has_no_thumbnail(tmp_path):
    folder = audits.fill(tmp_path / "photos", {"a": 3})
    whole = (folder / "a" / "001.png").read_bytes()
    (folder / "a" / "001.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (100, 100)).save(folder / "a" / "002.png")
    findings = [about(folder, f"a/00{n}.png") for n in range(3)]
    limits = images.ImageLimits(pixels=5000)
    notes = about(folder, "a/notes.txt")
    few = thumbnails.make_thumbnails(*audited(folder, *findings, notes), limits)
    assert list(few) == [findings[0].samples[0]]


def test_they_read_back(tmp_path):
    thumbnails.write_thumbnails(tmp_path / "audit", pictures())
    few = thumbnails.read_thumbnails(tmp_path / "audit")
    assert [(i, of.label, of.split) for i, of in few.items()] == [
        (DUPLICATES[0], CLASSES[0], "train"), (DUPLICATES[1], CLASSES[1], ""),
    ]  # fmt: skip
    assert np.abs(few[DUPLICATES[0]].pixels.astype(int) - 150).max() <= 2
    thumbnails.write_thumbnails(tmp_path / "audit", {})
    assert thumbnails.read_thumbnails(tmp_path / "audit") == {}


@pytest.mark.parametrize(
    "text", ["", "id,label\n", "id,label,split\na\n", "id,label,split\na,b,c\n"]
)
def test_a_damaged_folder_is_refused_by_name(tmp_path, text):
    (tmp_path / "pictures.csv").write_text(text)
    with pytest.raises(InputError, match=r"(pictures\.csv|000\.jpg).*run `toolkit audit` again"):
        thumbnails.read_thumbnails(tmp_path)


def test_a_link_is_not_shown(tmp_path):
    thumbnails.write_thumbnails(tmp_path / "audit", pictures())
    (tmp_path / "audit" / "000.jpg").rename(tmp_path / "private.jpg")
    (tmp_path / "audit" / "000.jpg").symlink_to(tmp_path / "private.jpg")
    with pytest.raises(InputError, match=r"000\.jpg: a symbolic link, which is not followed"):
        thumbnails.read_thumbnails(tmp_path / "audit")


def test_a_folder_of_other_files_is_not_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="was not written by the toolkit"):
        thumbnails.write_thumbnails(tmp_path / "mine", {})
