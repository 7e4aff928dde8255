"""What one decode of each file measured, and the work file that keeps these records.

A record has a fixed size, whatever the file holds. Records are appended as they are made, so that
an interrupted audit resumes, and are looked up by the sha256 of the file. A record that is cut off
or damaged fails its checksum and is made again. A file that could not be decoded is tried again in
the next audit: perhaps only memory was short. Other code, other versions of the packages that
measure, and other limits start a new work file.
"""

import contextlib
import functools
import hashlib
import io
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from toolkit import progress
from toolkit.checks import hashing, measures
from toolkit.errors import InputError
from toolkit.io import closure, files, images, inside, sandbox
from toolkit.io.color import bands, to_rgb
from toolkit.io.images import ImageLimits, Picture
from toolkit.io.manifest import Sample, content_hash
from toolkit.io.system import disk

REASON = 160
"""Bytes that are kept of the reason why a file could not be decoded."""
COLUMNS = ("width", "height", "bytes", "multiframe", "quality", *measures.MEASURES)
"""Numbers in a record; `multiframe` is 1 for several frames or pages, `quality` NaN if not JPEG."""
RECORD = np.dtype(
    [
        ("file", "u1", 32),  # sha256 of the file
        ("pixels", "u1", 32),  # sha256 of the decoded pixels
        ("problem", f"S{REASON}"),  # why the file is unreadable, or empty
        ("format", "S12"),
        ("mode", "S8"),
        ("columns", "<f4", len(COLUMNS)),
        ("descriptor", "u1", (hashing.SIDE, hashing.SIDE)),
        ("checksum", "<u4"),  # CRC-32 of all of the above
    ]
)
MULTIFRAME = ("AVIF", "GIF", "PNG", "TIFF", "WEBP")
"""Formats of animations and pages; the second image of an MPO is another view."""
BASELINE = 255  # the largest number in a quantization table that every decoder reads

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Measurements:
    """The samples, and for each of them its row in the `records` of the work file."""

    samples: Sequence[Sample]
    records: npt.NDArray[Any]
    rows: Indices

    @cached_property
    def problems(self) -> list[str]:
        """Why each sample cannot be decoded; empty where it can."""
        return self.text("problem")

    @cached_property
    def readable(self) -> Indices:
        """Indices of the samples that can be decoded."""
        return np.flatnonzero(np.array([not problem for problem in self.problems], dtype=bool))

    @cached_property
    def columns(self) -> Mapping[str, npt.NDArray[np.float32]]:
        """The COLUMNS by name, each [N]; all zero for unreadable samples."""
        columns = self.records["columns"][self.rows]
        return {name: columns[:, at] for at, name in enumerate(COLUMNS)}

    def text(self, field: str) -> list[str]:
        """Return the `format`, `mode` or `problem` of each sample."""
        return [text.decode(errors="replace") for text in self.records[field][self.rows]]

    @cached_property
    def pixels(self) -> list[bytes]:
        """The sha256 of the decoded pixels of each sample."""
        return [row.tobytes() for row in self.records["pixels"][self.rows]]

    def descriptors(self, indices: Indices) -> hashing.Descriptors:
        """Return the descriptors [N, SIDE, SIDE] of the samples at these indices."""
        return np.asarray(self.records["descriptor"][self.rows[indices]])


# --- the work file ----------------------------------------------------------------------------


def measure_samples(
    folder: Path,
    samples: Sequence[Sample],
    limits: ImageLimits,
    work: Path,
    *,
    processes: int = 1,
    track: progress.Track = progress.silent,
) -> Measurements:
    """Measure the samples of `folder`, except those that the work file has a record of.

    Raises InputError if another process measures the same folder, and OSError, for example if the
    disk is full; the next call then resumes.
    """
    path = work / "audit" / f"{_key(folder, limits)}.records"
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.exclusive(path), contextlib.ExitStack() as stack:
        stream = os.open(path, os.O_RDWR | os.O_CREAT | disk.BINARY, 0o600)
        stack.callback(os.close, stream)
        index, end = _load(path)
        if os.fstat(stream).st_size != end * RECORD.itemsize:  # Windows cuts no file that is mapped
            os.ftruncate(stream, end * RECORD.itemsize)
        rows = []
        for digest, record in _measured(folder, samples, limits, index, processes, track):
            if digest not in index:
                _append(stream, record, end, path)
                index[digest], end = end, end + 1
            rows.append(index[digest])
        records = np.memmap(path, RECORD, "r", shape=(end,)) if end else np.zeros(0, RECORD)
        return Measurements(samples, records, np.array(rows, dtype=np.int64))


def _key(folder: Path, limits: ImageLimits) -> str:
    parts = (closure.trace_imports(__name__), limits, files.resolve(folder))
    return hashlib.sha256(repr(parts).encode(errors="surrogateescape")).hexdigest()[:16]


def _load(path: Path) -> tuple[dict[bytes, int], int]:
    """Return the row of each intact record by the sha256 of its file, and the number of records."""
    index: dict[bytes, int] = {}
    count = path.stat().st_size // RECORD.itemsize
    with path.open("rb") as stream:
        for row in range(count):
            record = stream.read(RECORD.itemsize)
            if zlib.crc32(record[:-4]) == int.from_bytes(record[-4:], "little"):
                index[record[:32]] = row
    return index, count


