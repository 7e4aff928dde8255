"""Every check is reported with its settings, and equal results are equal files."""

import shutil

import pytest

from tests.helpers import audits
from toolkit.checks import audit, findings, params


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
def test_every_check_reports_its_action_and_threshold(photos, check):
    outcome = audits.run(photos).checks[check]
    assert outcome.action == getattr(params.AuditParams(), check)
    assert "{" not in outcome.meaning
    assert (outcome.threshold is None) == ("{}" not in audit.CHECKS[check].meaning)


def test_every_threshold_and_action_belongs_to_a_check():
    assert set(params.CheckThresholds.model_fields) <= set(audit.CHECKS)
    assert set(params.AuditParams.model_fields) - {"limits", "thresholds"} == set(audit.CHECKS)


def test_a_check_set_to_fail_is_a_failure(photos):
    shutil.copy(photos / "a" / "000.png", photos / "a" / "zzz.png")
    assert audits.run(photos, exact_duplicates="fail").failures
    assert not audits.run(photos).failures


def test_the_file_reads_back_and_is_the_same_with_any_number_of_workers(photos, tmp_path):
    (photos / "a" / "notes.txt").write_text("hello")
    shutil.copy(photos / "a" / "000.png", photos / "b" / "copy.png")
    for workers in (1, 2, 3):
        shutil.rmtree(tmp_path / "work", ignore_errors=True)
        findings.write_audit(tmp_path / f"{workers}.json", audits.run(photos, workers))
    one, two, three = ((tmp_path / f"{workers}.json").read_bytes() for workers in (1, 2, 3))
    assert one == two == three
    assert findings.read_audit(tmp_path / "1.json") == audits.run(photos)
