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
GRAY_ALPHA, ALPHA = ("LA", "La"), ("P", "PA", "RGBA", "RGBa")
SAME_COLOR = 2  # of 255 levels by which a profile of sRGB may differ from ours, by rounding
FLOAT_WHITE = 1.0
DEEPEST = 16  # bits of an integer's gray
BITS = "toolkit:bits"  # key of an image's info: how many of these bits its files use
# Pillow raises all of these for damaged files.
DECODING_ERRORS = (
    OSError, ValueError, SyntaxError, TypeError, NotImplementedError, EOFError, IndexError,
    KeyError, OverflowError, MemoryError, ZeroDivisionError, AttributeError, AssertionError,
    RuntimeError, struct.error, Image.DecompressionBombError, Warning,
)  # fmt: skip
UNREADABLE = tuple(error for error in DECODING_ERRORS if error is not MemoryError)


def to_rgb(image: Image.Image) -> Image.Image:
    """Decode the pixels, apply EXIF orientation and color profile, and convert to RGB.

    Integers of more than 8 bits are scaled from 0 to 65535, or by as many bits as its info names
    (BITS), floats from 0 to 1, whatever this image makes of it, and clipped; transparency becomes
    white. EXIF data and profiles that cannot be read are ignored, as viewers do. Raises one of
    DECODING_ERRORS for a damaged file.
    """
    deep = image.format == "PNG" and any("RGB;16" in str(tile[-1]) for tile in image.tile)  # type: ignore[attr-defined]
    image.load()
    if image.format != "JPEG" or not image.info.keys().isdisjoint(("exif", "xmp")):
        _apply_orientation(image)
    clear = image.info.get("transparency")
    if deep and clear is not None:
        image.info["transparency"] = tuple(value >> 8 for value in clear)  # as the pixels are read
    profile = image.info.get("icc_profile")
    if image.mode != "RGB" or clear is not None or (profile and _transform(profile, "RGB")):
        image = _map_bands(functools.partial(_flatten, profile), image)
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
    except UNREADABLE:
        return


def _flatten(profile: bytes | None, image: Image.Image) -> Image.Image:
    """Convert to sRGB, over white where it is transparent."""
    color, alpha = _color_and_alpha(image)
    if profile:
        color = _apply_profile(color, profile)
    color = color if color.mode == "RGB" else color.convert("RGB")
    if alpha is None:
        return color
    color.putalpha(alpha)
    return Image.alpha_composite(Image.new("RGBA", color.size, "white"), color).convert("RGB")


def _color_and_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return an image of 8 bits without transparency, and its opacity (L), None for all of it."""
    clear = image.info.get("transparency")
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        opaque = None if clear is None else Image.fromarray(np.uint8(255) * (values != clear))
        return _to_8_bits(values, image.info.get(BITS, DEEPEST)), opaque
    if image.mode in GRAY_ALPHA or (image.mode == "L" and clear is not None):
        return image.convert("LA").split()  # type: ignore[return-value]
    if image.mode in ALPHA or clear is not None:
        rgba = image.convert("RGBA")
        return rgba.convert("RGB"), rgba.getchannel("A")
    return image, None


def _apply_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert to sRGB, unless the profile does what that of sRGB does or cannot be used."""
    transform = _transform(profile, image.mode)
    try:
        return transform.apply(image) if transform else image
    except UNREADABLE:
        return image


@functools.lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> "ImageCms.ImageCmsTransform | None":
    """Return the transform to sRGB for this mode; None where it changes nothing, or is none.

    Names of profiles say nothing: some of linear light are called sRGB too.
    """
    from PIL import ImageCms  # 20 ms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        colors = Image.fromarray(_probe()).convert(mode)
        before, after = (
            np.asarray(each.convert("RGB")) for each in (colors, transform.apply(colors))
        )
    except (*UNREADABLE, ImageCms.PyCMSError):
        return None
    same = np.abs(after.astype(int) - before).max() <= SAME_COLOR
    return None if same else transform


def _probe() -> npt.NDArray[np.uint8]:
    """Return all colors of 18 levels, a row for each red and green, [324, 18, 3]."""
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    red, green, blue = np.meshgrid(levels, levels, levels, indexing="ij")
    return np.stack([red, green, blue], axis=-1).reshape(-1, len(levels), 3)


def _to_8_bits(values: npt.NDArray[np.generic], bits: int) -> Image.Image:
    """Scale integers by their bits, and floats by the range of their type; no value is black."""
    white = FLOAT_WHITE if values.dtype.kind == "f" else float(2**bits - 1)
    gray = values.astype(np.float64) / white
    scaled = np.floor(np.clip(np.where(np.isfinite(gray), gray, 0), 0, 1) * 255 + 0.5)
    return Image.fromarray(scaled.astype(np.uint8))
