"""decisions.csv: each kind does what it says, and no row does nothing in silence."""

import json
from pathlib import Path

import pytest

from toolkit.datasets.split import group_samples
from toolkit.datasets.tables.decisions import follow_decisions, read_decision_table
from toolkit.errors import InputError
from toolkit.io.manifest import Manifest, Sample

HASHES = {name: name[2] * 64 for name in ("a/1.png", "a/2.png", "a/3.png", "b/4.png", "b/5.png")}
RAW = Manifest(
    ("a", "b"),
    tuple(Sample(h, path, path[0], group=h) for path, h in HASHES.items()),
    {"rejected": [{"path": "b/notes.txt", "reason": "not an image"}], "read": "2 classes"},
)


def table(folder: Path, *rows: str, header: str = "path,decision,label,group,sha256") -> Path:
    path = folder / "decisions.csv"
    path.write_text("\n".join((header, *rows)) + "\n")
    return path


def follow(folder, *rows, raw=RAW, **header):
    return follow_decisions(raw, read_decision_table(table(folder, *rows, **header)))


def test_without_a_table_the_images_are_as_they_are():
    assert read_decision_table("") is read_decision_table(None) is None
    assert follow_decisions(RAW, None).manifest is RAW
    assert follow_decisions(RAW, None).sha256 == ""


def test_each_kind_does_what_it_says_and_is_counted(tmp_path):
    decided = follow(
        tmp_path,
        f"a/1.png,keep,,,{HASHES['a/1.png']}",
        "./a/2.png,drop,,,",
        "b/notes.txt,drop,,,",
        "b/4.png,Relabel,a,,",
        "a/3.png,same_group,,one photo,",
        "b/4.png,same group,,one photo,",
        "b/5.png,,,,",
    )
    samples = {sample.path: sample for sample in decided.manifest.samples}
    assert list(samples) == ["a/1.png", "a/3.png", "b/4.png", "b/5.png"]
    assert samples["b/4.png"].label == "a"
    assert decided.settled == {HASHES["a/1.png"], HASHES["b/4.png"]}
    assert decided.left_out == (
        {"path": "a/2.png", "reason": "dropped by decisions.csv"},
        {"path": "b/notes.txt", "reason": "dropped by decisions.csv"},
    )
    assert decided.manifest.notes["rejected"] == []
    counts = {"keep": 1, "drop": 2, "relabel": 1, "same group": 2, "undecided": 1}
    assert decided.counts == counts
    assert decided.manifest.notes["read"] == (
        "2 classes; decisions.csv: 1 keep, 2 drop, 1 relabel: b -> a (1), 2 same group, 1 undecided"
    )


def test_same_group_joins_the_groups_of_the_source(tmp_path):
    of_patients = Manifest(
        RAW.classes,
        tuple(
            Sample(s.id, s.path, s.label, group="p7" if s.label == "b" else s.group)
            for s in RAW.samples
        ),
    )
    rows = [f"{path},same group,,x," for path in ("a/1.png", "a/2.png")]
    rows += [f"{path},same group,,y," for path in ("a/2.png", "b/5.png")]
    decided = follow(tmp_path, *rows, raw=of_patients)
    groups = [sorted(s.path for s in of) for of in group_samples(decided.manifest.samples, ())]
    assert sorted(groups) == [["a/1.png", "a/2.png", "b/4.png", "b/5.png"], ["a/3.png"]]


