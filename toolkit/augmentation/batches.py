"""One parent's new images at a time: drawn, made, encoded and written."""

import hashlib
import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from toolkit.augmentation import journal, plan, similarity
from toolkit.augmentation.journal import JournalEntry
from toolkit.augmentation.similarity import Similarity
from toolkit.augmentation.transforms import compose
from toolkit.augmentation.transforms.policy import Policy
from toolkit.errors import InputError
from toolkit.io import files, images, manifest, samples, shards
from toolkit.io.images import Picture
from toolkit.io.manifest import Manifest, Sample

SUFFIXES = {"png": ".png", "jpeg": ".jpg"}
UNCHANGED = ("", "")  # the key of the image that equals its parent
ROWS = 256  # of one parent; what is made of them stays in memory until the batch is done


@dataclass(frozen=True)
class Batch:
    """An original and the numbers of some of its children.

    `home` is the path of its copy in the output ("" for none); those of its children begin with
    `place`, the class's folder or a shard.
    """

    parent: Sample
    home: str
    place: str
    numbers: Sequence[int]

    @property
    def shard(self) -> PurePath | None:
        """The shard that it goes to; None for files in folders."""
        return shards.containing_shard(PurePath(self.place))


@dataclass(frozen=True)
class RenderJob:
    """All that the new images depend on. `units`: the batches that are done together."""

    folder: Path
    building: Path
    size: int | None
    codec: str
    policy: Policy
    seed: int
    classes: Sequence[str]
    quotas: Mapping[str, int]
    batches: Sequence[Batch]
    units: Sequence[Sequence[int]]

    def together(self, unit: int) -> list[Batch]:
        """The batches of a unit, which all go to one shard, or to folders."""
        return [self.batches[index] for index in self.units[unit]]

    def positions(self, unit: int) -> list[int]:
        """Where in the plan the rows of a unit are, from 0 on."""
        return [at for batch in self.together(unit) for at in self._positions(batch)]

    def _positions(self, batch: Batch) -> list[int]:
        before = sum(n for label, n in self.quotas.items() if label < batch.parent.label)
        return [before + number - 1 for number in batch.numbers]

    def by_position(self) -> Sequence[int]:
        """For each row of the plan its batch."""
        found = array("i", bytes(4 * sum(self.quotas.values())))
        for index, batch in enumerate(self.batches):
            for at in self._positions(batch):
                found[at] = index
        return found

    def path(self, batch: Batch, number: int) -> str:
        """Where a new image lies in the output."""
        return f"{batch.place}{number:06d}-{batch.parent.id[:8]}{SUFFIXES[self.codec]}"


def arrange(
    source: Manifest,
    assigned: Iterable[tuple[Sample, Sequence[int]]],
    homes: Sequence[Sample] | None,
    shard_count: int,
) -> tuple[list[Batch], list[list[int]]]:
    """Batches and units; with `homes`, also for the originals of which no new image is made.

    Batches go to the shards in turn, an original's second one to the shard after its first one's.
    Raises InputError for more shards than originals.
    """
    numbers = {parent.id: found for parent, found in assigned}
    if homes is None:
        wanted = [(parent, "") for parent in source.samples if parent.id in numbers]
    else:
        wanted = [(s, home.path) for s, home in zip(source.samples, homes, strict=True)]
    if wanted and shard_count > len(wanted):
        message = f"--shards must be at most {len(wanted)}, the number of originals at work here"
        raise InputError(f"{message}, got {shard_count}")
    found = []
    for at, (parent, home) in enumerate(wanted):
        rows = array("i", numbers.get(parent.id, []))
        for part, own in enumerate(range(0, max(1, len(rows)), ROWS)):
            place = f"{parent.label}/new-"
            if shard_count:
                shard = shards.shard_name((at + part) % shard_count)
                place = f"{shard}/{source.classes.index(parent.label)}-new-"
            found.append(Batch(parent, "" if part else home, place, rows[own : own + ROWS]))
    return found, _units(found)


def _units(found: Sequence[Batch]) -> list[list[int]]:
    """The batches of each shard; of what goes to folders each batch alone."""
    together: dict[object, list[int]] = {}
    for index, batch in enumerate(found):
        together.setdefault(batch.shard or index, []).append(index)
    return list(together.values())


def child(parent: Sample, ident: str, path: str, line: JournalEntry) -> Sample:
    """The sample of the new image that the line is about."""
    drawn = {"transform": line.transform, "params": json.loads(line.params), "seed": line.seed}
    return replace(parent, id=ident, path=path, parent=parent.id, **drawn)


def work(job: RenderJob, unit: int) -> list[JournalEntry]:
    """Write the images of a unit, which are files or a shard; return a journal entry for each."""
    entries = list[JournalEntry]()
    todo, building = job.together(unit), job.building
    shard = todo[0].shard
    if shard is None:
        for batch in todo:
            entries += _make(
                job, batch, lambda name, data: files.write_plain(f"{building}/{name}", data)
            )
        return entries
    with shards.shard_writer(building / shard) as add:
        for batch in todo:
            label = b"%d" % job.classes.index(batch.parent.label)

            def put(name: str, data: bytes, label: bytes = label) -> None:
                member = _member(name)
                add(member, data)
                add(f"{member.partition('.')[0]}.cls", label)

            entries += _make(job, batch, put)
    return entries


def _make(
    job: RenderJob, batch: Batch, put: Callable[[str, bytes], None]
) -> Iterator[JournalEntry]:
    """Make the images of a batch.

    A parent is decoded once, and of equal images (of the same transform and numbers, or without a
    change) one is made, encoded and hashed.
    """
    data = samples.sample_bytes(job.folder, batch.parent)
    if batch.home:
        put(batch.home, data)
    if not batch.numbers:
        return
    parent = samples.sample_picture(job.folder, job.size, batch.parent, data)
    known, eye = dict[tuple[str, str], _Encoded](), similarity.Fingerprinter(parent)
    for row, made in plan.plan_rows(batch.parent, batch.numbers, job.policy, job.seed, parent):
        params = manifest.canonical_json(row.params)
        found = known.get((row.transform, params))
        again = found is not None
        if found is None:
            picture = made or compose.change(row.transform, parent, row.params)
            same = picture is parent or images.same_pixels(picture, parent)
            found = (known.get(UNCHANGED) if same else None) or _encode(
                job.codec, picture, same, eye.look(picture)
            )
            known[row.transform, params] = found
            if same:
                known[UNCHANGED] = found
        put(job.path(batch, row.number), found.data)
        look = found.look
        seen = (found.same, look.change, look.moved, again or look.near)
        yield JournalEntry(row.number, row.transform, params, row.seed, found.digest, *seen)


@dataclass(frozen=True)
class _Encoded:
    data: bytes
    digest: str
    same: bool
    look: Similarity


def _encode(encoder: str, picture: Picture, same: bool, look: Similarity) -> _Encoded:
    data = images.ENCODERS[encoder](picture)
    return _Encoded(data, _digest(data), same, look)


def good(job: RenderJob, unit: int, lines: bytes) -> bool:
    """Whether the images of a finished unit are there, with the bytes that its lines name."""
    done = job.together(unit)
    shard = done[0].shard
    try:
        if shard is None:
            return _good(job, done, lines, lambda name: (job.building / name).read_bytes())
        with shards.shard_reader(job.building / shard) as read:
            return _good(job, done, lines, lambda name: read(_member(name)))
    except (OSError, InputError):
        return False


def _good(
    job: RenderJob, done: Sequence[Batch], lines: bytes, read: Callable[[str], bytes]
) -> bool:
    told = map(journal.unpack_entry, lines.splitlines())
    for batch in done:
        if batch.home and _digest(read(batch.home)) != manifest.content_hash(batch.parent):
            return False
        for number, line in zip(batch.numbers, told, strict=False):
            if line.number != number or _digest(read(job.path(batch, number))) != line.digest:
                return False
    return True


def _member(path: str) -> str:
    """The name in its shard of what has this path."""
    return path.rpartition("/")[2]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
