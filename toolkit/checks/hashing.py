"""Small gray descriptors of images, and how much two of them agree.

A perceptual hash rounds a few low frequencies to bits and counts those that differ. Here the
frequencies stay real numbers: images whose `signatures` are close become candidates. `similarity`
then decides, by fitting one descriptor to the other through small shifts, crops and changes of
light, and without what all images of a folder have in common.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter
from threadpoolctl import threadpool_limits  # scikit-learn's own dependency

from toolkit.io.images import Picture

SIDE = 32
"""Height and width of a descriptor, whatever the shape of the image."""
FREQUENCIES = 6
"""Lowest frequencies per direction in a signature; the very first, the mean, is left out."""
MARGIN = 2
"""Outermost rows and columns that are not compared: a shift brings in new content there."""
BLUR = np.array([0.0924, 0.2414, 0.3324, 0.2414, 0.0924])  # Gaussian, 1.25 pixels wide
INNER = (SIDE - 2 * MARGIN) ** 2
"""Pixels that are compared."""
PATTERNS, MIN_IMAGES = 4, 400
"""Common patterns of a folder, and the images that it must have to have any."""
TINY = 1e-3

Descriptors = npt.NDArray[np.uint8]
"""Blurred gray images [N, SIDE, SIDE]."""
Floats = npt.NDArray[np.float32]


def descriptor(picture: Picture) -> Descriptors:
    """Compute the descriptor of one image, [SIDE, SIDE]. The blur leaves the MARGIN as it is.

    Pillow's BOX filter resizes faster, but treats an image and its mirror image differently.
    """
    gray = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(gray.filter(_blur()), dtype=np.uint8)


@cache
def _blur() -> ImageFilter.Kernel:
    return ImageFilter.Kernel((len(BLUR), len(BLUR)), np.outer(BLUR, BLUR).ravel().tolist())


def mirrored(descriptors: Descriptors) -> Descriptors:
    """Flip descriptors [N, SIDE, SIDE] horizontally."""
    return descriptors[:, :, ::-1]


def signatures(descriptors: Descriptors) -> Floats:
    """Compute the low frequencies (DCT-II) as unit vectors, [N, FREQUENCIES**2 - 1].

    The lowest frequencies, which carry most of the energy, come first.
    """
    waves = _waves()
    spectrum = waves @ descriptors.astype(np.float32) @ waves.T
    vectors = spectrum.reshape(len(descriptors), -1)[:, _order()]
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, TINY), dtype=np.float32)


@cache
def _waves() -> Floats:
    position, frequency = np.arange(SIDE) + 0.5, np.arange(FREQUENCIES)
    return np.cos(np.pi / SIDE * frequency[:, None] * position).astype(np.float32)


@cache
def _order() -> npt.NDArray[np.int64]:
    down, right = np.divmod(np.arange(FREQUENCIES**2), FREQUENCIES)
    return np.argsort(down + right, kind="stable")[1:]


# --- similarity -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Tangents:
    """The directions in which small changes move each descriptor, [N, directions, pixels].

    `inverse` [N, directions, directions] is that of their Gram matrices. Directions: the image and
    its square for the light, its gradients for shifts, and the gradients times the position for
    crops and stretches (Lucas and Kanade, 1981; the tangent distance of Simard et al., 1993).
    """

    directions: Floats
    inverse: Floats


def tangents(descriptors: Descriptors, patterns: Floats | None = None) -> Tangents:
    """Compute the tangents of descriptors [N, SIDE, SIDE], without the `patterns` if given."""
    gray = _gray(descriptors)
    down, right = np.gradient(gray, axis=1), np.gradient(gray, axis=2)
    position = (np.arange(SIDE, dtype=np.float32) - (SIDE - 1) / 2) / SIDE
    changes = (gray, np.square(gray), down, right, position[:, None] * down, position * right)
    inner = np.stack([_inner(np.asarray(change)) for change in changes], axis=1)
    directions = project_out(inner, patterns)
    gram = directions @ directions.transpose(0, 2, 1)
    gram += TINY * np.eye(len(changes), dtype=np.float32)
    return Tangents(directions, np.asarray(np.linalg.inv(gram), dtype=np.float32))


def compared_pixels(descriptors: Descriptors) -> Floats:
    """Return the pixels without the MARGIN, 0 to 1, minus their mean, [N, pixels]."""
    return _inner(_gray(descriptors))


def _gray(descriptors: Descriptors) -> Floats:
    return np.asarray(descriptors.astype(np.float32) / 255, dtype=np.float32)


def _inner(gray: Floats) -> Floats:
    inner = gray[:, MARGIN:-MARGIN, MARGIN:-MARGIN].reshape(len(gray), INNER)
    return np.asarray(inner - inner.mean(axis=1, keepdims=True))


def explained_fraction(one: Tangents, targets: Floats) -> Floats:
    """Return the fraction of each target [N, pixels] that least squares explains, 0 to 1, [N].

    Each descriptor is fitted to its own target, or a single one to all of them.
    """
    projections = (one.directions @ targets[:, :, None])[:, :, 0]
    weights = (one.inverse @ projections[:, :, None])[:, :, 0]
    explained = (weights * projections).sum(axis=1) + TINY * np.square(weights).sum(axis=1)
    return np.asarray(explained / np.maximum(np.square(targets).sum(axis=1), TINY))


def similarity(ones: Descriptors, others: Descriptors, patterns: Floats | None = None) -> Floats:
    """Return how much of one descriptor the other explains, pair by pair, 0 to 1, [N].

    The better of both directions counts. With `patterns`, only what remains without them.
    """
    one, other = (project_out(compared_pixels(each), patterns) for each in (ones, others))
    forth = explained_fraction(tangents(ones, patterns), other)
    return np.maximum(forth, explained_fraction(tangents(others, patterns), one))


# --- what all images of a folder have in common -----------------------------------------------


def common_patterns(descriptors: Descriptors) -> Floats | None:
    """Return what many images of a folder share, such as a face or a machine part in one place.

    These are the principal components [PATTERNS, pixels] of the descriptors and their mirror
    images; None for fewer than MIN_IMAGES, where duplicates of one image would be a pattern.
    """
    if len(descriptors) < MIN_IMAGES:
        return None
    rows = np.concatenate([compared_pixels(descriptors), compared_pixels(mirrored(descriptors))])
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), TINY)
    with threadpool_limits(1):  # beside other work two threads wait 5 s for one another
        _, vectors = np.linalg.eigh(rows.T @ rows)
    return np.asarray(vectors[:, -PATTERNS:].T, dtype=np.float32)


def project_out(rows: Floats, patterns: Floats | None) -> Floats:
    """Remove the patterns from rows [..., pixels]."""
    return rows if patterns is None else np.asarray(rows - (rows @ patterns.T) @ patterns)
