"""HEIC and HEIF, the photos of phones, by pi-heif, which only decodes.

Its sibling pillow-heif also encodes, by x265, which is under the GPL.
"""

import io

from PIL import Image

BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"mif2"}
FORMAT = "HEIF"


def is_heif(data: bytes) -> bool:
    """Return whether this is the head of such a file, and not of AVIF, which Pillow reads."""
    size = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[at : at + 4] for at in range(8, size, 4)}
    return data[4:8] == b"ftyp" and bool(BRANDS & brands) and not {b"avif", b"avis"} & brands


def open_heif(data: bytes, _pixels: int) -> Image.Image:
    """Open the first picture of a file. It is upright, of 8 bits, and not decoded yet."""
    import pi_heif  # an extra

    pi_heif.options.DECODE_THREADS = 1
    image: Image.Image = pi_heif.HeifImageFile(io.BytesIO(data))
    image.draft = lambda *_: None  # type: ignore[method-assign] # else it may be the thumbnail
    return image
