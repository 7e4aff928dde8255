"""Zip and tar files: every entry is checked, and its bytes are handed over, never extracted."""

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Protocol

from toolkit.datasets import download, folders
from toolkit.errors import InputError
from toolkit.progress import Track, silent

SourceFile = tuple[PurePosixPath, bytes]
"""One file of a source: its relative path and its bytes, both as found."""

MAX_FILES = 1_000_000
MAX_FILE = 200_000_000  # bytes of one file
MAX_TOTAL = 20_000_000_000  # bytes of all files
MAX_RATIO = 200  # bytes out for one byte in ...
MAX_MEMORY = 200_000_000  # bytes that the decompressor of an xz may take
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
BLOCK = 1 << 16
MAX_HEADER = 12_000_000  # bytes of a tar's header, which tarfile reads into memory
RATIO_FROM = 10_000_000  # ... where more than this many bytes come out

# What zipfile, tarfile and the decompressors raise for damaged files.
DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, OSError, EOFError,
    NotImplementedError, RuntimeError, ValueError, OverflowError, IndexError, MemoryError,
)  # fmt: skip


def fetch_archive(location: str, sha256: str, work: Path, track: Track = silent) -> Path:
    """The verified archive at `location`: a local path, or an http(s) URL kept in `work`.

    Raises InputError for a missing file, another sha256, and all that `download` refuses.
    """
    scheme, separator, _ = location.partition("://")
    if scheme.lower() in ("http", "https") and separator:
        return download.download(location, sha256, work, track)
    if separator:
        raise InputError(f"{location}: must be a local path or an http or https address")
    path = Path(location).expanduser()
    if not path.is_file():
        raise InputError(f"{path}: no such archive; check fetch.location")
    download.verify_sha256(path, sha256, str(path))
    return path


def unpack_archive(path: Path, folder: str = "", track: Track = silent) -> Iterator[SourceFile]:
    """The regular files of a zip, tar, tar.gz, tar.bz2 or tar.xz, with paths below `folder`.

    Names are in Unicode's form NFC, whatever the system that packed them; hidden files and __MACOSX
    are left out; archives in the archive are files like others. Raises InputError, which names the
    entry, for absolute paths, "..", links, devices, encrypted entries, names that are not UTF-8,
    and for more than the limits above; also for damaged archives and where `folder` is not in it.
    """
    base = _normal(relative_path(folder, "fetch.folder"))
    budget, given, tops = Budget(str(path)), 0, set[str]()
    try:
        for found, read in track(_members(path, budget), "unpack"):
            name = _normal(found)
            tops.update(name.parts[:1])
            if name.parts[: len(base.parts)] != base.parts or name == base:
                continue
            below = name.relative_to(base)
            if not folders.is_hidden(below):
                given += 1
                yield below, read()
    except InputError:
        raise
    except DAMAGED as error:
        raise InputError(f"{path}: damaged archive ({type(error).__name__}: {error})") from error
    if not given:
        top = ", ".join(sorted(tops)[:10]) or "nothing"
        raise InputError(f"{path}: no file below folder {folder!r}; at its top it has {top}")


def _normal(path: PurePosixPath) -> PurePosixPath:
    return PurePosixPath(unicodedata.normalize("NFC", str(path)))


def relative_path(name: str, where: str) -> PurePosixPath:
    """`name` as a relative path. Raises InputError, which begins with `where`, if it leads out."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(f"{where}: the name {name!r} is not UTF-8") from None
    if name.startswith("/") or PureWindowsPath(name).anchor or "\0" in name:
        raise InputError(f"{where}: the path {name!r} must be relative")
    path = PurePosixPath(name)
    if ".." in path.parts:
        raise InputError(f"{where}: the path {name!r} leads out with '..'")
    return path


@dataclass
class Budget:
    """What a source has held so far. Its methods raise InputError for the entry that is over."""

    where: str
    count: int = 0
    total: int = 0

    def refuse(self, name: str, why: str) -> None:
        """Raise: a source is taken as a whole or not at all."""
        raise InputError(f"{self.where}: entry {name!r} {why}; nothing of it is taken")

    def spend(self, name: str, size: int) -> None:
        """Count one file of `size` bytes."""
        self.count, self.total = self.count + 1, self.total + size
        if self.count > MAX_FILES:
            self.refuse(name, f"is one more than {MAX_FILES:,} files")
        if size > MAX_FILE:
            self.refuse(name, f"has {size:,} bytes, more than {MAX_FILE:,}")
        if self.total > MAX_TOTAL:
            self.refuse(name, f"brings all to more than {MAX_TOTAL:,} bytes")

    def ratio(self, name: str, compressed: int, size: int) -> None:
        """Check how far `compressed` bytes were blown up."""
        if size > RATIO_FROM and size > MAX_RATIO * max(compressed, 1):
            self.refuse(name, f"is compressed more than {MAX_RATIO} times, like a zip bomb")


class Readable(Protocol):
    """What tarfile needs of a stream."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes."""


