"""Labeled images: read from a folder, decoded into memory, and dealt out in batches."""

import hashlib
import json
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from toolkit.datasets import folders
from toolkit.datasets.params import BY_NAME, ReadParams
from toolkit.errors import InputError
from toolkit.io import images, manifest, parallel
from toolkit.io.images import Pixels
from toolkit.io.manifest import Manifest, Sample
from toolkit.io.samples import map_samples
from toolkit.io.text import describe_rejected
from toolkit.progress import Track, ignore, silent
from toolkit.training import device

ORDER_STREAM = 1  # see state.WEIGHTS_STREAM
SMALLEST, LARGEST, STEP = 32, 128, 16
"""Pixels: the sizes that are chosen for images of many sizes."""


# --- folders of images ------------------------------------------------------------------------


@dataclass(frozen=True)
class LabeledFolder:
    """A folder of images and the table of them, whose paths are relative to the folder."""

    path: Path
    table: Manifest

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.path.resolve().name

    @property
    def bits(self) -> int | None:
        """The bits of 16 that gray levels use; None for all."""
        return images.noted_bits(self.table.notes)

    def scaled(self, bits: int | None) -> "LabeledFolder":
        """Return the same images with gray levels of so many bits, as those of another folder."""
        return replace(self, table=replace(self.table, notes={**self.table.notes, "bits": bits}))

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The rows of the table."""
        return self.table.samples

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, sorted."""
        return self.table.classes

    @property
    def labels(self) -> Tensor:
        """The samples' classes: int64 [N], indices into `classes`."""
        index = {name: k for k, name in enumerate(self.classes)}
        return torch.tensor([index[sample.label] for sample in self.samples])

    @property
    def weights(self) -> Tensor | None:
        """How much each sample counts in training: float32 [N], 1 on average; None: all alike."""
        if not self.table.weighted:
            return None
        given = torch.tensor([sample.weight for sample in self.samples], dtype=torch.float64)
        return (given / given.mean()).float()

    @property
    def originals(self) -> int:
        """How many of the samples were not derived from others."""
        return sum(not sample.derived for sample in self.samples)

    @property
    def original_counts(self) -> dict[str, int]:
        """How many of each class that is."""
        counts = Counter(sample.label for sample in self.samples if not sample.derived)
        return {name: counts[name] for name in self.classes}

    @property
    def originals_sha256(self) -> str:
        """A hash of the ids and labels of the samples that were not derived from others."""
        rows = sorted((sample.id, sample.label) for sample in self.samples if not sample.derived)
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()

    @property
    def sha256(self) -> str:
        """A hash of the table, and so of the images, whose ids are hashes of their files."""
        bits = [[str(self.bits)]] if self.bits else []
        row_fields = partial(manifest.row_fields, weighted=self.table.weighted)
        rows = [self.classes, *map(row_fields, self.samples), *bits]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def open_folder(
    path: Path,
    track: Track = silent,
    say: Callable[[str], object] = ignore,
    reading: ReadParams = BY_NAME,
) -> LabeledFolder:
    """Read the manifest in a folder; a folder without one is scanned, read as `reading` says.

    `say` gets a line on how it was understood, and one on files that are left out.
    Raises InputError for a folder that is missing, has no images or holds several splits, and as
    `manifest.read_manifest` does.
    """
    if any((path / name).is_file() for name in (manifest.TABLE, manifest.SIDECAR)):
        folders.check_by_name(path, reading)
        table = manifest.read_manifest(path)
        rejected = []
    else:
        table = folders.rescan(path, track, parallel.cores(), whole=True, settings=reading)
        rejected = table.notes["rejected"]
        say(f"{path}: {table.notes['read']}")
        if len({sample.split for sample in table.samples}) > 1:
            raise InputError(f"{path}: holds several splits; {folders.suggest_splits(table, path)}")
    if not table.samples:
        message = f"{path}: no images; expected <class>/file, at least one"
        reasons = [describe_rejected(rejected, len(rejected))] if rejected else []
        raise InputError("; ".join([message, *reasons]))
    if rejected:
        told = describe_rejected(rejected, len(rejected) + len(table.samples))
        say(f"{path}: {told}; `toolkit audit {path}` lists all of them")
    return LabeledFolder(path, table)


def choose_size(
    arm: LabeledFolder, valid: LabeledFolder, say: Callable[[str], object] = ignore
) -> int:
    """Return the height and width to train at, in pixels, by the headers of the images.

    That is the images' own if all are square and of one size. Otherwise it is the median of the
    arm's shorter sides, rounded to a multiple of STEP and within SMALLEST..LARGEST, and `say` gets
    a line on it. Raises InputError as `load_tensors` does.
    """
    shapes = [
        list(map_samples(folder.path, folder.samples, images.dimensions, parallel.cores()))
        for folder in (arm, valid)
    ]
    width, height = shapes[0][0]
    if width == height and {(width, height)} == {shape for one in shapes for shape in one}:
        return width
    median = statistics.median(min(shape) for shape in shapes[0])
    size = min(max(round(median / STEP) * STEP, SMALLEST), LARGEST)
    say(
        f"{arm.path}: the images are not square and of one size; all are resized to {size} x {size}"
        " pixels (`size` in the recipe sets another size)"
    )
    return size


