"""The bytes and pixels of a manifest's samples."""

import hashlib
from pathlib import Path

from toolkit.errors import InputError
from toolkit.io import images, manifest, shards
from toolkit.io.images import Picture, Pixels
from toolkit.io.manifest import Sample


def sample_pixels(folder: Path, size: int | None, sample: Sample) -> Pixels:
    """An original's pixels, resized to `size` x `size` unless that is None.

    Raises InputError as `data` and `picture` do.
    """
    return images.to_pixels(sample_picture(folder, size, sample, sample_bytes(folder, sample)))


def sample_bytes(folder: Path, sample: Sample) -> bytes:
    """An original's bytes. Raises InputError where they are not those that the manifest names."""
    path = folder / sample.path
    try:
        found = shards.read_member(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if hashlib.sha256(found).hexdigest() != manifest.content_hash(sample):
        message = f"{path}: the file is not the one that the manifest names (its sha256 differs)"
        raise InputError(f"{message}; restore it, or run the stage that wrote it again")
    return found


def sample_picture(folder: Path, size: int | None, sample: Sample, found: bytes) -> Picture:
    """The bytes decoded (see `images.decode_picture`). Raises InputError that names the file."""
    try:
        return images.decode_picture(found, size)
    except InputError as error:
        where = folder / sample.path
        raise InputError(f"{where}: {error}; remove it or run `toolkit audit`") from error
