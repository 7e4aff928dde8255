"""A small grey copy of an image, and how far two of them show the same picture.

A perceptual hash rounds a few low frequencies to bits and counts those that differ. Here the
frequencies stay numbers: `signatures` that lie close make two images candidates. `agreement` then
decides, by fitting one copy to the other through small shifts, crops and changes of light. Whether
two images are one picture depends on these two alone.
"""

from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from toolkit.codec import Picture

SIDE = 32
"""Pixels a side of the copy, whatever the image's shape."""
FREQUENCIES = 6
"""Lowest ones of each direction that are kept; the first of all, the mean, is not."""
LENGTH = FREQUENCIES**2 - 1
MARGIN = 2
"""Outermost lines that are not compared: there a shift brings in what the other lacks."""
BLUR = np.array([0.054, 0.244, 0.404, 0.244, 0.054], dtype=np.float32)  # Gauss, one pixel wide
TINY = 1e-3

Copies = npt.NDArray[np.uint8]
"""Grey copies [N, SIDE, SIDE]."""
Floats = npt.NDArray[np.float32]


def small(picture: Picture) -> Copies:
    """The grey copy of one picture, [SIDE, SIDE]."""
    grey = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(grey, dtype=np.uint8)


def mirrored(copies: Copies) -> Copies:
    """Left and right exchanged."""
    return copies[:, :, ::-1]


def signatures(copies: Copies) -> Floats:
    """Low frequencies (DCT-II) of each copy as a vector of length 1, [N, LENGTH].

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


def agreement(ones: Copies, others: Copies) -> Floats:
    """How much of one copy the other explains, pair by pair: 0 nothing, 1 all; [N].

    The other may be shifted, stretched along each side, and changed in brightness and contrast:
    least squares on the copy, its slopes, and its slopes times the place (Lucas and Kanade, 1981;
    the tangent distance of Simard and others, 1993). The better of both directions counts.
    """
    one, other = _blurred(ones), _blurred(others)
    return np.maximum(_explained(one, other), _explained(other, one))


def _blurred(copies: Copies) -> Floats:
    wide = np.pad(copies.astype(np.float32) / 255, ((0, 0), (2, 2), (2, 2)), mode="edge")
    down = sum(weight * wide[:, k : k + SIDE] for k, weight in enumerate(BLUR))
    return np.asarray(sum(weight * down[:, :, k : k + SIDE] for k, weight in enumerate(BLUR)))


def _explained(one: Floats, other: Floats) -> Floats:
    inner = (slice(None), slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    place = (np.arange(SIDE, dtype=np.float32) - (SIDE - 1) / 2) / SIDE
    down, right = np.gradient(one, axis=1), np.gradient(one, axis=2)
    ways = (one, down, right, place[:, None] * down, place * right)
    parts = np.stack([way[inner].reshape(len(one), -1) for way in ways], axis=1)
    wanted = other[inner].reshape(len(other), -1)
    parts -= parts.mean(axis=2, keepdims=True)
    wanted = wanted - wanted.mean(axis=1, keepdims=True)
    matrix = parts @ parts.transpose(0, 2, 1) + TINY * np.eye(len(ways), dtype=np.float32)
    target = (parts @ wanted[:, :, None])[:, :, 0]
    weights = np.linalg.solve(matrix, target[:, :, None])[:, :, 0]
    left = wanted - (weights[:, None, :] @ parts)[:, 0]
    total = np.square(wanted).sum(axis=1)
    return np.asarray(1 - np.square(left).sum(axis=1) / np.maximum(total, TINY), dtype=np.float32)
