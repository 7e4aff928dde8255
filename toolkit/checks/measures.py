"""An image as a few numbers that a person can verify by eye: MEASURES, all from one decode."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

from toolkit.io.images import Picture, Pixels

LONGEST = 256
"""Pixels of the longer side that an image is reduced to: networks see no more."""
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601

Gray = npt.NDArray[np.float32]
"""Luma, 0 (black) to 1 (white), [height, width]."""


def measure_image(picture: Picture) -> npt.NDArray[np.float32]:
    """Compute all MEASURES of a downscaled image, in their order, [len(MEASURES)]."""
    pixels = np.asarray(picture, dtype=np.uint8)
    gray = (pixels @ LUMA) / np.float32(255)
    return np.array([measure(pixels, gray) for measure in MEASURES.values()], dtype=np.float32)


def downscale(picture: Picture) -> Picture:
    """Reduce the longer side to LONGEST pixels; a smaller image is returned as it is."""
    side = max(picture.size)
    if side <= LONGEST:
        return picture
    width, height = (max(1, round(length * LONGEST / side)) for length in picture.size)
    return picture.resize((width, height), Image.Resampling.BOX)


def _brightness(_pixels: Pixels, gray: Gray) -> float:
    """Mean luma: 0 is black, 1 is white."""
    return float(gray.mean())


def _luma_05(_pixels: Pixels, gray: Gray) -> float:
    """The luma that 5% of the pixels lie below."""
    return _quantile(gray, 0.05)


def _luma_99(_pixels: Pixels, gray: Gray) -> float:
    """The luma that 99% of the pixels lie below."""
    return _quantile(gray, 0.99)


def _quantile(gray: Gray, fraction: float) -> float:
    values, rank = gray.ravel(), int(fraction * (gray.size - 1))
    return float(np.partition(values, rank)[rank])


def _contrast(_pixels: Pixels, gray: Gray) -> float:
    """Standard deviation of the luma: 0 for a flat image, 0.5 for half black and half white."""
    return float(gray.std())


def _entropy(_pixels: Pixels, gray: Gray) -> float:
    """Entropy of the luma in 64 levels, in bits: 0 for a flat image, at most 6."""
    counts = np.bincount((gray * 63.999).astype(np.uint8).ravel(), minlength=64)
    fractions = counts[counts > 0] / gray.size
    return float(-(fractions * np.log2(fractions)).sum())


def _sharpness(_pixels: Pixels, gray: Gray) -> float:
    """Standard deviation of the luma's Laplacian over that of the luma; 0 for a flat image."""
    contrast = float(gray.std())
    if min(gray.shape) < 3 or contrast < 1 / 255:
        return 0.0
    neighbors = gray[:-2, 1:-1] + gray[2:, 1:-1] + gray[1:-1, :-2] + gray[1:-1, 2:]
    return float((neighbors - 4 * gray[1:-1, 1:-1]).std()) / contrast


def _colorfulness(pixels: Pixels, _gray: Gray) -> float:
    """Mean difference of the highest and the lowest channel: gray is 0, pure red is 1."""
    red, green, blue = (pixels[..., channel] for channel in range(3))
    high = np.maximum(np.maximum(red, green), blue)
    return float((high - np.minimum(np.minimum(red, green), blue)).mean()) / 255


def _warmth(pixels: Pixels, _gray: Gray) -> float:
    """Mean red minus mean blue, -1 to 1."""
    return float(pixels[..., 0].mean() - pixels[..., 2].mean()) / 255


def _greenness(pixels: Pixels, _gray: Gray) -> float:
    """Mean green minus the mean of red and blue, -1 to 1."""
    red, green, blue = (float(pixels[..., channel].mean()) for channel in range(3))
    return (green - (red + blue) / 2) / 255


MEASURES: dict[str, Callable[[Pixels, Gray], float]] = {
    "brightness": _brightness,
    "luma_05": _luma_05,
    "luma_99": _luma_99,
    "contrast": _contrast,
    "entropy": _entropy,
    "sharpness": _sharpness,
    "colorfulness": _colorfulness,
    "warmth": _warmth,
    "greenness": _greenness,
}
"""Functions from downscaled pixels, uint8 [height, width, 3], and their luma to a number."""
