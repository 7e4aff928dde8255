"""The pictures of the page: small JPEGs of samples, new images, mistakes, and of what changed."""

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toolkit.evaluation import results
from toolkit.evaluation.comparison import Comparison
from toolkit.evaluation.results import Mistake, RunResult
from toolkit.io import images, manifest
from toolkit.io.images import Pixels
from toolkit.io.manifest import Manifest, Sample

SIDE, QUALITY = 96, 80
"""Height of a thumbnail in pixels at most, and its JPEG quality: a page holds hundreds."""
MOST_SAMPLES, MOST_CLASSES = 10, 12
MOST_MISTAKES, MOST_CHANGED = 6, 10
"""Samples of a class, and classes; mistakes of a kind of a run; changed images of a contrast."""


@dataclass(frozen=True)
class InlineImage:
    """A JPEG as a data URI, its words, its size in CSS pixels, and lines to stand under it."""

    uri: str
    alt: str
    width: int
    height: int
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Strip:
    """Pictures in a row: what they are, and of how many."""

    title: str
    pictures: tuple[InlineImage, ...]
    total: int = 0


def inline_image(
    pixels: Pixels, alt: str, lines: Sequence[str] = (), quality: int = QUALITY
) -> InlineImage:
    """A picture of uint8 [H, W, 3] as it is."""
    data = base64.b64encode(images.encode_jpeg(pixels, quality)).decode()
    height, width = pixels.shape[:2]
    return InlineImage(f"data:image/jpeg;base64,{data}", alt, width, height, tuple(lines))


def thumbnail(path: Path, alt: str, lines: Sequence[str] = ()) -> InlineImage:
    """Square pictures, one or several beside each other in the file, each at most SIDE high.

    Raises InputError as `images.read_image`.
    """
    pixels = images.read_image(path)
    side = len(pixels)
    squares = [pixels[:, left : left + side] for left in range(0, pixels.shape[1], side)]
    small = np.hstack([images.resize(square, min(side, SIDE)) for square in squares])
    return inline_image(small, alt, lines)


def spread(samples: Sequence[Sample], most: int) -> list[Sample]:
    """At most `most` of the samples, evenly spaced along their order."""
    return [samples[at * len(samples) // most] for at in range(most)][: len(samples)]


# --- the data ---------------------------------------------------------------------------------


def sample_strips(folder: Path, table: Manifest) -> list[Strip]:
    """Training images of each class, chosen evenly along the manifest of `folder`."""
    found = []
    for name in table.classes[:MOST_CLASSES]:
        of = [sample for sample in table.samples if sample.label == name]
        shown = of if len(of) <= MOST_SAMPLES else spread(of, MOST_SAMPLES)
        alt = f"a training image of {name}"
        pictures = tuple(thumbnail(folder / sample.path, alt) for sample in shown)
        found.append(Strip(name, pictures, len(of)))
    return found


def inline_sheet(path: Path, alt: str) -> InlineImage:
    """A sheet of an arm, at the size that it has."""
    return inline_image(images.read_image(path), alt, quality=85)


# --- the errors -------------------------------------------------------------------------------


def mistake_strips(folder: Path, of: Sequence[RunResult]) -> dict[str, list[Strip]]:
    """By kind ("mistake", "hardest"), a strip for each arm with pictures: those of its first seed.

    `folder` holds the evaluations, `of` is the results of one recipe. Raises InputError as
    `results.read_mistakes` does.
    """
    first = {result.arm: result for result in reversed(of)}
    found: dict[str, list[Strip]] = {}
    for result in (first[arm] for arm in dict.fromkeys(result.arm for result in of)):
        shown = results.read_mistakes(folder / str(result.key))
        for kind in dict.fromkeys(mistake.kind for mistake in shown):
            of_kind = [mistake for mistake in shown if mistake.kind == kind]
            pictures = tuple(_mistake(mistake) for mistake in of_kind[:MOST_MISTAKES])
            found.setdefault(kind, []).append(Strip(result.arm, pictures))
    return found


def _mistake(mistake: Mistake) -> InlineImage:
    score = f"{mistake.score:.3f}"
    told = f"{mistake.actual}, called {mistake.predicted}, score {score}"
    lines = (f"{mistake.actual}", f"called {mistake.predicted}", f"score {score}")
    return thumbnail(mistake.file, f"{told}; at the right where the network looked", lines)


def changed(compared: Comparison, of: Sequence[RunResult], folder: Path) -> list[Strip]:
    """What each arm of one recipe fixed and broke: two strips for each; `folder` has the images.

    Fixed is an image that most runs of the baseline get wrong and most of the arm's right, broken
    one the other way round. Images of the rare classes come first, then those that more runs see
    differently. Raises InputError as `manifest.read_manifest` and `images.read_image`.
    """
    shown, strips = manifest.read_manifest(folder).by_id, []
    before = [result for result in of if result.arm == compared.baseline]
    for arm in dict.fromkeys(r.arm for r in of if r.arm != compared.baseline):
        after = [result for result in of if result.arm == arm]
        counts = hits(before), hits(after)
        for word, pair in (("fixed", (before, after)), ("broken", (after, before))):
            ids = turned(*pair, compared.test_images)
            known = [shown[ident] for ident in ids if ident in shown][:MOST_CHANGED]
            pictures = tuple(_turned(folder, sample, counts, len(after)) for sample in known)
            strips.append(Strip(f"{word} by {arm}", pictures, len(ids)))
    return strips


def _turned(folder: Path, sample: Sample, counts: Sequence[Counter[str]], runs: int) -> InlineImage:
    before, after = (count[sample.id] for count in counts)
    alt = f"an image of {sample.label}, right in {before} runs before and {after} of {runs} now"
    return thumbnail(folder / sample.path, alt, (sample.label, f"right {before}, now {after}"))


def turned(
    wrong: Sequence[RunResult], right: Sequence[RunResult], test: Mapping[str, int]
) -> list[str]:
    """Ids of the images that most of the runs `wrong` get wrong and most of `right` right.

    `test` is the number of images of each class.
    """
    actual = dict(zip(right[0].predictions.ids, right[0].predictions.actual, strict=True))
    few, many = hits(wrong), hits(right)
    found = [i for i in actual if 2 * few[i] < len(wrong) and 2 * many[i] > len(right)]
    return sorted(found, key=lambda i: (test[actual[i]], few[i] - many[i]))


def hits(runs: Sequence[RunResult]) -> Counter[str]:
    """How many of the runs get each image right, by id."""
    return Counter(
        ident
        for run in runs
        for ident, actual, predicted in zip(
            run.predictions.ids, run.predictions.actual, run.predictions.predicted, strict=True
        )
        if actual == predicted
    )
