"""The only place that decodes or encodes an image."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import PIL
from PIL import Image, ImageOps, UnidentifiedImageError

from toolkit.errors import InputError

if TYPE_CHECKING:  # numpy takes longer to import than Pillow to make a few hundred new images
    import numpy as np
    import numpy.typing as npt

Pixels: TypeAlias = "npt.NDArray[np.uint8]"
"""An image: uint8 RGB, shape [height, width, 3]."""

Picture: TypeAlias = Image.Image
"""The same in Pillow's hands, mode RGB."""

T = TypeVar("T")

COMMON = ("BMP", "GIF", "JPEG", "PNG", "PPM")  # the formats that Pillow always has at hand
FORMATS = (*COMMON, "AVIF", "JPEG2000", "TIFF", "WEBP")
Z_RLE = 3  # zlib's strategy
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
    return to_pixels(_guarded(data, to_rgb))


def decode_picture(data: bytes, size: int | None = None) -> Picture:
    """`decode` for Pillow, resized to `size` x `size` unless that is None (see `fit`).

    A JPEG that is at least four times as large is decoded at a half, a quarter or an eighth of its
    size, never below twice `size`: 3 to 10 times faster, and within 1.5 grey levels on average.
    """
    if size is None:
        return _guarded(data, to_rgb)
    side = size

    def scaled(image: Image.Image) -> Picture:
        image.draft("RGB", (2 * side, 2 * side))
        return fit(to_rgb(image), side)

    return _guarded(data, scaled)


def to_pixels(picture: Picture) -> Pixels:
    """A copy as an array."""
    import numpy as np

    return np.array(picture, dtype=np.uint8)


def to_picture(pixels: Pixels) -> Picture:
    """A copy for Pillow."""
    return Image.fromarray(pixels)


def read(path: Path) -> Pixels:
    """`decode` a file. Raises InputError that names it."""
    return to_pixels(read_picture(path))


def read_picture(path: Path) -> Picture:
    """`read` for Pillow."""
    try:
        return decode_picture(path.read_bytes())
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
            with _opened(data) as image:
                _check_size(image)
                return action(image)
    except UnidentifiedImageError:
        raise InputError(f"not an image (first bytes are {data[:16]!r})") from None
    except InputError:
        raise
    except DAMAGED as error:
        raise InputError(f"damaged image ({type(error).__name__}: {str(error)[:200]})") from error


def _opened(data: bytes) -> Image.Image:
    """The other formats are tried last: to know them, Pillow imports some 40 modules."""
    try:
        return Image.open(io.BytesIO(data), formats=COMMON)
    except UnidentifiedImageError:
        return Image.open(io.BytesIO(data), formats=FORMATS)


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        size = f"{image.width} x {image.height}"
        raise InputError(f"{size} pixels are more than {MAX_PIXELS:,}")


def to_rgb(image: Image.Image) -> Image.Image:
    """RGB as a person sees the picture."""
    image.load()
    if image.format != "JPEG" or not image.info.keys().isdisjoint(("exif", "xmp")):
        image = ImageOps.exif_transpose(image)  # copies, and takes a while to find nothing
    if image.mode.startswith("I") or image.mode == "F":
        image = _eight_bit(image)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        image = Image.alpha_composite(white, rgba)
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit (and integer or float) grey to 8 bit; Pillow's own conversion clips."""
    import numpy as np

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
    return to_pixels(fit(to_picture(pixels), size))


def fit(picture: Picture, size: int) -> Picture:
    """`resize` for Pillow."""
    if picture.size == (size, size):
        return picture
    return picture.resize((size, size), Image.Resampling.BILINEAR)


def encode_png(pixels: Pixels) -> bytes:
    """Encode losslessly; the same pixels give the same bytes with the same Pillow."""
    stream = io.BytesIO()
    to_picture(pixels).save(stream, "PNG", compress_level=6)
    return stream.getvalue()


def encode_jpeg(pixels: Pixels, quality: int = 95) -> bytes:
    """Encode as baseline JPEG with full chroma."""
    stream = io.BytesIO()
    to_picture(pixels).save(stream, "JPEG", quality=quality, subsampling=0)
    return stream.getvalue()


def _png(picture: Picture) -> bytes:
    """Lossless; of photos 4 times faster than `encode_png`, and 2 % larger.

    zlib looks for runs of equal bytes alone: other repetitions are rare in filtered photos.
    """
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=6, compress_type=Z_RLE)
    return stream.getvalue()


def _jpeg(picture: Picture) -> bytes:
    """Baseline JPEG with halved chroma."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=75, subsampling="4:2:0")
    return stream.getvalue()


ENCODERS: dict[str, Callable[[Picture], bytes]] = {"png": _png, "jpeg": _jpeg}
SETTINGS: dict[str, dict[str, str | int]] = {
    "png": {"compress_level": 6, "compress_type": "rle"},
    "jpeg": {"quality": 75, "subsampling": "4:2:0"},
}
LIBRARIES = {"png": ("zlib", "zlib_ng"), "jpeg": ("libjpeg_turbo",)}


def versions(encoder: str) -> dict[str, str | None]:
    """Of what the bytes of this encoder depend on; None for a library that is not used."""
    from PIL import features

    found = {name: features.version(name) for name in LIBRARIES[encoder]}
    return {"pillow": PIL.__version__, **found}
