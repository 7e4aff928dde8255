"""Outputs are whole or not there, and nothing of a person's is lost."""

import subprocess
import sys

import pytest

from toolkit import files
from toolkit.errors import InputError


def test_a_failed_folder_leaves_the_old_one(tmp_path):
    out = tmp_path / "out"
    with files.new_folder(out) as building:
        (building / "manifest.json").write_text("old")
    with pytest.raises(RuntimeError), files.new_folder(out) as building:  # noqa: PT012
        (building / "manifest.json").write_text("new")
        raise RuntimeError
    assert (out / "manifest.json").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir() if "lock" not in p.name] == ["out"]


def test_a_folder_of_ours_is_replaced(tmp_path):
    for text in ("old", "new"):
        with files.new_folder(tmp_path / "out") as building:
            (building / "manifest.json").write_text(text)
    assert (tmp_path / "out" / "manifest.json").read_text() == "new"


def test_what_is_not_ours_is_never_replaced(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "holiday.jpg").write_text("precious")
    with pytest.raises(InputError, match="stands in the way"), files.new_folder(tmp_path / "out"):
        pass
    assert (tmp_path / "out" / "holiday.jpg").read_text() == "precious"


def test_a_second_writer_is_told_so(tmp_path):
    code = (
        "import sys; from pathlib import Path; from toolkit import files\n"
        "with files.new_folder(Path(sys.argv[1])): pass"
    )
    with files.only_one(tmp_path / "out"):
        second = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "out")], capture_output=True, text=True
        )
    assert "another process is writing it" in second.stderr


def test_a_file_is_replaced_whole(tmp_path):
    files.write(tmp_path / "deep" / "x.txt", "ä")
    files.write(tmp_path / "deep" / "x.txt", b"b")
    assert [p.read_bytes() for p in (tmp_path / "deep").iterdir()] == [b"b"]
