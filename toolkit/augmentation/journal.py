"""The journal of an `augment` that may be interrupted: an entry for each new image, unit by unit.

It lies in the folder under construction. The first line is the key: all that the bytes depend on.
A unit is appended in one piece after its images were written: a line with its number and its length
in bytes, then a line for each entry. Entries hold the sha256 of their images, so that images are
checked before they are kept.
"""

import contextlib
import json
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from toolkit.io import files
from toolkit.io.system import disk

NAME = ".journal"


class JournalEntry(NamedTuple):
    """One new image: its row's number, transform, canonical params and seed, its file's sha256.

    `identical`: whether it equals its parent; `change`, `moved` and `near_duplicate`: see
    `similarity.Similarity`. `look`: its hash text where several batches have images of the parent,
    so that `near_duplicate`, as it is here, knows only those of its own batch. A tuple, because
    many are made: that takes a fifth of the time of a dataclass.
    """

    number: int
    transform: str
    params: str
    seed: int
    digest: str
    identical: bool
    change: float
    moved: float
    near_duplicate: bool
    look: str | None = None


def encode_entry(entry: JournalEntry) -> bytes:
    """Return the entry as a line: a JSON array."""
    return json.dumps(entry).encode() + b"\n"


def decode_entry(line: bytes) -> JournalEntry:
    """Return the entry of a line. Raises ValueError or TypeError if the line holds none."""
    return JournalEntry(*json.loads(line))


def matches(building: Path, key: str) -> bool:
    """Return whether the folder holds a journal with this key."""
    try:
        with (building / NAME).open("rb") as stream:
            return stream.readline() == f"{key}\n".encode()
    except OSError:
        return False


class Journal:
    """A journal on disk; in memory are only the places of its entries, 12 bytes each."""

    def __init__(self, building: Path, key: str, rows: int) -> None:
        """Open the folder's journal with this key, or begin one."""
        self._path = building / NAME
        if not matches(building, key):
            files.write_plain(self._path, f"{key}\n".encode())
        self._file = os.open(self._path, os.O_RDWR | disk.BINARY)
        self._end = len(key) + 1
        self._starts = array("q", bytes(8 * rows))
        self._sizes = array("i", bytes(4 * rows))

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def load(
        self,
        positions: Callable[[int], Sequence[int]],
        intact: Callable[[int, Sequence[JournalEntry]], bool],
    ) -> set[int]:
        """Return the units that are complete and `intact(unit, entries)`; cut off what is damaged.

        `positions(unit)`: the rows of the unit's entries, from 0.
        """
        units = set()
        with contextlib.suppress(ValueError, TypeError, IndexError):  # damaged from here on
            for unit, lines, start in self._read_units():
                if intact(unit, [decode_entry(line) for line in lines]):
                    self._locate(positions(unit), lines, start)
                    units.add(unit)
                self._end = start + sum(map(len, lines))
        os.ftruncate(self._file, self._end)
        return units

    def _read_units(self) -> Iterator[tuple[int, list[bytes], int]]:
        """Yield the number of each complete unit, its lines, and where they start."""
        with os.fdopen(os.dup(self._file), "rb") as stream:
            stream.seek(self._end)
            while (head := stream.readline()).endswith(b"\n"):
                unit, size = map(int, head.split())
                start, data = stream.tell(), stream.read(size)
                if len(data) < size:
                    return
                yield unit, data.splitlines(keepends=True), start

    def add(self, unit: int, positions: Sequence[int], entries: Iterable[JournalEntry]) -> None:
        """Append a finished unit."""
        lines = [encode_entry(entry) for entry in entries]
        head = b"%d %d\n" % (unit, sum(map(len, lines)))
        self._locate(positions, lines, self._end + len(head))
        data = b"".join([head, *lines])
        with files.naming_errors(self._path):
            disk.write_at(self._file, data, self._end)
        self._end += len(data)

    def _locate(self, positions: Sequence[int], lines: Sequence[bytes], start: int) -> None:
        for position, line in zip(positions, lines, strict=True):
            self._starts[position], self._sizes[position] = start, len(line)
            start += len(line)

    def entry(self, position: int) -> JournalEntry:
        """Return the entry of a row of the plan, from 0."""
        return decode_entry(disk.read_at(self._file, self._sizes[position], self._starts[position]))
