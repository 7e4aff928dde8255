"""Choose, split, decode, resize: from the images as found to three folders of equal PNG files."""

import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from toolkit import codec, data_params, files, isolation, progress, splitting
from toolkit import manifest as manifests
from toolkit.errors import InputError
from toolkit.findings import Audit
from toolkit.manifest import Manifest, Sample

MARKER = f"train/{manifests.SIDE}"


def prepare(
    raw: Manifest,
    folder: Path,
    audit: Audit,
    output: Path,
    settings: data_params.Prepare,
    *,
    limits: codec.Limits = codec.LIMITS,
    processes: int = 1,
    track: progress.Track = progress.silent,
) -> dict[str, Manifest]:
    """Write `output`/{train,valid,test}: <class>/<id>.png of `settings.size`, and a manifest each.

    Samples that the audit drops are left out, those that it groups stay in one split. The file's
    name begins with the id of the raw image. `limits` are those of the audit. Raises InputError
    for a file that has changed since the audit (and see `splitting.assign`).
    """
    dropped = {ident for finding in audit.findings for ident in finding.drop}
    together = [f.samples for f in audit.findings if f.action == "group"]
    kept = [sample for sample in raw.samples if sample.id not in dropped]
    found = splitting.groups(kept, together)
    group_of = {sample.id: group[0].id for group in found for sample in group}
    rng = np.random.default_rng(settings.seed)
    chosen = splitting.assign(found, raw.classes, settings, rng)
    convert = functools.partial(_convert, folder, settings.size, limits)
    result = {}
    with files.new_folder(output, MARKER) as building:
        for split, samples in chosen.items():
            placed = [replace(s, split=split, group=group_of[s.id]) for s in samples]
            placed.sort(key=_name)
            encoded = isolation.ordered(
                convert, placed, processes, seconds=limits.seconds, memory=limits.memory
            )
            shown = track(encoded, f"prepare {split}", len(placed))
            named = [replace(s, path=_name(s)) for s in placed]
            written = _write(building / split, named, _checked(shown, folder, placed))
            result[split] = Manifest(raw.classes, written, {"size": settings.size})
            manifests.write(building / split, result[split])
    return result


def _write(folder: Path, samples: Sequence[Sample], encoded: Iterable[bytes]) -> tuple[Sample, ...]:
    """Write the files; return the samples with the ids of what was written."""
    hashes = []
    for sample, data in zip(samples, encoded, strict=True):
        files.put(folder / sample.path, data)
        hashes.append(hashlib.sha256(data).hexdigest())
    ids = manifests.unique_ids(hashes)
    return tuple(replace(sample, id=ident) for sample, ident in zip(samples, ids, strict=True))


def _name(sample: Sample) -> str:
    digest, *copy = sample.id.split("-")
    return f"{sample.label}/{'-'.join((digest[:16], *copy))}.png"


def _convert(folder: Path, size: int, limits: codec.Limits, sample: Sample) -> bytes:
    path = folder / sample.path
    try:
        data = codec.content(path, limits)
        pixels = codec.decode(data, limits)
    except InputError as error:
        raise _unfit(path, str(error)) from error
    if hashlib.sha256(data).hexdigest() != manifests.content_hash(sample):
        raise _unfit(path, "changed since the manifest was written")
    return codec.encode_png(codec.resize(pixels, size))


def _checked(
    encoded: Iterable[bytes | isolation.Stopped], folder: Path, samples: Sequence[Sample]
) -> Iterator[bytes]:
    for sample, data in zip(samples, encoded, strict=True):
        if isinstance(data, isolation.Stopped):
            raise _unfit(folder / sample.path, data.reason)
        yield data


def _unfit(path: Path, reason: str) -> InputError:
    return InputError(f"{path}: {reason}; run `toolkit audit` again, so that it is left out")
