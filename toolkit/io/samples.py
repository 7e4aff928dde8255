"""Bytes and pixels of the samples of a manifest."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from toolkit.errors import InputError
from toolkit.io import images, inside, manifest, sandbox
from toolkit.io.images import Picture
from toolkit.io.manifest import Sample
from toolkit.io.text import describe_rejected

T = TypeVar("T")

REMEDY = "remove it or run `toolkit audit`"
RESTORE = "`dvc checkout` or `dvc repro` restores it, or run again what wrote the manifest"
CHUNK = 16  # small images cost less to decode than to send each by itself


def map_samples(
    folder: Path, samples: Sequence[Sample], action: Callable[[bytes], T], workers: int = 1
) -> Iterator[T]:
    """Yield `action` of the bytes of each sample, in order, from worker processes.

    Raises InputError that names the file, as `sample_bytes` and `action` do, or if it is Stopped;
    where there are several such files it comes after all were read, and says how many.
    """
    work, rejected = partial(_apply, folder, action), list[dict[str, str]]()
    results = sandbox.sandboxed_map(work, samples, workers, chunksize=CHUNK)
    for sample, result in zip(samples, results, strict=True):
        if isinstance(result, sandbox.Stopped | InputError):
            reason = f"{result.reason}; {REMEDY}" if isinstance(result, sandbox.Stopped) else result
            rejected.append({"path": sample_name(folder, sample), "reason": str(reason)})
        elif not rejected:
            yield result
    if len(rejected) > 1:
        raise InputError(f"{folder}: {describe_rejected(rejected, len(samples))}")
    for problem in rejected:
        raise InputError(f"{problem['path']}: {problem['reason']}")


def _apply(folder: Path, action: Callable[[bytes], T], sample: Sample) -> T | InputError:
    try:
        data = _read(folder, sample)
    except InputError as error:
        return InputError(f"{error}; {RESTORE}")
    try:
        return action(data)
    except InputError as error:
        return InputError(f"{error}; {REMEDY}")


def sample_bytes(folder: Path, sample: Sample) -> bytes:
    """Return the bytes of a sample's file (see `inside.read_hashed`). Raises InputError."""
    try:
        return _read(folder, sample)
    except InputError as error:
        raise InputError(f"{sample_name(folder, sample)}: {error}; {RESTORE}") from error


def _read(folder: Path, sample: Sample) -> bytes:
    sha256 = manifest.content_hash(sample)
    return inside.read_hashed(folder, sample.path, sha256, images.LIMITS.bytes)


def sample_picture(
    folder: Path, size: int | None, sample: Sample, data: bytes, bits: int | None = None
) -> Picture:
    """Decode a sample's file (see `images.decode_picture`). Raises InputError that names it."""
    limits = images.LIMITS.scaled(bits)
    return _decoded(folder, sample, partial(images.decode_picture, data, size, limits))


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
