"""The audit's page as text; test_page.py opens it in a browser."""

import re

import pytest

from tests.helpers.pages import AUDIT, NASTY, pictures
from tests.helpers.parsed import Parsed
from toolkit.checks.findings import Audit, Finding
from toolkit.reporting import audit


@pytest.fixture(scope="module")
def html():
    return audit.audit_page(AUDIT, pictures(), NASTY)


@pytest.fixture(scope="module")
def page(html):
    return Parsed(html)


def test_it_says_what_follows_and_has_a_part_for_each_check_that_found_something(page):
    text = " ".join(page.text.split())
    assert (
        "45 images: 1 file is left out; 2 have copies and stay with them; "
        "1 property of the files gives the class away; 1 is worth a look." in text
    )
    parts = page.values("aria-labelledby", "section")
    assert parts == ["images", "checks", *(f"check-{n}" for n in range(1, 5))]


def test_the_reader_is_told_which_key_changes_what_is_done(page):
    text = " ".join(page.text.split())
    assert "Action group: prepare keeps the files in one split." in text
    assert (
        "audit.near_duplicates (drop | group | warn | fail), audit.thresholds.near_duplicates in"
        in text
    )


def test_whatever_is_shown_is_escaped_and_asks_for_nothing(page, html):
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


def test_every_reference_finds_its_own(page):
    ids = page.values("id")
    assert len(set(ids)) == len(ids)
    assert {v[1:] for v in page.values("href")} | {*page.values("aria-labelledby")} <= set(ids)


def test_a_clean_folder_and_an_empty_one_say_so():
    clean = Parsed(audit.audit_page(Audit({"all": {"a": 3}}, ()), {}, "photos")).text
    assert "3 images: nothing was found." in clean
    assert "There are no images." in Parsed(audit.audit_page(Audit({}, ()), {}, "photos")).text


def test_properties_that_give_the_class_away_are_in_the_headline():
    found = (Finding("shortcuts", "warn", "width predicts the class", ()),)
    said = audit.audit_headline(Audit({"all": {"a": 3}}, found))
    assert said == "3 images: 1 property of the files gives the class away"