def test_a_prepared_image_stands_for_its_raw_one(tmp_path):
    """Mistakes have its path: the name begins with the sha256 of the raw file."""
    png = f"b/{HASHES['a/1.png'][:16]}.png"
    assert [file["path"] for file in follow(tmp_path, f"{png},drop,,,other").left_out] == [
        "a/1.png"
    ]
    with pytest.raises(InputError, match=r"'a/1.png' has two decisions, 'drop' in line 2 and 'ke"):
        follow(tmp_path, f"{png},drop,,,", "a/1.png,keep,,,")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a/9.png,keep,,,"], r"line 2 \('a/9.png'\): no such image in the folder; mend"),
        (["photos/b/5.png,drop,,,"], r"no such image in the folder \(did you mean 'b/5.png'\?\)"),
        (["a/1.png,keep,,,ABCD"], r"changed since it was decided: its sha256 is 1{12}\.\.\., not"),
        (["a/1.png,relabel,c,,"], "label must be one of a, b, got 'c'"),
        (["a/1.png,relabel,a,,"], "its class is 'a' already; write keep"),
        (["b/notes.txt,keep,,,"], r"not used \(not an image\), and can only be dropped"),
        (["a/1.png,hold,,,"], "decision must be keep, drop, relabel, same group or empty, got 'h"),
        (["a/1.png,relabel,,,"], "label goes with decision 'relabel', got relabel without label"),
        (["a/1.png,,b,,"], "label goes with decision 'relabel', got label 'b' with decision ''"),
        (["a/1.png,same group,,g,"], "no other image has the group 'g'"),
        (["a/1.png,keep,,,", "a/1.png,drop,,,"], "two decisions, 'keep' in line 2 and 'drop' in"),
        (["a/1.png,relabel,b,,", "a/1.png,keep,,,"], "'relabel b' in line 2 and 'keep' in line 3"),
        (
            ["a/1.png,same group,,g,", "a/2.png,same group,,g,", "a/1.png,drop,,,"],
            "'drop' in line 4 and 'same group g' in line 2",
        ),
        (["../a/1.png,keep,,,"], r"line 2 \('../a/1.png'\): the path '../a/1.png' leads out"),
        (["/a/1.png,keep,,,"], "must be relative"),
    ],
)
def test_a_row_that_does_nothing_or_contradicts_another_is_refused(tmp_path, rows, message):
    with pytest.raises(InputError, match=rf"decisions\.csv: .*{message}"):
        follow(tmp_path, *rows)


def test_all_such_rows_are_counted_and_the_first_are_named(tmp_path):
    with pytest.raises(InputError, match=r"line 6.*; and 2 more such rows; mend or remove such"):
        follow(tmp_path, *(f"a/{n}.jpg,drop,,," for n in range(7)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,decision\na,keep\n", "must have the columns path and decision.*got file, decision"),
        ("path,decision,hue\n", "may have label, group, sha256, note, got .*hue"),
        ("path,decision\na/1.png,keep", "the file may be cut off"),
        ("", "empty file"),
    ],
)
def test_another_table_is_refused(tmp_path, text, message):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(InputError, match=rf"x\.csv: .*{message}"):
        read_decision_table(tmp_path / "x.csv")


def test_a_spreadsheets_own_spelling_is_read(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes("\ufeffpath;decision;note\r\na/1.png;KEEP;fine\r\n".encode())
    assert follow_decisions(RAW, read_decision_table(path)).counts == {"keep": 1}


def test_the_answers_of_label_studio_are_decisions(tmp_path):
    """Its export in JSON: the data of each task as imported, beside the annotations."""

    def task(path, *choices):
        results = [{"from_name": name, "value": {"choices": [one]}} for name, one in choices]
        data = {"path": path, "given": path[0], "sha256": HASHES[path], "image": "/data/x"}
        annotations = [{"was_cancelled": False, "result": results}] if choices else []
        return {"id": 7, "data": data, "annotations": annotations, "predictions": []}

    tasks = [
        task("a/1.png", ("label", "a")),
        task("a/2.png", ("label", "b")),
        task("a/3.png", ("decision", "drop")),
        task("b/4.png"),
    ]
    path = tmp_path / "export.json"
    path.write_text(json.dumps(tasks))
    decided = follow_decisions(RAW, read_decision_table(path))
    assert decided.counts == {"keep": 1, "drop": 1, "relabel": 1, "undecided": 1}
    tasks[0]["annotations"] *= 2
    tasks[0]["annotations"][1] = task("a/1.png", ("label", "b"))["annotations"][0]
    path.write_text(json.dumps(tasks))
    with pytest.raises(InputError, match=r"task 1 \('a/1.png'\): its annotations differ"):
        read_decision_table(path)
