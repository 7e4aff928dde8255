"""One parent's new images at a time: drawn, made, encoded and written."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from toolkit import codec, files, journal, likeness, originals
from toolkit import manifest as manifests
from toolkit import plan as plans
from toolkit import policy as policies
from toolkit.codec import Picture
from toolkit.journal import Line
from toolkit.likeness import Look
from toolkit.manifest import Sample
from toolkit.policy import Policy

SUFFIXES = {"png": ".png", "jpeg": ".jpg"}
UNCHANGED = ("", "")  # the key of the image that equals its parent
ROWS = 256  # of one parent; what is made of them stays in memory until the batch is done


@dataclass(frozen=True)
class Batch:
    """An original, the path of its copy ("" for none), and the numbers of some of its children."""

    parent: Sample
    home: str
    numbers: Sequence[int]


@dataclass(frozen=True)
class Job:
    """All that the new images depend on."""

    folder: Path
    building: Path
    size: int | None
    codec: str
    policy: Policy
    seed: int
    batches: Sequence[Batch]
    quotas: Mapping[str, int]

    def positions(self, index: int) -> list[int]:
        """Where in the plan the rows of a batch are, from 0 on."""
        batch = self.batches[index]
        before = sum(n for label, n in self.quotas.items() if label < batch.parent.label)
        return [before + number - 1 for number in batch.numbers]


def split(parent: Sample, home: str, numbers: Sequence[int]) -> list[Batch]:
    """Batches of a parent's numbers. The first one makes the copy of the original."""
    parts = [numbers[at : at + ROWS] for at in range(0, len(numbers), ROWS)] or [()]
    return [Batch(parent, "" if at else home, part) for at, part in enumerate(parts)]


def path(parent: Sample, number: int, encoder: str) -> str:
    """Where a new image lies in the output."""
    return f"{parent.label}/new-{number:06d}-{parent.id[:8]}{SUFFIXES[encoder]}"


def child(parent: Sample, ident: str, path: str, line: Line) -> Sample:
    """The sample of the new image that the line is about."""
    drawn = {"transform": line.transform, "params": json.loads(line.params), "seed": line.seed}
    return replace(parent, id=ident, path=path, parent=parent.id, **drawn)


def work(job: Job, index: int) -> Iterator[bytes]:
    """Write the images of a batch; yield a journal line for each.

    A parent is decoded once, and of equal images (of the same transform and numbers, or without a
    change) one is made, encoded and hashed.
    """
    batch = job.batches[index]
    data = originals.data(job.folder, batch.parent)
    if batch.home:
        files.put(f"{job.building}/{batch.home}", data)
    if not batch.numbers:
        return
    parent = originals.picture(job.folder, job.size, batch.parent, data)
    known, eye = dict[tuple[str, str], _Encoded](), likeness.Eye(parent)
    for number in batch.numbers:
        row, made = plans.row(batch.parent, number, job.policy, job.seed, parent)
        params = manifests.canonical(row.params)
        found = known.get((row.transform, params))
        again = found is not None
        if found is None:
            picture = made or policies.change(row.transform, parent, row.params)
            same = picture is parent or codec.same(picture, parent)
            found = (known.get(UNCHANGED) if same else None) or _encode(
                job.codec, picture, same, eye.look(picture)
            )
            known[row.transform, params] = found
            if same:
                known[UNCHANGED] = found
        files.put(f"{job.building}/{path(batch.parent, number, job.codec)}", found.data)
        look = found.look
        seen = (found.same, look.change, look.moved, again or look.near)
        yield Line(number, row.transform, params, row.seed, found.digest, *seen).pack()


@dataclass(frozen=True)
class _Encoded:
    data: bytes
    digest: str
    same: bool
    look: Look


def _encode(encoder: str, picture: Picture, same: bool, look: Look) -> _Encoded:
    data = codec.ENCODERS[encoder](picture)
    return _Encoded(data, hashlib.sha256(data).hexdigest(), same, look)


def good(job: Job, index: int, lines: bytes) -> bool:
    """Whether the files of a finished batch are there, with the bytes that its lines name."""
    batch = job.batches[index]
    wanted = {batch.home: manifests.content_hash(batch.parent)} if batch.home else {}
    for line in map(journal.unpack, lines.splitlines()):
        wanted[path(batch.parent, line.number, job.codec)] = line.digest
    return all(_is(job.building / name, digest) for name, digest in wanted.items())


def _is(place: Path, digest: str) -> bool:
    try:
        return files.sha256(place) == digest
    except OSError:
        return False
