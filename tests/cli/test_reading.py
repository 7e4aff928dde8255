"""Every command that takes images reads them in one way, with the same options, and says how."""

import json

import pytest
import typer

from tests.conftest import fill
from toolkit.cli import console
from toolkit.cli.main import app
from toolkit.cli.options import READING, parse_reading, reading_words
from toolkit.errors import InputError

SAID = "2 splits (Training -> train, Testing -> test) x 2 classes (ill, well), 16 images"
COUNTS = {"Training/ill": 2, "Training/well": 6, "Testing/ill": 3, "Testing/well": 5}


@pytest.fixture
def scans(tmp_path, monkeypatch):
    """Two splits of two classes, with other names than train and test, in the working folder."""
    monkeypatch.chdir(tmp_path)
    return fill(tmp_path / "scans", COUNTS)


def run(line: str, capsys) -> tuple[str, str]:
    """Return what a command writes to stdout and stderr."""

    def command() -> None:
        app(line.split(), standalone_mode=False)

    console.guarded(command)
    written = capsys.readouterr()
    return written.out, " ".join(written.err.split())


def test_the_options_are_the_same_everywhere():
    commands = typer.main.get_group(app).commands
    names = {f"--{key.replace('_', '-')}" for key in READING}
    having = {
        name: names & {text for param in command.params for text in param.opts}
        for name, command in commands.items()
    }
    assert {name for name, some in having.items() if "--layout" in some} == {
        "advise", "audit", "augment", "embed", "evaluate", "init", "predict", "prepare", "train",
    }  # fmt: skip
    assert {frozenset(some) for some in having.values() if "--layout" in some} == {frozenset(names)}


def test_what_is_set_can_be_given_to_another_command():
    set_ = {"group": "patient (\\d+)", "only": ["*.jpg", "*.png"], "split_names": ["a b=train"],
            "classes": "{merge: {b: [c, d]}}"}  # fmt: skip
    words = reading_words(parse_reading(set_))
    assert words[:6] == ["--group", "patient (\\d+)", "--only", "*.jpg", "--only", "*.png"]
    options = dict(zip(words[6::2], words[7::2], strict=True))
    again = {"split_names": [options["--split-names"]], "classes": options["--classes"]}
    assert parse_reading(set_ | again) == parse_reading(set_)


def test_a_command_says_what_it_understood(scans, capsys):
    _, told = run("audit scans --output a.json --workers 1", capsys)
    assert f"scans: {SAID}" in told
    assert json.loads((scans.parent / "a.json").read_text())["read"] == SAID
    _, told = run("augment scans --output new --workers 1", capsys)
    assert "error: scans: holds images of the split 'test'" in told
    assert "are augmented: give scans/Training, or choose with --only" in told
    _, told = run("augment scans/Training --output new --workers 1 --quiet", capsys)
    assert told == ""
    _, told = run("augment scans/Training --output new --preview --force --workers 1", capsys)
    assert "error: --preview writes a picture" in told


def test_an_option_decides_where_a_command_asks(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "scans", {"A/ill": 2, "A/well": 3, "B/ill": 2, "B/well": 3})
    _, told = run("augment scans --output new --workers 1", capsys)
    assert told.startswith("error: scans: three readings fit")
    assert not (tmp_path / "new").exists()
    _, told = run("augment scans --output new --layout any/class --workers 1", capsys)
    assert (
        "scans: 2 classes (ill, well) in 2 folders (A, B), 10 images ill: 4 originals + 2 new = 6"
        in told
    )
    _, told = run("audit scans --split-names A=train,B=test --workers 1", capsys)
    assert "scans: 2 splits (A -> train, B -> test) x 2 classes (ill, well), 10 images" in told
    _, told = run("audit new --layout class --workers 1", capsys)
    assert "new: its manifest.csv says what each image is, so layout cannot be set" in told
    _, told = run("audit scans --layout split --workers 1", capsys)
    assert "layout must name the levels of folders, each of split, class, group, any" in told


def test_names_of_splits_may_hold_what_parts_them():
    chosen = parse_reading({"split_names": ["Site A, old=train,b=c=test", "d=valid"]})
    assert chosen == {"split_names": {"Site A, old": "train", "b=c": "test", "d": "valid"}}
    for wrong in ("Lernen", "Lernen=learn", "=train,x"):
        with pytest.raises(InputError, match="--split-names must be like Lernen=train"):
            parse_reading({"split_names": [wrong]})


def test_options_that_are_not_set_are_left_to_their_defaults():
    assert parse_reading(dict.fromkeys(READING) | {"follow_links": False, "only": []}) == {}
    assert parse_reading({"classes": "{leave_out: [a]}"}) == {"classes": {"leave_out": ["a"]}}
    with pytest.raises(InputError, match=r"--classes must be like --classes '{leave_out:"):
        parse_reading({"classes": "a"})
