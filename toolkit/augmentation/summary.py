"""What the new images are, transform by transform: how many, how different, how many over again."""

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

MOST = 8  # images that a report names as the most changed
MEASURES = {
    "change": "mean absolute difference to the original in grey levels, on 16 x 16 points",
    "moved": "the same to the original or its mirror image, whichever is nearer",
    "near_copies": "equal images, and those whose perceptual hash is within "
    f"{similarity.RADIUS} of 240 bits of the original's or an earlier new image's of it",
}


@dataclass
class Part:
    """The new images of a transform, or all of them.

    new: how many; near_copies: of these, the ones that look like their original or an earlier new
    image of it; identical: of these, the ones that equal their original. change: see MEASURES.
    """

    new: int = 0
    near_copies: int = 0
    identical: int = 0
    total_change: float = 0.0

    @property
    def distinct(self) -> int:
        """Those that are no near-copies."""
        return self.new - self.near_copies

    @property
    def change(self) -> float:
        """The mean over the images."""
        return self.total_change / self.new if self.new else 0.0

    def add(self, line: JournalEntry) -> None:
        """Count one more."""
        self.new += 1
        self.near_copies += line.near
        self.identical += line.same
        self.total_change += line.change

    def plain(self) -> dict[str, float]:
        """The numbers by name."""
        counts = {"new": self.new, "distinct": self.distinct, "near_copies": self.near_copies}
        return {**counts, "identical": self.identical, "change": round(self.change, 1)}


@dataclass(frozen=True)
class Changed:
    """A new image, its original, and how far it moved (see MEASURES)."""

    parent: Sample
    child: Sample
    moved: float


@dataclass(frozen=True)
class AugmentationReport:
    """All new images, those of each transform, and the most changed ones of each in turn.

    An image of a group counts for the group, and for each transform in it ("some_of: rotate").
    """

    all: Part
    transforms: Mapping[str, Part]
    most_changed: tuple[Changed, ...]


class Tally:
    """Counts new images one by one, in the order of the plan."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._all = Part()
        self._parts: dict[str, Part] = {}
        self._most: dict[str, list[tuple[float, int, Sample, str, str, JournalEntry]]] = {}

    def add(self, parent: Sample, ident: str, path: str, line: JournalEntry) -> None:
        """Count the image of `parent` that the line is about."""
        self._all.add(line)
        for name in _counted(line):
            self._parts.setdefault(name, Part()).add(line)
        # Of equally changed ones the first; no two have the same place, so that the rest is not
        # compared.
        most = self._most.setdefault(line.transform, [])
        heapq.heappush(most, (line.moved, -self._all.new, parent, ident, path, line))
        if len(most) > MOST:
            heapq.heappop(most)

    def report(self) -> AugmentationReport:
        """What was counted."""
        most = tuple(
            Changed(parent, batches.child(parent, ident, path, line), moved)
            for moved, _, parent, ident, path, line in self._farthest()
        )
        return AugmentationReport(self._all, dict(sorted(self._parts.items())), most)

    def _farthest(self) -> list[Any]:
        """Of each transform the most changed image, then of each the second, and so on."""
        places = [
            (place, found)
            for most in self._most.values()
            for place, found in enumerate(sorted(most, reverse=True))
            if found[0]
        ]
        places.sort(key=lambda placed: (placed[0], -placed[1][0], -placed[1][1]))
        return [found for _, found in places[:MOST]]


def _counted(line: JournalEntry) -> Iterator[str]:
    """What the image counts for: its transform, and of a group each transform that is in it."""
    yield line.transform
    if line.transform in GROUPS:
        inside = compose.names(line.transform, json.loads(line.params))
        yield from (f"{line.transform}: {name}" for name in sorted(set(inside)))


def describe_report(report: AugmentationReport) -> list[str]:
    """The report for a person: a line for all, and a table of the transforms."""
    found = report.all
    if not found.new:
        return []
    line = f"{found.new} new images: {found.distinct} distinct"
    near = f"{found.near_copies} near-copies of their original or of another"
    return [f"{line}, {near}" if found.near_copies else line, *_table(report)]


def _table(report: AugmentationReport) -> list[str]:
    return [
        f"  {name}: {part.new} new, {part.near_copies} near-copies, {part.identical} identical, "
        f"mean change {part.change:.1f}"
        for name, part in report.transforms.items()
    ]


def write_report(path: Path, report: AugmentationReport) -> None:
    """Write the report as JSON: the numbers, the measures in words, and the most changed images."""
    found: dict[str, Any] = {
        "software": images.SOFTWARE,
        **report.all.plain(),
        "transforms": {name: part.plain() for name, part in report.transforms.items()},
        "measures": MEASURES,
        "most_changed": [_plain(changed) for changed in report.most_changed],
    }
    files.write_file(path, json.dumps(found, indent=2, ensure_ascii=False) + "\n")


def _plain(changed: Changed) -> dict[str, Any]:
    child = changed.child
    return {
        "id": child.id,
        "path": child.path,
        "parent": child.parent,
        "transform": child.transform,
        "params": child.params,
        "moved": changed.moved,
    }
