"""The toolkit's own transforms: what is drawn is kept apart from what it does, so it replays.

Each follows torchvision's transform of the same name on Pillow images (rotate, as there, takes the
nearest pixel), and gives the same pixels on every machine with the same Pillow.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from toolkit import codec, errors
from toolkit.chance import Generator
from toolkit.codec import Picture, Pixels
from toolkit.errors import InputError

Params = Mapping[str, Any]
"""What was drawn: JSON scalars and lists under readable names."""


@dataclass(frozen=True)
class Argument:
    """An argument of a transform: its default, and the rule for its values, in code and words."""

    default: Any
    valid: Callable[[Any], bool]
    rule: str


@dataclass(frozen=True)
class Transform:
    """`draw(rng, image, **arguments)` gives the numbers, `change(picture, params)` uses them.

    Both are pure. `change` gives a picture of the same size; the same object where nothing is done.
    """

    draw: Callable[..., Params]
    change: Callable[[Picture, Params], Picture]
    arguments: Mapping[str, Argument] = field(default_factory=dict)

    def apply(self, pixels: Pixels, params: Params) -> Pixels:
        """`change` for arrays: uint8 RGB [H, W, 3] to a new one of the same size."""
        return codec.to_pixels(self.change(codec.to_picture(pixels), params))


def find(name: str) -> Transform:
    """The transform of this name. Raises InputError that lists the valid names."""
    if name not in TRANSFORMS:
        raise errors.unknown("transform", name, TRANSFORMS)
    return TRANSFORMS[name]


def complete(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments with the defaults filled in.

    Raises InputError for an unknown transform or argument, or a value that breaks its rule.
    """
    known = find(name).arguments
    for key, value in arguments.items():
        if key not in known:
            raise errors.unknown(f"argument of {name}", key, known)
        if not known[key].valid(value):
            raise InputError(f"{name}: {key} must be {known[key].rule}, got {value!r}")
    return {key: arguments.get(key, argument.default) for key, argument in known.items()}


def _is_number(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _number(default: float, low: float, high: float, rule: str) -> Argument:
    return Argument(default, lambda value: _is_number(value, low, high), rule)


def _pair(default: list[float], low: float, high: float) -> Argument:
    def valid(value: Any) -> bool:
        numbers = isinstance(value, list | tuple) and len(value) == 2
        return numbers and all(_is_number(v, low, high) for v in value) and value[0] <= value[1]

    return Argument(default, valid, f"[lowest, highest] within {low:g} and {high:g}")


# --- drawing ----------------------------------------------------------------------------------


def _uniform(rng: Generator, low: float, high: float) -> float:
    """Uniform on [low, high], to six decimals: readable, and the same on every machine."""
    return min(max(round(low + (high - low) * rng.random(), 6), low), high)


def _draw_nothing(_rng: Generator, _image: Any) -> Params:
    return {}


def _draw_acted(rng: Generator, _image: Any, *, p: float, **fixed: Any) -> Params:
    return {"acted": rng.random() < p, **fixed}


def _draw_angle(rng: Generator, _image: Any, *, degrees: float) -> Params:
    return {"angle": _uniform(rng, -degrees, degrees)}


def _draw_sigma(rng: Generator, _image: Any, *, sigma: list[float]) -> Params:
    return {"sigma": _uniform(rng, *sigma)}


def _draw_pixels(_rng: Generator, _image: Any, *, pixels: int) -> Params:
    return {"pixels": pixels}


def _draw_box(rng: Generator, image: Any, *, scale: list[float], ratio: list[float]) -> Params:
    """As torchvision's RandomResizedCrop.get_params: ten tries, then the central crop."""
    width, height = image.size if isinstance(image, Image.Image) else image.shape[1::-1]
    logs = [math.log(bound) for bound in ratio]
    for _ in range(10):
        area = height * width * _uniform(rng, *scale)
        # exp and log may differ by one unit in the last place from machine to machine: rounded.
        aspect = round(math.exp(_uniform(rng, *logs)), 6)
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


# --- applying ---------------------------------------------------------------------------------


def _if_acted(change: Callable[[Picture, Params], Picture]) -> Callable[[Picture, Params], Picture]:
    return lambda image, params: change(image, params) if params["acted"] else image


def _keep(image: Picture, _params: Params) -> Picture:
    return image


def _mirror(image: Picture, _params: Params) -> Picture:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def _upend(image: Picture, _params: Params) -> Picture:
    return image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)


