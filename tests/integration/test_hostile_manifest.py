"""A stranger's manifest decides nothing about what is read and written outside its folder."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import toolkit
from tests.conftest import fill
from tests.helpers import flips
from toolkit.cli import console, main
from toolkit.errors import InputError
from toolkit.io import manifest
from toolkit.io.manifest import Manifest, Sample

SECRET = b"#!/bin/sh\necho from the stranger\n"
NETWORK = {"network": "resnet18", "width": 0.125, "epochs": 1, "batch": 32}
CODEC = {"codec": {"format": "png", "size": None}}
COMMANDS = {
    "audit": ("audit", "pack/ds", "--output", "audit.json", "--html", "audit.html"),
    "prepare": partial(toolkit.prepare, "pack/ds", "out", workers=1),
    "augment": ("augment", "pack/ds", "--output", "out", "--target", "16"),
    "augment to shards": ("augment", "pack/ds", "-o", "out", "--target", "16", "--shards", "2"),
    "preview": ("augment", "pack/ds", "--preview", "--output", "sheet.png", "--target", "16"),
    "train": ("train", "--arm", "pack/ds", "--valid", "valid", "--output", "out"),
    "valid": ("train", "--arm", "valid", "--valid", "pack/ds", "--output", "out"),
    "advise": (
        "advise", "pack/ds", "--html", "advice.html", "--size", "32", "--folds", "2",
        "--repeats", "1",
    ),
    "predict": ("predict", "run", "pack/ds", "--output", "out.csv"),
    "evaluate": ("evaluate", "run", "--test", "pack/ds", "--output", "out"),
    "probe": ("probe", "pack/ds", "--output", "out.json"),
    "explain": ("augment", "--explain", "pack/ds/manifest.csv:24", "--output", "again.png"),
}  # fmt: skip
ROWS = {
    "an escape": ("c0/../../.bashrc", SECRET),
    "a file elsewhere": ("../.bashrc", SECRET),
    "a file elsewhere with another hash": ("../.bashrc", b""),
    "a pipe": ("../pipe", b""),
    "a pipe inside": ("c0/pipe.png", b""),
    "a device": ("{zero}", b""),
    "a link": ("c0/link.png", SECRET),
    "a linked folder": ("c2/.bashrc", SECRET),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of these classes, the images that it was trained on, and those of a stranger."""
    top = tmp_path_factory.mktemp("run")
    fill(top / "ds", {"c0": 12, "c1": 9}, size=32)
    fill(top / "valid", {"c0": 6, "c1": 5}, size=32, seed=1)
    toolkit.train(
        top / "valid", valid=top / "valid", recipe="r", recipes={"r": NETWORK}, output=top / "run"
    )
    return top


@pytest.fixture
def place(run, tmp_path, monkeypatch):
    """A user's folder with a file of theirs, and a stranger's `pack` in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("run", "valid"):
        (tmp_path / name).symlink_to(run / name)  # the user's own links are followed
    (tmp_path / ".bashrc").write_text("precious\n")
    folder = shutil.copytree(run / "ds", tmp_path / "pack" / "ds")
    (tmp_path / "pack" / ".bashrc").write_bytes(SECRET)
    (folder / "c0" / "link.png").symlink_to(tmp_path / "pack" / ".bashrc")
    (folder / "c2").symlink_to(tmp_path / "pack")
    os.mkfifo(tmp_path / "pack" / "pipe")
    os.mkfifo(folder / "c0" / "pipe.png")
    return tmp_path


def write_table(folder, row, data, *, derived):
    """Write a manifest, with the hostile row first or as the parent of the first."""
    path = row.format(zero=os.path.relpath("/dev/zero", folder))
    samples = [
        Sample(hashlib.sha256(file.read_bytes()).hexdigest(), f"{label}/{file.name}", label)
        for label in ("c0", "c1")
        for file in sorted((folder / label).glob("0*.png"))
    ]
    hostile = Sample(hashlib.sha256(data).hexdigest(), "x", "c0")
    samples.insert(0, hostile)
    if derived:
        new = {"transform": "rotate", "params": {"degrees": 1.0}, "seed": 1}
        children = [
            replace(of, id=f"new{n}", path=f"n{n}.png", parent=of.id, **new)
            for n, of in enumerate(samples[:3])
        ]
        samples += children
    manifest.write_manifest(folder, Manifest(("c0", "c1"), tuple(samples), CODEC))
    table = folder / manifest.TABLE
    flips.forge(folder, table.read_text().replace(",x,c0,", f",{path},c0,"))
    return path


def tree(top):
    """Everything but the stranger's own pack: names, and the bytes of files."""
    return {
        path.relative_to(top): path.read_bytes() if path.is_file() else b""
        for path in sorted(top.rglob("*"))
        if "pack" not in path.parts and ".toolkit" not in path.parts
    }


