"""Image statistics that give edited copies away: sharpness, noise, edges, borders, levels.

No network is involved. Everything is measured at the image's own size, where blurring and
resampling leave their traces.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from toolkit.errors import InputError
from toolkit.io.images import Pixels

Gray = npt.NDArray[np.float32]
"""Mean of the channels, 0 to 1, shape [height, width]."""
Vector = npt.NDArray[np.float64]

MIN_SIDE = 8  # pixels
GRID = 4  # blocks per side for colors and contrast
CORNER = 8  # a corner is this fraction of a side, as its divisor
STEPS = (1, 2, 4)  # distances in pixels of the differences
DIRECTIONS = 8  # sectors of a half turn that edges are sorted into
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
TINY = 1e-6


def image_features(pixels: Pixels) -> Vector:
    """Compute all of FEATURES, concatenated: 117 numbers whatever the image's size.

    Raises InputError for an image with a side under MIN_SIDE pixels.
    """
    if min(pixels.shape[:2]) < MIN_SIDE:
        size = " x ".join(str(side) for side in pixels.shape[:2])
        raise InputError(f"must be at least {MIN_SIDE} x {MIN_SIDE} pixels, got {size}")
    gray = pixels.mean(axis=2, dtype=np.float32) / 255
    return np.concatenate([np.ravel(compute(pixels, gray)) for compute in FEATURES.values()])


def _blocks(values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Crop to whole blocks, shape [GRID, GRID, pixels of a block, channels]."""
    height, width = (side // GRID for side in values.shape[:2])
    cropped = values[: GRID * height, : GRID * width].reshape(GRID, height, GRID, width, -1)
    return cropped.swapaxes(1, 2).reshape(GRID, GRID, height * width, -1)


def _colors(pixels: Pixels, _gray: Gray) -> Vector:
    """Mean red, green and blue of each block, 0 to 1."""
    return np.asarray(_blocks(pixels.astype(np.float32) / 255).mean(axis=2, dtype=np.float64))


def _contrast(_pixels: Pixels, gray: Gray) -> Vector:
    """Standard deviation of the gray values of each block."""
    return np.asarray(_blocks(gray).std(axis=2, dtype=np.float64))


def _sharpness(_pixels: Pixels, gray: Gray) -> Vector:
    """Logarithm of the mean squared difference of pixels STEPS apart, in four directions."""
    energies = []
    for step in STEPS:
        pairs = (
            (gray[:, step:], gray[:, :-step]),
            (gray[step:], gray[:-step]),
            (gray[step:, step:], gray[:-step, :-step]),
            (gray[step:, :-step], gray[:-step, step:]),
        )
        energies += [np.square(one - other).mean(dtype=np.float64) for one, other in pairs]
    return np.log(np.array(energies) + TINY)


def _noise(_pixels: Pixels, gray: Gray) -> Vector:
    """Logarithms of QUANTILES of the absolute Laplacian."""
    neighbors = gray[:-2, 1:-1] + gray[2:, 1:-1] + gray[1:-1, :-2] + gray[1:-1, 2:]
    laplacian = np.abs(4 * gray[1:-1, 1:-1] - neighbors)
    return np.log(np.quantile(laplacian, QUANTILES).astype(np.float64) + 1 / 1024)


def _edges(_pixels: Pixels, gray: Gray) -> Vector:
    """Fraction of the gradients' energy per direction, as in HOG (Dalal and Triggs, 2005)."""
    down, right = gray[1:, :-1] - gray[:-1, :-1], gray[:-1, 1:] - gray[:-1, :-1]
    sector = np.floor(np.arctan2(down, right) / np.pi * DIRECTIONS).astype(np.int64) % DIRECTIONS
    energy = np.bincount(sector.ravel(), (down**2 + right**2).ravel(), minlength=DIRECTIONS)
    return np.asarray(energy / (energy.sum() + TINY))


def _border(pixels: Pixels, gray: Gray) -> Vector:
    """Fraction of black pixels in each corner, and mean gray of the outermost line of each side."""
    height, width = (side // CORNER for side in gray.shape)
    black = (pixels == 0).all(axis=2)
    corners = [rows[:, columns].mean() for rows in (black[:height], black[-height:])
               for columns in (slice(width), slice(-width, None))]  # fmt: skip
    sides = [line.mean(dtype=np.float64) for line in (gray[0], gray[-1], gray[:, 0], gray[:, -1])]
    return np.array([*corners, *sides])


def _levels(pixels: Pixels, _gray: Gray) -> Vector:
    """Per channel: minimum, maximum, fractions of 0 and 255, and of unused values in between."""
    levels = []
    for channel in range(3):
        counts = np.bincount(pixels[..., channel].ravel(), minlength=256)
        used = np.flatnonzero(counts)
        low, high = used[0], used[-1]
        unused = 1 - len(used) / (high - low + 1)
        levels += [low / 255, high / 255, *(counts[[0, 255]] / counts.sum()), unused]
    return np.array(levels)


def _repeats(pixels: Pixels, _gray: Gray) -> Vector:
    """Fraction of pixels equal to their neighbor to the right, below, and on both diagonals."""
    pairs = (
        (pixels[:, 1:], pixels[:, :-1]),
        (pixels[1:], pixels[:-1]),
        (pixels[1:, 1:], pixels[:-1, :-1]),
        (pixels[1:, :-1], pixels[:-1, 1:]),
    )
    return np.array([(one == other).all(axis=2).mean() for one, other in pairs])


FEATURES: dict[str, Callable[[Pixels, Gray], Vector]] = {
    "colors": _colors,
    "contrast": _contrast,
    "sharpness": _sharpness,
    "noise": _noise,
    "edges": _edges,
    "border": _border,
    "levels": _levels,
    "repeats": _repeats,
}
