"""A picture of parents and their children, with what was done named under each."""

import functools
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from toolkit import codec, files
from toolkit.codec import Picture, Pixels
from toolkit.manifest import Manifest, Sample
from toolkit.printable import one_line

PARENTS, CHILDREN = 6, 5
GAP, LINE, FONT = 10, 13, 11  # pixels at a tile of 96
PAPER, INK, GREY = "white", "#1a1a1a", "#6b6b6b"


def sheet(
    manifest: Manifest,
    folder: Path,
    *,
    parents: int = PARENTS,
    children: int = CHILDREN,
    tile: int = 96,
) -> Pixels:
    """One row a parent: the parent, then its first children. Nothing is left to chance.

    `folder` is the manifest's, `tile` the side of a picture in pixels (64 or more). The parents
    are the first of each class in turn. With no derived sample in the manifest the sheet is blank.
    """
    return codec.to_pixels(_sheet(manifest, folder, parents, children, tile))


def write(path: Path, manifest: Manifest, folder: Path) -> None:
    """Write the sheet as PNG. Beside the images, not among them: it is nothing to train on."""
    paper = _sheet(manifest, folder, PARENTS, CHILDREN, tile=96)
    files.write(path, codec.signed_png(paper))


def write_pairs(path: Path, pairs: Sequence[tuple[Sample, Sample, str]], folder: Path) -> None:
    """Write a PNG of pairs, two a row: original, new image, and words to stand under that.

    `folder` is that of the samples' manifest. Without pairs the sheet is blank.
    """
    tile, width = 96, 2 * (96 + GAP)
    rows = max(1, math.ceil(len(pairs) / 2))
    size = (2 * (width + GAP) + GAP, rows * (tile + GAP + 2 * LINE) + GAP)
    paper = Image.new("RGB", size, PAPER)
    for number, (parent, child, words) in enumerate(pairs):
        left = GAP + number % 2 * (width + GAP)
        top = GAP + number // 2 * (tile + GAP + 2 * LINE)
        _cell(paper, folder, parent, caption(parent), (left, top), tile)
        under = (" ".join(caption(child)), words)
        _cell(paper, folder, child, under, (left + tile + GAP // 2, top), tile)
    files.write(path, codec.signed_png(paper))


def _sheet(manifest: Manifest, folder: Path, parents: int, children: int, tile: int) -> Picture:
    families = _families(manifest, parents, children)
    columns = 1 + max((len(family) for _, family in families), default=0)
    gap = GAP * tile // 96
    cell = (tile + gap, tile + gap + 2 * _line(tile))
    size = (columns * cell[0] + 2 * gap, max(1, len(families)) * cell[1] + gap)
    paper = Image.new("RGB", size, PAPER)
    for row, (parent, family) in enumerate(families):
        for column, sample in enumerate([parent, *family]):
            # The parent stands a little apart from its children.
            corner = (gap + column * cell[0] + (gap if column else 0), gap + row * cell[1])
            _cell(paper, folder, sample, caption(sample), corner, tile)
    return paper


def _cell(
    paper: Image.Image,
    folder: Path,
    sample: Sample,
    lines: tuple[str, str],
    corner: tuple[int, int],
    tile: int,
) -> None:
    """A picture with two lines under it."""
    _place(paper, codec.read_picture(folder / sample.path, tile), corner, tile)
    _caption(paper, lines, (corner[0], corner[1] + tile + 2), tile)


def caption(sample: Sample) -> tuple[str, str]:
    """Two short lines: the transform and the main number drawn; for a parent, its class."""
    if not sample.derived:
        return sample.label, "original"
    name = sample.transform.rpartition(".")[2].replace("_", " ")
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower().removeprefix("random ")
    return words, _number(sample.params.get("applied", sample.params))


def _number(params: Mapping[str, Any]) -> str:
    if params.get("acted") is False:
        return "not applied"
    if {"width", "height"} <= params.keys():
        return f"{params['width']} x {params['height']}"
    if "angle" in params:
        return f"{params['angle']:.1f}°"
    numbers = (f"{k.replace('_', ' ')} {v:.3g}" for k, v in params.items() if _is_number(v))
    return next(numbers, "")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _families(
    manifest: Manifest, parents: int, children: int
) -> Sequence[tuple[Sample, Sequence[Sample]]]:
    """The first parents of each class in turn, with their first children."""
    families: dict[str, list[Sample]] = {}
    for sample in manifest.samples:
        if sample.derived:
            families.setdefault(sample.parent, []).append(sample)
    by_class = [
        [parent for parent in families if manifest.by_id[parent].label == name]
        for name in manifest.classes
    ]
    turns = itertools.zip_longest(*by_class)
    chosen = [parent for turn in turns for parent in turn if parent is not None][:parents]
    return [(manifest.by_id[parent], families[parent][:children]) for parent in chosen]


def _place(paper: Image.Image, image: Picture, corner: tuple[int, int], tile: int) -> None:
    """Fit the picture into its tile, aspect ratio kept; small pictures are enlarged."""
    scale = tile / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    fitted = image.resize(size, Image.Resampling.BILINEAR)
    paper.paste(fitted, (corner[0] + (tile - size[0]) // 2, corner[1] + (tile - size[1]) // 2))


def _caption(
    paper: Image.Image, lines: tuple[str, str], corner: tuple[int, int], tile: int
) -> None:
    font = _font(FONT * tile / 96)
    pen = ImageDraw.Draw(paper)
    for number, (line, colour) in enumerate(zip(lines, (INK, GREY), strict=True)):
        place = (corner[0], corner[1] + number * _line(tile))
        pen.text(place, _fitting(pen, line, font, tile), colour, font)


@functools.cache
def _font(size: float) -> Any:
    """Pillow reads its own anew each time."""
    return ImageFont.load_default(size)


def _fitting(pen: ImageDraw.ImageDraw, line: str, font: Any, width: int) -> str:
    """What can be shown of the line, cut to the width."""
    line = one_line(line)
    if pen.textlength(line, font) <= width:
        return line
    while line and pen.textlength(f"{line}...", font) > width:
        line = line[:-1]
    return f"{line}..."


def _line(tile: int) -> int:
    return LINE * tile // 96
