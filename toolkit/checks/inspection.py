"""What one decode of one file tells: RECORD, of a fixed size, whatever the file holds."""

import hashlib
import zlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from toolkit.checks import hashing, measures
from toolkit.errors import InputError
from toolkit.io import images
from toolkit.io.color import bands, to_rgb
from toolkit.io.images import ImageLimits, Picture

REASON = 160
"""Bytes of the reason why a file could not be decoded that are kept."""
NUMBERS = ("width", "height", "bytes", "several", "quality", *measures.MEASURES)
RECORD = np.dtype(
    [
        ("file", "u1", 32),
        ("pixels", "u1", 32),
        ("problem", f"S{REASON}"),
        ("format", "S12"),
        ("mode", "S8"),
        ("numbers", "<f4", len(NUMBERS)),
        ("copy", "u1", (hashing.SIDE, hashing.SIDE)),
        ("check", "<u4"),
    ]
)
"""sha256 of the file and of its decoded pixels; why it is unreadable, or nothing; the names of its
format and mode; NUMBERS, `several` being 1 for more pictures than one and `quality` NaN but for
JPEG; the grey copy; a checksum of all that."""

SEVERAL = ("AVIF", "GIF", "PNG", "TIFF", "WEBP")
"""Formats of animations and pages; the second picture of an MPO is another view."""

# Quantisation of luma at quality 50 (ITU-R T.81, table K.1), in any order: only the sum counts.
K1_SUM = 3688


def inspect(
    folder: Path, limits: ImageLimits, known: Mapping[bytes, int], path: str
) -> tuple[bytes, bytes]:
    """The sha256 of a file, and its record; the record is empty where the sha256 is `known`."""
    try:
        data = images.read_bounded(folder / path, limits)
    except InputError as error:
        return unread(path, str(error))
    digest = hashlib.sha256(data).digest()
    if digest in known:
        return digest, b""
    try:
        several = _several(data, limits)
        look = partial(_record, digest=digest, size=len(data), several=several)
        return digest, images.examine(data, look, limits)
    except InputError as error:
        return digest, _failed(digest, str(error))


def unread(path: str, reason: str) -> tuple[bytes, bytes]:
    """What `inspect` gives for a file whose bytes are not known: a hash of its path and why."""
    digest = hashlib.sha256(f"{path}: {reason}".encode()).digest()
    return digest, _failed(digest, reason)


def _failed(digest: bytes, reason: str) -> bytes:
    """The record of a file that could not be decoded."""
    record = np.zeros(1, dtype=RECORD)
    record["file"] = np.frombuffer(digest, dtype=np.uint8)
    record["problem"] = _short(reason) or b"unknown"
    return _sealed(record)


def _short(reason: str) -> bytes:
    """Cut between characters."""
    return reason.encode()[:REASON].decode(errors="ignore").encode()


def _record(image: Image.Image, *, digest: bytes, size: int, several: bool) -> bytes:
    form, mode, quality = str(image.format), image.mode, _quality(image)
    picture = to_rgb(image)
    record = np.zeros(1, dtype=RECORD)
    record["file"] = np.frombuffer(digest, dtype=np.uint8)
    record["pixels"] = np.frombuffer(_of_pixels(picture), dtype=np.uint8)
    record["format"], record["mode"] = form.encode(), mode.encode()
    facts = np.array([*picture.size, size, several, quality], dtype=np.float32)
    small = measures.reduced(picture)
    record["numbers"] = np.concatenate([facts, measures.measure_image(small)])
    record["copy"] = hashing.small(small)
    return _sealed(record)


def _several(data: bytes, limits: ImageLimits) -> bool:
    """Whether there are more pictures than one. What it costs to count them has no bound."""

    def look(image: Image.Image) -> bool:
        return image.format in SEVERAL and bool(getattr(image, "is_animated", False))

    try:
        return images.examine(data, look, limits)
    except InputError:
        return False  # the first may be sound: a file of its own is opened to decode it


def _quality(image: Image.Image) -> float:
    """The JPEG quality, 1 to 100, that libjpeg scales its tables by; an estimate for others."""
    tables: Mapping[int, Any] | None = getattr(image, "quantization", None)
    if not tables:
        return np.nan
    scale = 100 * sum(tables[min(tables)]) / K1_SUM
    return float(np.clip(5000 / max(scale, 1) if scale > 100 else (200 - scale) / 2, 1, 100))


def _of_pixels(picture: Picture) -> bytes:
    """sha256 of the size and the decoded pixels, band by band."""
    digest = hashlib.sha256(f"{picture.size}".encode())
    for box in bands(picture):
        digest.update(picture.crop(box).tobytes())
    return digest.digest()


# --- many records -----------------------------------------------------------------------------


def _sealed(record: npt.NDArray[Any]) -> bytes:
    record["check"] = zlib.crc32(record.tobytes()[:-4])
    return bytes(record.tobytes())


def sound(record: bytes) -> bool:
    """Whether a record is as it was written."""
    return zlib.crc32(record[:-4]) == int.from_bytes(record[-4:], "little")
