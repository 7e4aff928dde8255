"""Batches of the new images of one original: drawn, rendered, encoded and written."""

import hashlib
import json
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath

from toolkit.augmentation import plan
from toolkit.augmentation.journal import JournalEntry
from toolkit.augmentation.plan import PlannedImage
from toolkit.augmentation.similarity import Grays, compare_images, hash_texts, sample_grays
from toolkit.augmentation.transforms import compose
from toolkit.augmentation.transforms.policy import Policy
from toolkit.errors import InputError
from toolkit.io import images, inside, manifest, samples, shards
from toolkit.io.images import Picture
from toolkit.io.manifest import Manifest, Sample

SUFFIXES = {"png": ".png", "jpeg": ".jpg"}
UNCHANGED = ("", "")  # key of the image that equals its parent
MOST_ROWS = 256  # of a batch: its images stay in memory until it is done


@dataclass(frozen=True)
class Batch:
    """An original and the numbers of some of its new images.

    `home` is the path of the original's copy in the output ("" for none). The paths of the new
    images begin with `prefix`, which names a class folder or a shard. It is `shared` if others
    have new images of the original too.
    """

    parent: Sample
    home: str
    prefix: str
    numbers: Sequence[int]
    shared: bool = False

    @property
    def shard(self) -> PurePath | None:
        """The shard that the images go to; None for files in folders."""
        return shards.containing_shard(PurePath(self.prefix))


@dataclass(frozen=True)
class RenderJob:
    """All that the new images depend on.

    `bits` are those of 16 that gray levels use, None for all. `units` are the indices of batches
    that are rendered together: those of a shard, or one batch.
    """

    folder: Path
    building: Path
    size: int | None
    bits: int | None
    format: str
    policy: Policy
    seed: int
    classes: Sequence[str]
    quotas: Mapping[str, int]
    batches: Sequence[Batch]
    units: Sequence[Sequence[int]]

    def unit_batches(self, unit: int) -> list[Batch]:
        """Return the batches of a unit."""
        return [self.batches[index] for index in self.units[unit]]

    def unit_positions(self, unit: int) -> list[int]:
        """Return the positions in the plan, from 0, of a unit's rows."""
        return [at for batch in self.unit_batches(unit) for at in self._positions(batch)]

    def _positions(self, batch: Batch) -> list[int]:
        before = sum(n for label, n in self.quotas.items() if label < batch.parent.label)
        return [before + number - 1 for number in batch.numbers]

    def batch_indices(self) -> Sequence[int]:
        """Return for each row of the plan the index of its batch."""
        indices = array("i", bytes(4 * sum(self.quotas.values())))
        for index, batch in enumerate(self.batches):
            for at in self._positions(batch):
                indices[at] = index
        return indices

    def image_path(self, batch: Batch, number: int) -> str:
        """Return the path of a new image in the output."""
        return f"{batch.prefix}{number:06d}-{batch.parent.id[:8]}{SUFFIXES[self.format]}"


def make_batches(
    source: Manifest,
    assigned: Iterable[tuple[Sample, Sequence[int]]],
    homes: Sequence[Sample] | None,
    shard_count: int,
) -> list[Batch]:
    """Split the assigned numbers (see `plan.assign_parents`) into batches.

    With `homes`, the copies of the originals, there are batches of originals without new images
    too. Batches go to the shards in turn, the second one of an original to the shard after that of
    its first one. Raises InputError for more shards than originals.
    """
    numbers = {parent.id: of_parent for parent, of_parent in assigned}
    if homes is None:
        parents = [(parent, "") for parent in source.samples if parent.id in numbers]
    else:
        parents = [(s, home.path) for s, home in zip(source.samples, homes, strict=True)]
    if parents and shard_count > len(parents):
        message = f"--shards must be at most {len(parents)}, the number of originals used here"
        raise InputError(f"{message}, got {shard_count}")
    batches = []
    for at, (parent, home) in enumerate(parents):
        rows = array("i", numbers.get(parent.id, []))
        for part, start in enumerate(range(0, max(1, len(rows)), MOST_ROWS)):
            prefix = f"{parent.label}/new-"
            if shard_count:
                shard = shards.shard_name((at + part) % shard_count)
                prefix = f"{shard}/{source.classes.index(parent.label)}-new-"
            part_home = "" if part else home
            numbered = rows[start : start + MOST_ROWS]
            batches.append(Batch(parent, part_home, prefix, numbered, len(rows) > MOST_ROWS))
    return batches


def group_batches(batches: Sequence[Batch]) -> list[list[int]]:
    """Return the units: the indices of the batches of each shard, or of each batch alone."""
    units: dict[object, list[int]] = {}
    for index, batch in enumerate(batches):
        units.setdefault(batch.shard or index, []).append(index)
    return list(units.values())