def guarded(command):
    """Run a command, or call its function, as the command line does; return the exit code."""
    if isinstance(command, tuple):
        command = partial(main.app, list(command), standalone_mode=False)
    return console.guarded(command)


def late(*_):
    raise AssertionError("it waits")


@pytest.fixture
def in_time():
    """Fail after a minute, whatever the code waits for."""
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_hostile_row_ends_in_one_message(place, in_time, capfd, command, row):
    text, data = ROWS[row]
    path = write_table(place / "pack" / "ds", text, data, derived=command in ("probe", "explain"))
    before = tree(place)
    code = guarded(COMMANDS[command])
    shown = capfd.readouterr()
    after = tree(place)
    inside = "/" in path and not path.startswith("../") and ".." not in path
    if command == "advise" and inside:  # as audit, and the image is left out
        assert code == 0
        assert "1 damaged or unusable images" in shown.err
        assert SECRET not in (place / "advice.html").read_bytes()
        return
    if command == "audit" and inside:
        # Inside the folder it is a finding: what cannot be read is named, and left out later.
        assert code == 0
        found = json.loads((place / "audit.json").read_text())["findings"]
        reasons = [f["message"] for f in found if f["check"] == "unreadable"]
        assert len(reasons) == 1
        assert "symbolic link" in reasons[0] or reasons[0] == "not a regular file"
        for name in ("audit.json", "audit.html"):
            assert SECRET not in (place / name).read_bytes()
        return
    assert code == 1
    lines = [line for line in shown.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert path in lines[0]
    if table := after.pop(Path("out.csv"), None):  # the others are predicted, with the row's error
        assert (command, table.count(path.encode())) == ("predict", 1)
    assert "Traceback" not in shown.err
    assert after == before


def test_the_message_of_a_link_names_dvcs_setting(place, capfd):
    write_table(place / "pack" / "ds", *ROWS["a link"], derived=False)
    assert guarded(COMMANDS["augment"]) == 1
    assert "dvc config cache.type reflink,hardlink,copy" in capfd.readouterr().err


def test_the_command_itself_ends_with_1(place):
    """As the user types it, with the row that wrote over a file of theirs."""
    write_table(place / "pack" / "ds", *ROWS["an escape"], derived=False)
    done = subprocess.run(
        [sys.executable, "-m", "toolkit", *COMMANDS["augment"]],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: pack/ds/manifest.csv: manifest row 'c0/../../.bashrc'")
    assert len(done.stderr.splitlines()) == 1
    assert (place / ".bashrc").read_text() == "precious\n"


def test_a_resumed_output_of_a_stranger_leads_nowhere(place):
    """Links in a folder under construction are not written through."""
    plain = fill(place / "photos", {"c0": 6, "c1": 3}, size=32)
    settings = {"target": 6, "workers": 1}

    def stop(items, label, _total=None):
        for number, item in enumerate(items):
            if label == "augment" and number == 8:
                raise KeyboardInterrupt
            yield item

    with pytest.raises(KeyboardInterrupt):
        toolkit.augment(plain, "out", **settings, track=stop)
    building = place / ".out.building"
    for folder in ("c0", "c1"):
        shutil.rmtree(building / folder)
        (building / folder).symlink_to(place / "valid")
    before = tree(place / "valid")
    with pytest.raises(InputError, match="symbolic link"):
        toolkit.augment(plain, "out", **settings)
    assert tree(place / "valid") == before


@pytest.mark.parametrize("output", ["", ".", "/", ".."])
@pytest.mark.parametrize("arm", [(), ("--arm", "original")])
def test_an_output_that_is_no_new_folder_is_refused(place, capfd, output, arm):
    before = tree(place)
    assert guarded(("augment", "valid", *arm, "--output", output, "--target", "20")) == 1
    assert "error: --output must name a folder that can be made" in capfd.readouterr().err
    assert tree(place) == before
