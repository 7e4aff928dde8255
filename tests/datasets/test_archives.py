"""Archives, honest and hostile: bytes are handed over as they are, or the whole is refused."""

import bz2
import gzip
import hashlib
import io
import lzma
import stat
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.datasets import archives
from toolkit.errors import InputError

FILES = {
    "top/train/a/1.png": b"one",
    "top/train/a/deep er/ünï.png": b"two" * 1000,
    "top/test/b/3.png": b"",
    "top/.hidden/a.png": b"no",
    "top/a/.DS_Store": b"no",
    "__MACOSX/top/a/._1.png": b"no",
    "README.md": b"text",
}
PACKERS = {"tar": bytes, "tar.gz": gzip.compress, "tar.bz2": bz2.compress, "tar.xz": lzma.compress}


def zipped(*entries, **options):
    """A zip of (name or ZipInfo, bytes)."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", **options) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return stream.getvalue()


def tarred(*entries):
    """A tar of (name, bytes) or TarInfo."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                archive.addfile(entry)
                continue
            info = tarfile.TarInfo(entry[0])
            info.size = len(entry[1])
            archive.addfile(info, io.BytesIO(entry[1]))
    return stream.getvalue()


def unpacked(path, data, folder=""):
    """{path: bytes} of an archive with these bytes."""
    path.write_bytes(data)
    return {str(name): content for name, content in archives.unpack_archive(path, folder)}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "images"


@pytest.mark.parametrize("kind", ["zip", *PACKERS])
def test_every_kind_gives_the_same_files(kind, path):
    if kind == "zip":
        data = zipped(*FILES.items(), compression=zipfile.ZIP_DEFLATED)
    else:
        data = PACKERS[kind](tarred(member("top"), *FILES.items()))
    seen = [name for name, content in FILES.items() if content != b"no"]
    assert unpacked(path, data) == {name: FILES[name] for name in seen}
    below = unpacked(path, data, "top/train/a/")
    assert below == {"1.png": b"one", "deep er/ünï.png": b"two" * 1000}


def member(name, kind=tarfile.DIRTYPE, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_a_folder_that_is_not_there_is_told_with_those_that_are(path):
    for data in (zipped(*FILES.items()), tarred(*FILES.items())):
        with pytest.raises(InputError, match=r"no file below folder 'tip'; .* README.md, __MACOSX"):
            unpacked(path, data, "tip")
    with pytest.raises(InputError, match="at its top it has nothing"):
        unpacked(path, zipped())
    with pytest.raises(InputError, match=r"fetch.folder: .* leads out with '\.\.'"):
        unpacked(path, zipped(), "../up")


NAMES = ["../out.png", "a/../../out.png", "/etc/out.png", "C:\\out.png", "C:/out.png", "//h/s/x"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_names_that_lead_out_refuse_the_whole(name, pack, path):
    entries = []
    path.write_bytes(pack(("a/1.png", b"1"), (name, b"2")))
    with pytest.raises(InputError, match=r"images: the path .*out|images: the path '//h"):
        entries.extend(archives.unpack_archive(path))
    assert pack is tarred or not entries


def test_backslashes_of_a_zip_are_folders(path):
    entries = unpacked(path, zipped(("a\\", b""), ("a\\b\\1.png", b"1")))
    assert entries == {"a/b/1.png": b"1"}
    with pytest.raises(InputError, match="leads out"):
        unpacked(path, zipped(("a\\..\\..\\1.png", b"1")))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_a_zip_with_a_link_or_device_is_refused(kind, path):
    info = zipfile.ZipInfo("a/link.png")
    info.external_attr = (kind | 0o644) << 16
    with pytest.raises(InputError, match=r"entry 'a/link.png' is a link or a device; nothing"):
        unpacked(path, zipped(("a/1.png", b"1"), (info, b"/etc/passwd")))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_a_tar_with_a_link_or_device_is_refused(kind, path):
    data = tarred(("a/1.png", b"1"), member("a/link.png", kind, "a/1.png"))
    with pytest.raises(InputError, match=r"entry 'a/link.png' is a link, a device or a sparse"):
        unpacked(path, data)


def test_a_sparse_file_is_refused(path):
    """It is nearly nothing in the archive and zeros without end outside."""
    info = tarfile.TarInfo("a/zeros")
    info.type = tarfile.GNUTYPE_SPARSE
    with pytest.raises(InputError, match="entry 'a/zeros' is a link, a device or a sparse file"):
        unpacked(path, tarred(info))


def test_names_are_told_apart_by_what_they_say_and_not_by_their_bytes(path):
    composed, apart = "a/\u00e9.png", "a/e\u0301.png"
    for pack in (zipped, tarred):
        assert unpacked(path, pack((apart, b"1"))) == {composed: b"1"}
        assert unpacked(path, pack((apart, b"1")), "a") == {"\u00e9.png": b"1"}


def test_an_archive_in_an_archive_is_a_file(path):
    inner = zipped(("../out", b"1"))
    assert unpacked(path, zipped(("a/inner.zip", inner))) == {"a/inner.zip": inner}


def test_overlapping_entries_are_a_bomb_together(path):
    """Each is small enough; all show the same bytes of the archive."""
    data = zipped(("a/0", bytes(archives.RATIO_FROM - 1)), compression=zipfile.ZIP_DEFLATED)
    at = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    many = data[:at] + data[at:end] * 60
    count = (60).to_bytes(2, "little")
    tail = data[end : end + 8] + count + count + ((end - at) * 60).to_bytes(4, "little")
    with pytest.raises(InputError, match=r"entry 'a/0' is compressed more than 200 times"):
        unpacked(path, many + tail + data[end + 16 :])


def test_an_encrypted_zip_is_refused(path):
    data = bytearray(zipped(("a/1.png", b"1")))
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag in the central directory
    with pytest.raises(InputError, match=r"entry 'a/1.png' is encrypted"):
        unpacked(path, bytes(data))


def test_zip_names_without_the_flag_are_utf_8_or_refused(path):
    """Some writers put UTF-8 there and do not say so."""
    marked = zipped(("a/ü.png", b"1"))
    changed = bytearray(marked)
    changed[7] = changed[marked.index(b"PK\x01\x02") + 9] = 0
    unmarked = bytes(changed)
    assert unpacked(path, unmarked) == {"a/ü.png": b"1"}
    for data in (marked, unmarked):
        with pytest.raises(InputError, match=r"images: the name b'a/\\xfc\\xfc.png' is not UTF-8"):
            unpacked(path, data.replace("ü".encode(), b"\xfc\xfc"))


def test_tar_names_that_are_not_utf_8_are_refused(path):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("a/\udcfc.png"))
    with pytest.raises(InputError, match=r"the name 'a/\\udcfc.png' is not UTF-8"):
        unpacked(path, stream.getvalue())


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("MAX_FILES", 2, "entry 'a/3' is one more than 2 files"),
        ("MAX_FILE", 19, "entry 'a/3' has 20 bytes, more than 19"),
        ("MAX_TOTAL", 39, "entry 'a/3' brings all to more than 39 bytes"),
    ],
)
def test_limits_name_the_entry_that_is_over(pack, limit, value, message, path, monkeypatch):
    monkeypatch.setattr(archives, limit, value)
    with pytest.raises(InputError, match=message):
        unpacked(path, pack(("a/1", bytes(10)), ("a/2", bytes(10)), ("a/3", bytes(20))))


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.bz2", "tar.xz"])
def test_a_bomb_is_refused(kind, path):
    files = ("a/1", b"1"), ("a/zeros", bytes(archives.RATIO_FROM * 2))
    if kind == "zip":
        data = zipped(*files, compression=zipfile.ZIP_DEFLATED)
    else:
        data = PACKERS[kind](tarred(*files))
    with pytest.raises(InputError, match=r"entry '.*' is compressed more than 200 times"):
        unpacked(path, data)


def test_a_bomb_in_a_tar_header_is_refused(path):
    """A long name is read by tarfile itself, before there is an entry to check."""
    data = tarred(("a/" + "x" * (archives.RATIO_FROM * 2), b"1"))
    with pytest.raises(InputError, match="is compressed more than 200 times"):
        unpacked(path, gzip.compress(data))