def derived_sample(parent: Sample, ident: str, path: str, entry: JournalEntry) -> Sample:
    """Return the sample of a new image."""
    params = json.loads(entry.params)
    return replace(
        parent,
        id=ident,
        path=path,
        parent=parent.id,
        transform=entry.transform,
        params=params,
        seed=entry.seed,
    )


def render_unit(job: RenderJob, unit: int) -> list[JournalEntry]:
    """Write the images of a unit, and return an entry for each new one."""
    batches = job.unit_batches(unit)
    shard = batches[0].shard
    if shard is None:
        with inside.folder_writer(job.building) as write:
            return [entry for batch in batches for entry in _render_batch(job, batch, write)]
    entries = list[JournalEntry]()
    with shards.shard_writer(job.building / shard) as add:
        for batch in batches:
            put = partial(_put_member, add, job.classes.index(batch.parent.label))
            entries += _render_batch(job, batch, put)
    return entries


def _put_member(add: shards.AddMember, class_number: int, path: str, data: bytes) -> None:
    member = _member(path)
    add(member, data)
    add(f"{member.partition('.')[0]}.cls", b"%d" % class_number)


def _render_batch(
    job: RenderJob, batch: Batch, put: Callable[[str, bytes], None]
) -> list[JournalEntry]:
    """Write the images of a batch, and return an entry for each new one.

    The parent is decoded once. Equal images (of the same transform and params, or unchanged) are
    rendered, encoded and hashed once.
    """
    data = samples.sample_bytes(job.folder, batch.parent)
    if batch.home:
        put(batch.home, data)
    if not batch.numbers:
        return []
    parent = samples.sample_picture(job.folder, job.size, batch.parent, data, job.bits)
    original = sample_grays(parent)
    done, rows = dict[tuple[str, str], _EncodedImage](), list[_RenderedRow]()
    for row, rendered in plan.plan_rows(batch.parent, batch.numbers, job.policy, job.seed, parent):
        params = manifest.canonical_json(row.params)
        key = (row.transform, params)
        image = done.get(key)
        repeated = image is not None
        if image is None:
            picture = rendered or compose.apply_transform(row.transform, parent, row.params)
            grays = sample_grays(picture)
            identical = grays == original and picture.tobytes() == parent.tobytes()
            image = done.get(UNCHANGED) if identical else None
            image = image or _encode(job.format, picture, identical, grays)
            done[key] = image
            if identical:
                done[UNCHANGED] = image
        put(job.image_path(batch, row.number), image.data)
        rows.append((row, params, image, repeated))
    return _entries(original, rows, batch.shared)


@dataclass(frozen=True, eq=False)
class _EncodedImage:
    data: bytes
    digest: str
    identical: bool
    grays: Grays


_RenderedRow = tuple[PlannedImage, str, _EncodedImage, bool]
"""A row, its canonical params, its image, and whether an earlier row has the same params."""


def _encode(file_format: str, picture: Picture, identical: bool, grays: Grays) -> _EncodedImage:
    data = images.ENCODERS[file_format](picture)
    return _EncodedImage(data, _digest(data), identical, grays)


def _entries(original: Grays, rows: Sequence[_RenderedRow], with_looks: bool) -> list[JournalEntry]:
    distinct = list(dict.fromkeys(image for _, _, image, _ in rows))
    compared = compare_images(original, [image.grays for image in distinct])
    similarities = dict(zip(distinct, compared, strict=True))
    texts = hash_texts(original, [image.grays for image in distinct]) if with_looks else ()
    looks = dict(zip(distinct, texts, strict=False))
    return [
        JournalEntry(
            number=row.number,
            transform=row.transform,
            params=params,
            seed=row.seed,
            digest=image.digest,
            identical=image.identical,
            change=round(similarities[image].change, 1),
            moved=round(similarities[image].moved, 1),
            near_duplicate=repeated or similarities[image].near_duplicate,
            look=looks.get(image),
        )
        for row, params, image, repeated in rows
    ]


def is_intact(job: RenderJob, unit: int, entries: Sequence[JournalEntry]) -> bool:
    """Return whether the images of a finished unit are there, with the bytes of its entries."""
    try:
        return _all_match(job, job.unit_batches(unit), entries)
    except InputError:
        return False


def _all_match(job: RenderJob, batches: Sequence[Batch], entries: Sequence[JournalEntry]) -> bool:
    read = partial(inside.read_inside, job.building, limit=images.LIMITS.bytes)
    remaining = iter(entries)
    for batch in batches:
        if batch.home and _digest(read(batch.home)) != manifest.content_hash(batch.parent):
            return False
        for number, entry in zip(batch.numbers, remaining, strict=False):
            if (
                entry.number != number
                or _digest(read(job.image_path(batch, number))) != entry.digest
            ):
                return False
    return True


def _member(path: str) -> str:
    """Return the name in its shard of the file with this path."""
    return path.rpartition("/")[2]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
