"""Counts of the new images by transform: how many, how different, how many near-duplicates."""

import heapq
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.augmentation import batches, similarity
from toolkit.augmentation.journal import JournalEntry
from toolkit.augmentation.transforms import compose
from toolkit.augmentation.transforms.policy import GROUPS
from toolkit.io import files, images
from toolkit.io.manifest import Sample

MOST = 8  # images listed as the most changed
MEASURES = {
    "change": "mean absolute difference to the original in gray levels, on 16 x 16 points",
    "moved": "the same to the original or its mirror image, whichever is nearer",
    "near_duplicates": "equal images, and those whose perceptual hash is within "
    f"{similarity.RADIUS} of 240 bits of the original's or an earlier new image's of it",
}


@dataclass
class TransformCounts:
    """The new images of one transform, or of all.

    near_duplicates: those that resemble their original or an earlier new image of it; identical:
    of these, those that equal their original; total_change: the sum of `Similarity.change`.
    """

    new: int = 0
    near_duplicates: int = 0
    identical: int = 0
    total_change: float = 0.0

    @property
    def distinct(self) -> int:
        """The number of images that are not near-duplicates."""
        return self.new - self.near_duplicates

    @property
    def change(self) -> float:
        """The mean change."""
        return self.total_change / self.new if self.new else 0.0

    def add(self, entry: JournalEntry) -> None:
        """Count an image."""
        self.new += 1
        self.near_duplicates += entry.near_duplicate
        self.identical += entry.identical
        self.total_change += entry.change

    def to_json(self) -> dict[str, float]:
        """Return the numbers as they are written."""
        return {
            "new": self.new,
            "distinct": self.distinct,
            "near_duplicates": self.near_duplicates,
            "identical": self.identical,
            "change": round(self.change, 1),
        }


@dataclass(frozen=True)
class ChangedImage:
    """A new image, its original, and how far it moved (see MEASURES)."""

    parent: Sample
    child: Sample
    moved: float


@dataclass(frozen=True)
class AugmentationReport:
    """All new images, those of each transform, and the most changed ones of each in turn.

    An image of a group counts for the group, and for each transform in it ("some_of: rotate").
    """

    all: TransformCounts
    transforms: Mapping[str, TransformCounts]
    most_changed: tuple[ChangedImage, ...]


class Tally:
    """Counts new images one by one, in the order of the plan."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._all = TransformCounts()
        self._transforms: dict[str, TransformCounts] = {}
        self._most: dict[str, list[tuple[float, int, Sample, str, str, JournalEntry]]] = {}

    def add(self, parent: Sample, ident: str, path: str, entry: JournalEntry) -> None:
        """Count a new image of `parent`."""
        self._all.add(entry)
        for name in _counted_as(entry):
            self._transforms.setdefault(name, TransformCounts()).add(entry)
        # Among equally changed images the first counts; the numbers differ, so that the rest of
        # the tuple is never compared.
        most = self._most.setdefault(entry.transform, [])
        heapq.heappush(most, (entry.moved, -self._all.new, parent, ident, path, entry))
        if len(most) > MOST:
            heapq.heappop(most)

    def report(self) -> AugmentationReport:
        """Return the counts."""
        most = tuple(
            ChangedImage(parent, batches.derived_sample(parent, ident, path, entry), moved)
            for moved, _, parent, ident, path, entry in self._most_changed()
        )
        return AugmentationReport(self._all, dict(sorted(self._transforms.items())), most)

    def _most_changed(self) -> list[Any]:
        """Return the most changed image of each transform, then the second of each, and so on."""
        ranked = [
            (rank, image)
            for most in self._most.values()
            for rank, image in enumerate(sorted(most, reverse=True))
            if image[0]
        ]
        ranked.sort(key=lambda pair: (pair[0], -pair[1][0], -pair[1][1]))
        return [image for _, image in ranked[:MOST]]


def _counted_as(entry: JournalEntry) -> Iterator[str]:
    """Yield the image's transform, and of a group each transform that is in it."""
    yield entry.transform
    if entry.transform in GROUPS:
        inside = compose.transform_names(entry.transform, json.loads(entry.params))
        yield from (f"{entry.transform}: {name}" for name in sorted(set(inside)))


def describe_report(report: AugmentationReport) -> list[str]:
    """Return a line for all new images, and one for each transform, for a person to read."""
    counts = report.all
    if not counts.new:
        return []
    line = f"{counts.new} new images: {counts.distinct} distinct"
    if counts.near_duplicates:
        line += f", {counts.near_duplicates} near-duplicates of their original or of one another"
    return [line, *(_describe(name, part) for name, part in report.transforms.items())]


def _describe(name: str, counts: TransformCounts) -> str:
    return (
        f"  {name}: {counts.new} new, {counts.near_duplicates} near-duplicates, "
        f"{counts.identical} identical, mean change {counts.change:.1f}"
    )


def write_report(path: Path, report: AugmentationReport) -> None:
    """Write the report as JSON: the numbers, the measures in words, and the most changed images."""
    data: dict[str, Any] = {
        "software": images.SOFTWARE,
        **report.all.to_json(),
        "transforms": {name: counts.to_json() for name, counts in report.transforms.items()},
        "measures": MEASURES,
        "most_changed": [_changed_image(image) for image in report.most_changed],
    }
    files.write_sealed(path, data)


def _changed_image(image: ChangedImage) -> dict[str, Any]:
    child = image.child
    return {
        "id": child.id,
        "path": child.path,
        "parent": child.parent,
        "transform": child.transform,
        "params": child.params,
        "moved": image.moved,
    }
