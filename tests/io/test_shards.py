"""Shards are tar files that other programs read."""

import io
import tarfile

import pytest

from toolkit.errors import InputError
from toolkit.io import inside, shards


def read_file(path):
    return inside.read_file(path, 1_000_000)


MEMBERS = {"a.png": b"", "b.jpg": bytes(range(256)) * 5, "b.cls": b"1", "ä" * 50: b"x" * 512}


def written(path, members=MEMBERS):
    with shards.shard_writer(path) as add:
        for name, data in members.items():
            add(name, data)
    return path


def test_a_shard_is_a_tar_file_without_times_and_owners(tmp_path):
    with tarfile.open(written(tmp_path / "x.tar")) as archive:
        members = archive.getmembers()
        assert {member.name: archive.extractfile(member).read() for member in members} == MEMBERS
    assert {(o.mtime, o.uid, o.gid, o.uname, o.mode) for o in members} == {(0, 0, 0, "", 0o644)}
    assert all(member.isreg() for member in members)


def test_members_are_read_back_and_files_too(tmp_path):
    shard = written(tmp_path / "x.tar")
    assert {name: read_file(shard / name) for name in MEMBERS} == MEMBERS
    written(shard, {"a.png": b"new"})
    assert read_file(shard / "a.png") == b"new"
    (tmp_path / "folder.tar").mkdir()
    (tmp_path / "folder.tar" / "y").write_bytes(b"file")
    assert read_file(tmp_path / "folder.tar" / "y") == b"file"


def test_shards_of_pythons_tarfile_are_read(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.USTAR_FORMAT) as archive:
        info = tarfile.TarInfo("key.png")
        info.size, info.mtime = 3, 1_700_000_000
        archive.addfile(info, io.BytesIO(b"abc"))
    assert read_file(tmp_path / "x.tar" / "key.png") == b"abc"


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda d: d[:1100], "the shard is truncated in the member b.jpg"),
        (lambda d: d[:512], "the shard is damaged at byte 512"),
        (lambda d: b"y" + d[1:], "the shard is damaged at byte 0: not a file's header"),
        (lambda d: d, "the shard has no such member"),
    ],
)
def test_a_damaged_shard_is_described(tmp_path, harm, message):
    shard = written(tmp_path / "x.tar")
    shard.write_bytes(harm(shard.read_bytes()))
    with pytest.raises(InputError, match=message):
        read_file(shard / "nothing.png")


def test_a_name_that_is_too_long_is_refused():
    with pytest.raises(ValueError, match="longer than 100 bytes"):
        shards.member_header(b"n" * 101, 0)
