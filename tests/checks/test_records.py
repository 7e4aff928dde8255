"""The work file: nothing is measured twice, and what is damaged is measured again."""

import shutil

import pytest
from PIL import Image

from tests.helpers import audits
from tests.helpers.flips import flipped
from toolkit.checks import records
from toolkit.checks.records import RECORD
from toolkit.datasets import folders
from toolkit.errors import InputError
from toolkit.io import closure, files, images, manifest


@pytest.fixture
def photos(tmp_path):
    return audits.fill(tmp_path / "photos", {"a": 12, "b": 8, "c": 6})


def work_file(folder):
    (path,) = (folder.parent / "work" / "audit").iterdir()
    return path


def test_what_was_measured_is_not_measured_again(photos):
    first = audits.run(photos)
    before = work_file(photos).read_bytes()
    assert audits.run(photos) == first
    assert work_file(photos).read_bytes() == before


def test_an_image_that_changed_is_measured_again(photos):
    audits.run(photos)
    shutil.copy(photos / "a" / "000.png", photos / "b" / "001.png")
    assert audits.flagged(audits.run(photos))["exact_duplicates"] == ["a/000.png", "b/001.png"]


def test_an_image_that_changed_since_its_manifest_is_left_out(photos):
    """Pillow skips the checksums of a PNG's pixels."""
    manifest.write_manifest(photos, folders.scan(photos))
    shutil.copy(photos / "a" / "000.png", photos / "b" / "001.png")
    (finding,) = audits.run(photos).findings_of("unreadable")
    assert (finding.paths, finding.action) == (("b/001.png",), "drop")
    assert finding.message == "changed since the manifest was written"


def test_other_code_measures_again(photos, monkeypatch):
    audits.run(photos)
    monkeypatch.setattr(closure, "trace_imports", lambda _: "another")
    audits.run(photos)
    assert len(list((photos.parent / "work" / "audit").glob("*.records"))) == 2


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied"])
def test_a_damaged_work_file_is_repaired(photos, damage):
    first = audits.run(photos)
    data = bytearray(work_file(photos).read_bytes())
    if damage == "flipped":
        data[5 * RECORD.itemsize + 300] ^= 1
    size = {"cut": len(data) - 7, "flipped": len(data), "emptied": 0}[damage]
    work_file(photos).write_bytes(data[:size])
    assert audits.run(photos) == first


def test_every_one_of_many_flipped_bits_in_a_work_file_is_noticed(photos):
    audits.run(photos)
    path = work_file(photos)
    whole, count = records._load(path)
    for data in flipped(path.read_bytes(), 200):
        path.write_bytes(data)
        intact, _ = records._load(path)
        assert len(intact) == len(whole) - 1 == count - 1


class Starved:
    """What takes memory that is not there."""

    def __call__(self, *_):
        raise MemoryError

    __contains__ = __call__


@pytest.mark.parametrize("place", ["to_rgb", "MULTIFRAME"])
def test_a_passing_lack_of_memory_is_not_remembered(photos, monkeypatch, place):
    """It took the place of the picture for good, or hid that the file has several frames."""
    frames = [Image.new("L", (48, 48), shade) for shade in (50, 90)]
    frames[0].save(photos / "a" / "two.gif", save_all=True, append_images=frames[1:])
    with monkeypatch.context() as patch:
        patch.setattr(records, place, Starved())
        assert len(audits.flagged(audits.run(photos))["unreadable"]) == 27
    flagged = audits.flagged(audits.run(photos))
    assert "unreadable" not in flagged
    assert flagged["animated"] == ["a/two.gif"]


@pytest.mark.parametrize("quality", [1, 2, 5, 10, 20, 24, 25, 50, 75, 95, 100])
def test_the_quality_of_a_jpeg_is_that_which_it_was_written_with(tmp_path, quality):
    folder = audits.fill(tmp_path / "photos", {"a": 1})
    image = Image.open(folder / "a" / "000.png")
    image.save(folder / "a" / "one.jpg", quality=quality)
    measured = records.measure_samples(
        folder, folders.scan(folder).samples, images.LIMITS, tmp_path / "work"
    )
    assert measured.columns["quality"][1] == quality


def test_two_audits_of_one_folder_at_once_are_refused(photos, monkeypatch):
    audits.run(photos)
    monkeypatch.setattr(files, "ATTEMPTS", 1)
    with (
        files.exclusive(work_file(photos)),
        pytest.raises(InputError, match="another process is writing it"),
    ):
        audits.run(photos)
