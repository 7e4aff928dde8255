"""Bytes and pixels of the samples of a manifest."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from toolkit.errors import InputError
from toolkit.io import images, inside, manifest
from toolkit.io.images import Picture, Pixels
from toolkit.io.manifest import Sample


def sample_pixels(folder: Path, size: int | None, sample: Sample) -> Pixels:
    """Return a sample's pixels, resized to `size` x `size` unless that is None.

    Raises InputError as `sample_bytes` and `sample_picture` do.
    """
    return images.to_pixels(sample_picture(folder, size, sample, sample_bytes(folder, sample)))


def sample_bytes(folder: Path, sample: Sample) -> bytes:
    """Return the bytes of a sample's file (see `inside.read_hashed`). Raises InputError."""
    sha256 = manifest.content_hash(sample)
    try:
        return inside.read_hashed(folder, sample.path, sha256, images.LIMITS.bytes)
    except InputError as error:
        message = f"{sample_name(folder, sample)}: {error}"
        remedy = "`dvc checkout` or `dvc repro` restores it, or run again what wrote the manifest"
        raise InputError(f"{message}; {remedy}") from error


def sample_picture(folder: Path, size: int | None, sample: Sample, data: bytes) -> Picture:
    """Decode a sample's file (see `images.decode_picture`). Raises InputError that names it."""
    return _decoded(folder, sample, partial(images.decode_picture, data, size))


def reduced_picture(folder: Path, min_side: int, sample: Sample) -> Picture:
    """Read and decode a sample's file (see `images.decode_reduced`). Raises InputError."""
    data = sample_bytes(folder, sample)
    return _decoded(folder, sample, partial(images.decode_reduced, data, min_side))


def _decoded(folder: Path, sample: Sample, decode: Callable[[], Picture]) -> Picture:
    try:
        return decode()
    except InputError as error:
        message = f"{sample_name(folder, sample)}: {error}"
        raise InputError(f"{message}; remove it or run `toolkit audit`") from error


def sample_name(folder: Path, sample: Sample) -> str:
    """Return where a sample's file is, for messages."""
    return str(folder / sample.path)
