"""Choose, split, decode, resize: from the images as found to three folders of equal PNG files."""

import functools
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from toolkit import codec, files, params, progress, splitting, workers
from toolkit import manifest as manifests
from toolkit.audit import Audit
from toolkit.errors import InputError
from toolkit.manifest import Manifest, Sample

MARKER = f"train/{manifests.SIDE}"


def prepare(
    raw: Manifest,
    folder: Path,
    audit: Audit,
    output: Path,
    settings: params.Prepare,
    *,
    processes: int = 1,
    track: progress.Track = progress.silent,
) -> dict[str, Manifest]:
    """Write `output`/{train,valid,test}: <class>/<id>.png of `settings.size`, and a manifest each.

    Samples that the audit drops are left out, those that it groups stay in one split. The file's
    name begins with the id of the raw image. Raises InputError (see `splitting.assign`).
    """
    dropped = {ident for finding in audit.findings for ident in finding.drop}
    together = [f.samples for f in audit.findings if f.action == "group"]
    kept = [sample for sample in raw.samples if sample.id not in dropped]
    found = splitting.groups(kept, together)
    group_of = {sample.id: group[0].id for group in found for sample in group}
    rng = np.random.default_rng(settings.seed)
    chosen = splitting.assign(found, raw.classes, settings, rng)
    convert = functools.partial(_convert, size=settings.size)
    result = {}
    with files.new_folder(output, MARKER) as building:
        for split, samples in chosen.items():
            placed = [replace(s, split=split, group=group_of[s.id]) for s in samples]
            placed.sort(key=_name)
            paths = [folder / s.path for s in placed]
            encoded = workers.ordered_map(convert, paths, processes)
            shown = track(encoded, f"prepare {split}", len(paths))
            named = [replace(s, path=_name(s)) for s in placed]
            written = _write(building / split, named, shown)
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


def _convert(path: Path, size: int) -> bytes:
    try:
        return codec.encode_png(codec.resize(codec.decode(path.read_bytes()), size))
    except (InputError, OSError) as error:
        message = f"{path}: {error}; run `toolkit audit` again, so that it is left out"
        raise InputError(message) from error
