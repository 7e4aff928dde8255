"""What each transform does: change(picture, params) gives a picture of the same size.

Where nothing is done it is the same object. Each function follows torchvision's transform of the
same name on Pillow images (what moves points takes the nearest one), and gives the same pixels on
every machine with the same Pillow.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from toolkit.io.images import Picture

Params = Mapping[str, Any]

MOST_FRAME = 1024  # pixels
MOST_SHIFT = 1.0  # sides


def if_applied(
    change: Callable[[Picture, Params], Picture],
) -> Callable[[Picture, Params], Picture]:
    """Change what was acted on; of the rest the same object."""
    return lambda image, params: change(image, params) if params["acted"] else image


def identity(image: Picture, _params: Params) -> Picture:
    """Nothing."""
    return image


def hflip(image: Picture, _params: Params) -> Picture:
    """Left to right."""
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def vflip(image: Picture, _params: Params) -> Picture:
    """Top to bottom."""
    return image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)


def rotate(image: Picture, params: Params) -> Picture:
    """About the center; what comes in is black."""
    return image.rotate(params["angle"], Image.Resampling.NEAREST)


def blur(image: Picture, params: Params) -> Picture:
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


def pad_resize(image: Picture, params: Params) -> Picture:
    """A black frame, and back to the old size."""
    framed = ImageOps.expand(image, _within(params["pixels"], MOST_FRAME), fill=0)
    return framed.resize(image.size, Image.Resampling.BILINEAR)


def crop_resize(image: Picture, params: Params) -> Picture:
    """The box, enlarged to the old size."""
    left, top = params["left"], params["top"]
    box = (left, top, left + params["width"], top + params["height"])
    return image.crop(box).resize(image.size, Image.Resampling.BILINEAR)


def adjust_sharpness(image: Picture, params: Params) -> Picture:
    """Sharper by a factor above 1, softer below."""
    return ImageEnhance.Sharpness(image).enhance(params["factor"])


def autocontrast(image: Picture, _params: Params) -> Picture:
    """Each band's values stretched from 0 to 255."""
    return ImageOps.autocontrast(image)


def shear_x(image: Picture, params: Params) -> Picture:
    """Rows slide against each other; the middle one stays. What comes in is black."""
    slope = params["slope"]
    return _affine(image, (1, slope, -slope * image.height / 2, 0, 1, 0))


def shear_y(image: Picture, params: Params) -> Picture:
    """The same of columns."""
    slope = params["slope"]
    return _affine(image, (1, 0, 0, slope, 1, -slope * image.width / 2))


def translate_x(image: Picture, params: Params) -> Picture:
    """To the right, by a share of the width in whole pixels; what comes in is black."""
    way = round(_within(params["share"], MOST_SHIFT) * image.width)
    return _affine(image, (1, 0, -way, 0, 1, 0)) if way else image


def translate_y(image: Picture, params: Params) -> Picture:
    """Down, by a share of the height."""
    way = round(_within(params["share"], MOST_SHIFT) * image.height)
    return _affine(image, (1, 0, 0, 0, 1, -way)) if way else image


def _affine(image: Picture, matrix: tuple[float, ...]) -> Picture:
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST)


def _within(number: Any, most: float) -> Any:
    """Raises ValueError for a number in a file that no draw gives, such as a frame of 10**9 px."""
    if not -most <= number <= most:
        raise ValueError(f"{number} is more than {most}")
    return number


def adjust_brightness(image: Picture, params: Params) -> Picture:
    """Lighter by a factor above 1, darker below."""
    return ImageEnhance.Brightness(image).enhance(params["factor"])


def adjust_contrast(image: Picture, params: Params) -> Picture:
    """Away from the mean grey by a factor above 1, towards it below."""
    return ImageEnhance.Contrast(image).enhance(params["factor"])


def adjust_saturation(image: Picture, params: Params) -> Picture:
    """More colorful by a factor above 1, grayer below."""
    return ImageEnhance.Color(image).enhance(params["factor"])


def posterize(image: Picture, params: Params) -> Picture:
    """Only the highest bits of each value are kept."""
    return image if params["bits"] == 8 else ImageOps.posterize(image, params["bits"])


def solarize(image: Picture, params: Params) -> Picture:
    """Values from the threshold on are turned into their negative."""
    return ImageOps.solarize(image, params["threshold"])


def equalize(image: Picture, _params: Params) -> Picture:
    """Each band's values spread so that all are about equally frequent."""
    return ImageOps.equalize(image)
