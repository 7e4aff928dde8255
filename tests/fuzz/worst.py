"""Time and memory that the largest files within the limits, and bombs, take to decode."""

import io
import time
import zlib
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from toolkit.errors import InputError
from toolkit.io import images, sandbox

SIDE = 8000  # 64 million pixels
MAX_SECONDS, MAX_MEMORY = 6.0, 1000  # the limit and the time to end a worker; MB


def measure() -> Iterable[list[object]]:
    """Yield for each file: name, bytes, outcome, seconds, peak memory in MB, and 1 if too much."""
    for name, make in FILES.items():
        (data,) = sandbox.sandboxed_map(lambda _, m=make: m(), [0], 1)
        if isinstance(data, sandbox.Stopped):
            raise TypeError(f"{name}: {data.reason}")
        start, limits = time.monotonic(), images.LIMITS
        bounds = {"seconds": limits.seconds, "memory": limits.memory}
        (result,) = sandbox.sandboxed_map(partial(_cost, data), [0], 1, **bounds)
        wall = time.monotonic() - start
        stopped = isinstance(result, sandbox.Stopped)
        end, seconds, peak = (result.reason, wall, 0) if stopped else result
        over = int(peak > MAX_MEMORY or (not stopped and seconds > MAX_SECONDS))
        yield [name, len(data), end, f"{seconds:.1f}", peak or "", over]


def _cost(data: bytes, _: int) -> tuple[str, float, int]:
    start = time.process_time()
    try:
        images.decode(data)
        end = "read"
    except InputError as error:
        end = str(error)
    status = Path("/proc/self/status").read_text()
    return end, time.process_time() - start, int(status.split("VmHWM:")[1].split()[0]) // 1000


def _encode(mode: str, form: str, side: int = SIDE, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (side, side), 7 if mode in ("L", "P", "I;16") else None).save(
        stream, form, **options
    )
    return stream.getvalue()


def _noise(form: str, **options: object) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form, **options)
    return stream.getvalue()


def _profiled() -> bytes:
    return _encode(
        "RGB", "JPEG", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    )


def _rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return _encode("RGB", "JPEG", exif=exif)


def scans(side: int = SIDE) -> bytes:
    """Return a progressive JPEG with its last scan a thousand times."""
    data = _encode("RGB", "JPEG", side, progressive=True)
    last = data.rindex(b"\xff\xda")
    before = data.rindex(b"\xff\xc4", 0, last)  # with its Huffman table
    return data[:before] + data[before:-2] * 1000 + data[-2:]


def _text() -> bytes:
    """Return a PNG of one pixel with 1 GB of compressed text."""
    small = images.encode_png(np.zeros((1, 1, 3), np.uint8))
    body = b"a\0\0" + zlib.compress(bytes(1_000_000), 9)
    chunk = len(body).to_bytes(4, "big") + b"zTXt" + body
    chunk += zlib.crc32(b"zTXt" + body).to_bytes(4, "big")
    return small[:33] + chunk * 1000 + small[33:]


def _frames() -> bytes:
    """Return a GIF of 100,000 frames."""
    image = Image.new("P", (16, 16))
    stream = io.BytesIO()
    image.save(stream, "GIF", save_all=True, append_images=[Image.new("P", (16, 16), 1)])
    data = stream.getvalue()
    second = data.rindex(b"\x2c\0\0\0\0")
    return data[:second] + data[second:-1] * 100_000 + data[-1:]


FILES: dict[str, Callable[[], bytes]] = {
    "PNG, one color": partial(_encode, "RGB", "PNG"),
    "PNG, noise": partial(_noise, "PNG", compress_level=1),
    "PNG with alpha": partial(_encode, "RGBA", "PNG"),
    "PNG, 16 bit": partial(_encode, "I;16", "PNG"),
    "PNG, palette with a transparent entry": partial(_encode, "P", "PNG", transparency=7),
    "JPEG, noise": partial(_noise, "JPEG", quality=95),
    "JPEG, rotated by EXIF": _rotated,
    "JPEG with a profile": _profiled,
    "JPEG, CMYK": partial(_encode, "CMYK", "JPEG"),
    "JPEG of 1,000 scans": scans,
    "GIF": partial(_encode, "P", "GIF"),
    "GIF of 100,000 frames": _frames,
    "TIFF, LZW": partial(_encode, "RGB", "TIFF", compression="tiff_lzw"),
    "TIFF, float": partial(_encode, "F", "TIFF", compression="tiff_adobe_deflate"),
    "WEBP with alpha": partial(_encode, "RGBA", "WEBP", method=0),
    "JPEG 2000": partial(_encode, "RGB", "JPEG2000"),
    "AVIF": partial(_encode, "RGBA", "AVIF", speed=10),
    "PNG with 1 GB of text": _text,
}
