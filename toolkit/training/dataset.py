"""Manifest -> images as uint8 tensors in memory, decoded once."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from toolkit.errors import InputError
from toolkit.io import manifest, shards
from toolkit.io.images import Pixels, decode
from toolkit.io.manifest import Manifest, Sample
from toolkit.progress import Track, silent
from toolkit.training import device


class Data(Protocol):
    """What is trained on: images in memory (`Tensors`) or on disk (`streaming.Stream`).

    labels: int64 [N], indices into `classes`; originals: how many of the samples were not derived;
    size: height and width of every image, in pixels.
    """

    @property
    def labels(self) -> Tensor:
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

    def to(self, where: torch.device) -> "Data":
        """The same with what it gives on a device."""

    def take(self, parts: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Images (uint8 [n, 3, size, size]) and labels of the rows of each part in turn."""


@dataclass(frozen=True)
class Tensors:
    """Images in the manifest's order.

    images: uint8 [N, 3, size, size], channels-last in memory; labels: int64 [N], indices into
    `classes`; ids: the samples' ids; originals: how many of the samples were not derived.
    """

    images: Tensor
    labels: Tensor
    ids: tuple[str, ...]
    classes: tuple[str, ...]
    originals: int

    @property
    def size(self) -> int:
        """Height and width of every image, in pixels."""
        return self.images.shape[-1]

    def to(self, where: torch.device) -> "Tensors":
        """The same with images and labels on a device."""
        return replace(self, images=self.images.to(where), labels=self.labels.to(where))

    def take(self, parts: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Images and labels of the rows of each part; the rows go to the device in one piece."""
        if not parts:  # an epoch that was saved after its last step
            return
        order = torch.cat(list(parts)).to(self.labels.device)
        for rows in torch.split(order, [len(rows) for rows in parts]):
            yield self.images[rows], self.labels[rows]


def load_tensors(folder: Path, track: Track = silent) -> Tensors:
    """Decode all images of the manifest in `folder`.

    Raises InputError that names the file which is missing, differs from the manifest's sha256,
    is not an image, or is not square and of the first image's size; or the folder if it is empty.
    """
    table = manifest.read_manifest(folder)
    found = read_samples(folder, table)
    return Tensors(
        images=stack(track(_decoded(folder, found), f"read {folder.name}", len(found))),
        labels=labels(table),
        ids=tuple(sample.id for sample in found),
        classes=table.classes,
        originals=sum(not sample.derived for sample in table.samples),
    )


def read_samples(folder: Path, table: Manifest) -> tuple[Sample, ...]:
    """The samples of the manifest in `folder`. Raises InputError if there are none."""
    if not table.samples:
        raise InputError(f"{folder / manifest.TABLE}: no images; at least one is needed")
    return table.samples


def labels(table: Manifest) -> Tensor:
    """The samples' classes: int64 [N], indices into the manifest's classes."""
    return torch.tensor([table.classes.index(sample.label) for sample in table.samples])


def _decoded(folder: Path, samples: Sequence[Sample]) -> Iterable[Pixels]:
    size = 0
    for sample in samples:
        pixels = image(folder, sample, size)
        size = len(pixels)
        yield pixels


def image(folder: Path, sample: Sample, size: int = 0) -> Pixels:
    """Decode one image, of `size` x `size` pixels, or of any size with 0. Raises as `load` does."""
    pixels = _decode(folder / sample.path, sample)
    height, width = pixels.shape[:2]
    size = size or height
    if (height, width) != (size, size):
        found = f"expected {size} x {size} pixels like the images before it, got"
        remedy = "`toolkit prepare` makes images square and of one size"
        raise InputError(f"{folder / sample.path}: {found} {width} x {height}; {remedy}")
    return pixels


def _decode(path: Path, sample: Sample) -> Pixels:
    try:
        data = shards.read_member(path)
    except OSError as error:
        reason = f"{path}: cannot be read ({error.strerror})"
        raise InputError(f"{reason}; `dvc checkout` or `dvc repro` restores it") from error
    if hashlib.sha256(data).hexdigest() != manifest.content_hash(sample):
        message = f"{path}: changed since the manifest was written"
        raise InputError(f"{message}; `dvc checkout` or `dvc repro` restores it")
    try:
        return decode(data)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def stack(images: Iterable[Pixels]) -> Tensor:
    """Images of one size -> uint8 [N, 3, H, W], channels-last in memory."""
    return torch.stack([torch.from_numpy(pixels) for pixels in images]).permute(0, 3, 1, 2)


def class_counts(data: Data) -> dict[str, int]:
    """Images of each class."""
    found = Counter(data.labels.tolist())
    return {name: found[index] for index, name in enumerate(data.classes)}


def missing_classes(data: Data) -> list[str]:
    """The classes that have no image."""
    return [name for name, n in class_counts(data).items() if n == 0]


SHUFFLE = 1  # see fitting: each use of a seed draws from a stream of its own


def shuffled(count: int, take: int, seed: int, epoch: int) -> Tensor:
    """Row numbers of epoch 1, 2, ...: the next `take` of an endless stream of permutations.

    With `take` equal to `count` each epoch is one permutation of all rows. A smaller `take`, for
    arms that must not take more steps than the original, still reaches every row equally often.
    """
    first = (epoch - 1) * take
    rounds = range(first // count, (first + take - 1) // count + 1)
    stream = torch.cat([_permutation(count, seed, number) for number in rounds])
    return stream[first % count :][:take]


def _permutation(count: int, seed: int, number: int) -> Tensor:
    generator = torch.Generator().manual_seed(device.derive_seed(seed, SHUFFLE, number))
    return torch.randperm(count, generator=generator)


def batches(order: Tensor, size: int, least: int = 2) -> list[Tensor]:
    """Split in parts of `size`; a last part of fewer than `least` joins the part before it.

    Batch norm cannot do with one row, several processes not with fewer rows than there are.
    """
    parts = list(torch.split(order, size))
    if len(parts) > 1 and len(parts[-1]) < least:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts
