"""An image as numbers that a changed copy gives itself away by: sharpness, noise, borders, levels.

No network: what is measured is written here. All is measured at the image's own size, where
blurring and resampling leave their traces.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from toolkit.errors import InputError
from toolkit.io.images import Pixels

Grey = npt.NDArray[np.float32]
"""Mean of the channels, 0 to 1, [height, width]."""
Vector = npt.NDArray[np.float64]

SMALLEST = 8
"""Pixels a side that an image must have."""
GRID = 4
"""Blocks a side that colours and contrast are taken of."""
CORNER = 8
"""The part of a side that counts as a corner, as its divisor."""
STEPS = (1, 2, 4)
"""Distances in pixels over which differences are taken."""
TURNS = 8
"""Sectors of half a turn that edges are sorted into."""
RANKS = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
TINY = 1e-6


def image_features(pixels: Pixels) -> Vector:
    """All of FEATURES, one after the other: 117 numbers for every image.

    Raises InputError for an image with a side under SMALLEST pixels.
    """
    if min(pixels.shape[:2]) < SMALLEST:
        size = " x ".join(str(side) for side in pixels.shape[:2])
        raise InputError(f"must be at least {SMALLEST} x {SMALLEST} pixels, got {size}")
    grey = pixels.mean(axis=2, dtype=np.float32) / 255
    return np.concatenate([np.ravel(part(pixels, grey)) for part in FEATURES.values()])


def _blocks(values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """The image cut to whole blocks, [GRID, GRID, pixels of a block, channels]."""
    height, width = (side // GRID for side in values.shape[:2])
    cut = values[: GRID * height, : GRID * width].reshape(GRID, height, GRID, width, -1)
    return cut.swapaxes(1, 2).reshape(GRID, GRID, height * width, -1)


def _colours(pixels: Pixels, _grey: Grey) -> Vector:
    """Mean red, green and blue of each block, 0 to 1."""
    return np.asarray(_blocks(pixels.astype(np.float32) / 255).mean(axis=2, dtype=np.float64))


def _contrast(_pixels: Pixels, grey: Grey) -> Vector:
    """Standard deviation of the grey of each block."""
    return np.asarray(_blocks(grey).std(axis=2, dtype=np.float64))


def _sharpness(_pixels: Pixels, grey: Grey) -> Vector:
    """Logarithm of the mean squared difference of pixels some steps apart, in four directions."""
    found = []
    for step in STEPS:
        pairs = (
            (grey[:, step:], grey[:, :-step]),
            (grey[step:], grey[:-step]),
            (grey[step:, step:], grey[:-step, :-step]),
            (grey[step:, :-step], grey[:-step, step:]),
        )
        found += [np.square(one - other).mean(dtype=np.float64) for one, other in pairs]
    return np.log(np.array(found) + TINY)


def _noise(_pixels: Pixels, grey: Grey) -> Vector:
    """Logarithms of quantiles of how far a pixel lies from its four neighbours."""
    beside = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    far = np.abs(4 * grey[1:-1, 1:-1] - beside)
    return np.log(np.quantile(far, RANKS).astype(np.float64) + 1 / 1024)


def _edges(_pixels: Pixels, grey: Grey) -> Vector:
    """Share of the gradients' energy in each direction (as in Dalal and Triggs, 2005)."""
    down, right = grey[1:, :-1] - grey[:-1, :-1], grey[:-1, 1:] - grey[:-1, :-1]
    sector = np.floor(np.arctan2(down, right) / np.pi * TURNS).astype(np.int64) % TURNS
    energy = np.bincount(sector.ravel(), (down**2 + right**2).ravel(), minlength=TURNS)
    return np.asarray(energy / (energy.sum() + TINY))


def _border(pixels: Pixels, grey: Grey) -> Vector:
    """Share of black pixels in each corner, and grey of the outermost line at each side."""
    high, wide = (side // CORNER for side in grey.shape)
    black = (pixels == 0).all(axis=2)
    corners = [part[:, columns].mean() for part in (black[:high], black[-high:])
               for columns in (slice(wide), slice(-wide, None))]  # fmt: skip
    sides = [line.mean(dtype=np.float64) for line in (grey[0], grey[-1], grey[:, 0], grey[:, -1])]
    return np.array([*corners, *sides])


def _levels(pixels: Pixels, _grey: Grey) -> Vector:
    """Of each channel: lowest and highest value, their shares, and unused values between them."""
    found = []
    for channel in range(3):
        counts = np.bincount(pixels[..., channel].ravel(), minlength=256)
        used = np.flatnonzero(counts)
        low, high = used[0], used[-1]
        unused = 1 - len(used) / (high - low + 1)
        found += [low / 255, high / 255, *(counts[[0, 255]] / counts.sum()), unused]
    return np.array(found)


def _repeats(pixels: Pixels, _grey: Grey) -> Vector:
    """Share of pixels equal to their neighbour at the right, below, and at both diagonals."""
    pairs = (
        (pixels[:, 1:], pixels[:, :-1]),
        (pixels[1:], pixels[:-1]),
        (pixels[1:, 1:], pixels[:-1, :-1]),
        (pixels[1:, :-1], pixels[:-1, 1:]),
    )
    return np.array([(one == other).all(axis=2).mean() for one, other in pairs])


FEATURES: dict[str, Callable[[Pixels, Grey], Vector]] = {
    "colours": _colours,
    "contrast": _contrast,
    "sharpness": _sharpness,
    "noise": _noise,
    "edges": _edges,
    "border": _border,
    "levels": _levels,
    "repeats": _repeats,
}
