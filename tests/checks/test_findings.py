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
