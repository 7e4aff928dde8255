"""The effect of each transform: apply(picture, params) returns a picture of the same size.

It is the same object where nothing changes. Each function follows torchvision's transform of the
same name on Pillow images, with nearest-neighbor interpolation where points move, and gives the
same pixels on every machine with the same Pillow.
"""

import math
from collections.abc import Callable
from typing import Any

from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from toolkit.augmentation.transforms.sampling import Params
from toolkit.io.images import Picture

MAX_FRAME = 1024  # pixels
MAX_SHIFT = 1.0  # sides


def if_applied(apply: Callable[[Picture, Params], Picture]) -> Callable[[Picture, Params], Picture]:
    """Return `apply` for pictures that the transform was drawn for; the others stay as they are."""
    return lambda image, params: apply(image, params) if params["applied"] else image


def identity(image: Picture, _params: Params) -> Picture:
    """Return the picture itself."""
    return image


def hflip(image: Picture, _params: Params) -> Picture:
    """Flip left to right."""
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def vflip(image: Picture, _params: Params) -> Picture:
    """Flip top to bottom."""
    return image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)


def rotate(image: Picture, params: Params) -> Picture:
    """Rotate about the center; corners become black."""
    return image.rotate(params["angle"], Image.Resampling.NEAREST)


def blur(image: Picture, params: Params) -> Picture:
    """Blur with a 3 x 3 Gaussian; beyond the edge the picture is mirrored, as in torchvision."""
    side = math.exp(-0.5 / (params["sigma"] * params["sigma"]))
    outer, inner = side / (1 + 2 * side), 1 / (1 + 2 * side)
    # Rounded, so that the last bit of exp cannot matter; the nine weights add up to one.
    corner, edge = round(outer * outer, 6), round(outer * inner, 6)
    weights = (corner, edge, corner, edge, 1 - 4 * (corner + edge), edge, corner, edge, corner)
    width, height = image.size
    blurred = _mirror_edges(image).filter(ImageFilter.Kernel((3, 3), weights, scale=1))
    return blurred.crop((1, 1, width + 1, height + 1))


def _mirror_edges(image: Picture) -> Picture:
    """Add a pixel on every side, mirrored; repeated where there is only one."""
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
    """Add a black frame, and resize to the original size."""
    framed = ImageOps.expand(image, _checked(params["pixels"], MAX_FRAME), fill=0)
    return framed.resize(image.size, Image.Resampling.BILINEAR)


def crop_resize(image: Picture, params: Params) -> Picture:
    """Cut out a box, and resize it to the original size."""
    left, top = params["left"], params["top"]
    box = (left, top, left + params["width"], top + params["height"])
    return image.crop(box).resize(image.size, Image.Resampling.BILINEAR)


def adjust_sharpness(image: Picture, params: Params) -> Picture:
    """Sharpen by a factor above 1, soften by one below."""
    return ImageEnhance.Sharpness(image).enhance(params["factor"])


def autocontrast(image: Picture, _params: Params) -> Picture:
    """Stretch the values of each band to 0 to 255."""
    return ImageOps.autocontrast(image)


def shear_x(image: Picture, params: Params) -> Picture:
    """Shift each row in proportion to its distance from the middle one; the gaps are black."""
    slope = params["slope"]
    return _affine(image, (1, slope, -slope * image.height / 2, 0, 1, 0))


def shear_y(image: Picture, params: Params) -> Picture:
    """Shift each column in proportion to its distance from the middle one; the gaps are black."""
    slope = params["slope"]
    return _affine(image, (1, 0, 0, slope, 1, -slope * image.width / 2))


def translate_x(image: Picture, params: Params) -> Picture:
    """Shift to the right by a fraction of the width, in whole pixels; the gap is black."""
    pixels = round(_checked(params["fraction"], MAX_SHIFT) * image.width)
    return _affine(image, (1, 0, -pixels, 0, 1, 0)) if pixels else image


def translate_y(image: Picture, params: Params) -> Picture:
    """Shift down by a fraction of the height, in whole pixels; the gap is black."""
    pixels = round(_checked(params["fraction"], MAX_SHIFT) * image.height)
    return _affine(image, (1, 0, 0, 0, 1, -pixels)) if pixels else image


def _affine(image: Picture, matrix: tuple[float, ...]) -> Picture:
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST)


def _checked(number: Any, most: float) -> Any:
    """Raise ValueError for a number in a file that is never drawn, such as a frame of 10**9 px."""
    if not -most <= number <= most:
        raise ValueError(f"{number} is more than {most}")
    return number


def adjust_brightness(image: Picture, params: Params) -> Picture:
    """Lighten by a factor above 1, darken by one below."""
    return ImageEnhance.Brightness(image).enhance(params["factor"])


def adjust_contrast(image: Picture, params: Params) -> Picture:
    """Move values away from the mean gray by a factor above 1, towards it by one below."""
    return ImageEnhance.Contrast(image).enhance(params["factor"])


def adjust_saturation(image: Picture, params: Params) -> Picture:
    """Make colors stronger by a factor above 1, weaker by one below."""
    return ImageEnhance.Color(image).enhance(params["factor"])


def posterize(image: Picture, params: Params) -> Picture:
    """Keep the highest bits of each value."""
    return image if params["bits"] == 8 else ImageOps.posterize(image, params["bits"])


def solarize(image: Picture, params: Params) -> Picture:
    """Invert the values from the threshold on."""
    return ImageOps.solarize(image, params["threshold"])


def equalize(image: Picture, _params: Params) -> Picture:
    """Equalize the histogram of each band."""
    return ImageOps.equalize(image)