def _measured(
    folder: Path,
    samples: Sequence[Sample],
    limits: ImageLimits,
    index: Mapping[bytes, int],
    processes: int,
    track: progress.Track,
) -> Iterator[tuple[bytes, bytes]]:
    measure: Callable[[Sample], tuple[bytes, bytes]] = partial(measure_file, folder, limits, index)
    results = sandbox.sandboxed_map(
        measure, samples, processes, seconds=limits.seconds, memory=limits.memory
    )
    for sample, result in zip(samples, track(results, "audit", len(samples)), strict=True):
        yield _unread(sample.path, result.reason) if isinstance(result, sandbox.Stopped) else result


def _append(stream: int, record: bytes, row: int, path: Path) -> None:
    with files.naming_errors(path):
        disk.write_at(stream, record, row * RECORD.itemsize)


# --- one record -------------------------------------------------------------------------------


def measure_file(
    folder: Path, limits: ImageLimits, index: Mapping[bytes, int], sample: Sample
) -> tuple[bytes, bytes]:
    """Return the sha256 of a file and its record, which is empty if the `index` has it."""
    try:
        data = inside.read_inside(folder, sample.path, limits.bytes)
    except InputError as error:
        return _unread(sample.path, str(error))
    digest = hashlib.sha256(data).digest()
    if digest.hex() != content_hash(sample):
        return _unread(sample.path, "changed since the manifest was written")
    if digest in index:
        return digest, b""
    try:
        multiframe = _is_multiframe(data, limits)
        measure = partial(_record, digest=digest, size=len(data), multiframe=multiframe)
        return digest, images.examine(data, measure, limits)
    except InputError as error:
        return _unread(sample.path, str(error))


def _unread(path: str, reason: str) -> tuple[bytes, bytes]:
    """Return a hash of the path and the reason, in place of the file's, and a record."""
    digest = hashlib.sha256(f"{path}: {reason}".encode()).digest()
    record = np.zeros(1, dtype=RECORD)
    record["file"] = np.frombuffer(digest, dtype=np.uint8)
    whole_characters = reason.encode()[:REASON].decode(errors="ignore")
    record["problem"] = whole_characters.encode() or b"unknown"
    return digest, _sealed(record)


def _record(image: Image.Image, *, digest: bytes, size: int, multiframe: bool) -> bytes:
    encoding, mode, quality = str(image.format), image.mode, _jpeg_quality(image)
    picture = to_rgb(image)
    record = np.zeros(1, dtype=RECORD)
    record["file"] = np.frombuffer(digest, dtype=np.uint8)
    record["pixels"] = np.frombuffer(_pixel_hash(picture), dtype=np.uint8)
    record["format"], record["mode"] = encoding.encode(), mode.encode()
    properties = np.array([*picture.size, size, multiframe, quality], dtype=np.float32)
    reduced = measures.downscale(picture)
    record["columns"] = np.concatenate([properties, measures.measure_image(reduced)])
    record["descriptor"] = hashing.descriptor(reduced)
    return _sealed(record)


def _sealed(record: npt.NDArray[Any]) -> bytes:
    record["checksum"] = zlib.crc32(record.tobytes()[:-4])
    return bytes(record.tobytes())


def _is_multiframe(data: bytes, limits: ImageLimits) -> bool:
    """Whether there are several frames or pages. Counting them would have no bound on its cost."""

    def animated(image: Image.Image) -> bool:
        return image.format in MULTIFRAME and bool(getattr(image, "is_animated", False))

    try:
        return images.examine(data, animated, limits)
    except InputError as error:
        if str(error) == images.NO_MEMORY:
            raise
        return False  # the first frame may be intact; it is decoded from a fresh file


def _jpeg_quality(image: Image.Image) -> float:
    """Estimate the JPEG quality, 1 to 100: exact for libjpeg's tables, NaN for other formats."""
    tables: Mapping[int, Any] | None = getattr(image, "quantization", None)
    if not tables:
        return np.nan
    table, sums = tables[min(tables)], _luma_sums()
    if max(table) > BASELINE:  # not cut off, as Pillow's are
        return float(np.clip(50 * sums[49] / sum(table), 1, 100))
    return float(1 + np.abs(sums - sum(table)).argmin())


@functools.cache
def _luma_sums() -> npt.NDArray[np.int64]:
    """Return the sum of libjpeg's luma quantization table at each quality from 1 to 100."""
    sums = []
    for quality in range(1, 101):
        stream = io.BytesIO()
        Image.new("L", (1, 1)).save(stream, "JPEG", quality=quality)
        stream.seek(0)
        sums.append(sum(JpegImageFile(stream).quantization[0]))
    return np.array(sums, dtype=np.int64)


def _pixel_hash(picture: Picture) -> bytes:
    """Return the sha256 of the size and the decoded pixels, band by band."""
    digest = hashlib.sha256(f"{picture.size}".encode())
    for box in bands(picture):
        digest.update(picture.crop(box).tobytes())
    return digest.digest()
