"""Plan -> files: the only writer of derived pixels."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from toolkit import codec, files, originals, params, progress
from toolkit import manifest as manifests
from toolkit import plan as plans
from toolkit import policy as policies
from toolkit.codec import Pixels
from toolkit.manifest import Manifest, Sample
from toolkit.plan import Row
from toolkit.policy import Policy
from toolkit.workers import ordered_map

SUFFIXES = {"png": ".png", "jpeg": ".jpg"}
BATCH = 32  # rows of one parent that a worker takes at a time


@dataclass(frozen=True)
class Summary:
    """What was made.

    Per class: new images, those equal to their parent, and the fewest and the most copies that a
    parent got. Per transform: new images.
    """

    new: Mapping[str, int]
    identical: Mapping[str, int]
    copies: Mapping[str, Mapping[str, int]]
    transforms: Mapping[str, int]


@dataclass(frozen=True)
class _Job:
    """What is the same for every new image: where it comes from and goes to, its size and codec."""

    folder: Path
    building: Path
    size: int | None
    codec: str


_Work = tuple[Sample, Sequence[Row]]  # some rows of one parent, for one worker


def render(row: Row, pixels: Pixels) -> Pixels:
    """The new image that the row describes, from its parent's pixels; of the same size."""
    return policies.apply(row.transform, pixels, row.params)


def augment(
    folder: Path,
    output: Path,
    settings: params.Augment,
    policy: Policy | policies.Setting,
    *,
    size: int | None = None,
    only_new: bool = False,
    workers: int = 1,
    track: progress.Track = progress.silent,
) -> tuple[Manifest, Summary]:
    """Bring the classes of a training folder to `settings.target`, in the new folder `output`.

    `folder` has a manifest of ours, or is laid out <class>/file. `output` gets <class>/file with
    the originals as they are and the new images beside them, plan.csv and manifest.csv with all
    samples; with `only_new` the manifest points to the originals instead.
    `size` is the side in pixels to which a parent is resized first. The bytes do not depend on
    `workers`. Raises InputError for a folder that is no training folder or was augmented before,
    a damaged parent, an output that touches the folder, and what plan and policy refuse.
    """
    chosen = policy if isinstance(policy, Policy) else policies.make(policy)
    source = originals.load(folder, output, track)
    with files.new_folder(output, plans.TABLE) as building:
        rows = plans.make(
            source.samples,
            plans.quotas(source.counts(), settings.target, settings.classes),
            chosen,
            draw=settings.draw,
            seed=settings.seed,
            read=partial(originals.read, folder, size),
        )
        kept = (
            originals.link(source, folder, output)
            if only_new
            else originals.place(source, folder, building)
        )
        job = _Job(folder, building, size, settings.format)
        made = _render_all(source, rows, job, workers, track)
        children = _children(source, rows, [digest for digest, _ in made], settings.format)
        summary = _summary(source, rows, [same for _, same in made])
        notes = {"codec": _codec_notes(job, chosen), "summary": asdict(summary)}
        manifest = Manifest(source.classes, (*kept, *children), {**_rejected(source), **notes})
        _write(building, manifest, rows)
    return manifest, summary


def original(folder: Path, output: Path, track: progress.Track = progress.silent) -> Manifest:
    """Write the arm "original": a manifest that points to the originals, and an empty plan."""
    source = originals.load(folder, output, track)
    with files.new_folder(output, plans.TABLE) as building:
        kept = originals.link(source, folder, output)
        manifest = Manifest(source.classes, kept, _rejected(source))
        _write(building, manifest, ())
    return manifest


def _rejected(source: Manifest) -> dict[str, Any]:
    """What the scan of a plain folder found that is no image."""
    return {key: value for key, value in source.notes.items() if key == "rejected"}


def _write(building: Path, manifest: Manifest, rows: Sequence[Row]) -> None:
    plans.write(building, rows)
    manifests.write(building, manifest)


