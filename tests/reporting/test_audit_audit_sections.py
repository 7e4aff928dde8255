"""What a page shows of an audit, as plain values."""

import pytest

from tests.helpers.pages import AUDIT, CLASSES, NASTY, pictures
from toolkit.checks import params, thumbnails
from toolkit.checks.findings import Audit, Finding
from toolkit.reporting import audit
from toolkit.reporting.audit import MOST_FINDINGS


@pytest.fixture(scope="module")
def checks():
    return {check.name: check for check in audit.check_sections(AUDIT, pictures())}


def test_findings_are_gathered_by_check_and_files_are_not_all_named(checks):
    assert list(checks) == ["unreadable", "near_duplicates", "blurred", "shortcuts"]
    assert checks["unreadable"].words == "1 finding, 1 file"
    assert checks["shortcuts"].words == "1 finding"
    assert checks["unreadable"].table[1][2].endswith(f"{NASTY}.jpg and 2 more")


def test_very_many_findings_end_with_how_many_more():
    finding = Finding("exact_duplicates", "group", "same", ("a", "b"))
    (check,) = audit.check_sections(Audit({}, (finding,) * 100), {})
    assert len(check.table) == 1 + MOST_FINDINGS + 1
    assert check.table[-1][1] == "and 40 more findings"


def test_the_reader_is_told_what_is_done_and_what_changes_it(checks):
    near = checks["near_duplicates"]
    assert near.done == "group: prepare keeps the files in one split"
    assert near.keys == ("audit.near_duplicates", "audit.thresholds.near_duplicates")
    assert checks["unreadable"].keys == ("audit.unreadable",)


@pytest.mark.parametrize(
    "check", sorted(set(params.AuditParams.model_fields) - {"limits", "thresholds"})
)
def test_every_action_is_explained(check):
    choices = params.AuditParams.model_fields[check].annotation.__args__
    assert set(choices) <= set(audit.DONE)


def test_members_of_a_group_stand_side_by_side_with_label_and_split(checks):
    (strip,) = checks["near_duplicates"].strips
    assert (strip.title, strip.total) == (f"two {NASTY}", 2)
    lines = [picture.lines for picture in strip.pictures]
    assert lines == [(f"a/{NASTY}.jpg", f"{NASTY}, train"), ("b.jpg", CLASSES[1])]


def test_findings_about_one_file_share_a_strip_and_say_what_was_found(checks):
    (strip,) = checks["blurred"].strips
    assert strip.title == ""
    assert strip.pictures[0].lines == ("b.jpg", CLASSES[1], "sharpness 0.01")
    assert checks["shortcuts"].strips == ()


def test_pictures_are_few_whatever_was_found():
    one = [Finding("dark", "warn", "dark", ("b.jpg",), ("p1",))] * 1000
    many = [Finding("grey", "warn", "grey", ("b.jpg",) * 1000, ("p1",) * 1000)] * 1000
    dark, grey = audit.check_sections(Audit({}, (*one, *many)), pictures())
    assert [len(strip.pictures) for strip in dark.strips] == [thumbnails.SINGLES]
    assert dark.strips[0].total == 1000
    assert [len(s.pictures) for s in grey.strips] == [thumbnails.MEMBERS] * thumbnails.GROUPS


def test_every_check_has_a_line_and_an_audit_without_any_has_no_table():
    header, *lines = audit.outcomes(AUDIT)
    assert header[:3] == ["check", "flagged", "action"]
    assert lines[1] == ["near_duplicates", "2", "group", "0.99", "0.95", NASTY]
    assert lines[0][3:5] == ["", ""]
    assert audit.outcomes(Audit({}, ())) == []


def test_an_audit_without_counts_has_no_table():
    assert audit.finding_summary(Audit({}, ())) == []
    assert audit.finding_summary(AUDIT)[1][0] == "all"
