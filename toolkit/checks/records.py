"""The records of all images of a folder, in a work file that an interrupted audit goes on with.

Records are appended as they are made and found again by the sha256 of the file they are of. What
was cut off or damaged does not match its checksum, and is made again. Another version of the
toolkit or of Pillow, or other limits, begin a file of their own.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL

from toolkit import progress
from toolkit.checks import inspection
from toolkit.checks.inspection import NUMBERS, RECORD
from toolkit.io import files, images, sandbox
from toolkit.io.manifest import Sample

VERSION = 1
"""Of what is measured: whatever changes a record raises it."""

RecordRows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Measurements:
    """The samples, and the row of the work file's `records` that belongs to each."""

    samples: Sequence[Sample]
    records: npt.NDArray[Any]
    rows: RecordRows

    @cached_property
    def problems(self) -> list[str]:
        """Why each sample cannot be decoded; "" where it can."""
        return [text.decode(errors="replace") for text in self.records["problem"][self.rows]]

    @cached_property
    def readable(self) -> RecordRows:
        """The samples that can be decoded, by their number."""
        return np.flatnonzero(np.array([not p for p in self.problems], dtype=bool))

    @cached_property
    def numbers(self) -> Mapping[str, npt.NDArray[np.float32]]:
        """NUMBERS of each sample; those of unreadable ones mean nothing."""
        columns = self.records["numbers"][self.rows]
        return {name: columns[:, at] for at, name in enumerate(NUMBERS)}

    def words(self, column: str) -> list[str]:
        """`format` or `mode` of each sample."""
        return [text.decode() for text in self.records[column][self.rows]]

    @cached_property
    def pixels(self) -> list[bytes]:
        """The sha256 of each sample's decoded pixels."""
        return [row.tobytes() for row in self.records["pixels"][self.rows]]

    def copies(self, of: RecordRows) -> npt.NDArray[np.uint8]:
        """The grey copies [N, SIDE, SIDE] of the samples of these numbers."""
        return np.asarray(self.records["copy"][self.rows[of]])


def measure_samples(
    folder: Path,
    samples: Sequence[Sample],
    limits: images.ImageLimits,
    work: Path,
    *,
    processes: int = 1,
    track: progress.Track = progress.silent,
) -> Measurements:
    """Measure the samples of `folder`, but for those that the file in `work` knows.

    Raises InputError when another process measures the same folder, and OSError, as for a full
    disk, after which the next run goes on.
    """
    path = work / "audit" / f"{_key(folder, limits)}.records"
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.only_one(path), contextlib.ExitStack() as open_files:
        stream = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        open_files.callback(os.close, stream)
        known, end = _load(path)
        os.ftruncate(stream, end * RECORD.itemsize)
        rows = []
        for digest, record in _made(folder, samples, limits, known, processes, track):
            if digest not in known:
                _append(stream, record, end, path)
                known[digest], end = end, end + 1
            rows.append(known[digest])
        records = np.memmap(path, RECORD, "r", shape=(end,)) if end else np.zeros(0, RECORD)
        return Measurements(samples, records, np.array(rows, dtype=np.int64))


def _key(folder: Path, limits: images.ImageLimits) -> str:
    parts = (VERSION, PIL.__version__, RECORD.itemsize, limits, folder.resolve())
    return hashlib.sha256(repr(parts).encode(errors="surrogateescape")).hexdigest()[:16]


def _load(path: Path) -> tuple[dict[bytes, int], int]:
    """The sound records' rows by sha256, and how many records there are."""
    known: dict[bytes, int] = {}
    with path.open("rb") as stream:
        for row in range(path.stat().st_size // RECORD.itemsize):
            record = stream.read(RECORD.itemsize)
            if inspection.sound(record):
                known[record[:32]] = row
    return known, path.stat().st_size // RECORD.itemsize


def _made(
    folder: Path,
    samples: Sequence[Sample],
    limits: images.ImageLimits,
    known: Mapping[bytes, int],
    processes: int,
    track: progress.Track,
) -> Iterator[tuple[bytes, bytes]]:
    look: Callable[[str], tuple[bytes, bytes]]
    look = partial(inspection.inspect, folder, limits, known)
    paths = [sample.path for sample in samples]
    found = sandbox.sandboxed_map(
        look, paths, processes, seconds=limits.seconds, memory=limits.memory
    )
    for path, one in zip(paths, track(found, "audit", len(paths)), strict=True):
        yield inspection.unread(path, one.reason) if isinstance(one, sandbox.Stopped) else one


def _append(stream: int, record: bytes, row: int, path: Path) -> None:
    at = row * RECORD.itemsize
    with files.naming(path):
        while record:
            written = os.pwrite(stream, record, at)
            record, at = record[written:], at + written
