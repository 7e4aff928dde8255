"""EXTRAS: formats, how a file of each begins, and what opens it."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from toolkit.errors import DISTRIBUTION, InputError
from toolkit.io.formats import dicom, heif


@dataclass(frozen=True)
class Extra:
    """A format that a package reads, which comes with an extra of this one.

    `open` takes the bytes of a file and the most pixels that it may have.
    """

    what: str
    module: str
    extra: str
    begins: Callable[[bytes], bool]
    open: Callable[[bytes, int], Image.Image]


def open_extra(data: bytes, pixels: int) -> Image.Image | None:
    """Open a file of one of EXTRAS, None for any other file.

    Raises InputError that names the extra, where it is missing, and for camera RAW.
    """
    if name := raw_name(data):
        raise InputError(f"camera RAW of {name}, which is not read: export it as TIFF, PNG or JPEG")
    for extra in EXTRAS:
        if extra.begins(data):
            if importlib.util.find_spec(extra.module) is None:
                install = f"pip install '{DISTRIBUTION}[{extra.extra}]'"
                raise InputError(f"{extra.what}, read after {install}")
            return extra.open(data, pixels)
    return None


def raw_name(data: bytes) -> str:
    """Return whose camera RAW this is, "" for other files.

    Pillow would take the small preview in some of them for the picture.
    """
    for at, magic, name in RAW:
        if data.startswith(magic, at):
            return name
    return "the TIFF kind" if _is_raw_tiff(data) else ""


def _is_raw_tiff(data: bytes) -> bool:
    """Return whether the first picture of a TIFF is a preview, beside others in SubIFDs, or DNG."""
    order = {b"II*\0": "little", b"MM\0*": "big"}.get(data[:4])
    if order is None:
        return False

    def number(at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], "little" if order == "little" else "big")

    at = number(4, 4)
    tags = {number(entry, 2): entry for entry in range(at + 2, at + 2 + 12 * number(at, 2), 12)}
    reduced = SUBFILE in tags and number(tags[SUBFILE] + 8, 4) & 1
    return DNG in tags or bool(reduced and SUB_IFDS in tags)


SUBFILE, SUB_IFDS, DNG = 254, 330, 50706  # tags of TIFF
RAW = (
    (4, b"ftypcrx ", "Canon (CR3)"),
    (8, b"CR\x02", "Canon (CR2)"),
    (0, b"FUJIFILMCCD-RAW", "Fujifilm (RAF)"),
    (0, b"IIU\0", "Panasonic (RW2)"),
    (0, b"IIRO", "Olympus (ORF)"),
    (0, b"IIRS", "Olympus (ORF)"),
    (0, b"FOVb", "Sigma (X3F)"),
    (0, b"\0MRM", "Minolta (MRW)"),
)
"""Where the first bytes of RAW files stand, what they are, and whose they are."""
EXTRAS = (
    Extra("a HEIC photo", "pi_heif", "heic", heif.is_heif, heif.open_heif),
    Extra("a DICOM file", "pydicom", "dicom", dicom.is_dicom, dicom.open_dicom),
)
