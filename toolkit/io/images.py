"""Decoding and encoding of images; no other module does either.

Whatever decodes goes through `examine`, which contains it in a worker process (see `sandbox`): no
caller need know whether an image is a stranger's.
"""

import io
import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import PIL
from PIL import Image, PngImagePlugin, UnidentifiedImageError, features
from pydantic import Field

from toolkit.errors import InputError
from toolkit.io import inside, sandbox
from toolkit.io.color import BITS, DECODING_ERRORS, DEEPEST, bands, to_rgb
from toolkit.io.formats.dicom import SCALE
from toolkit.io.formats.extras import open_extra
from toolkit.io.schema import Number, Positive, Section
from toolkit.io.text import describe_content

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""An RGB image as an array, shape [height, width, 3]."""

Picture: TypeAlias = Image.Image
"""An RGB image of Pillow, mode "RGB"."""

T = TypeVar("T")

COMMON_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM")  # those that Pillow imports by itself
FORMATS = (*COMMON_FORMATS, "AVIF", "JPEG2000", "TIFF", "WEBP")
MAGIC = {
    b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"RIFF": "WEBP", b"II*\0": "TIFF",
    b"MM\0*": "TIFF", b"\0\0\0\x0cjP  ": "JPEG2000",
}  # fmt: skip
"""First bytes of a file whose author meant it to be an image."""
Z_RLE = 3  # zlib's strategy
MAX_SIDE = 65_535  # pixels, of a JPEG
SOFTWARE = "imbalanced-images"
ENCODER_SETTINGS: dict[str, dict[str, str | int]] = {
    "png": {"compress_level": 6, "compress_type": "rle"},
    "jpeg": {"quality": 75, "subsampling": "4:2:0"},
}
ENCODER_LIBRARIES = {"png": ("zlib", "zlib_ng"), "jpeg": ("libjpeg_turbo",)}


class ImageLimits(Section):
    """Resources that decoding one image file may take; a file that takes more is unreadable.

    Only the first picture of an animation, and the first page of a document, is decoded.
    """

    pixels: Positive = 64_000_000
    bytes: Positive = 200_000_000
    seconds: Annotated[Number, Field(gt=0, le=3600)] = 5.0
    """CPU time (see `sandbox`)."""
    bits: Literal[8, 10, 12, 14, 16] | None = None
    """Bits that files with 16 bits of gray use; null for those that all images need."""

    @property
    def memory(self) -> int:
        """Bytes of memory for the largest file: 12 per pixel, and the file itself."""
        return 12 * self.pixels + self.bytes

    def scaled(self, bits: int | None) -> "ImageLimits":
        """Return the same limits with the bits that the images need, unless these were set."""
        return self if self.bits or not bits else self.model_copy(update={"bits": bits})


LIMITS = ImageLimits()
NEEDED = (8, 10, 12, 14)  # bits of a camera or microscope, in files of 16
DEEP_COLOR = "colors of 16 bits read as 8"
NO_MEMORY = "takes more memory than there is for one image"

Image.preinit()  # import the plugins of COMMON_FORMATS once, not in every forked worker


def identify(data: bytes, limits: ImageLimits = LIMITS) -> str:
    """Return the format, such as "JPEG", from the header. Raises InputError if it is no image."""
    return examine(data, _format, limits)


def _format(image: Image.Image) -> str:
    return str(image.format)


@dataclass(frozen=True)
class Grays:
    """How an image's levels of more than 8 bits are shown, "" for others.

    `bits` is the least number in NEEDED that holds all integers of an image; 0 for others.
    """

    shown: str = ""
    bits: int = 0


def inspect(data: bytes, limits: ImageLimits = LIMITS, *, whole: bool = False) -> Grays:
    """Return what is known of an image's gray levels.

    The header is read, or the file to its end: with `whole`, and for integers of more than 8 bits.
    Raises InputError if it is no image.
    """
    return examine(data, partial(_grays, whole=whole), limits)


def _grays(image: Image.Image, *, whole: bool) -> Grays:
    found = Grays(str(image.info.get(SCALE, "")))
    if image.mode.startswith("I"):
        highest = int(np.asarray(image).max())
        bits = next((bits for bits in NEEDED if highest < 2**bits), DEEPEST)
        return Grays(f"{bits} bits of {DEEPEST}", bits)
    found = Grays(DEEP_COLOR) if _is_deep_color(image) else found
    if whole:
        _draft(image)
    return found


def _is_deep_color(image: Image.Image) -> bool:
    """Return whether an image that is opened, and not decoded, has 16 bits a color."""
    how = [str(tile[-1]) for tile in getattr(image, "tile", ())]  # as ('RGB;16B')
    return image.mode != "L" and any(";16" in text or "65535" in text for text in how)


def noted_bits(notes: Mapping[str, Any]) -> int | None:
    """Return the bits that all images of a manifest with these notes need; None for all 16."""
    return notes["bits"] if notes.get("bits") in NEEDED else None


def dimensions(data: bytes) -> tuple[int, int]:
    """Return width and height in pixels, from the header. Raises InputError if it is no image."""
    return examine(data, _size, LIMITS)


def _size(image: Image.Image) -> tuple[int, int]:
    return image.size


def verify(data: bytes) -> None:
    """Decode an image file to the end, a JPEG at an eighth of its size. Raises as `decode` does."""
    examine(data, _draft, LIMITS)


def _draft(image: Image.Image) -> None:
    image.draft("RGB", (1, 1))
    to_rgb(image)


def decode(data: bytes, limits: ImageLimits = LIMITS) -> Pixels:
    """Decode an image file to RGB (see `color.to_rgb`).

    Raises InputError with the reason, whatever is wrong with the file.
    """
    return to_pixels(examine(data, to_rgb, limits))


def decode_resized(data: bytes, size: int, limits: ImageLimits = LIMITS) -> Pixels:
    """Decode whole, then resize to `size` x `size`. Raises as `decode` does."""
    return resize(decode(data, limits), size)


def decode_picture(data: bytes, size: int | None = None, limits: ImageLimits = LIMITS) -> Picture:
    """Decode as `decode` does, and resize to `size` x `size` unless that is None.

    A JPEG at least three times as large is decoded at a half, a quarter or an eighth of its size,
    never below 1.5 times `size`: 3 to 10 times faster, with a mean error below 1.5 gray levels.
    """
    return examine(data, to_rgb if size is None else partial(_resized, side=size), limits)


def _resized(image: Image.Image, side: int) -> Picture:
    image.draft("RGB", (3 * side // 2, 3 * side // 2))
    if image.mode in ("RGB", "L") and "transparency" not in image.info:
        return to_rgb(resize_picture(image, side))  # rotation and color profile are cheap now
    return resize_picture(to_rgb(image), side)


def to_pixels(picture: Picture) -> Pixels:
    """Copy to an array."""
    pixels = np.empty((picture.height, picture.width, 3), dtype=np.uint8)
    for left, top, right, bottom in bands(picture):
        pixels[top:bottom] = np.asarray(picture.crop((left, top, right, bottom)))
    return pixels


def to_picture(pixels: Pixels) -> Picture:
    """Copy to an image of Pillow."""
    return Image.fromarray(pixels)


@dataclass(frozen=True)
class NamedImage:
    """An image file that the user named, which may be a link, or one listed in a named folder.

    The latter is opened below `folder` without following a link, whatever is there by then, and
    must have the hash `sha256` where one is known.
    """

    path: Path
    folder: Path | None = None
    sha256: str = ""

    def content(self) -> bytes:
        """Read the file. Raises InputError with the reason."""
        if self.folder is None:
            return read_bounded(self.path)
        relative = self.path.relative_to(self.folder).as_posix()
        if self.sha256:
            return inside.read_hashed(self.folder, relative, self.sha256, LIMITS.bytes)
        return inside.read_inside(self.folder, relative, LIMITS.bytes)

    def picture(self, limits: ImageLimits = LIMITS) -> Picture:
        """Read and decode the file. Raises InputError with the reason."""
        return decode_reduced(self.content(), MAX_SIDE, limits)


def read_image(path: Path) -> Pixels:
    """Read and decode a file that the user named. Raises InputError that names it."""
    return to_pixels(read_picture(path))


def read_picture(path: Path) -> Picture:
    """Read and decode a file that the user named. Raises InputError that names it."""
    try:
        return NamedImage(path).picture()
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def decode_reduced(data: bytes, min_side: int, limits: ImageLimits = LIMITS) -> Picture:
    """Decode, a JPEG perhaps at reduced size, but no side below `min_side`. Raises as `decode`."""
    return examine(data, partial(_reduced, min_side=min_side), limits)


def _reduced(image: Image.Image, min_side: int) -> Picture:
    image.draft("RGB", (min_side, min_side))
    return to_rgb(image)


def read_bounded(path: Path, limits: ImageLimits = LIMITS) -> bytes:
    """Return the bytes of a file that the user named (see `inside.read_file`).

    Raises InputError with the reason, but without the file's name.
    """
    return inside.read_file(path, limits.bytes)


def examine(data: bytes, action: Callable[[Image.Image], T], limits: ImageLimits) -> T:
    """Return `action(image)` for an image file that has been opened, but not decoded.

    The one way to an image that is a stranger's: within the limits, in a process that may crash.
    Callers with many images map over them (`sandbox.sandboxed_map`), for then no process is started
    for each. Where processes are not forked, `action` is pickled. Raises InputError with the
    reason, whatever is wrong with the file.
    """
    inside.check_size(len(data), limits.bytes)
    work = partial(_examine, data, action, limits)
    result = sandbox.contain(work, limits.seconds, limits.memory)
    if isinstance(result, sandbox.Stopped):
        raise InputError(result.reason)
    return result


def _examine(data: bytes, action: Callable[[Image.Image], T], limits: ImageLimits) -> T:
    _told.texts.clear()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with _opened(data, limits) as image:
                _check_size(image, limits)
                if limits.bits:
                    image.info[BITS] = limits.bits
                return action(image)
    except UnidentifiedImageError:
        name = next((name for magic, name in MAGIC.items() if data.startswith(magic)), "")
        if name:
            raise InputError(f"damaged image ({name} with a wrong header{_told})") from None
        raise InputError(f"not an image ({describe_content(data)})") from None
    except InputError:
        raise
    except MemoryError:
        raise InputError(NO_MEMORY) from None
    except DECODING_ERRORS as error:
        kind = "" if isinstance(error, SyntaxError) else f"{type(error).__name__}: "  # of no code
        reason = f"{kind}{' '.join(str(error).split())[:200]}{_told}"
        raise InputError(f"damaged image ({reason})") from error


class _Told(logging.Handler):
    """What Pillow logs of an image."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage()[:100])

    def __str__(self) -> str:
        return "".join(f"; {text}" for text in self.texts[:3])


