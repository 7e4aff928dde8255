"""Problems to plant in a dataset: by name, functions that change an image or write its file."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

Picture = Image.Image


def png(picture: Picture) -> bytes:
    return saved(picture, "PNG")


def saved(picture: Picture, form: str, **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


# --- duplicates -------------------------------------------------------------------------------


def _encoded(picture: Picture, form: str, quality: int) -> Picture:
    return Image.open(io.BytesIO(saved(picture, form, quality=quality))).convert("RGB")


def _resized(picture: Picture, across: float, down: float) -> Picture:
    size = (max(1, round(across * picture.width)), max(1, round(down * picture.height)))
    return picture.resize(size, Image.Resampling.BICUBIC)


def _cropped(picture: Picture, left: float, top: float, right: float, bottom: float) -> Picture:
    """Crop these fractions of the sides."""
    width, height = picture.size
    box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
    return picture.crop(tuple(map(round, box)))


def _lit(picture: Picture, factor: float) -> Picture:
    return ImageEnhance.Brightness(picture).enhance(factor)


def _mirrored(picture: Picture) -> Picture:
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


COPIES: dict[str, Callable[[Picture], Picture]] = {
    "JPEG of quality 50": lambda p: _encoded(p, "JPEG", 50),
    "WebP of quality 60": lambda p: _encoded(p, "WEBP", 60),
    "half the size": lambda p: _resized(p, 0.5, 0.5),
    "squeezed to 3/4": lambda p: _resized(p, 0.75, 1),
    "mirrored": _mirrored,
    "cropped by 5%, from all sides": lambda p: _cropped(p, 0.025, 0.025, 0.025, 0.025),
    "cropped by 5%, from one side": lambda p: _cropped(p, 0.05, 0, 0, 0),
    "30% brighter": lambda p: _lit(p, 1.3),
    "30% darker": lambda p: _lit(p, 0.7),
    "30% less contrast": lambda p: ImageEnhance.Contrast(p).enhance(0.7),
    "mirrored, cropped, 20% darker, JPEG": lambda p: _encoded(
        _lit(_cropped(_mirrored(p), 0.02, 0.02, 0.02, 0), 0.8), "JPEG", 60
    ),
}

# --- files ------------------------------------------------------------------------------------


def _cut(picture: Picture) -> bytes:
    data = saved(picture, "JPEG", quality=90)
    return data[: len(data) // 2]


def _damaged(picture: Picture) -> bytes:
    """Break the checksum of a PNG chunk."""
    data = bytearray(png(picture))
    data[data.index(b"IDAT") + 20] ^= 255
    return bytes(data)


def _animated(picture: Picture) -> bytes:
    return saved(picture, "GIF", save_all=True, append_images=[_mirrored(picture)])


def _stretched(picture: Picture, across: float, down: float) -> bytes:
    return png(_resized(picture, across, down))


FILES: dict[str, Callable[[Picture], bytes]] = {
    "empty": lambda _: b"",
    "not_an_image": lambda p: b"<!DOCTYPE html>" + png(p)[8:],
    "truncated": _cut,
    "unreadable": _damaged,
    "wrong_extension": lambda p: saved(p, "JPEG"),
    "animated": _animated,
    "tiny": lambda p: png(p.resize((20, 20))),
    "dark": lambda p: png(_lit(p, 0.15)),
    "bright": lambda p: png(Image.blend(p, Image.new("RGB", p.size, "white"), 0.85)),
    "blurred": lambda p: png(p.filter(ImageFilter.GaussianBlur(p.width / 20))),
    "low_information": lambda p: png(p.convert("1", dither=Image.Dither.NONE).convert("RGB")),
    "odd_aspect": lambda p: _stretched(p, 1, 0.3),
    "odd_size": lambda p: _stretched(p, 9, 9),
    "grey": lambda p: png(p.convert("L")),
}
"""By check, a file to be called .png that the check must flag."""

# --- folders ----------------------------------------------------------------------------------


def _shifted(picture: Picture, channel: int) -> Picture:
    factors = [1.6 if k == channel else 1.0 for k in range(3)]
    return Image.fromarray(np.clip(np.asarray(picture) * factors, 0, 255).astype(np.uint8))


SHORTCUTS: dict[str, Callable[[Picture], bytes]] = {
    "size": lambda p: _stretched(p, 0.8, 0.8),
    "format": lambda p: saved(p, "BMP"),
    "compression": lambda p: png(_encoded(p, "JPEG", 30)),
    "brightness": lambda p: png(_lit(p, 0.5)),
    "color cast": lambda p: png(_shifted(p, 2)),
}
"""By property, the file of an image of one class, while the other class has plain PNG."""
