"""Every mode that Pillow opens -> RGB, as a person sees the picture."""

import functools
import io
import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from PIL import Image, ImageOps

if TYPE_CHECKING:  # not every photo has a profile
    from PIL import ImageCms

BAND = 4_000_000  # pixels that are converted at a time: memory stays at 12 bytes a pixel
ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")
PROFILED = {"RGB": "RGB", "RGBA": "RGBA", "CMYK": "RGB", "L": "RGB"}

# Pillow raises all of these for damaged files.
DECODING_ERRORS = (
    OSError, ValueError, SyntaxError, TypeError, NotImplementedError, EOFError, IndexError,
    KeyError, OverflowError, MemoryError, ZeroDivisionError, AttributeError, AssertionError,
    RuntimeError, struct.error, Image.DecompressionBombError, Warning,
)  # fmt: skip


def to_rgb(image: Image.Image) -> Image.Image:
    """Upright by EXIF, sRGB by its color profile, 16 bit scaled to 8, alpha over white.

    EXIF data and profiles that cannot be read are ignored, as viewers do.
    """
    image.load()
    if image.format != "JPEG" or not image.info.keys().isdisjoint(("exif", "xmp")):
        _turn(image)
    if "icc_profile" in image.info and image.mode in PROFILED:
        image = _in_srgb(image, image.info["icc_profile"])
    if image.mode.startswith("I") or image.mode == "F":
        image = _eight_bit(image)
    if "transparency" in image.info or image.mode in ALPHA:
        image = _banded(_on_white, image)
    image = image if image.mode == "RGB" else image.convert("RGB")
    image.info = {}  # profile, comments and the like: they would be written into the new images
    return image


def bands(image: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    """Boxes of whole rows, of at most BAND pixels (or one row), from top to bottom."""
    rows = max(1, BAND // max(1, image.width))
    for top in range(0, image.height, rows):
        yield 0, top, image.width, min(top + rows, image.height)


def _banded(change: Callable[[Image.Image], Image.Image], image: Image.Image) -> Image.Image:
    """`change`, which must look at each pixel alone, in bands."""
    boxes = list(bands(image))
    if len(boxes) < 2:
        return change(image)
    result = Image.new("RGB", image.size)
    for box in boxes:
        result.paste(change(image.crop(box)), box)
    return result


def _turn(image: Image.Image) -> None:
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except DECODING_ERRORS:
        return


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """From the colors of `profile`; as it is where that is sRGB or cannot be used."""
    transform = _to_srgb(profile, image.mode)
    try:
        return transform.apply(image) if transform else image
    except DECODING_ERRORS:
        return image


@functools.lru_cache(maxsize=16)
def _to_srgb(profile: bytes, mode: str) -> "ImageCms.ImageCmsTransform | None":
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return None
        target = ImageCms.createProfile("sRGB")
        return ImageCms.buildTransform(source, target, mode, PROFILED[mode])
    except (*DECODING_ERRORS, ImageCms.PyCMSError):
        return None


def _on_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit (and integer or float) grey to 8 bit; Pillow's own conversion clips."""
    import numpy as np

    def values(box: tuple[int, int, int, int]) -> "np.typing.NDArray[np.float64]":
        found = np.asarray(image.crop(box)).astype(np.float64)
        return np.where(np.isfinite(found), found, 0) if image.mode == "F" else found

    highest = max((values(box).max(initial=0) for box in bands(image)), default=0)
    top = 255.0 if highest <= 255 else max(65535.0, highest)
    if image.mode == "F" and highest <= 1:
        top = 1.0
    result = Image.new("L", image.size)
    for box in bands(image):
        scaled = np.floor(np.clip(values(box) / top, 0, 1) * 255 + 0.5)
        result.paste(Image.fromarray(scaled.astype(np.uint8), "L"), box)
    return result
