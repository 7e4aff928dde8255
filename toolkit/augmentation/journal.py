"""What an interrupted `augment` has finished: a line for each new image, appended unit by unit.

It lies in the folder under construction. The first line is the key, which names all that the bytes
depend on. A unit is written after its images, in one piece; the images' sha256 are in its lines,
so that they can be checked before they are believed.
"""

import contextlib
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from toolkit.io import files

NAME = ".journal"


class JournalEntry(NamedTuple):
    """One new image: its row's number, transform, canonical params and seed, its file's sha256.

    A tuple, as two are made for each of many images: it takes a fifth of a dataclass's time.

    `same`: whether it equals its parent; `change`, `moved` and `near`: see `similarity.Similarity`.
    """

    number: int
    transform: str
    params: str
    seed: int
    digest: str
    same: bool
    change: float
    moved: float
    near: bool

    def pack(self) -> bytes:
        """The line as text. JSON holds no tab."""
        seen = f"{self.same:d}\t{self.change:.1f}\t{self.moved:.1f}\t{self.near:d}"
        drawn = f"{self.seed}\t{self.transform}\t{self.params}"
        return f"{self.number}\t{self.digest}\t{seen}\t{drawn}\n".encode()


def unpack_entry(data: bytes) -> JournalEntry:
    """What `Line.pack` gave."""
    fields = data.decode().rstrip("\n").split("\t")
    number, digest, same, change, moved, near, seed, transform, params = fields
    seen = (same == "1", float(change), float(moved), near == "1")
    return JournalEntry(int(number), transform, params, int(seed), digest, *seen)


def matches(building: Path, key: str) -> bool:
    """Whether the folder holds a journal of this key."""
    try:
        with (building / NAME).open("rb") as stream:
            return stream.readline() == f"{key}\n".encode()
    except OSError:
        return False


class Journal:
    """A journal on disk, and where in it each row's line is: 12 bytes of memory a row."""

    def __init__(self, building: Path, key: str, rows: int) -> None:
        """Open the folder's journal of this key, or begin one."""
        self._path = building / NAME
        if not matches(building, key):
            files.write_plain(self._path, f"{key}\n".encode())
        self._file = os.open(self._path, os.O_RDWR)
        self._end = len(key) + 1
        self._starts = array("q", bytes(8 * rows))
        self._sizes = array("i", bytes(4 * rows))

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def load(
        self, positions: Callable[[int], Sequence[int]], good: Callable[[int, bytes], bool]
    ) -> set[int]:
        """The units that are whole and `good(unit, lines)`; what is cut off is forgotten.

        `positions(unit)`: the rows that the unit's lines are for, from 0 on.
        """
        found = set()
        with contextlib.suppress(ValueError, IndexError):  # no journal from here on
            for unit, lines, end in self._read():
                if good(unit, lines):
                    self._note(positions(unit), lines, end - len(lines))
                    found.add(unit)
                self._end = end
        os.ftruncate(self._file, self._end)
        return found

    def _read(self) -> Iterator[tuple[int, bytes, int]]:
        with os.fdopen(os.dup(self._file), "rb") as stream:
            at = stream.seek(self._end)
            while (head := stream.readline()).endswith(b"\n"):
                unit, size = map(int, head.split())
                lines = stream.read(size)
                if len(lines) < size:
                    return
                at += len(head) + size
                yield unit, lines, at

    def add(self, unit: int, positions: Sequence[int], entries: Iterable[JournalEntry]) -> None:
        """Append a finished unit."""
        lines = b"".join(entry.pack() for entry in entries)
        head = b"%d %d\n" % (unit, len(lines))
        self._note(positions, lines, self._end + len(head))
        data = head + lines
        with files.naming_errors(self._path):
            while data:
                written = os.pwrite(self._file, data, self._end)
                self._end, data = self._end + written, data[written:]

    def _note(self, positions: Sequence[int], lines: bytes, at: int) -> None:
        for position, line in zip(positions, lines.splitlines(keepends=True), strict=True):
            self._starts[position], self._sizes[position] = at, len(line)
            at += len(line)

    def row(self, position: int) -> JournalEntry:
        """The line of a row."""
        return unpack_entry(os.pread(self._file, self._sizes[position], self._starts[position]))
