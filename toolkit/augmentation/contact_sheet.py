"""Contact sheets: pictures of parents and their new images, with the transform named below."""

import functools
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from toolkit.io import files, images, samples
from toolkit.io.images import Picture
from toolkit.io.manifest import Manifest, Sample
from toolkit.io.text import one_line

PARENTS, CHILDREN = 6, 5
SIDE = 96  # of a tile, pixels
GAP, LINE, FONT = 10, 13, 11  # pixels
PAPER, INK, GRAY = "white", "#1a1a1a", "#6b6b6b"

Tile = tuple[Picture, Sequence[str]]
"""A picture that fits into a square of SIDE pixels, and two or three lines to print below it."""


def write_sheet(path: Path, manifest: Manifest, folder: Path) -> None:
    """Write a PNG of the first parents of each class in turn, each with its first new images.

    `folder` is that of the manifest. A manifest without new images gives a blank sheet.
    """
    rows = [
        [_read_tile(folder, sample, make_caption(sample)) for sample in family]
        for family in _families(manifest)
    ]
    write_rows(path, rows)


def write_rows(path: Path, rows: Sequence[Sequence[Tile]]) -> None:
    """Write a PNG of rows of tiles; the first of each row is set a little apart."""
    columns = max((len(row) for row in rows), default=1)
    width, height = SIDE + GAP, SIDE + GAP + 2 * LINE
    size = (columns * width + 2 * GAP, max(1, len(rows)) * height + GAP)
    paper = Image.new("RGB", size, PAPER)
    for row, tiles in enumerate(rows):
        for column, tile in enumerate(tiles):
            corner = (GAP + column * width + (GAP if column else 0), GAP + row * height)
            _paste(paper, tile, corner)
    files.write_file(path, images.encode_signed_png(paper))


def write_pairs(path: Path, pairs: Sequence[tuple[Sample, Sample, str]], folder: Path) -> None:
    """Write a PNG of pairs, two a row: an original, and its new image with a line to print below.

    `folder` is that of the samples' manifest. Without pairs the sheet is blank.
    """
    width = 2 * (SIDE + GAP)
    rows, height = max(1, math.ceil(len(pairs) / 2)), SIDE + GAP + 3 * LINE
    size = (2 * (width + GAP) + GAP, rows * height + GAP)
    paper = Image.new("RGB", size, PAPER)
    for number, (parent, child, text) in enumerate(pairs):
        left = GAP + number % 2 * (width + GAP)
        top = GAP + number // 2 * height
        _paste(paper, _read_tile(folder, parent, make_caption(parent)), (left, top))
        lines = [line for line in (*make_caption(child), text) if line]
        _paste(paper, _read_tile(folder, child, lines), (left + SIDE + GAP // 2, top))
    files.write_file(path, images.encode_signed_png(paper))


def make_tile(picture: Picture, lines: Sequence[str]) -> Tile:
    """Fit a picture into a square; the aspect ratio is kept, and small pictures are enlarged."""
    scale = SIDE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.BILINEAR), lines


def make_caption(sample: Sample) -> tuple[str, str]:
    """Return two short lines: the transform and its main param; for a parent, its class."""
    if not sample.derived:
        return sample.label, "original"
    single = {"transform": sample.transform, "params": sample.params}
    steps = sample.params.get("steps") or [single]
    numbers = [_main_param(step["params"].get("sampled", step["params"])) for step in steps]
    names = (_spaced(step["transform"]) for step in steps)
    return ", ".join(names), ", ".join(filter(None, numbers))


def _spaced(transform: str) -> str:
    """Return "gaussian blur" for gaussian_blur and for RandomGaussianBlur."""
    name = transform.rpartition(".")[2].replace("_", " ")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower().removeprefix("random ")


def _main_param(params: Mapping[str, Any]) -> str:
    if params.get("applied") is False:
        return "not applied"
    if {"width", "height"} <= params.keys():
        return f"{params['width']} x {params['height']}"
    if "angle" in params:
        return f"{params['angle']:.1f}°"
    numbers = (f"{k.replace('_', ' ')} {v:.3g}" for k, v in params.items() if _is_number(v))
    return next(numbers, "")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _families(manifest: Manifest) -> list[list[Sample]]:
    """Return the first parents of each class in turn, each followed by its first new images."""
    children: dict[str, list[Sample]] = {}
    for sample in manifest.samples:
        if sample.derived:
            children.setdefault(sample.parent, []).append(sample)
    by_class = [
        [parent for parent in children if manifest.by_id[parent].label == name]
        for name in manifest.classes
    ]
    turns = itertools.zip_longest(*by_class)
    parents = [parent for turn in turns for parent in turn if parent is not None][:PARENTS]
    return [[manifest.by_id[parent], *children[parent][:CHILDREN]] for parent in parents]


def _read_tile(folder: Path, sample: Sample, lines: Sequence[str]) -> Tile:
    return make_tile(samples.reduced_picture(folder, SIDE, sample), lines)


def _paste(paper: Picture, tile: Tile, corner: tuple[int, int]) -> None:
    """Paste a picture in the middle of its square, and print its lines below."""
    picture, lines = tile
    left, top = corner
    paper.paste(picture, (left + (SIDE - picture.width) // 2, top + (SIDE - picture.height) // 2))
    pen, font = ImageDraw.Draw(paper), _load_font()
    for number, line in enumerate(lines):
        place = (left, top + SIDE + 2 + number * LINE)
        pen.text(place, _shorten(line), GRAY if number else INK, font)


@functools.cache
def _load_font() -> Any:
    """Return Pillow's font, which it would otherwise read again each time."""
    return ImageFont.load_default(FONT)


@functools.lru_cache(maxsize=256)
def _shorten(line: str) -> str:
    """Cut the line to the width of a tile."""
    line, length = one_line(line), _load_font().getlength
    if length(line) <= SIDE:
        return line
    while line and length(f"{line}...") > SIDE:
        line = line[:-1]
    return f"{line}..."
