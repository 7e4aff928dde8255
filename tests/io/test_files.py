"""Outputs are written whole or not at all, and no file of a user's is lost."""

import contextlib
import errno
import hashlib
import os
from pathlib import Path

import pytest

from toolkit.errors import InputError
from toolkit.io import files


def test_a_failed_folder_leaves_the_old_one(tmp_path):
    out = tmp_path / "out"
    with files.new_folder(out) as building:
        files.write_sealed(building / "manifest.json", {"text": "old"})
    with pytest.raises(RuntimeError), files.new_folder(out) as building:  # noqa: PT012
        (building / "manifest.json").write_text("new")
        raise RuntimeError
    assert files.read_sealed(out / "manifest.json") == {"text": "old"}
    assert [p.name for p in tmp_path.iterdir() if "lock" not in p.name] == ["out"]


def test_a_folder_that_the_toolkit_wrote_is_replaced(tmp_path):
    for text in ("old", "new"):
        with files.new_folder(tmp_path / "out") as building:
            files.write_sealed(building / "manifest.json", {"text": text})
    assert files.read_sealed(tmp_path / "out" / "manifest.json") == {"text": "new"}


def ours(folder: Path, table: str = "id,path\n1,a/1.png\n2,b-0.tar/2.png\n") -> Path:
    for name in ("manifest.csv", "a/1.png", "b-0.tar", "plan.csv", ".gitignore"):
        files.write_file(folder / name, table)
    files.write_sealed(folder / "manifest.json", {"tables": {"manifest.csv": "", "plan.csv": ""}})
    return folder


def pipe_at(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


HARMS = {
    "a manifest without its hash": lambda f: (f / "manifest.json").write_text('{"tables": {}}'),
    "a changed manifest": lambda f: (f / "manifest.json").write_text(
        (f / "manifest.json").read_text().replace("plan", "span")
    ),
    "no plan in it": lambda f: files.write_sealed(f / "manifest.json", {"tables": {}}),
    "no manifest": lambda f: (f / "manifest.json").unlink(),
    "a cut table": lambda f: (f / "manifest.csv").write_text("id,path\n1,a"),
    "a pipe for a table": lambda f: pipe_at(f / "manifest.csv"),
    "a file more": lambda f: (f / "a" / "notes.txt").write_text("precious"),
    "a link more": lambda f: (f / "a" / "more").symlink_to(f),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_folder_in_which_others_wrote_is_never_replaced(tmp_path, harm):
    """A stranger's manifest.json beside photos was enough."""
    out = ours(tmp_path / "out")
    files.check_replaceable(out, "plan.csv")
    HARMS[harm](out)
    with pytest.raises(InputError, match=r"out: .* was not written by the toolkit.*; move it away"):
        files.check_replaceable(out, "plan.csv")
    files.check_replaceable(out, "plan.csv", force=True)


def test_each_split_of_a_prepared_folder_is_ours(tmp_path):
    ours(tmp_path / "train")
    files.check_replaceable(tmp_path, "train/manifest.json")
    files.write_file(tmp_path / "test" / "manifest.json", "{}")
    with pytest.raises(InputError, match="was not written by the toolkit"):
        files.check_replaceable(tmp_path, "train/manifest.json")


def test_a_folder_that_the_toolkit_did_not_write_is_never_replaced(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "holiday.jpg").write_text("precious")
    with (
        pytest.raises(InputError, match="exists and was not written by the toolkit"),
        files.new_folder(tmp_path / "out"),
    ):
        pass
    assert (tmp_path / "out" / "holiday.jpg").read_text() == "precious"


def test_a_file_is_replaced_whole(tmp_path):
    files.write_file(tmp_path / "deep" / "x.txt", "ä")
    files.write_file(tmp_path / "deep" / "x.txt", b"b")
    assert [p.read_bytes() for p in (tmp_path / "deep").iterdir()] == [b"b"]


def test_what_a_killed_process_left_is_written_over(tmp_path):
    name = hashlib.sha256(b"x.txt").hexdigest()[:16]
    (tmp_path / f".{name}.tmp").write_text("longer than what comes")
    files.write_file(tmp_path / "x.txt", "new")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"x.txt": "new"}


def test_a_link_in_the_place_of_a_file_is_replaced(tmp_path):
    """DVC's lead into its cache."""
    (tmp_path / "cached").write_text("cached")
    (tmp_path / "x.txt").symlink_to("cached")
    files.write_file(tmp_path / "x.txt", "new")
    assert (tmp_path / "x.txt").read_text() == "new"
    assert (tmp_path / "cached").read_text() == "cached"


@pytest.mark.parametrize("there", [True, False])
def test_a_link_in_the_place_of_a_folder_is_followed_and_kept(tmp_path, there):
    (tmp_path / "disk").mkdir()
    if there:
        (tmp_path / "disk" / "big").mkdir()
    (tmp_path / "out").symlink_to("disk/big")
    for text in ("old", "new"):
        with files.new_folder(tmp_path / "out") as building:
            files.write_sealed(building / "manifest.json", {"text": text})
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["big", "disk", "manifest.json", "out"]
    assert (tmp_path / "out").is_symlink()
    assert files.read_sealed(tmp_path / "disk" / "big" / "manifest.json") == {"text": "new"}


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


@pytest.mark.parametrize("name", ["", ".", "/", "..", "a/..", "a\0"])
def test_an_output_must_name_a_folder_that_can_be_made(name):
    message = "--output must name a folder that can be made, got"
    with pytest.raises(InputError, match=message), files.new_folder(Path(name)):
        pass


OUTPUTS = {
    "missing/deep/new": ("", ""),
    "nowhere": ("", ""),
    "folder": ("", "must be a file, found a folder; name another"),
    "file": ("must be a folder, found a file; name another", ""),
    "file/below": ("file is a file, not a folder; name another",) * 2,
    "pipe": ("must be a folder, found a device or pipe", "must be a file, found a device or pipe"),
    "circle": ("is a link that leads in a circle; remove it", ""),
    "top": ("must name a folder that can be made", "must be a file, found a folder"),
}
"""Paths, and what is said of them as a folder and as a file."""


@pytest.mark.parametrize("file", [False, True])
@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_is_checked_before_the_work(tmp_path, name, file):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    for link, target in (("circle", "circle"), ("top", "/"), ("nowhere", "missing")):
        (tmp_path / link).symlink_to(target)
    message = OUTPUTS[name][file]
    with pytest.raises(InputError, match=message) if message else contextlib.nullcontext():
        files.check_output(tmp_path / name, file=file)


def test_what_is_missing_is_told_with_a_similar_name_or_what_stands_there(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "x.txt").touch()
    said = {name: str(files.missing(tmp_path / name, "folder")) for name in ("photo", "x.txt", "z")}
    assert said["photo"].endswith("photo: no such folder (did you mean 'photos'?)")
    assert said["x.txt"].endswith("x.txt: a file, not a folder")
    assert said["z"].endswith("z: no such folder")
    assert str(files.missing(Path("z"), "folder")).endswith(f"it is looked for in {Path.cwd()}")