def test_what_would_take_gigabytes_to_decompress_is_refused(path):
    data = bytearray(lzma.compress(tarred(("a/1", b"1"))))
    data[data.index(b"\x21\x01", 12) + 2] = 38  # the dictionary's size: 2 GB
    data[20:24] = zlib.crc32(data[12:20]).to_bytes(4, "little")  # of the block's header
    with pytest.raises(InputError, match=r"damaged archive .*Memory usage limit"):
        unpacked(path, bytes(data))
    with pytest.raises(InputError, match="'a/1' is compressed by another method than"):
        unpacked(path, zipped(("a/1", b"1"), compression=zipfile.ZIP_LZMA))


def test_a_huge_header_is_refused_before_it_is_in_memory(path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_HEADER", 20_000)
    noise = "".join(map(chr, np.random.default_rng(0).integers(0x4E00, 0x9FFF, 30_000)))
    for entries in ([("a/1", b"1"), ("a/" + noise, b"2")], [("a/" + noise, b"1")]):
        with pytest.raises(InputError, match="is followed by a header of over 20,000 bytes"):
            unpacked(path, gzip.compress(tarred(*entries)))


def test_what_is_neither_zip_nor_tar_is_told(path):
    with pytest.raises(InputError, match=r"neither zip nor tar \(a web page\)"):
        unpacked(path, b"<html>no</html>")


def test_a_changed_byte_or_a_lost_tail_is_noticed(path):
    data = zipped(("a/1.png", b"content"))
    for broken in (data[:-30], data.replace(b"content", b"cOntent")):
        with pytest.raises(InputError, match=r"images: damaged archive \(.*\); get it once more"):
            unpacked(path, broken)
    for pack in PACKERS.values():
        data = pack(tarred(("a/1.png", bytes(range(256)) * 9)))
        with pytest.raises(InputError, match="images: damaged archive"):
            unpacked(path, data[: min(1000, len(data) // 2)])


@pytest.mark.parametrize("pack", sorted(PACKERS))
def test_a_tar_without_its_end_mark_is_cut_off(path, pack):
    """At each block, also between two entries, where no entry is damaged."""
    data = tarred(*((f"a/{k}.png", bytes([k]) * 700) for k in range(9)))
    end = len(data.rstrip(b"\0")) // 512 * 512 + 512
    for size in range(0, end + 1, 512):
        with pytest.raises(InputError, match=r"damaged|neither zip nor tar"):
            unpacked(path, PACKERS[pack](data[:size]))
    assert len(unpacked(path, PACKERS[pack](data[: end + 512]))) == 9
    wrong = data[:1536] + b"x" * 512 + data[2048:]  # tarfile ends at a header that is none
    with pytest.raises(InputError, match=r"no end mark of a tar follows its entry 1"):
        unpacked(path, PACKERS[pack](wrong))


BASES = [zipped(*FILES.items()), *(pack(tarred(*FILES.items())) for pack in PACKERS.values())]


@settings(max_examples=150)
@given(base=st.sampled_from(BASES), changes=st.dictionaries(st.integers(0), st.binary(max_size=3)))
def test_damage_gives_safe_names_or_one_clear_error(base, changes, tmp_path_factory):
    data = bytearray(base)
    for position, new in changes.items():
        data[position % len(base) : position % len(base) + len(new)] = new
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(data)
    try:
        names = [name for name, _ in archives.unpack_archive(path)]
    except InputError as error:
        assert str(error).startswith(str(path))  # noqa: PT017
    else:
        assert not any(name.is_absolute() or ".." in name.parts for name in names)


def test_a_local_archive_is_verified_before_it_is_unpacked(path, tmp_path):
    path.write_bytes(b"PK")
    digest = hashlib.sha256(b"PK").hexdigest()
    assert archives.fetch_archive(str(path), digest, tmp_path) == path
    with pytest.raises(InputError, match=f"images: sha256 must be {'0' * 64}, found {digest}"):
        archives.fetch_archive(str(path), "0" * 64, tmp_path)
    with pytest.raises(InputError, match=r"missing: no such archive; check fetch.location"):
        archives.fetch_archive(str(tmp_path / "missing"), digest, tmp_path)
    with pytest.raises(InputError, match="must be a local path or an http or https address"):
        archives.fetch_archive(path.as_uri(), digest, tmp_path)