Member = tuple[PurePosixPath, Callable[[], bytes]]


def _members(path: Path, budget: Budget) -> Iterator[Member]:
    with path.open("rb") as stream:
        start = stream.read(512)
        stream.seek(0)
        if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            yield from _zip(stream, budget)
            return
        for magic, opened in DECOMPRESSORS.items():
            if start.startswith(magic):
                yield from _tar(opened(stream), stream, budget)
                return
        if start[257:262] != b"ustar":
            raise InputError(f"{path}: neither zip nor tar (first bytes are {start[:16]!r})")
        yield from _tar(stream, stream, budget)


def _zip(stream: IO[bytes], budget: Budget) -> Iterator[Member]:
    """All entries are checked before the first one is given."""
    with zipfile.ZipFile(stream) as archive:
        found = [(_zip_name(info, budget), info) for info in archive.infolist()]
        regular = [(name, info) for name, info in found if info.filename[-1] not in "/\\"]
        whole = stream.seek(0, os.SEEK_END)
        for _, info in regular:
            budget.spend(info.filename, info.file_size)
            budget.ratio(info.filename, info.compress_size, info.file_size)
            budget.ratio(info.filename, whole, budget.total)  # entries may overlap
        for name, info in regular:
            yield name, partial(archive.read, info)


def _zip_name(info: zipfile.ZipInfo, budget: Budget) -> PurePosixPath:
    name = info.filename
    if not info.flag_bits & 0x800:  # zipfile read it as cp437; many writers put UTF-8 there
        try:
            name = name.encode("cp437").decode("utf-8")
        except ValueError:
            budget.refuse(name, "has a name that is not UTF-8")
    if info.flag_bits & 0x1:
        budget.refuse(name, "is encrypted")
    if info.compress_type not in METHODS:
        budget.refuse(name, "is compressed by another method than deflate and bzip2")
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        budget.refuse(name, "is a link or a device")
    return relative_path(name.replace("\\", "/"), budget.where)


def _tar(plain: Readable, compressed: IO[bytes], budget: Budget) -> Iterator[Member]:
    """One pass: each entry is checked before its bytes are given."""
    source = _Counted(plain, compressed, budget, MAX_HEADER)
    with tarfile.open(fileobj=source, mode="r|", encoding="utf-8") as archive:  # type: ignore[call-overload]
        while (member := archive.next()) is not None:
            archive.members = []  # it would keep all of them
            name = relative_path(member.name, budget.where)
            if member.isdir():
                continue
            if not member.isreg() or member.issparse():
                budget.refuse(member.name, "is a link, a device or a sparse file")
            budget.spend(member.name, member.size)
            source.name, source.most = member.name, source.size + member.size + MAX_HEADER
            yield name, partial(_content, archive, member)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    return stream.read() if stream else b""


@dataclass
class _Counted:
    """The decompressed stream, which stops where too much comes out of too little."""

    plain: Readable
    compressed: IO[bytes]
    budget: Budget
    most: int
    name: str = ""
    size: int = 0

    def read(self, size: int, /) -> bytes:
        """What tarfile asks for."""
        data = self.plain.read(size)
        self.size += len(data)
        self.budget.ratio(self.name, self.compressed.tell(), self.size)
        if self.size > self.most:
            self.budget.refuse(self.name, f"is followed by a header of over {MAX_HEADER:,} bytes")
        return data


def _gzip(stream: IO[bytes]) -> Readable:
    return gzip.GzipFile(fileobj=stream)


class _Xz:
    """What lzma.LZMAFile is, but within MAX_MEMORY: a header can ask for 4 GB."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._decompressor = lzma.LZMADecompressor(memlimit=MAX_MEMORY)

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes. Raises EOFError where the stream is cut off."""
        while not self._decompressor.eof:
            data = b""
            if self._decompressor.needs_input and not (data := self._stream.read(BLOCK)):
                raise EOFError("it ends before its end")
            if out := self._decompressor.decompress(data, size):
                return out
        return b""


DECOMPRESSORS: dict[bytes, Callable[[IO[bytes]], Readable]] = {
    b"\x1f\x8b": _gzip,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": _Xz,
}
