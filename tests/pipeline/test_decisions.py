"""What a person decided goes with the audit and the splits, on a plain folder and in a project."""

import shutil

import numpy as np
import pytest

from tests.conftest import fill
from toolkit.errors import InputError
from toolkit.io import files, images
from toolkit.pipeline.steps.audit import audit
from toolkit.pipeline.steps.prepare import prepare

HEADER = "path,decision,label,group\n"
SPLIT = {"fractions": {"train": 0.5, "valid": 0.25, "test": 0.25}}


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Two classes; a/dark.png is black, and b/copy.png is a/000.png."""
    monkeypatch.chdir(tmp_path)
    folder = fill(tmp_path / "photos", {"a": 8, "b": 6}, size=16)
    black = images.encode_png(np.zeros((16, 16, 3), dtype=np.uint8))
    (folder / "a" / "dark.png").write_bytes(black)
    shutil.copy(folder / "a" / "000.png", folder / "b" / "copy.png")
    return folder


def decide(folder, *rows):
    path = folder.parent / "decisions.csv"
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return path


def test_the_audit_is_of_the_images_as_decided(photos):
    strict = {"dark": "fail", "conflicts": "fail"}
    failures = audit(photos, checks=strict, workers=1).failures
    assert {finding.check for finding in failures} == {*strict}
    table = decide(photos, "a/dark.png,keep,,", "b/copy.png,relabel,a,")
    result = audit(photos, checks=strict, workers=1, decisions=table)
    assert result.failures == []
    assert result.counts["all"] == {"a": 10, "b": 6}
    assert "decisions.csv: 1 keep, 1 relabel: b -> a (1)" in result.read
    (copies,) = result.findings_of("exact_duplicates")
    assert copies.action == "group"


def test_prepare_leaves_out_relabels_and_counts(photos, tmp_path):
    rows = ("a/dark.png,drop,,", "b/copy.png,relabel,a,", "b/000.png,same group,,x")
    table = decide(photos, *rows, "b/001.png,same group,,x", "b/002.png,,,")
    result = audit(photos, workers=1, decisions=table)
    prepared = prepare(
        photos, tmp_path / "out", audit=result, decisions=table, size=16, split=SPLIT, workers=1
    )
    assert prepared.left_out[0] == {"path": "a/dark.png", "reason": "dropped by decisions.csv"}
    counts = {"drop": 1, "relabel": 1, "same group": 2, "undecided": 1}
    assert prepared.decisions == prepared.splits["train"].notes["decisions"] == counts
    assert sum(part.counts()["a"] for part in prepared.splits.values()) == 9
    names = [f"b/{files.sha256(photos / f'b/00{n}.png')[:16]}.png" for n in (0, 1)]
    assert (
        len(
            {
                split
                for split in prepared.splits
                if (tmp_path / "out" / split / names[0]).exists()
                or (tmp_path / "out" / split / names[1]).exists()
            }
        )
        == 1
    )


def test_images_of_one_group_are_in_one_fold(photos, tmp_path):
    table = decide(photos, *(f"b/00{n}.png,same group,,x" for n in range(4)))
    prepared = prepare(
        photos,
        tmp_path / "out",
        decisions=table,
        size=16,
        split={"folds": 2, "repeats": 3},
        workers=1,
    )
    groups = {}
    for sample in prepared.splits["train"].samples:
        groups.setdefault(sample.group, []).append(sample)
    (together,) = [of for of in groups.values() if len(of) == 4]
    assert len({sample.folds for sample in together}) == 1


def test_an_audit_of_other_decisions_is_refused(photos, tmp_path):
    table = decide(photos, "a/000.png,drop,,")
    without, follows = audit(photos, workers=1), audit(photos, workers=1, decisions=table)
    decide(photos, "a/001.png,drop,,")
    for result, given, message in (
        (without, table, "followed no table of decisions, and prepare.decisions names one"),
        (follows, None, "followed a table of decisions, and prepare.decisions names none"),
        (follows, table, "followed a table of decisions, and it has changed: run `toolkit audit`"),
    ):
        with pytest.raises(InputError, match=message):
            prepare(photos, tmp_path / "out", audit=result, decisions=given, size=16, workers=1)
    assert not (tmp_path / "out").exists()


def test_decisions_that_were_made_are_not_overwritten(photos):
    output = photos.parent / "decisions.csv"
    audit(photos, output=output, export="decisions", workers=1)
    before = output.read_text()
    assert "a/dark.png,,,," in before
    with pytest.raises(InputError, match=r"decisions\.csv: there is one already, which may hold"):
        audit(photos, output=output, export="decisions", workers=1)
    assert output.read_text() == before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"export": "excel", "output": "x"},
            "--export must be one of decisions, fiftyone",
        ),
        ({"export": "fiftyone"}, "--export fiftyone needs --output"),
        ({"export": "cleanlab", "output": "x"}, "a table of label issues: add --label-errors"),
    ],
)
def test_a_form_that_cannot_be_written_is_refused_before_the_work(photos, given, message):
    with pytest.raises(InputError, match=message):
        audit(photos.parent / "nowhere", **given)


def test_a_table_of_predictions_that_is_not_understood_says_what_reads_it(photos):
    table = photos.parent / "odd.csv"
    table.write_text("picture;wahr;geraten\na/000.png;a;b\n")
    message = r"'actual' is missing.* `toolkit evaluate .*odd.csv --output DIR` has, and writes"
    with pytest.raises(InputError, match=message):
        audit(photos, output="d.csv", export="decisions", predictions=table, workers=1)
    with pytest.raises(InputError, match="no such file"):
        audit(photos, output="d.csv", export="decisions", predictions="none.csv", workers=1)