def describe(manifest: Manifest, summary: Summary) -> list[str]:
    """What was made, for a person, a line for each class."""
    counts = manifest.counts()
    lines = []
    for name in manifest.classes:
        new = summary.new[name]
        line = f"{name}: {counts[name] - new} originals + {new} new = {counts[name]}"
        if new:
            copies, same = summary.copies[name], summary.identical[name]
            numbers = " to ".join(str(n) for n in sorted({copies["fewest"], copies["most"]}))
            line += f"; copies of each original: {numbers}"
            line += f"; {same} equal to their original ({100 * same / new:.0f} %)" if same else ""
        lines.append(line)
    if not any(summary.new.values()):
        lines.append("every class is as large as asked for already: no new images")
    return lines


# --- new images -------------------------------------------------------------------------------


def _render_all(
    source: Manifest, rows: Sequence[Row], job: _Job, workers: int, track: progress.Track
) -> list[tuple[str, bool]]:
    """Write every row's image; for each row its file's sha256, and whether it equals its parent."""
    works = _works(source, rows)
    done = ordered_map(partial(_work, job), works, workers)
    found: dict[tuple[str, int], tuple[str, bool]] = {}
    for (_, group), results in zip(works, track(done, "augment", len(works)), strict=True):
        found |= {(r.label, r.number): result for r, result in zip(group, results, strict=True)}
    return [found[row.label, row.number] for row in rows]


def _works(source: Manifest, rows: Sequence[Row]) -> list[_Work]:
    """The rows by parent, so that a parent is decoded once for BATCH of its copies."""
    by_parent: dict[str, list[Row]] = {}
    for row in rows:
        by_parent.setdefault(row.parent, []).append(row)
    return [
        (source.by_id[parent], group[start : start + BATCH])
        for parent, group in by_parent.items()
        for start in range(0, len(group), BATCH)
    ]


def _work(job: _Job, work: _Work) -> list[tuple[str, bool]]:
    parent, rows = work
    pixels = originals.read(job.folder, job.size, parent)
    made = []
    for row in rows:
        image = render(row, pixels)
        data = codec.ENCODERS[job.codec](image)
        files.put(job.building / _path(row, job.codec), data)
        made.append((hashlib.sha256(data).hexdigest(), bool(np.array_equal(image, pixels))))
    return made


def _path(row: Row, name: str) -> str:
    return f"{row.label}/new-{row.number:06d}-{row.parent[:8]}{SUFFIXES[name]}"


def _children(
    source: Manifest, rows: Sequence[Row], hashes: Sequence[str], name: str
) -> tuple[Sample, ...]:
    idents = _idents(source, hashes)
    return tuple(
        Sample(
            ident,
            _path(row, name),
            row.label,
            split=source.by_id[row.parent].split,
            group=source.by_id[row.parent].group,
            parent=row.parent,
            transform=row.transform,
            params=row.params,
            seed=row.seed,
        )
        for ident, row in zip(idents, rows, strict=True)
    )


def _idents(source: Manifest, hashes: Iterable[str]) -> list[str]:
    """As `manifest.unique_ids` for originals and children, but the originals keep theirs."""
    seen = Counter(manifests.content_hash(sample) for sample in source.samples)
    idents = []
    for digest in hashes:
        seen[digest] += 1
        while _ident(digest, seen[digest]) in source.by_id:
            seen[digest] += 1
        idents.append(_ident(digest, seen[digest]))
    return idents


def _ident(digest: str, copy: int) -> str:
    return digest if copy == 1 else f"{digest}-{copy}"


def _summary(source: Manifest, rows: Sequence[Row], same: Sequence[bool]) -> Summary:
    new = Counter(row.label for row in rows)
    identical = Counter(r.label for r, equal in zip(rows, same, strict=True) if equal)
    copies = Counter(row.parent for row in rows)
    numbers = {n: [copies[s.id] for s in source.samples if s.label == n] for n in new}
    return Summary(
        new={name: new[name] for name in source.classes},
        identical={name: identical[name] for name in source.classes},
        copies={
            name: {"fewest": min(found), "most": max(found)}
            for name, found in sorted(numbers.items())
        },
        transforms=dict(sorted(Counter(row.transform for row in rows).items())),
    )


def _codec_notes(job: _Job, policy: Policy) -> dict[str, Any]:
    """What the bytes depend on besides the plan."""
    return {
        "format": job.codec,
        "quality": 95 if job.codec == "jpeg" else None,
        "size": job.size,
        "pillow": PIL.__version__,
        **policies.versions(policy),
    }
