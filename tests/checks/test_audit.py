"""Every check has its line, an equal verdict is an equal file, and nothing is done twice."""

import shutil

import pytest

from tests.helpers import audits
from toolkit.checks import audit, findings, params
from toolkit.checks.records import RECORD
from toolkit.errors import InputError
from toolkit.io import files


@pytest.fixture
def photos(tmp_path):
    return audits.fill(tmp_path / "photos", {"a": 12, "b": 8, "c": 6})


def test_clean_images_give_counts_and_no_findings(photos):
    result = audits.run(photos)
    assert result.counts == {"all": {"a": 12, "b": 8, "c": 6}}
    assert result.findings == ()
    assert {of.flagged for of in result.checks.values()} == {0}


def test_counts_are_per_split(tmp_path):
    folder = audits.fill(tmp_path / "x", {"train/a": 3, "train/b": 2, "test/a": 1, "test/b": 1})
    assert audits.run(folder).counts["train"] == {"a": 3, "b": 2}


@pytest.mark.parametrize("folder", ["empty", "a"])
def test_every_check_takes_a_folder_without_images(tmp_path, folder):
    (tmp_path / "photos" / folder).mkdir(parents=True)
    assert audits.run(tmp_path / "photos").findings == ()


@pytest.mark.parametrize("check", audit.CHECKS)
def test_every_check_has_its_action_and_says_its_threshold(photos, check):
    outcome = audits.run(photos).checks[check]
    assert outcome.action == getattr(params.AuditParams(), check)
    told = "{" not in outcome.meaning
    assert told
    assert (outcome.threshold is None) == ("{}" not in audit.CHECKS[check].meaning)


def test_every_threshold_and_action_belongs_to_a_check():
    assert set(params.CheckThresholds.model_fields) <= set(audit.CHECKS)
    assert set(params.AuditParams.model_fields) - {"limits", "thresholds"} == set(audit.CHECKS)


def test_a_check_set_to_fail_is_a_failure(photos):
    shutil.copy(photos / "a" / "000.png", photos / "a" / "zzz.png")
    assert audits.run(photos, exact_duplicates="fail").failures
    assert not audits.run(photos).failures


def test_the_table_has_a_line_for_each_check_and_findings_are_cut_short(photos):
    for k in range(5):
        (photos / "a" / f"{k}.txt").write_text("hello")
    result = audits.run(photos)
    header, *lines = audit.check_table(result)
    assert header[:3] == ("check", "flagged", "action")
    assert [line[0] for line in lines] == list(audit.CHECKS)
    title, first, *_, last = audit.describe_audit(result)
    assert title == "not_an_image:"
    assert first.startswith("  a/0.txt: not an image (first bytes are b'hello'")
    assert last == "  and 2 more, all in the file that --output writes"


def test_the_file_reads_back_and_is_the_same_with_any_number_of_workers(photos, tmp_path):
    (photos / "a" / "notes.txt").write_text("hello")
    shutil.copy(photos / "a" / "000.png", photos / "b" / "copy.png")
    for workers in (1, 2, 3):
        shutil.rmtree(tmp_path / "work", ignore_errors=True)
        findings.write_audit(tmp_path / f"{workers}.json", audits.run(photos, workers))
    one, two, three = ((tmp_path / f"{workers}.json").read_bytes() for workers in (1, 2, 3))
    assert one == two == three
    assert findings.read_audit(tmp_path / "1.json") == audits.run(photos)


@pytest.mark.parametrize("text", ["{}", "[]", '{"counts": {}, "findings": [], "checks": [1]}'])
def test_a_file_that_is_no_audit_is_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=r"x\.json: not an audit"):
        findings.read_audit(tmp_path / "x.json")


# --- the work file ----------------------------------------------------------------------------


def records(folder):
    (path,) = (folder.parent / "work" / "audit").iterdir()
    return path


def test_what_was_measured_is_not_measured_again(photos, monkeypatch):
    first = audits.run(photos)
    before = records(photos).read_bytes()
    assert audits.run(photos) == first
    assert records(photos).read_bytes() == before


def test_an_image_that_changed_is_measured_again(photos):
    audits.run(photos)
    shutil.copy(photos / "a" / "000.png", photos / "b" / "001.png")
    assert audits.flagged(audits.run(photos))["exact_duplicates"] == ["a/000.png", "b/001.png"]


@pytest.mark.parametrize("harm", ["cut", "flipped", "emptied"])
def test_a_damaged_work_file_is_mended(photos, harm):
    first = audits.run(photos)
    data = bytearray(records(photos).read_bytes())
    if harm == "flipped":
        data[5 * RECORD.itemsize + 300] ^= 1
    size = {"cut": len(data) - 7, "flipped": len(data), "emptied": 0}[harm]
    records(photos).write_bytes(data[:size])
    assert audits.run(photos) == first


def test_two_audits_of_one_folder_at_once_are_refused(photos, monkeypatch):
    audits.run(photos)
    monkeypatch.setattr(files, "TRIES", 1)
    with (
        files.only_one(records(photos)),
        pytest.raises(InputError, match="another process is writing it"),
    ):
        audits.run(photos)
