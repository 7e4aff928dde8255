"""The images of the page: small JPEGs of samples, new images, mistakes and changes."""

import base64
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toolkit.errors import InputError
from toolkit.evaluation import results
from toolkit.evaluation.changes import changed_images, correct_counts
from toolkit.evaluation.comparison import Comparison
from toolkit.evaluation.results import Mistake, RunResult
from toolkit.io import images, inside
from toolkit.io.images import Pixels
from toolkit.io.manifest import Manifest, Sample, read_manifest
from toolkit.io.samples import map_samples
from toolkit.io.sandbox import finished, sandboxed_map
from toolkit.reporting.curves import evenly_spaced

SIDE, QUALITY = 96, 80
"""Height of an image in pixels, at most, and its JPEG quality: a page holds hundreds."""
SHEET_QUALITY = 85
MAX_SAMPLES, MAX_CLASSES = 10, 12
"""Samples per class, and classes."""
MAX_MISTAKES, MAX_CHANGED = 6, 10
"""Mistakes per kind and run, and changed images per contrast."""


@dataclass(frozen=True)
class InlineImage:
    """A JPEG as a data URI, its alternative text, its size in CSS pixels, and lines below it."""

    uri: str
    alt: str
    width: int
    height: int
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Strip:
    """Images in a row, their title, and the total from which they were chosen."""

    title: str
    pictures: tuple[InlineImage, ...]
    total: int = 0


def inline_image(
    pixels: Pixels, alt: str, lines: Sequence[str] = (), quality: int = QUALITY
) -> InlineImage:
    """Encode an image, uint8 [H, W, 3], at its own size."""
    data = base64.b64encode(images.encode_jpeg(pixels, quality)).decode()
    height, width = pixels.shape[:2]
    return InlineImage(f"data:image/jpeg;base64,{data}", alt, width, height, tuple(lines))


def inline_squares(pixels: Pixels, alt: str, lines: Sequence[str] = ()) -> InlineImage:
    """Encode an image of one or several squares side by side, each reduced to SIDE at most."""
    side = len(pixels)
    squares = [pixels[:, left : left + side] for left in range(0, pixels.shape[1], side)]
    small = np.hstack([images.resize(square, min(side, SIDE)) for square in squares])
    return inline_image(small, alt, lines)


def inline_middle(pixels: Pixels, alt: str, lines: Sequence[str] = ()) -> InlineImage:
    """Encode the middle square of an image, reduced to SIDE at most."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return inline_squares(pixels[top : top + side, left : left + side], alt, lines)


def inline_sheet(path: Path, alt: str) -> InlineImage:
    """Encode a sheet of an arm at its own size."""
    return inline_image(images.read_image(path), alt, quality=SHEET_QUALITY)


def sample_strips(folder: Path, manifest: Manifest) -> list[Strip]:
    """Return training images of each class, evenly spaced along the manifest of `folder`."""
    strips = []
    for name in manifest.classes[:MAX_CLASSES]:
        samples = [sample for sample in manifest.samples if sample.label == name]
        chosen = [samples[at] for at in evenly_spaced(len(samples), MAX_SAMPLES)]
        alt = f"training image of class {name}"
        pixels = map_samples(folder, chosen, images.decode)
        pictures = tuple(inline_squares(each, alt) for each in pixels)
        strips.append(Strip(name, pictures, len(samples)))
    return strips


# --- the errors -------------------------------------------------------------------------------


def mistake_strips(runs: Sequence[RunResult]) -> dict[str, list[Strip]]:
    """Return by kind ("mistake", "hardest") a strip for each arm with images, of its first seed.

    `runs` are those of one recipe. Raises InputError as `results.read_mistakes` does.
    """
    first_run = {run.arm: run for run in reversed(runs)}
    strips: dict[str, list[Strip]] = {}
    for arm in dict.fromkeys(run.arm for run in runs):
        folder = first_run[arm].folder
        mistakes = results.read_mistakes(folder) if folder else ()
        for kind in dict.fromkeys(mistake.kind for mistake in mistakes):
            of_kind = [mistake for mistake in mistakes if mistake.kind == kind]
            chosen = of_kind[:MAX_MISTAKES]
            decoded = sandboxed_map(_read, chosen, 1)  # one process: each by itself takes longer
            pixels = finished(decoded, (mistake.file for mistake in chosen))
            pictures = tuple(map(_mistake, chosen, pixels))
            strips.setdefault(kind, []).append(Strip(arm, pictures))
    return strips


def _mistake(mistake: Mistake, pixels: Pixels) -> InlineImage:
    lines = (mistake.actual, f"predicted {mistake.predicted}", f"score {mistake.score:.3f}")
    alt = f"{', '.join(lines)}; at the right, the Grad-CAM heatmap"
    return inline_squares(pixels, alt, lines)


def _read(mistake: Mistake) -> Pixels:
    path = mistake.file
    try:
        return images.decode(inside.read_inside(path.parent, path.name, images.LIMITS.bytes))
    except InputError as error:
        raise InputError(f"{path}: {error}; run `toolkit evaluate` again") from error


def change_strips(compared: Comparison, runs: Sequence[RunResult], folder: Path) -> list[Strip]:
    """Return two strips for each arm of one recipe: the images that it fixed, and those it broke.

    An image is fixed if most runs of the baseline get it wrong and most of the arm get it right,
    and broken in the opposite case (see `changed_images`). `folder` holds the test images. Raises
    InputError as `read_manifest` and `map_samples` do.
    """
    samples, strips = read_manifest(folder).by_id, []
    before = [run for run in runs if run.arm == compared.baseline]
    for arm in dict.fromkeys(run.arm for run in runs if run.arm != compared.baseline):
        after = [run for run in runs if run.arm == arm]
        counts = correct_counts(before), correct_counts(after)
        for verb, (wrong, right) in (("fixed", (before, after)), ("broken", (after, before))):
            ids = changed_images(wrong, right, compared.test_images)
            chosen = [samples[ident] for ident in ids if ident in samples][:MAX_CHANGED]
            pixels = map_samples(folder, chosen, images.decode)
            pictures = tuple(
                _changed(each, sample, counts, len(after))
                for sample, each in zip(chosen, pixels, strict=True)
            )
            strips.append(Strip(f"{verb} by {arm}", pictures, len(ids)))
    return strips


def _changed(
    pixels: Pixels, sample: Sample, counts: tuple[Counter[str], Counter[str]], runs: int
) -> InlineImage:
    before, after = (count[sample.id] for count in counts)
    alt = (
        f"image of class {sample.label}, correct in {before} runs before and {after} of {runs} now"
    )
    lines = (sample.label, f"correct {before}, now {after}")
    return inline_squares(pixels, alt, lines)
