"""The only place that decodes or encodes an image."""

import io
import stat
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias, TypeVar

import PIL
from PIL import Image, PngImagePlugin, UnidentifiedImageError
from pydantic import Field

from toolkit.errors import InputError
from toolkit.io import shards
from toolkit.io.color import DECODING_ERRORS, bands, to_rgb
from toolkit.io.schema import Positive, Section

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
MAX_SIDE = 65_535  # of a JPEG, pixels
SOFTWARE = "imbalanced-images"


class ImageLimits(Section):
    """What decoding one image file may cost; a file that costs more is unreadable.

    Of animations and files with several pages only the first picture is decoded.
    """

    pixels: Positive = 64_000_000
    bytes: Positive = 200_000_000
    seconds: Annotated[float, Field(gt=0, le=3600)] = 5.0
    """Of processor time (see `sandbox`)."""

    @property
    def memory(self) -> int:
        """Bytes that the largest file may need: 12 a pixel and the file itself."""
        return 12 * self.pixels + self.bytes


LIMITS = ImageLimits()

Image.preinit()  # the plugins of COMMON: imported here once, not in every forked process


def identify(data: bytes, limits: ImageLimits = LIMITS) -> str:
    """The format's name, such as "JPEG", from the header alone. Raises InputError if none fits."""
    return examine(data, lambda image: str(image.format), limits)


def dimensions(data: bytes) -> tuple[int, int]:
    """Width and height in pixels, from the header alone. Raises InputError if it is no image."""
    return examine(data, lambda image: image.size, LIMITS)


def decode(data: bytes, limits: ImageLimits = LIMITS) -> Pixels:
    """Decode the first picture of an image file to RGB (see `color.to_rgb`).

    Raises InputError with the reason, whatever is wrong with the bytes.
    """
    return to_pixels(examine(data, to_rgb, limits))


def decode_picture(data: bytes, size: int | None = None, limits: ImageLimits = LIMITS) -> Picture:
    """`decode` for Pillow, resized to `size` x `size` unless that is None (see `fit`).

    A JPEG that is at least three times as large is decoded at a half, a quarter or an eighth of its
    size, never below one and a half times `size`: 3 to 10 times faster, and within 1.5 grey levels
    on average.
    """
    if size is None:
        return examine(data, to_rgb, limits)
    side = size

    def scaled(image: Image.Image) -> Picture:
        image.draft("RGB", (3 * side // 2, 3 * side // 2))
        if image.mode in ("RGB", "L") and "transparency" not in image.info:
            return to_rgb(resize_picture(image, side))  # turned, and its colors changed, when small
        return resize_picture(to_rgb(image), side)

    return examine(data, scaled, limits)


def to_pixels(picture: Picture) -> Pixels:
    """A copy as an array."""
    import numpy as np

    pixels = np.empty((picture.height, picture.width, 3), dtype=np.uint8)
    for left, top, right, bottom in bands(picture):
        pixels[top:bottom] = np.asarray(picture.crop((left, top, right, bottom)))
    return pixels


def to_picture(pixels: Pixels) -> Picture:
    """A copy for Pillow."""
    return Image.fromarray(pixels)


def read_image(path: Path) -> Pixels:
    """`decode` a file. Raises InputError that names it."""
    return to_pixels(read_picture(path))


def read_picture(path: Path, least: int = MAX_SIDE) -> Picture:
    """`read` for Pillow. A JPEG may be decoded at a part of its size, no side below `least`."""

    def scaled(image: Image.Image) -> Picture:
        image.draft("RGB", (least, least))
        return to_rgb(image)

    try:
        return examine(read_bounded(path), scaled, LIMITS)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def read_bounded(path: Path, limits: ImageLimits = LIMITS) -> bytes:
    """The bytes of a regular file, or of a member of a shard (see `shards`).

    Raises InputError with the reason, without the name.
    """
    try:
        if shards.find_shard(path):
            return shards.read_member(path)
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise InputError("not a regular file")
        _check_bytes(about.st_size, limits)
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})") from error


def _check_bytes(size: int, limits: ImageLimits) -> None:
    if size > limits.bytes:
        raise InputError(f"{size:,} bytes are more than {limits.bytes:,}")


def examine(data: bytes, action: Callable[[Image.Image], T], limits: ImageLimits) -> T:
    """What `action` says of an image file that was opened and not yet decoded.

    Raises InputError with the reason, whatever is wrong with the bytes.
    """
    _check_bytes(len(data), limits)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with _opened(data) as image:
                _check_size(image, limits)
                return action(image)
    except UnidentifiedImageError:
        raise InputError(f"not an image (first bytes are {data[:16]!r})") from None
    except InputError:
        raise
    except MemoryError:
        raise InputError("takes more memory than there is for one image") from None
    except DECODING_ERRORS as error:
        raise InputError(f"damaged image ({type(error).__name__}: {str(error)[:200]})") from error


def _opened(data: bytes) -> Image.Image:
    """The other formats are tried last: to know them, Pillow imports some 40 modules."""
    try:
        return Image.open(io.BytesIO(data), formats=COMMON)
    except UnidentifiedImageError:
        return Image.open(io.BytesIO(data), formats=FORMATS)


def _check_size(image: Image.Image, limits: ImageLimits) -> None:
    if image.width * image.height > limits.pixels:
        size = f"{image.width} x {image.height}"
        raise InputError(f"{size} pixels are more than {limits.pixels:,}")


def resize(pixels: Pixels, size: int) -> Pixels:
    """Resize to `size` x `size`, bilinear with antialiasing; the aspect ratio is not kept."""
    if pixels.shape[:2] == (size, size):
        return pixels
    return to_pixels(resize_picture(to_picture(pixels), size))


def resize_picture(picture: Picture, size: int) -> Picture:
    """`resize` for Pillow."""
    if picture.size == (size, size):
        return picture
    return picture.resize((size, size), Image.Resampling.BILINEAR)


def same_pixels(one: Picture, other: Picture) -> bool:
    """Whether two pictures have equal pixels. A few are looked at first: it is 10 times faster."""
    width, height = one.size
    some = [(width * k // 8, height * k // 8) for k in range(1, 8, 2)]
    return (
        one.size == other.size
        and all(one.getpixel(at) == other.getpixel(at) for at in some)
        and one.tobytes() == other.tobytes()
    )


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


def encode_signed_png(picture: Picture) -> bytes:
    """PNG that names SOFTWARE in its first bytes, so that it is known again."""
    about, stream = PngImagePlugin.PngInfo(), io.BytesIO()
    about.add_text("Software", SOFTWARE)
    picture.save(stream, "PNG", pnginfo=about, compress_type=Z_RLE)
    return stream.getvalue()


def _jpeg(picture: Picture) -> bytes:
    """Baseline JPEG with halved chroma."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=75, subsampling="4:2:0")
    return stream.getvalue()


ENCODERS: dict[str, Callable[[Picture], bytes]] = {"png": _png, "jpeg": _jpeg}
ENCODER_SETTINGS: dict[str, dict[str, str | int]] = {
    "png": {"compress_level": 6, "compress_type": "rle"},
    "jpeg": {"quality": 75, "subsampling": "4:2:0"},
}
LIBRARIES = {"png": ("zlib", "zlib_ng"), "jpeg": ("libjpeg_turbo",)}


def encoder_versions(encoder: str) -> dict[str, str | None]:
    """Of what the bytes of this encoder depend on; None for a library that is not used."""
    from PIL import features

    found = {name: features.version(name) for name in LIBRARIES[encoder]}
    return {"pillow": PIL.__version__, **found}
