"""A picture of parents and their children, with what was done named under each."""

import functools
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from toolkit.io import files, images
from toolkit.io.images import Picture, Pixels
from toolkit.io.manifest import Manifest, Sample
from toolkit.io.text import one_line

PARENTS, CHILDREN = 6, 5
SIDE = 96  # of a tile, pixels
GAP, LINE, FONT = 10, 13, 11  # pixels at a tile of 96
PAPER, INK, GREY = "white", "#1a1a1a", "#6b6b6b"

Tile = tuple[Picture, Sequence[str]]
"""A picture that fits into its place, and two or three lines to stand under it."""


def sheet(
    manifest: Manifest,
    folder: Path,
    *,
    parents: int = PARENTS,
    children: int = CHILDREN,
    tile: int = SIDE,
) -> Pixels:
    """One row a parent: the parent, then its first children. Nothing is left to chance.

    `folder` is the manifest's, `tile` the side of a picture in pixels (64 or more). The parents
    are the first of each class in turn. With no derived sample in the manifest the sheet is blank.
    """
    return images.to_pixels(_sheet(manifest, folder, parents, children, tile))


def write(path: Path, manifest: Manifest, folder: Path) -> None:
    """Write the sheet as PNG. Beside the images, not among them: it is nothing to train on."""
    paper = _sheet(manifest, folder, PARENTS, CHILDREN, SIDE)
    files.write_file(path, images.encode_signed_png(paper))


def write_rows(path: Path, rows: Sequence[Sequence[Tile]]) -> None:
    """Write a PNG of tiles of SIDE pixels; the first of a row stands a little apart."""
    files.write_file(path, images.encode_signed_png(_paper(rows, SIDE)))


def write_pairs(path: Path, pairs: Sequence[tuple[Sample, Sample, str]], folder: Path) -> None:
    """Write a PNG of pairs, two a row: original, new image, and words to stand under that.

    `folder` is that of the samples' manifest. Without pairs the sheet is blank.
    """
    side, width = SIDE, 2 * (SIDE + GAP)
    rows, height = max(1, math.ceil(len(pairs) / 2)), side + GAP + 3 * LINE
    size = (2 * (width + GAP) + GAP, rows * height + GAP)
    paper = Image.new("RGB", size, PAPER)
    for number, (parent, child, words) in enumerate(pairs):
        left = GAP + number % 2 * (width + GAP)
        top = GAP + number // 2 * height
        _cell(paper, _read(folder, parent, caption(parent), side), (left, top), side)
        beside = (left + side + GAP // 2, top)
        under = [line for line in (*caption(child), words) if line]
        _cell(paper, _read(folder, child, under, side), beside, side)
    files.write_file(path, images.encode_signed_png(paper))


def tile(picture: Picture, lines: Sequence[str], side: int = SIDE) -> Tile:
    """The picture fitted into a square, aspect ratio kept; small pictures are enlarged."""
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.BILINEAR), lines


def _sheet(manifest: Manifest, folder: Path, parents: int, children: int, side: int) -> Picture:
    families = _families(manifest, parents, children)
    rows = [
        [_read(folder, sample, caption(sample), side) for sample in (parent, *family)]
        for parent, family in families
    ]
    return _paper(rows, side)


def _read(folder: Path, sample: Sample, lines: Sequence[str], side: int) -> Tile:
    return tile(images.read_picture(folder / sample.path, side), lines, side)


def _paper(rows: Sequence[Sequence[Tile]], side: int) -> Picture:
    columns = max((len(row) for row in rows), default=1)
    gap = GAP * side // 96
    cell = (side + gap, side + gap + 2 * _line(side))
    size = (columns * cell[0] + 2 * gap, max(1, len(rows)) * cell[1] + gap)
    paper = Image.new("RGB", size, PAPER)
    for row, tiles in enumerate(rows):
        for column, one in enumerate(tiles):
            # The parent stands a little apart from its children.
            corner = (gap + column * cell[0] + (gap if column else 0), gap + row * cell[1])
            _cell(paper, one, corner, side)
    return paper


def _cell(paper: Image.Image, one: Tile, corner: tuple[int, int], side: int) -> None:
    """A picture in the middle of its square, with its lines under it."""
    picture, lines = one
    left, top = corner
    paper.paste(picture, (left + (side - picture.width) // 2, top + (side - picture.height) // 2))
    _caption(paper, lines, (left, top + side + 2), side)


def caption(sample: Sample) -> tuple[str, str]:
    """Two short lines: the transform and the main number drawn; for a parent, its class."""
    if not sample.derived:
        return sample.label, "original"
    own = {"transform": sample.transform, "params": sample.params}
    steps = sample.params.get("steps") or [own]
    numbers = [_number(step["params"].get("applied", step["params"])) for step in steps]
    return ", ".join(_words(step["transform"]) for step in steps), ", ".join(filter(None, numbers))


def _words(transform: str) -> str:
    name = transform.rpartition(".")[2].replace("_", " ")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower().removeprefix("random ")


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


def _caption(paper: Image.Image, lines: Sequence[str], corner: tuple[int, int], tile: int) -> None:
    font = _font(FONT * tile / 96)
    pen = ImageDraw.Draw(paper)
    for number, line in enumerate(lines):
        place = (corner[0], corner[1] + number * _line(tile))
        pen.text(place, _fitting(pen, line, font, tile), GREY if number else INK, font)


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
