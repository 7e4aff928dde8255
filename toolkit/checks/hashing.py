"""A small grey copy of an image, and how far two of them show the same picture.

A perceptual hash rounds a few low frequencies to bits and counts those that differ. Here the
frequencies stay numbers: `signatures` that lie close make two images candidates. `agreement` then
decides, by fitting one copy to the other through small shifts, crops and changes of light. Whether
two images are one picture depends on these, and on what all pictures of a folder have in common.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from toolkit.io.images import Picture

SIDE = 32
"""Pixels a side of the copy, whatever the image's shape."""
FREQUENCIES = 6
"""Lowest ones of each direction that are kept; the first of all, the mean, is not."""
MARGIN = 2
"""Outermost lines that are not compared: there a shift brings in what the other lacks."""
BLUR = np.array([0.0924, 0.2414, 0.3324, 0.2414, 0.0924])  # Gauss, 1.25 pixels wide
INNER = (SIDE - 2 * MARGIN) ** 2
"""Pixels that are compared."""
PATTERNS, MANY = 4, 400
"""Common patterns of a folder, and the images from which on it has any."""
TINY = 1e-3

Copies = npt.NDArray[np.uint8]
"""Blurred grey copies [N, SIDE, SIDE]."""
Floats = npt.NDArray[np.float32]


def small(picture: Picture) -> Copies:
    """The copy of one picture, [SIDE, SIDE]. The blur leaves the MARGIN as it is.

    Pillow's BOX is quicker to resize, but gives a picture and its mirror image different copies.
    """
    grey = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(grey.filter(_blur()), dtype=np.uint8)


@cache
def _blur() -> ImageFilter.Kernel:
    return ImageFilter.Kernel((len(BLUR), len(BLUR)), np.outer(BLUR, BLUR).ravel().tolist())


def mirrored(copies: Copies) -> Copies:
    """Left and right exchanged."""
    return copies[:, :, ::-1]


def signatures(copies: Copies) -> Floats:
    """Low frequencies (DCT-II) of each copy as a vector of length 1, [N, FREQUENCIES**2 - 1].

    The lowest frequencies, which hold most of it, come first.
    """
    waves = _waves()
    found = waves @ copies.astype(np.float32) @ waves.T
    vectors = found.reshape(len(copies), -1)[:, _order()]
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, TINY), dtype=np.float32)


@cache
def _waves() -> Floats:
    at, frequency = np.arange(SIDE) + 0.5, np.arange(FREQUENCIES)
    return np.cos(np.pi / SIDE * frequency[:, None] * at).astype(np.float32)


@cache
def _order() -> npt.NDArray[np.int64]:
    down, right = np.divmod(np.arange(FREQUENCIES**2), FREQUENCIES)
    return np.argsort(down + right, kind="stable")[1:]


# --- agreement --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Variants:
    """What small changes make of each copy, [N, ways, pixels], and the inverse of their products.

    The copy and its square for the light, its slopes for shifts, its slopes times the place for
    crops and stretches (Lucas and Kanade, 1981; the tangent distance of Simard and others, 1993).
    """

    parts: Floats
    inverse: Floats


def compared_pixels(copies: Copies) -> Floats:
    """What is compared of each copy: all but the MARGIN, 0 to 1 less the mean, [N, pixels]."""
    return _inner(_grey(copies))


def variants(copies: Copies, patterns: Floats | None = None) -> Variants:
    """The ways of each copy; without the `patterns`, where there are any."""
    grey = _grey(copies)
    down, right = np.gradient(grey, axis=1), np.gradient(grey, axis=2)
    place = (np.arange(SIDE, dtype=np.float32) - (SIDE - 1) / 2) / SIDE
    changed = (grey, np.square(grey), down, right, place[:, None] * down, place * right)
    parts = without(np.stack([_inner(one) for one in map(np.asarray, changed)], axis=1), patterns)
    products = parts @ parts.transpose(0, 2, 1) + TINY * np.eye(len(changed), dtype=np.float32)
    return Variants(parts, np.asarray(np.linalg.inv(products), dtype=np.float32))


def _grey(copies: Copies) -> Floats:
    return np.asarray(copies.astype(np.float32) / 255, dtype=np.float32)


def _inner(grey: Floats) -> Floats:
    inner = grey[:, MARGIN:-MARGIN, MARGIN:-MARGIN].reshape(len(grey), INNER)
    return np.asarray(inner - inner.mean(axis=1, keepdims=True))


def explained(one: Variants, wanted: Floats) -> Floats:
    """How much of each row of `wanted` [N, pixels] the ways explain by least squares: 0 to 1.

    Each copy its own row, or one copy all of them.
    """
    target = (one.parts @ wanted[:, :, None])[:, :, 0]
    weights = (one.inverse @ target[:, :, None])[:, :, 0]
    found = (weights * target).sum(axis=1) + TINY * np.square(weights).sum(axis=1)
    return np.asarray(found / np.maximum(np.square(wanted).sum(axis=1), TINY))


def agreement(ones: Copies, others: Copies, patterns: Floats | None = None) -> Floats:
    """How much of one copy the other explains, pair by pair: 0 nothing, 1 all; [N].

    The better of both directions counts. With `patterns`, of what is left without them.
    """
    one, other = (without(compared_pixels(copies), patterns) for copies in (ones, others))
    there = explained(variants(ones, patterns), other)
    return np.maximum(there, explained(variants(others, patterns), one))


# --- what all pictures of a folder have in common ---------------------------------------------


def patterns(copies: Copies) -> Floats | None:
    """What many pictures of a folder share, as a face or a machine's part in one place does.

    The principal components [PATTERNS, pixels] of the copies and their mirror images; None where
    there are fewer than MANY: copies of one picture would be a pattern.
    """
    if len(copies) < MANY:
        return None
    rows = np.concatenate([compared_pixels(copies), compared_pixels(mirrored(copies))])
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), TINY)
    _, vectors = np.linalg.eigh(rows.T @ rows)
    return np.asarray(vectors[:, -PATTERNS:].T, dtype=np.float32)


def without(rows: Floats, patterns: Floats | None) -> Floats:
    """Rows [..., pixels] less their share of the patterns."""
    return rows if patterns is None else np.asarray(rows - (rows @ patterns.T) @ patterns)
