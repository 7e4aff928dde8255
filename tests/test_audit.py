"""The audit finds what is broken or doubled, and an equal verdict is an equal file."""

import shutil

import pytest

from tests.conftest import fill
from toolkit import audit, codec, data_params, scanning


def run(folder, **settings):
    return audit.audit(scanning.scan(folder), folder, data_params.Audit(**settings))


def test_clean_images_give_counts_and_no_findings(photos):
    result = run(photos)
    assert result.counts == {"all": {"a": 12, "b": 8, "c": 6}}
    assert result.findings == ()


def test_counts_are_per_split(tmp_path):
    folder = fill(tmp_path / "x", {"train/a": 3, "train/b": 2, "test/a": 1, "test/b": 1})
    assert run(folder).counts["train"] == {"a": 3, "b": 2}


@pytest.mark.parametrize("check", audit.CHECKS)
def test_every_check_is_silent_about_clean_images(photos, check):
    assert audit.CHECKS[check](scanning.scan(photos), [], data_params.Audit()) == []


def test_a_truncated_image_is_dropped(photos):
    file = photos / "a" / "000.png"
    file.write_bytes(file.read_bytes()[:-30])
    (finding,) = run(photos).findings
    assert (finding.check, finding.action, finding.paths) == ("unreadable", "drop", ("a/000.png",))
    assert finding.drop == finding.samples


def test_what_is_no_image_is_listed(photos):
    (photos / "a" / "notes.txt").write_text("hello")
    (finding,) = run(photos).findings
    assert finding.paths == ("a/notes.txt",)
    assert "not an image" in finding.message


def test_equal_pixels_in_other_bytes_are_duplicates(photos):
    copy = photos / "b" / "copy.bmp"
    pixels = codec.read(photos / "a" / "003.png")
    from PIL import Image

    Image.fromarray(pixels).save(copy)
    (finding,) = run(photos).findings
    assert finding.paths == ("a/003.png", "b/copy.bmp")
    assert "under different labels (a, b)" in finding.message
    assert (finding.action, finding.drop) == ("group", ())


def test_duplicates_can_be_dropped_but_for_one(photos):
    shutil.copy(photos / "a" / "000.png", photos / "a" / "zzz.png")
    (finding,) = run(photos, exact_duplicates="drop").findings
    assert finding.drop == finding.samples[1:]


def test_a_check_set_to_fail_is_a_failure(photos):
    shutil.copy(photos / "a" / "000.png", photos / "a" / "zzz.png")
    assert run(photos, exact_duplicates="fail").failures


def test_the_file_reads_back_and_is_equal_for_equal_images(photos, tmp_path):
    (photos / "a" / "notes.txt").write_text("hello")
    for name in ("one.json", "two.json"):
        audit.write(tmp_path / name, run(photos))
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert audit.read(tmp_path / "one.json") == run(photos)


def test_a_file_that_is_no_audit_is_refused(tmp_path):
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(ValueError, match=r"x\.json: not an audit"):
        audit.read(tmp_path / "x.json")
