"""Locks and writing where files that are open can be neither renamed nor removed."""

import os
from pathlib import Path

import pytest

from toolkit.errors import InputError
from toolkit.io import files
from toolkit.io.system import disk


@pytest.fixture
def immovable(monkeypatch):
    monkeypatch.setattr(disk, "MOVABLE", False)


def test_a_file_is_replaced_whole_and_its_lock_removed(tmp_path, immovable):
    for data in ("one", "two"):
        files.write_file(tmp_path / "x", data)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"x": "two"}
    with pytest.raises(OSError, match="No space"), files.csv_table(tmp_path / "x", ["a"]):
        raise OSError(28, "full")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"x": "two"}


def test_what_is_written_is_closed_before_it_gets_its_name(tmp_path, immovable, monkeypatch):
    replace, seen = type(tmp_path).replace, []

    def look(path, target):
        held = {os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()}
        seen.append(str(path) in held)
        return replace(path, target)

    monkeypatch.setattr(type(tmp_path), "replace", look)
    files.write_file(tmp_path / "x", "data")
    assert seen == [False]


def test_a_lock_holds_and_is_removed(tmp_path, immovable, monkeypatch):
    monkeypatch.setattr(files, "ATTEMPTS", 1)
    with files.exclusive(tmp_path / "x"):
        with (
            pytest.raises(InputError, match="another process is writing it"),
            files.exclusive(tmp_path / "x"),
        ):
            pass
        assert [path.name for path in tmp_path.iterdir()] == [".x.lock"]
    assert not any(tmp_path.iterdir())


def test_filelock_takes_the_same_lock(tmp_path, monkeypatch):
    with (tmp_path / "x").open("w") as one, (tmp_path / "x").open("w") as two:
        assert disk.try_lock(one.fileno())
        monkeypatch.setattr(disk, "HAS_FLOCK", False)
        assert not disk.try_lock(two.fileno())
    with (tmp_path / "x").open("w") as three:
        assert disk.try_lock(three.fileno())


def test_places_are_read_and_written_where_the_system_has_no_call_for_it(tmp_path, monkeypatch):
    for name in ("pread", "pwrite"):
        monkeypatch.delattr(os, name)
    descriptor = os.open(tmp_path / "x", os.O_RDWR | os.O_CREAT)
    disk.write_at(descriptor, b"abcdef", 0)
    disk.write_at(descriptor, b"XY", 2)
    assert disk.read_at(descriptor, 3, 1) == b"bXY"
    os.close(descriptor)
