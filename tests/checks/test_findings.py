"""An audit as text, and audit.json."""

import contextlib
import json

import pytest

from tests.helpers import audits
from tests.helpers.flips import flipped
from toolkit.checks import audit, findings
from toolkit.checks.findings import Audit, CheckOutcome, Finding
from toolkit.errors import InputError


def test_an_audit_shows_its_size():
    result = Audit({"all": {"a": 500, "b": 90}}, (Finding("dark", "warn", "", ()),) * 3)
    assert repr(result) == "Audit(590 images, 0 checks, 3 findings)"
    assert repr(Audit({}, ())) == "Audit(0 images, 0 checks, 0 findings)"


def test_the_table_has_a_row_per_check_after_its_header():
    checks = {
        "dark": CheckOutcome("very dark", "warn", 0.25, 0.5, 3),
        "empty": CheckOutcome("zero bytes", "drop", None, None, 0),
    }
    assert Audit({}, (), checks).table() == [
        ("check", "flagged", "action", "score", "what is flagged"),
        ("dark", "3", "warn", "0.5", "very dark"),
        ("empty", "0", "drop", "", "zero bytes"),
    ]
    assert "<td>very dark</td>" in Audit({}, (), checks)._repr_html_()


def test_the_findings_of_a_check_are_cut_short(tmp_path):
    photos = audits.fill(tmp_path / "photos", {"a": 12, "b": 8, "c": 6})
    for k in range(5):
        (photos / "a" / f"{k}.txt").write_text("hello")
    result = audits.run(photos)
    assert [row[0] for row in result.table()[1:]] == list(audit.CHECKS)
    title, first, *_, last = findings.describe_audit(result)
    assert title == "not_an_image:"
    assert first.startswith("  a/0.txt: not an image (a text that begins with 'hello'")
    assert last == "  and 2 more; --output writes all of them"


@pytest.mark.parametrize("text", ["{}", "[]", '{"counts": {}, "findings": [], "checks": [1]}'])
def test_a_file_that_is_no_audit_is_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=r"x\.json: not an audit"):
        findings.read_audit(tmp_path / "x.json")


def test_a_flipped_bit_is_noticed_and_a_change_of_ones_own_is_not_forbidden(tmp_path):
    path, result = tmp_path / "audit.json", Audit({"all": {"a": 5}}, (), {}, {"a": 1})
    findings.write_audit(path, result)
    for data in flipped(path.read_bytes(), 200):
        path.write_bytes(data)
        with contextlib.suppress(InputError):  # unless it is in the name of the hash
            assert findings.read_audit(path) == result
    findings.write_audit(path, result)
    path.write_text(path.read_text().replace('"a": 5', '"a": 6'))
    with pytest.raises(InputError, match='if the change is yours, remove "sha256" at its end'):
        findings.read_audit(path)
    changed = json.loads(path.read_text())
    del changed["sha256"]
    path.write_text(json.dumps(changed))
    assert findings.read_audit(path).counts == {"all": {"a": 6}}


ONE, TWO, THREE = "1" * 64, "2" * 64, "3" * 64


def settled(finding: Finding, *idents: str) -> tuple[Finding, ...]:
    """The findings that are left, in an audit of one."""
    return findings.settle_findings(Audit({}, (finding,)), idents).findings


def finding(check: str, action: str, drop: tuple[str, ...] = (), message: str = "") -> Finding:
    return Finding(check, action, message, ("a/1.png", "a/2.png"), (ONE, TWO), drop)


def test_a_settled_image_is_in_no_finding_about_single_images():
    companions = finding("companions", "drop", (ONE, TWO))
    (left,) = settled(companions, TWO)
    assert (left.paths, left.samples, left.drop) == (("a/1.png",), (ONE,), (ONE,))
    assert settled(companions, ONE, TWO) == ()
    assert settled(companions, THREE) == (companions,)


@pytest.mark.parametrize("action", ["group", "drop", "fail"])
def test_copies_that_are_settled_stay_but_in_one_split(action):
    copies = finding("near_duplicates", action, (TWO,) if action == "drop" else ())
    (left,) = settled(copies, ONE, TWO)
    assert (left.action, left.samples, left.drop) == ("group", (ONE, TWO), ())
    assert settled(finding("exact_duplicates", "warn"), ONE, TWO) == ()


def test_of_copies_the_others_are_dropped_or_stop_the_pipeline_as_before():
    (left,) = settled(finding("exact_duplicates", "drop", (TWO,)), ONE)
    assert (left.action, left.drop) == ("group", (TWO,))
    (left,) = settled(finding("exact_duplicates", "fail"), ONE)
    assert left.action == "fail"


def test_what_only_looks_alike_is_no_set_that_stays_together():
    message = f"2 files are chained: {findings.CROWD}"
    assert settled(finding("near_duplicates", "fail", message=message), ONE, TWO) == ()


@pytest.mark.parametrize("check", findings.UNREADABLE)
def test_a_file_that_is_no_picture_cannot_be_kept(check):
    with pytest.raises(
        InputError, match=rf"a/1\.png: cannot be kept \({check}: cut\); drop or mend"
    ):
        settled(finding(check, "drop", (ONE,), "cut"), ONE)


def test_what_is_flagged_is_counted_anew_and_the_table_is_remembered(tmp_path):
    dark = (finding("dark", "fail"), Finding("dark", "fail", "", ("a/3.png",), (THREE,)))
    checks = {"dark": CheckOutcome("very dark", "fail", 0.25, 0.5, 3)}
    result = findings.settle_findings(Audit({}, dark, checks), (ONE, TWO), "beef")
    assert [left.paths for left in result.failures] == [("a/3.png",)]
    assert result.checks["dark"].flagged == 1
    findings.write_audit(tmp_path / "a.json", result)
    assert findings.read_audit(tmp_path / "a.json") == result


def test_without_decisions_and_guesses_the_file_does_not_mention_them(tmp_path):
    findings.write_audit(tmp_path / "a.json", Audit({}, (finding("dark", "warn"),)))
    text = (tmp_path / "a.json").read_text()
    assert "decisions" not in text
    assert "predicted" not in text
