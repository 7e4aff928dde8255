"""Zip and tar files: every entry is checked, and its bytes are yielded; nothing is extracted.

zipfile and tarfile parse the headers. What stands around them here are limits that they lack: on
bytes, files, compression ratio, a tar's header, and the memory that an xz stream may ask for.
"""

import bz2
import contextlib
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
from pathlib import Path, PurePosixPath
from typing import IO, NoReturn, Protocol

from toolkit.datasets import download
from toolkit.datasets.folders import is_hidden
from toolkit.errors import InputError, explain_error
from toolkit.io import files, inside
from toolkit.io.text import describe_content
from toolkit.progress import Track, silent

SourceFile = tuple[PurePosixPath, bytes]
"""One file of a source: its relative path and its bytes, both unchanged."""

MAX_FILES = 1_000_000
MAX_FILE = 200_000_000  # bytes of one file
MAX_TOTAL = 20_000_000_000  # bytes of all files
MAX_HEADER = 12_000_000  # bytes of a tar's header, which tarfile reads into memory
MAX_MEMORY = 200_000_000  # bytes that the decompressor of an xz may take
MAX_RATIO = 200  # bytes out for one byte in ...
RATIO_FROM = 10_000_000  # ... if more than this many bytes come out
BLOCK = 1 << 16
ZIP = (b"PK\x03\x04", b"PK\x05\x06")
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)

# What zipfile, tarfile and the decompressors raise for damaged files.
DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, OSError, EOFError,
    NotImplementedError, RuntimeError, ValueError, OverflowError, IndexError, MemoryError,
)  # fmt: skip


def fetch_archive(location: str, sha256: str | None, work: Path, track: Track = silent) -> Path:
    """Return the verified archive at `location`: a local path, or an http(s) URL kept in `work`.

    Without `sha256` a local one is not verified.

    Raises InputError for a missing file, a wrong sha256, and whatever `download` refuses.
    """
    scheme, separator, _ = location.partition("://")
    if scheme.lower() in ("http", "https") and separator:
        return download.download(location, sha256 or "", work, track)
    if separator:
        raise InputError(f"{location}: must be a local path or an http or https address")
    path = Path(location)
    if not path.is_file():
        raise files.missing(path, "archive", "check fetch.location")
    if sha256:
        download.verify_sha256(path, sha256, str(path))
    return path


def is_archive(path: Path) -> bool:
    """Return whether a file begins as a zip or tar does."""
    with path.open("rb") as stream:
        start = stream.read(512)
    return start.startswith((*ZIP, *DECOMPRESSORS)) or start[257:262] == b"ustar"


def list_archive(path: Path) -> tuple[list[PurePosixPath], int]:
    """Return the names that `unpack_archive` yields, and the bytes that all files take."""
    budget = Budget(str(path))
    with _explained(path):
        names = [_normalize(name) for name, _ in _members(path, budget)]
    return [name for name in names if not is_hidden(name)], budget.total


def unpack_archive(path: Path, folder: str = "", track: Track = silent) -> Iterator[SourceFile]:
    """Yield the regular files of a zip, tar, tar.gz, tar.bz2 or tar.xz, with paths below `folder`.

    Names are normalized to Unicode's form NFC, whatever system packed them; hidden files and
    __MACOSX are left out; an archive inside is a file like any other. Raises InputError, which
    names the entry, for absolute paths, "..", links, devices, encrypted entries, names that are
    not UTF-8, and anything over the limits above; also for damaged archives and if `folder` is not
    in the archive.
    """
    base = _normalize(inside.check_relative(folder, "fetch.folder"))
    budget, empty, tops = Budget(str(path)), True, set[str]()
    with _explained(path):
        for raw_name, read in track(_members(path, budget), "unpack"):
            name = _normalize(raw_name)
            tops.update(name.parts[:1])
            if name != base and name.is_relative_to(base):
                below = name.relative_to(base)
                if not is_hidden(below):
                    empty = False
                    yield below, read()
    if empty:
        top = ", ".join(sorted(tops)[:10]) or "nothing"
        raise InputError(f"{path}: no file below folder {folder!r}; at its top it has {top}")


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what a damaged archive raises into an InputError that names it."""
    try:
        yield
    except InputError:
        raise
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: the name {error.object!r} is not UTF-8") from None
    except DAMAGED as error:
        if isinstance(error, OSError) and error.errno:
            raise InputError(f"{path}: {explain_error(error)}") from error
        reason = str(error).strip() or type(error).__name__
        raise InputError(f"{path}: damaged archive ({reason}); get it once more") from error


def _normalize(path: PurePosixPath) -> PurePosixPath:
    return PurePosixPath(unicodedata.normalize("NFC", str(path)))


@dataclass
class Budget:
    """What a source has yielded so far. Its methods raise InputError for an entry that is over."""

    where: str
    count: int = 0
    total: int = 0

    def refuse(self, name: str, why: str) -> NoReturn:
        """Raise InputError: a source is taken as a whole or not at all."""
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

    def check_ratio(self, name: str, compressed: int, size: int) -> None:
        """Refuse `size` bytes that come out of too few `compressed` ones."""
        if size > RATIO_FROM and size > MAX_RATIO * max(compressed, 1):
            self.refuse(name, f"is compressed more than {MAX_RATIO} times, like a zip bomb")


class Readable(Protocol):
    """The part of a stream that tarfile needs."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes."""