_told = _Told()
for _decoder in ("PIL", "pydicom"):
    logging.getLogger(_decoder).addHandler(_told)


def _opened(data: bytes, limits: ImageLimits) -> Image.Image:
    """Try rare formats last: for them, Pillow imports some 40 modules."""
    try:
        return Image.open(io.BytesIO(data), formats=COMMON_FORMATS)
    except UnidentifiedImageError:
        extra = open_extra(data, limits.pixels)
        return extra or Image.open(io.BytesIO(data), formats=FORMATS)


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
    """Resize as `resize` does."""
    if picture.size == (size, size):
        return picture
    return picture.resize((size, size), Image.Resampling.BILINEAR)


def encode_png(pixels: Pixels) -> bytes:
    """Encode as PNG; with the same Pillow, equal pixels give equal bytes."""
    stream = io.BytesIO()
    to_picture(pixels).save(stream, "PNG", compress_level=6)
    return stream.getvalue()


def encode_jpeg(pixels: Pixels, quality: int = 95) -> bytes:
    """Encode as baseline JPEG without chroma subsampling."""
    stream = io.BytesIO()
    to_picture(pixels).save(stream, "JPEG", quality=quality, subsampling=0)
    return stream.getvalue()


def jpeg_loss(pixels: Pixels, quality: int) -> Pixels:
    """Return what a JPEG of this quality keeps of the image. The bytes are ours: no worker."""
    with Image.open(io.BytesIO(encode_jpeg(pixels, quality))) as image:
        return to_pixels(to_rgb(image))


def _png(picture: Picture) -> bytes:
    """Encode photos 4 times faster than `encode_png`, to files 2% larger.

    zlib only looks for runs of equal bytes: other repetitions are rare in filtered photos.
    """
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=6, compress_type=Z_RLE)
    return stream.getvalue()


def encode_signed_png(picture: Picture) -> bytes:
    """Encode as PNG that names SOFTWARE in its first bytes, so that it can be recognized."""
    info, stream = PngImagePlugin.PngInfo(), io.BytesIO()
    info.add_text("Software", SOFTWARE)
    picture.save(stream, "PNG", pnginfo=info, compress_type=Z_RLE)
    return stream.getvalue()


def _jpeg(picture: Picture) -> bytes:
    """Encode as baseline JPEG with chroma at half the resolution."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=75, subsampling="4:2:0")
    return stream.getvalue()


ENCODERS: dict[str, Callable[[Picture], bytes]] = {"png": _png, "jpeg": _jpeg}


def encoder_versions(encoder: str) -> dict[str, str | None]:
    """Return the versions of the libraries that encode, None for one that Pillow does not use."""
    versions = {name: features.version(name) for name in ENCODER_LIBRARIES[encoder]}
    return {"pillow": PIL.__version__, **versions}
