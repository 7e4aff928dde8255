"""Opening below a folder by names, where there are no descriptors of folders."""

import os
import stat
import types

import pytest

from tests.fuzz import paths
from tests.fuzz.paths import LIMIT
from toolkit.errors import InputError
from toolkit.io import inside
from toolkit.io.system import below


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder full of traps, in a folder with a secret."""
    return paths.set_traps(tmp_path_factory.mktemp("top"))


@pytest.fixture
def by_name(monkeypatch):
    monkeypatch.setattr(below, "BY_DESCRIPTOR", False)


def answer(path, place):
    try:
        return inside.read_inside(place, path, LIMIT)
    except InputError as error:
        return str(error)


def test_the_same_paths_are_read_and_refused_by_name(place, monkeypatch):
    listed = {path.relative_to(place).as_posix() for path in place.rglob("*")}
    names = sorted({"", ".", "..", "../secret", "nothing", "nothing/here", "a/../a", "/", *listed})
    linux = [answer(name, place) for name in names]
    monkeypatch.setattr(below, "BY_DESCRIPTOR", False)
    assert [answer(name, place) for name in names] == linux


def test_files_are_written_and_replaced_by_name_but_not_through_a_link(tmp_path, by_name):
    (tmp_path / "outside").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "in" / "file").symlink_to(tmp_path / "outside" / "precious")
    for data in (b"one", b"two"):
        inside.write_inside(tmp_path / "in", "new/folder/x", data)
        inside.write_inside(tmp_path / "in", "file", data)
    with pytest.raises(FileExistsError):
        inside.write_inside(tmp_path / "in", "new/folder/x", b"three", replace=False)
    with pytest.raises(InputError, match="a symbolic link"):
        inside.write_inside(tmp_path / "in", "link/x", b"out")
    assert (tmp_path / "in" / "new" / "folder" / "x").read_bytes() == b"two"
    assert (tmp_path / "in" / "file").read_bytes() == b"two"
    assert not any((tmp_path / "outside").iterdir())


def test_a_junction_of_windows_is_a_link_and_a_file_in_the_cloud_is_none():
    junction, cloud, plain = (
        types.SimpleNamespace(st_mode=stat.S_IFDIR, st_reparse_tag=tag)
        for tag in (0xA0000003, 0x9000001A, 0)
    )
    assert [below.leads_away(status) for status in (junction, cloud, plain)] == [True, False, False]


def test_a_file_that_is_swapped_while_it_is_opened_is_refused(tmp_path, by_name, monkeypatch):
    (tmp_path / "x").write_bytes(b"mine")
    (tmp_path / "y").write_bytes(b"yours")
    opened = os.open

    def swap(*arguments):
        descriptor = opened(*arguments)
        (tmp_path / "y").replace(tmp_path / "x")
        return descriptor

    monkeypatch.setattr(os, "open", swap)
    with pytest.raises(InputError, match="another file was put in its place"):
        inside.read_inside(tmp_path, "x", 100)


@pytest.mark.parametrize(
    "name",
    ["a\\b", "..\\..\\x", "C:x", "x.png:stream", "nul", "NUL.png", "com1", "aux .txt", "x.", "x ",
     "a?b", "a\tb"],
)  # fmt: skip
def test_what_windows_takes_for_another_name_or_a_device_is_refused(name, monkeypatch):
    assert inside.check_relative(f"a/{name}").name == name
    monkeypatch.setattr(below, "STRICT_NAMES", True)
    with pytest.raises(InputError, match="a name that Windows cannot give a file; rename it"):
        inside.check_relative(f"a/{name}")


@pytest.mark.parametrize("name", ["a.png", "console", "nuls", "com10", ".hidden", "ä ö.jpg"])
def test_ordinary_names_are_taken(name, monkeypatch):
    monkeypatch.setattr(below, "STRICT_NAMES", True)
    assert inside.check_relative(name).name == name
    assert inside.check_relative(f"../../{name}", leading=True).name == name