def decode_samples(
    folder: LabeledFolder, samples: Sequence[Sample], size: int, workers: int = 0
) -> Iterator[Pixels]:
    """Decode images, resized to `size` x `size` pixels, in worker processes: 0 is one per core.

    Raises InputError as `load_tensors` does.
    """
    decode = partial(images.decode_resized, size=size, limits=images.LIMITS.scaled(folder.bits))
    return map_samples(folder.path, samples, decode, workers or parallel.cores())


# --- what is trained on -----------------------------------------------------------------------


class Data(Protocol):
    """Images to train on, in memory (`Tensors`) or on disk (`streaming.Stream`).

    labels: int64 [N], indices into `classes`; weights: as of LabeledFolder; originals: how many of
    the samples were not derived from others; size: height and width of every image, in pixels.
    """

    @property
    def labels(self) -> Tensor:
        """See above."""

    @property
    def weights(self) -> Tensor | None:
        """See above."""

    @property
    def classes(self) -> tuple[str, ...]:
        """See above."""

    @property
    def originals(self) -> int:
        """See above."""

    @property
    def size(self) -> int:
        """See above."""

    def to(self, device: torch.device) -> "Data":
        """Return the same data whose batches are on a device."""

    def take(self, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images (uint8 [n, 3, size, size]) and labels of the rows of each batch."""


@dataclass(frozen=True)
class Tensors:
    """Images in memory, in the order of their table.

    images: uint8 [N, 3, size, size], channels-last in memory; the others: see Data.
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    originals: int
    weights: Tensor | None = None

    @property
    def size(self) -> int:
        """Height and width of every image, in pixels."""
        return self.images.shape[-1]

    def to(self, device: torch.device) -> "Tensors":
        """Return the same on a device."""
        weights = None if self.weights is None else self.weights.to(device)
        images, labels = self.images.to(device), self.labels.to(device)
        return replace(self, images=images, labels=labels, weights=weights)

    def take(self, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images and labels; the row numbers go to the device in one piece."""
        if not batches:  # an epoch that was saved after its last step
            return
        order = torch.cat(list(batches)).to(self.labels.device)
        for rows in torch.split(order, [len(rows) for rows in batches]):
            yield self.images[rows], self.labels[rows]


@dataclass(frozen=True)
class Rows:
    """Some rows of other data, each as often as `rows` (int64 [N], on the CPU) names it."""

    data: Data
    rows: Tensor
    originals: int

    @property
    def labels(self) -> Tensor:
        """See Data."""
        return self.data.labels[self.rows.to(self.data.labels.device)]

    @property
    def weights(self) -> Tensor | None:
        """See Data; their mean over these rows is 1."""
        if self.data.weights is None:
            return None
        own = self.data.weights[self.rows.to(self.data.weights.device)]
        return own / own.mean()

    @property
    def classes(self) -> tuple[str, ...]:
        """See Data."""
        return self.data.classes

    @property
    def size(self) -> int:
        """See Data."""
        return self.data.size

    def to(self, device: torch.device) -> "Rows":
        """See Data."""
        return replace(self, data=self.data.to(device))

    def take(self, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """See Data."""
        return self.data.take([self.rows[batch] for batch in batches])


def load_tensors(folder: LabeledFolder, size: int, track: Track = silent) -> Tensors:
    """Decode all images of a folder, resized to `size` x `size` pixels.

    Raises InputError that names the file which is missing, differs from the manifest's sha256, or
    is not an image.
    """
    pixels = decode_samples(folder, folder.samples, size)
    return Tensors(
        images=stack_images(track(pixels, f"read {folder.name}", len(folder.samples))),
        labels=folder.labels,
        classes=folder.classes,
        originals=folder.originals,
        weights=folder.weights,
    )


def stack_images(pixels: Iterable[Pixels]) -> Tensor:
    """Stack images of one size as uint8 [N, 3, H, W], channels-last in memory."""
    return torch.stack([torch.from_numpy(image) for image in pixels]).permute(0, 3, 1, 2)


def class_counts(data: Data) -> dict[str, int]:
    """Count the images of each class, zeros included."""
    counts = Counter(data.labels.tolist())
    return {name: counts[index] for index, name in enumerate(data.classes)}


# --- their order ------------------------------------------------------------------------------


def shuffled_rows(count: int, take: int, seed: int, epoch: int) -> Tensor:
    """Return the row numbers of epoch 1, 2, ...: the next `take` of a stream of permutations.

    With `take` equal to `count` each epoch is one permutation of all rows. A smaller `take`, for
    arms that must not take more steps than the original, still reaches every row equally often.
    """
    first = (epoch - 1) * take
    rounds = range(first // count, (first + take - 1) // count + 1)
    stream = torch.cat([_permutation(count, seed, number) for number in rounds])
    return stream[first % count :][:take]


def _permutation(count: int, seed: int, number: int) -> Tensor:
    generator = torch.Generator().manual_seed(device.derive_seed(seed, ORDER_STREAM, number))
    return torch.randperm(count, generator=generator)


def split_batches(order: Tensor, size: int, least: int = 2) -> list[Tensor]:
    """Split in batches of `size`; a last batch of fewer than `least` joins the one before it.

    Batch norm needs two rows at least, and several processes need a row each.
    """
    batches = list(torch.split(order, size))
    if len(batches) > 1 and len(batches[-1]) < least:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches
