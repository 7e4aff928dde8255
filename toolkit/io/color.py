"""Conversion of every color mode of Pillow to RGB, as viewers show it."""

import functools
import io
import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

if TYPE_CHECKING:
    from PIL import ImageCms

BAND = 4_000_000  # pixels converted at a time, which bounds the memory to 12 bytes per pixel
ALPHA_MODES = ("RGBA", "LA", "PA", "La", "RGBa")
PROFILE_MODES = {"RGB": "RGB", "RGBA": "RGBA", "CMYK": "RGB", "L": "RGB"}  # before, after
# Pillow raises all of these for damaged files.
DECODING_ERRORS = (
    OSError, ValueError, SyntaxError, TypeError, NotImplementedError, EOFError, IndexError,
    KeyError, OverflowError, MemoryError, ZeroDivisionError, AttributeError, AssertionError,
    RuntimeError, struct.error, Image.DecompressionBombError, Warning,
)  # fmt: skip


def to_rgb(image: Image.Image) -> Image.Image:
    """Decode the pixels, apply EXIF orientation and color profile, and convert to RGB.

    16 bits are scaled to 8, transparency becomes white. EXIF data and profiles that cannot be read
    are ignored, as viewers do. Raises one of DECODING_ERRORS for a damaged file.
    """
    image.load()
    if image.format != "JPEG" or not image.info.keys().isdisjoint(("exif", "xmp")):
        _apply_orientation(image)
    if "icc_profile" in image.info and image.mode in PROFILE_MODES:
        image = _apply_profile(image, image.info["icc_profile"])
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_8_bits(image)
    if "transparency" in image.info or image.mode in ALPHA_MODES:
        image = _map_bands(_over_white, image)
    image = image if image.mode == "RGB" else image.convert("RGB")
    image.info = {}  # profile, comments and others, which would be written into new images
    return image


def bands(image: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    """Yield boxes (left, top, right, bottom) of whole rows, of at most BAND pixels or one row."""
    rows = max(1, BAND // max(1, image.width))
    for top in range(0, image.height, rows):
        yield 0, top, image.width, min(top + rows, image.height)


def _map_bands(function: Callable[[Image.Image], Image.Image], image: Image.Image) -> Image.Image:
    """Apply a function of single pixels band by band."""
    boxes = list(bands(image))
    if len(boxes) < 2:
        return function(image)
    result = Image.new("RGB", image.size)
    for box in boxes:
        result.paste(function(image.crop(box)), box)
    return result


def _apply_orientation(image: Image.Image) -> None:
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except DECODING_ERRORS:
        return


def _apply_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert to sRGB, unless the profile is that of sRGB or cannot be used."""
    transform = _srgb_transform(profile, image.mode)
    try:
        return transform.apply(image) if transform else image
    except DECODING_ERRORS:
        return image


@functools.lru_cache(maxsize=16)
def _srgb_transform(profile: bytes, mode: str) -> "ImageCms.ImageCmsTransform | None":
    from PIL import ImageCms  # slow to import, and few photos have a profile

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return None
        target = ImageCms.createProfile("sRGB")
        return ImageCms.buildTransform(source, target, mode, PROFILE_MODES[mode])
    except (*DECODING_ERRORS, ImageCms.PyCMSError):
        return None


def _over_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Scale gray of 16 bits, integers or floats to 8 bits; Pillow's own conversion clips."""

    def values(box: tuple[int, int, int, int]) -> npt.NDArray[np.float64]:
        band = np.asarray(image.crop(box)).astype(np.float64)
        return np.where(np.isfinite(band), band, 0) if image.mode == "F" else band

    highest = max((values(box).max(initial=0) for box in bands(image)), default=0)
    white = 255.0 if highest <= 255 else max(65535.0, highest)
    if image.mode == "F" and highest <= 1:
        white = 1.0
    result = Image.new("L", image.size)
    for box in bands(image):
        scaled = np.floor(np.clip(values(box) / white, 0, 1) * 255 + 0.5)

        result.paste(Image.fromarray(scaled.astype(np.uint8), "L"), box)
    return result
