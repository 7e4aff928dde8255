"""Bytes and pixels of the samples of a manifest."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from toolkit.errors import InputError
from toolkit.io import images, inside, manifest, sandbox
from toolkit.io.images import Picture
from toolkit.io.manifest import Sample

T = TypeVar("T")

REMEDY = "remove it or run `toolkit audit`"
CHUNK = 16  # small images cost less to decode than to send each by itself


def map_samples(
    folder: Path, samples: Sequence[Sample], action: Callable[[bytes], T], workers: int = 1
) -> Iterator[T]:
    """Yield `action` of the bytes of each sample, in order, from worker processes.

    Raises InputError that names the file, as `sample_bytes` and `action` do, or if it is Stopped.
    """
    work = partial(_apply, folder, action)
    results = sandbox.sandboxed_map(work, samples, workers, chunksize=CHUNK)
    for sample, result in zip(samples, results, strict=True):
        if isinstance(result, sandbox.Stopped):
            raise InputError(f"{sample_name(folder, sample)}: {result.reason}; {REMEDY}")
        yield result


def _apply(folder: Path, action: Callable[[bytes], T], sample: Sample) -> T:
    data = sample_bytes(folder, sample)
    return _decoded(folder, sample, partial(action, data))


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


def _decoded(folder: Path, sample: Sample, decode: Callable[[], T]) -> T:
    try:
        return decode()
    except InputError as error:
        raise InputError(f"{sample_name(folder, sample)}: {error}; {REMEDY}") from error


def sample_name(folder: Path, sample: Sample) -> str:
    """Return where a sample's file is, for messages."""
    return str(folder / sample.path)
