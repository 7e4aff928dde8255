"""Outputs are written whole or not at all, and no file of a user's is lost."""

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from toolkit.errors import InputError
from toolkit.io import files


def test_a_failed_folder_leaves_the_old_one(tmp_path):
    out = tmp_path / "out"
    with files.new_folder(out) as building:
        (building / "manifest.json").write_text("old")
    with pytest.raises(RuntimeError), files.new_folder(out) as building:  # noqa: PT012
        (building / "manifest.json").write_text("new")
        raise RuntimeError
    assert (out / "manifest.json").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir() if "lock" not in p.name] == ["out"]


def test_a_folder_that_the_toolkit_wrote_is_replaced(tmp_path):
    for text in ("old", "new"):
        with files.new_folder(tmp_path / "out") as building:
            (building / "manifest.json").write_text(text)
    assert (tmp_path / "out" / "manifest.json").read_text() == "new"


def test_a_folder_that_the_toolkit_did_not_write_is_never_replaced(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "holiday.jpg").write_text("precious")
    with (
        pytest.raises(InputError, match="exists and was not written by the toolkit"),
        files.new_folder(tmp_path / "out"),
    ):
        pass
    assert (tmp_path / "out" / "holiday.jpg").read_text() == "precious"


def test_a_second_writer_is_refused(tmp_path):
    code = (
        "import sys; from pathlib import Path; from toolkit.io import files\n"
        "with files.new_folder(Path(sys.argv[1])): pass"
    )
    with files.exclusive(tmp_path / "out"):
        second = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "out")], capture_output=True, text=True
        )
    assert "another process is writing it" in second.stderr


def test_a_file_is_replaced_whole(tmp_path):
    files.write_file(tmp_path / "deep" / "x.txt", "ä")
    files.write_file(tmp_path / "deep" / "x.txt", b"b")
    assert [p.read_bytes() for p in (tmp_path / "deep").iterdir()] == [b"b"]


def test_temporary_files_of_killed_processes_are_removed_and_of_running_ones_are_not(tmp_path):
    name = hashlib.sha256(b"x.txt").hexdigest()[:16]
    for pid in (2**22 + 1, 1):  # no process has so high an id; 1 always runs
        (tmp_path / f".{name}.{pid}.tmp").touch()
    files.write_file(tmp_path / "x.txt", "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == [f".{name}.1.tmp", "x.txt"]


def test_the_old_folder_is_restored_after_a_kill_between_two_renames(tmp_path):
    (tmp_path / ".out.replaced").mkdir()
    (tmp_path / ".out.replaced" / "manifest.json").write_text("old")
    with pytest.raises(InputError), files.new_folder(tmp_path / "out"):
        raise InputError
    assert (tmp_path / "out" / "manifest.json").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["x" * 255, "\U0001f600" * 63])
def test_a_name_may_have_255_bytes(tmp_path, name):
    files.write_file(tmp_path / name, "x")
    with files.csv_table(tmp_path / name, ["a"]):
        pass
    assert (tmp_path / name).read_text() == "a\n"


def test_an_error_names_the_file(tmp_path):
    path = tmp_path / "x"
    with pytest.raises(OSError, match="No space left") as caught, files.csv_table(path, ["a"]):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(path)
    assert not list(tmp_path.iterdir())


def test_json_has_no_nan_in_either_direction(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "x.json", {"a": float("nan")})
    for text in ("NaN", "-Infinity", '{"a": [Infinity]}'):
        with pytest.raises(ValueError, match="is not a JSON number"):
            files.parse_json(text)
    with pytest.raises(ValueError, match="nested too deeply"):
        files.parse_json('{"a":' * 100_000)


def test_a_lock_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"imbalanced-images-{os.getuid()}").symlink_to(tmp_path)
    with pytest.raises(InputError, match="must be a folder of yours"), files.exclusive(tmp_path):
        pass


@pytest.mark.parametrize("name", ["", ".", "/", "..", "a/..", "a\0"])
def test_an_output_must_name_a_folder_that_can_be_made(name):
    message = "--output must name a folder that can be made, got"
    with pytest.raises(InputError, match=message), files.new_folder(Path(name)):
        pass
