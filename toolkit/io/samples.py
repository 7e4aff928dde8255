"""Bytes and pixels of the samples of a manifest."""

import hashlib
from pathlib import Path

from toolkit.errors import InputError
from toolkit.io import images, manifest, shards
from toolkit.io.images import Picture, Pixels
from toolkit.io.manifest import Sample


def sample_pixels(folder: Path, size: int | None, sample: Sample) -> Pixels:
    """Return a sample's pixels, resized to `size` x `size` unless that is None.

    Raises InputError as `sample_bytes` and `sample_picture` do.
    """
    return images.to_pixels(sample_picture(folder, size, sample, sample_bytes(folder, sample)))


def sample_bytes(folder: Path, sample: Sample) -> bytes:
    """Return the bytes of a sample's file. Raises InputError unless they have its sha256."""
    path = folder / sample.path
    try:
        data = shards.read_member(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != manifest.content_hash(sample):
        message = f"{path}: the file is not the one in the manifest (its sha256 differs)"
        raise InputError(f"{message}; restore it, or run the stage that wrote it again")
    return data


def sample_picture(folder: Path, size: int | None, sample: Sample, data: bytes) -> Picture:
    """Decode a sample's file (see `images.decode_picture`). Raises InputError that names it."""
    try:
        return images.decode_picture(data, size)
    except InputError as error:
        path = folder / sample.path
        raise InputError(f"{path}: {error}; remove it or run `toolkit audit`") from error
