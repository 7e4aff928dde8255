"""The only place that decodes or encodes an image."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from toolkit.errors import InputError

Pixels = npt.NDArray[np.uint8]
"""An image: uint8 RGB, shape [height, width, 3]."""

T = TypeVar("T")

FORMATS = (
    "AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP",
)  # fmt: skip
MAX_PIXELS = 100_000_000
MAX_BYTES = 200_000_000

# Pillow raises all of these for damaged files.
DAMAGED = (
    OSError, ValueError, SyntaxError, TypeError, NotImplementedError, EOFError, IndexError,
    KeyError, OverflowError, MemoryError, ZeroDivisionError, AttributeError, AssertionError,
    RuntimeError, Image.DecompressionBombError, Warning,
)  # fmt: skip


def identify(data: bytes) -> str:
    """The format's name, such as "JPEG", from the header alone. Raises InputError if none fits."""
    return _guarded(data, lambda image: str(image.format))


def dimensions(data: bytes) -> tuple[int, int]:
    """Width and height in pixels, from the header alone. Raises InputError if it is no image."""
    return _guarded(data, lambda image: image.size)


def decode(data: bytes) -> Pixels:
    """Decode one image file to RGB: first frame, upright by EXIF, alpha over white, 16 bit scaled.

    Raises InputError with the reason, whatever is wrong with the bytes.
    """
    return _guarded(data, lambda image: np.array(to_rgb(image), dtype=np.uint8))


def read(path: Path) -> Pixels:
    """`decode` a file. Raises InputError that names it."""
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _guarded(data: bytes, action: Callable[[Image.Image], T]) -> T:
    if len(data) > MAX_BYTES:
        raise InputError(f"larger than {MAX_BYTES // 1_000_000} MB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                _check_size(image)
                return action(image)
    except UnidentifiedImageError:
        raise InputError(f"not an image (first bytes are {data[:16]!r})") from None
    except InputError:
        raise
    except DAMAGED as error:
        raise InputError(f"damaged image ({type(error).__name__}: {str(error)[:200]})") from error


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        size = f"{image.width} x {image.height}"
        raise InputError(f"{size} pixels are more than {MAX_PIXELS:,}")


def to_rgb(image: Image.Image) -> Image.Image:
    """RGB as a person sees the picture."""
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        image = _eight_bit(image)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        image = Image.alpha_composite(white, rgba)
    return image.convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit (and integer or float) grey to 8 bit; Pillow's own conversion clips."""
    values = np.asarray(image).astype(np.float64)
    top = 255.0 if values.max(initial=0) <= 255 else max(65535.0, values.max())
    if image.mode == "F" and values.max(initial=0) <= 1:
        top = 1.0
    scaled = np.floor(np.clip(values / top, 0, 1) * 255 + 0.5)
    return Image.fromarray(scaled.astype(np.uint8), "L")


def resize(pixels: Pixels, size: int) -> Pixels:
    """Resize to `size` x `size`, bilinear with antialiasing; the aspect ratio is not kept."""
    if pixels.shape[:2] == (size, size):
        return pixels
    small = Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR)
    return np.array(small, dtype=np.uint8)


def encode_png(pixels: Pixels) -> bytes:
    """Encode losslessly; the same pixels give the same bytes with the same Pillow."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=6)
    return stream.getvalue()


def encode_jpeg(pixels: Pixels, quality: int = 95) -> bytes:
    """Encode as baseline JPEG with full chroma."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality, subsampling=0)
    return stream.getvalue()


ENCODERS = {"png": encode_png, "jpeg": encode_jpeg}
