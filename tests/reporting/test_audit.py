"""The page of an audit as text; integration/test_page.py opens it in a browser."""

import re

import pytest

from tests.helpers.pages import AUDIT, CLASSES, NASTY, pictures
from tests.helpers.parsed import Parsed
from toolkit.checks import params, thumbnails
from toolkit.checks.findings import Audit, Finding
from toolkit.reporting import audit
from toolkit.reporting.audit import MAX_FINDINGS


@pytest.fixture(scope="module")
def html():
    return audit.audit_page(AUDIT, pictures(), NASTY)


@pytest.fixture(scope="module")
def page(html):
    return Parsed(html)


def test_it_summarizes_the_findings_and_has_a_section_per_check_with_findings(page):
    text = " ".join(page.text.split())
    assert (
        "45 images: 1 file is left out; 2 images have duplicates; each set stays in one split; "
        "1 file property predicts the class; 1 file is worth a look." in text
    )
    sections = page.values("aria-labelledby", "section")
    assert sections == ["images", "checks", *(f"check-{n}" for n in range(1, 5))]


def test_it_names_the_keys_that_change_an_action(page):
    text = " ".join(page.text.split())
    assert "Action group: prepare keeps the files in one split." in text
    assert (
        "audit.near_duplicates (drop | group | warn | fail), audit.thresholds.near_duplicates in"
        in text
    )


def test_everything_is_escaped_and_nothing_is_requested(page, html):
    assert page.open == []
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "<img src=x" not in html
    assert NASTY in page.text
    assert any(NASTY in value for value in page.values("alt", "img"))
    assert all(v.startswith("data:image/jpeg;base64,") for v in page.values("src"))
    assert all(v.startswith("#") for v in page.values("href"))
    assert page.values("style") == []
    without = re.sub(r"base64,[A-Za-z0-9+/=]+", "", html)
    assert not re.search(r"https?:|//\w|@import|url\((?!#)", without)


def test_every_reference_has_its_target(page):
    ids = page.values("id")
    assert len(set(ids)) == len(ids)
    assert {v[1:] for v in page.values("href")} | {*page.values("aria-labelledby")} <= set(ids)


def test_a_clean_folder_and_an_empty_one_say_so():
    scanned = Audit({"all": {"a": 3}}, (), read="1 class (<a>), 3 images")
    clean = Parsed(audit.audit_page(scanned, {}, "photos")).text
    assert "Read as 1 class (<a>), 3 images." in clean
    assert "3 images: no problems found." in clean
    assert "There are no images." in Parsed(audit.audit_page(Audit({}, ()), {}, "photos")).text


def test_properties_that_predict_the_class_are_in_the_headline():
    findings = (Finding("shortcuts", "warn", "width predicts the class", ()),)
    headline = audit.audit_headline(Audit({"all": {"a": 3}}, findings))
    assert headline == "3 images: 1 file property predicts the class"


# --- its sections -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checks():
    return {check.name: check for check in audit.check_sections(AUDIT, pictures())}


def test_findings_are_grouped_by_check_and_not_all_files_are_named(checks):
    assert list(checks) == ["unreadable", "near_duplicates", "blurred", "shortcuts"]
    assert checks["unreadable"].summary == "1 finding, 1 file"
    assert checks["shortcuts"].summary == "1 finding"
    assert checks["unreadable"].table[1][2].endswith(f"{NASTY}.jpg and 2 more")


def test_a_long_list_of_findings_ends_with_the_number_of_others():
    finding = Finding("exact_duplicates", "group", "same", ("a", "b"))
    (check,) = audit.check_sections(Audit({}, (finding,) * 100), {})
    assert len(check.table) == 1 + MAX_FINDINGS + 1
    assert check.table[-1][1] == "and 40 more findings"


def test_a_section_has_the_action_and_the_keys_that_change_it(checks):
    near = checks["near_duplicates"]
    assert near.action == "group: prepare keeps the files in one split"
    assert near.keys == ("audit.near_duplicates", "audit.thresholds.near_duplicates")
    assert checks["unreadable"].keys == ("audit.unreadable",)


@pytest.mark.parametrize(
    "check", sorted(set(params.AuditParams.model_fields) - {"limits", "thresholds"})
)
def test_every_action_is_explained(check):
    choices = params.AuditParams.model_fields[check].annotation.__args__
    assert set(choices) <= set(audit.ACTIONS)


def test_members_of_a_group_are_side_by_side_with_label_and_split(checks):
    (strip,) = checks["near_duplicates"].strips
    assert (strip.title, strip.total) == (f"two {NASTY}", 2)
    lines = [picture.lines for picture in strip.pictures]
    assert lines == [(f"a/{NASTY}.jpg", f"{NASTY}, train"), ("b.jpg", CLASSES[1])]


def test_findings_about_one_file_share_a_strip_with_their_messages(checks):
    (strip,) = checks["blurred"].strips
    assert strip.title == ""
    assert strip.pictures[0].lines == ("b.jpg", CLASSES[1], "sharpness 0.01")
    assert checks["shortcuts"].strips == ()


def test_thumbnails_are_few_however_many_findings_there_are():
    one = [Finding("dark", "warn", "dark", ("b.jpg",), ("p1",))] * 1000
    many = [Finding("grey", "warn", "grey", ("b.jpg",) * 1000, ("p1",) * 1000)] * 1000
    dark, grey = audit.check_sections(Audit({}, (*one, *many)), pictures())
    assert [len(strip.pictures) for strip in dark.strips] == [thumbnails.SINGLES]
    assert dark.strips[0].total == 1000
    assert [len(s.pictures) for s in grey.strips] == [thumbnails.MEMBERS] * thumbnails.GROUPS


def test_every_check_has_a_row_and_an_audit_without_checks_has_no_table():
    header, *rows = audit.outcome_table(AUDIT)
    assert header[:3] == ["check", "flagged", "action"]
    assert rows[1] == ["near_duplicates", "2", "group", "0.99", "0.95", NASTY]
    assert rows[0][3:5] == ["", ""]
    assert audit.outcome_table(Audit({}, ())) == []


def test_an_audit_without_counts_has_no_table():
    assert audit.class_count_table(Audit({}, ())) == []
    assert audit.class_count_table(AUDIT)[1][0] == "all"