def _rotate(image: Picture, params: Params) -> Picture:
    return image.rotate(params["angle"], Image.Resampling.NEAREST)


def _blur(image: Picture, params: Params) -> Picture:
    """3 x 3 Gaussian; beyond the edge the picture is mirrored, as in torchvision."""
    side = math.exp(-0.5 / (params["sigma"] * params["sigma"]))
    outer, inner = side / (1 + 2 * side), 1 / (1 + 2 * side)
    # Rounded, so that the last bit of exp cannot matter; the nine weights add up to one.
    corner, edge = round(outer * outer, 6), round(outer * inner, 6)
    weights = (corner, edge, corner, edge, 1 - 4 * (corner + edge), edge, corner, edge, corner)
    width, height = image.size
    blurred = _framed(image).filter(ImageFilter.Kernel((3, 3), weights, scale=1))
    return blurred.crop((1, 1, width + 1, height + 1))


def _framed(image: Picture) -> Picture:
    """The picture with one more pixel on every side, mirrored (repeated where there is but one)."""
    width, height = image.size
    mirrored = min(width, height) > 1
    framed = Image.new("RGB", (width + 2, height + 2))
    framed.paste(image, (1, 1))
    for source, target in ((1 + mirrored, 0), (height - mirrored, height + 1)):
        framed.paste(framed.crop((0, source, width + 2, source + 1)), (0, target))
    for source, target in ((1 + mirrored, 0), (width - mirrored, width + 1)):
        framed.paste(framed.crop((source, 0, source + 1, height + 2)), (target, 0))
    return framed


def _pad_resize(image: Picture, params: Params) -> Picture:
    framed = ImageOps.expand(image, params["pixels"], fill=0)
    return framed.resize(image.size, Image.Resampling.BILINEAR)


def _crop_resize(image: Picture, params: Params) -> Picture:
    left, top = params["left"], params["top"]
    box = (left, top, left + params["width"], top + params["height"])
    return image.crop(box).resize(image.size, Image.Resampling.BILINEAR)


def _sharpness(image: Picture, params: Params) -> Picture:
    return ImageEnhance.Sharpness(image).enhance(params["factor"])


def _autocontrast(image: Picture, _params: Params) -> Picture:
    return ImageOps.autocontrast(image)


PROBABILITY = _number(0.5, 0, 1, "a probability from 0 to 1")

TRANSFORMS: dict[str, Transform] = {
    "identity": Transform(_draw_nothing, _keep),
    "horizontal_flip": Transform(_draw_acted, _if_acted(_mirror), {"p": PROBABILITY}),
    "vertical_flip": Transform(_draw_acted, _if_acted(_upend), {"p": PROBABILITY}),
    "rotate": Transform(
        _draw_angle,
        _rotate,
        {"degrees": _number(20, 0, 180, "degrees from 0 to 180, turned either way")},
    ),
    "gaussian_blur": Transform(_draw_sigma, _blur, {"sigma": _pair([0.1, 2.0], 0.01, 100)}),
    "pad_resize": Transform(
        _draw_pixels,
        _pad_resize,
        {
            "pixels": Argument(
                10, lambda v: isinstance(v, int) and _is_number(v, 1, 1024), "1 to 1024 pixels"
            )
        },
    ),
    "resized_crop": Transform(
        _draw_box,
        _crop_resize,
        {"scale": _pair([0.8, 1.0], 1e-4, 1), "ratio": _pair([3 / 4, 4 / 3], 0.01, 100)},
    ),
    "sharpness": Transform(
        _draw_acted,
        _if_acted(_sharpness),
        {
            "factor": _number(1.25, 0, 100, "a factor from 0 (blurred) over 1 (unchanged) to 100"),
            "p": PROBABILITY,
        },
    ),
    "autocontrast": Transform(_draw_acted, _if_acted(_autocontrast), {"p": PROBABILITY}),
}