Member = tuple[PurePosixPath, Callable[[], bytes]]


def _members(path: Path, budget: Budget) -> Iterator[Member]:
    with path.open("rb") as stream:
        start = stream.read(512)
        stream.seek(0)
        if start.startswith(ZIP):
            yield from _zip(stream, budget)
            return
        for magic, decompress in DECOMPRESSORS.items():
            if start.startswith(magic):
                yield from _tar(decompress(stream), stream, budget)
                return
        if start[257:262] != b"ustar":
            raise InputError(
                f"{path}: neither zip nor tar ({describe_content(start)}); give the archive itself"
            )
        yield from _tar(stream, stream, budget)


def _zip(stream: IO[bytes], budget: Budget) -> Iterator[Member]:
    """Check all entries before the first one is yielded."""
    # Many writers put UTF-8 there and do not say so.
    with zipfile.ZipFile(stream, metadata_encoding="utf-8") as archive:
        members = [(_zip_name(info, budget), info) for info in archive.infolist()]
        members = [(name, info) for name, info in members if info.filename[-1] not in "/\\"]
        archive_size = stream.seek(0, os.SEEK_END)
        for _, info in members:
            budget.spend(info.filename, info.file_size)
            budget.check_ratio(info.filename, info.compress_size, info.file_size)
            budget.check_ratio(info.filename, archive_size, budget.total)  # entries may overlap
        for name, info in members:
            yield name, partial(archive.read, info)


def _zip_name(info: zipfile.ZipInfo, budget: Budget) -> PurePosixPath:
    if info.flag_bits & 0x1:
        budget.refuse(info.filename, "is encrypted")
    if info.compress_type not in METHODS:
        budget.refuse(info.filename, "is compressed by another method than deflate and bzip2")
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        budget.refuse(info.filename, "is a link or a device")
    return inside.check_relative(info.filename.replace("\\", "/"), budget.where)


def _tar(plain: Readable, compressed: IO[bytes], budget: Budget) -> Iterator[Member]:
    """Check each entry before its bytes are yielded, in one pass."""
    source = _LimitedStream(plain, compressed, budget, MAX_HEADER)
    with tarfile.open(fileobj=source, mode="r|", encoding="utf-8") as archive:  # type: ignore[call-overload]
        while (member := archive.next()) is not None:
            archive.members = []  # tarfile would keep all of them
            name = inside.check_relative(member.name, budget.where)
            if member.isdir():
                continue
            if not member.isreg() or member.issparse():
                budget.refuse(member.name, "is a link, a device or a sparse file")
            budget.spend(member.name, member.size)
            source.name, source.limit = member.name, source.size + member.size + MAX_HEADER
            yield name, partial(_content, archive, member)
        if source.at(archive.offset) != bytes(tarfile.BLOCKSIZE):
            raise InputError(
                f"{budget.where}: cut off or damaged: no end mark of a tar follows its entry "
                f"{budget.count}; get it anew"
            )


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    return stream.read() if stream else b""


@dataclass
class _LimitedStream:
    """A decompressed stream that refuses more than `limit` bytes, or too many out of too few."""

    plain: Readable
    compressed: IO[bytes]
    budget: Budget
    limit: int
    name: str = ""
    size: int = 0
    tail: bytes = b""

    def at(self, position: int) -> bytes:
        """Return the block at a position among the last bytes read, as much as there is of it."""
        start = position - self.size + len(self.tail)
        return self.tail[start : start + tarfile.BLOCKSIZE]

    def read(self, size: int, /) -> bytes:
        """Return the bytes that tarfile asks for."""
        data = self.plain.read(size)
        self.size += len(data)
        self.tail = (self.tail + data)[-2 * tarfile.RECORDSIZE :]
        self.budget.check_ratio(self.name, self.compressed.tell(), self.size)
        if self.size > self.limit:
            self.budget.refuse(self.name, f"is followed by a header of over {MAX_HEADER:,} bytes")
        return data


class _Xz:
    """lzma.LZMAFile within MAX_MEMORY, for a header can ask for 4 GB."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._decompressor = lzma.LZMADecompressor(memlimit=MAX_MEMORY)

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes. Raises EOFError if the stream is cut off."""
        while not self._decompressor.eof:
            data = b""
            if self._decompressor.needs_input and not (data := self._stream.read(BLOCK)):
                raise EOFError("it ends too early")
            if out := self._decompressor.decompress(data, size):
                return out
        return b""


DECOMPRESSORS: dict[bytes, Callable[[IO[bytes]], Readable]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": _Xz,
}
