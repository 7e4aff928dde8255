"""An audit as text, and audit.json."""

import pytest

from tests.helpers import audits
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
