"""What chance decides of each transform: draw(rng, image, **arguments) gives the numbers.

Numbers are drawn by IEEE operations and rounded, so that every machine writes down the same ones.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from numpy.random import Generator
from PIL import Image

Params = Mapping[str, Any]
"""What was drawn: JSON scalars and lists under readable names."""


def uniform(rng: Generator, low: float, high: float) -> float:
    """Uniform on [low, high], to six decimals: readable, and the same on every machine."""
    return min(max(round(low + (high - low) * rng.random(), 6), low), high)


def integer(rng: Generator, low: int, high: int) -> int:
    """Uniform on low ... high."""
    return low + int(rng.integers(high - low + 1))


def size(image: Any) -> tuple[int, int]:
    """Width and height of a picture or of an array of pixels."""
    return image.size if isinstance(image, Image.Image) else image.shape[1::-1]


def no_params(_rng: Generator, _image: Any) -> Params:
    """For what always does the same."""
    return {}


def sample_applied(rng: Generator, _image: Any, *, p: float, **fixed: Any) -> Params:
    """Whether it is done at all."""
    return {"acted": rng.random() < p, **fixed}


def sample_angle(rng: Generator, _image: Any, *, degrees: float) -> Params:
    """An angle, either way."""
    return {"angle": uniform(rng, -degrees, degrees)}


def sample_sigma(rng: Generator, _image: Any, *, sigma: list[float]) -> Params:
    """The width of a blur in pixels."""
    return {"sigma": uniform(rng, *sigma)}


def frame_width(_rng: Generator, _image: Any, *, pixels: int) -> Params:
    """The width of a frame, which is fixed."""
    return {"pixels": pixels}


def sample_slope(rng: Generator, _image: Any, *, slope: float) -> Params:
    """A slant, either way."""
    return {"slope": uniform(rng, -slope, slope)}


def sample_fraction(rng: Generator, _image: Any, *, share: float) -> Params:
    """A way, as a share of the side, either way."""
    return {"share": uniform(rng, -share, share)}


def sample_factor(rng: Generator, _image: Any, *, factor: list[float]) -> Params:
    """How strong a property becomes: 1 leaves it as it is."""
    return {"factor": uniform(rng, *factor)}


def sample_between(name: str) -> Callable[..., Params]:
    """A whole number from an argument of this name, [lowest, highest]."""
    return lambda rng, _image, **bounds: {name: integer(rng, *bounds[name])}


def applied_with_factor(rng: Generator, _image: Any, *, p: float, factor: Any) -> Params:
    """Whether it is done, and by which factor where that is not fixed."""
    done, fixed = rng.random() < p, isinstance(factor, int | float)
    return {"acted": done, "factor": factor if fixed else uniform(rng, *factor)}


def crop_box(rng: Generator, image: Any, *, scale: list[float], ratio: list[float]) -> Params:
    """As torchvision's RandomResizedCrop.get_params: ten tries, then the central crop."""
    width, height = size(image)
    logs = [math.log(bound) for bound in ratio]
    for _ in range(10):
        area = height * width * uniform(rng, *scale)
        # exp and log may differ by one unit in the last place from machine to machine: rounded.
        aspect = round(math.exp(uniform(rng, *logs)), 6)
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            top = int(rng.integers(height - h + 1))
            left = int(rng.integers(width - w + 1))
            return {"left": left, "top": top, "width": w, "height": h}
    w, h = _central(width, height, *ratio)
    return {"left": (width - w) // 2, "top": (height - h) // 2, "width": w, "height": h}


def _central(width: int, height: int, lowest: float, highest: float) -> tuple[int, int]:
    """The largest crop whose aspect ratio (width / height) lies within the bounds."""
    if width / height < lowest:
        return width, round(width / lowest)
    if width / height > highest:
        return round(height * highest), height
    return width, height
