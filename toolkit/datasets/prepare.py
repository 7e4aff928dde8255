"""Choose, split, decode, resize: from the images as found to three folders of equal PNG files."""

import functools
import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from toolkit import progress
from toolkit.datasets import params
from toolkit.datasets.split import assign_splits, split_groups
from toolkit.errors import InputError
from toolkit.io import files, images, manifest, sandbox
from toolkit.io.manifest import Manifest, Sample

MARKER = f"train/{manifest.SIDE}"


def write_splits(
    raw: Manifest,
    folder: Path,
    output: Path,
    settings: params.PrepareParams,
    *,
    drop: Collection[str] = (),
    groups: Sequence[Sequence[str]] = (),
    limits: images.ImageLimits = images.LIMITS,
    processes: int = 1,
    track: progress.Track = progress.silent,
) -> dict[str, Manifest]:
    """Write `output`/{train,valid,test}: <class>/<id>.png of `settings.size`, and a manifest each.

    The samples whose ids are in `drop` are left out; those of each of `groups` stay in one split.
    A file's name begins with the id of the raw image. Raises InputError for a file that has
    changed since the manifest was written (and see `split.assign_splits`).
    """
    kept = [sample for sample in raw.samples if sample.id not in drop]
    found = split_groups(kept, groups)
    group_of = {sample.id: group[0].id for group in found for sample in group}
    rng = np.random.default_rng(settings.seed)
    chosen = assign_splits(found, raw.classes, settings, rng)
    convert = functools.partial(_convert, folder, settings.size, limits)
    result = {}
    with files.new_folder(output, MARKER) as building:
        for split, samples in chosen.items():
            placed = [replace(s, split=split, group=group_of[s.id]) for s in samples]
            placed.sort(key=_name)
            encoded = sandbox.sandboxed_map(
                convert, placed, processes, seconds=limits.seconds, memory=limits.memory
            )
            shown = track(encoded, f"prepare {split}", len(placed))
            named = [replace(s, path=_name(s)) for s in placed]
            written = _write(building / split, named, _checked(shown, folder, placed))
            result[split] = Manifest(raw.classes, written, {"size": settings.size})
            manifest.write_manifest(building / split, result[split])
    return result


def _write(folder: Path, samples: Sequence[Sample], encoded: Iterable[bytes]) -> tuple[Sample, ...]:
    """Write the files; return the samples with the ids of what was written."""
    hashes = []
    for sample, data in zip(samples, encoded, strict=True):
        files.put(folder / sample.path, data)
        hashes.append(hashlib.sha256(data).hexdigest())
    ids = manifest.unique_ids(hashes)
    return tuple(replace(sample, id=ident) for sample, ident in zip(samples, ids, strict=True))


def _name(sample: Sample) -> str:
    digest, *copy = sample.id.split("-")
    return f"{sample.label}/{'-'.join((digest[:16], *copy))}.png"


def _convert(folder: Path, size: int, limits: images.ImageLimits, sample: Sample) -> bytes:
    path = folder / sample.path
    try:
        data = images.read_bounded(path, limits)
        pixels = images.decode(data, limits)
    except InputError as error:
        raise _unfit(path, str(error)) from error
    if hashlib.sha256(data).hexdigest() != manifest.content_hash(sample):
        raise _unfit(path, "changed since the manifest was written")
    return images.encode_png(images.resize(pixels, size))


def _checked(
    encoded: Iterable[bytes | sandbox.Stopped], folder: Path, samples: Sequence[Sample]
) -> Iterator[bytes]:
    for sample, data in zip(samples, encoded, strict=True):
        if isinstance(data, sandbox.Stopped):
            raise _unfit(folder / sample.path, data.reason)
        yield data


def _unfit(path: Path, reason: str) -> InputError:
    return InputError(f"{path}: {reason}; run `toolkit audit` again, so that it is left out")
