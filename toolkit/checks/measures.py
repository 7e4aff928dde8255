"""An image as a few numbers that a person can check by eye: MEASURES, all from one decode."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

from toolkit.io.images import Picture, Pixels

LONGEST = 256
"""Pixels of the longer side that an image is reduced to: networks see no more."""
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601

Grey = npt.NDArray[np.float32]
"""Luma, 0 to 1, [height, width]."""


def measure_image(picture: Picture) -> npt.NDArray[np.float32]:
    """All of MEASURES of a picture that was `reduced`, in their order."""
    pixels = np.asarray(picture, dtype=np.uint8)
    grey = (pixels @ LUMA) / np.float32(255)
    return np.array([number(pixels, grey) for number in MEASURES.values()], dtype=np.float32)


def reduced(picture: Picture) -> Picture:
    """The picture with its longer side brought down to LONGEST; a smaller one as it is."""
    side = max(picture.size)
    if side <= LONGEST:
        return picture
    width, height = (max(1, round(length * LONGEST / side)) for length in picture.size)
    return picture.resize((width, height), Image.Resampling.BOX)


def _brightness(_pixels: Pixels, grey: Grey) -> float:
    """Mean luma: black is 0, white is 1."""
    return float(grey.mean())


def _darkest(_pixels: Pixels, grey: Grey) -> float:
    """The luma that 5 % of the pixels lie below."""
    return _quantile(grey, 0.05)


def _brightest(_pixels: Pixels, grey: Grey) -> float:
    """The luma that 99 % of the pixels lie below."""
    return _quantile(grey, 0.99)


def _quantile(grey: Grey, share: float) -> float:
    values, at = grey.ravel(), int(share * (grey.size - 1))
    return float(np.partition(values, at)[at])


def _contrast(_pixels: Pixels, grey: Grey) -> float:
    """Standard deviation of the luma: 0 for one colour, 0.5 for black and white halves."""
    return float(grey.std())


def _information(_pixels: Pixels, grey: Grey) -> float:
    """Entropy of the luma in 64 levels, in bits: 0 for one colour, 1 for two halves, at most 6."""
    counts = np.bincount((grey * 63.999).astype(np.uint8).ravel(), minlength=64)
    shares = counts[counts > 0] / grey.size
    return float(-(shares * np.log2(shares)).sum())


def _sharpness(_pixels: Pixels, grey: Grey) -> float:
    """How fast the luma's slope changes from pixel to pixel, as a share of the contrast.

    The standard deviation of the second difference, divided by that of the luma; 0 for one colour.
    """
    contrast = float(grey.std())
    if min(grey.shape) < 3 or contrast < 1 / 255:
        return 0.0
    beside = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((beside - 4 * grey[1:-1, 1:-1]).std()) / contrast


def _colour(pixels: Pixels, _grey: Grey) -> float:
    """Mean distance of the highest from the lowest channel: grey is 0, pure red is 1."""
    red, green, blue = (pixels[..., channel] for channel in range(3))
    high = np.maximum(np.maximum(red, green), blue)
    return float((high - np.minimum(np.minimum(red, green), blue)).mean()) / 255


def _warmth(pixels: Pixels, _grey: Grey) -> float:
    """Mean red less mean blue, -1 to 1."""
    return float(pixels[..., 0].mean() - pixels[..., 2].mean()) / 255


def _greenness(pixels: Pixels, _grey: Grey) -> float:
    """Mean green less the mean of red and blue, -1 to 1."""
    red, green, blue = (float(pixels[..., channel].mean()) for channel in range(3))
    return (green - (red + blue) / 2) / 255


MEASURES: dict[str, Callable[[Pixels, Grey], float]] = {
    "brightness": _brightness,
    "darkest": _darkest,
    "brightest": _brightest,
    "contrast": _contrast,
    "information": _information,
    "sharpness": _sharpness,
    "colour": _colour,
    "warmth": _warmth,
    "greenness": _greenness,
}
"""Reduced uint8 [height, width, 3] and its luma -> a number."""
