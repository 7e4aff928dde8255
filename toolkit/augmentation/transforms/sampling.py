"""Random params of each transform: sample(rng, picture, **arguments) returns what is drawn.

Numbers come from IEEE operations and are rounded, so that every machine records the same ones.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from numpy.random import Generator

from toolkit.io.images import Picture

Params = Mapping[str, Any]
"""What was drawn: JSON scalars and lists under readable names."""


def sample_uniform(rng: Generator, low: float, high: float) -> float:
    """Return a number from [low, high], to six decimals: readable, and equal on every machine."""
    return min(max(round(low + (high - low) * rng.random(), 6), low), high)


def sample_integer(rng: Generator, low: int, high: int) -> int:
    """Return an integer from low to high, both included."""
    return low + int(rng.integers(high - low + 1))


def no_params(_rng: Generator, _picture: Picture) -> Params:
    """Return no params, for a transform that always does the same."""
    return {}


def sample_applied(rng: Generator, _picture: Picture, *, p: float) -> Params:
    """Draw whether the transform is applied, with probability p."""
    return {"applied": rng.random() < p}


def sample_angle(rng: Generator, _picture: Picture, *, degrees: float) -> Params:
    """Draw an angle in degrees, in either direction."""
    return {"angle": sample_uniform(rng, -degrees, degrees)}


def sample_sigma(rng: Generator, _picture: Picture, *, sigma: list[float]) -> Params:
    """Draw the standard deviation of a blur, in pixels."""
    return {"sigma": sample_uniform(rng, *sigma)}


def fixed_pixels(_rng: Generator, _picture: Picture, *, pixels: int) -> Params:
    """Return the width of a frame, which is not drawn."""
    return {"pixels": pixels}


def sample_slope(rng: Generator, _picture: Picture, *, slope: float) -> Params:
    """Draw the slope of a shear, in either direction."""
    return {"slope": sample_uniform(rng, -slope, slope)}


def sample_fraction(rng: Generator, _picture: Picture, *, fraction: float) -> Params:
    """Draw a distance as a fraction of the side, in either direction."""
    return {"fraction": sample_uniform(rng, -fraction, fraction)}


def sample_factor(rng: Generator, _picture: Picture, *, factor: list[float]) -> Params:
    """Draw a factor; 1 leaves the picture as it is."""
    return {"factor": sample_uniform(rng, *factor)}


def sample_between(name: str) -> Callable[..., Params]:
    """Return a function that draws an integer within the argument `name`, [lowest, highest]."""
    return lambda rng, _picture, **bounds: {name: sample_integer(rng, *bounds[name])}


def sample_applied_factor(rng: Generator, _picture: Picture, *, p: float, factor: Any) -> Params:
    """Draw whether the transform is applied, and its factor unless that is one number."""
    applied, fixed = rng.random() < p, isinstance(factor, int | float)
    return {"applied": applied, "factor": factor if fixed else sample_uniform(rng, *factor)}


def sample_crop(
    rng: Generator, picture: Picture, *, scale: list[float], ratio: list[float]
) -> Params:
    """Draw a box as torchvision's RandomResizedCrop.get_params: ten tries, then the central one."""
    width, height = picture.size
    logs = [math.log(bound) for bound in ratio]
    for _ in range(10):
        area = height * width * sample_uniform(rng, *scale)
        # exp and log may differ in the last place from machine to machine: rounded.
        aspect = round(math.exp(sample_uniform(rng, *logs)), 6)
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            top = sample_integer(rng, 0, height - h)
            left = sample_integer(rng, 0, width - w)
            return {"left": left, "top": top, "width": w, "height": h}
    w, h = _central_crop(width, height, *ratio)
    return {"left": (width - w) // 2, "top": (height - h) // 2, "width": w, "height": h}


def _central_crop(width: int, height: int, lowest: float, highest: float) -> tuple[int, int]:
    """Return the size of the largest crop whose width / height lies within the bounds."""
    if width / height < lowest:
        return width, round(width / lowest)
    if width / height > highest:
        return round(height * highest), height
    return width, height
