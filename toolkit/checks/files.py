"""FILE_CHECKS: files that are no images, are damaged, or are not what their names say."""

from functools import partial
from pathlib import PurePosixPath

import numpy as np

from toolkit.checks.base import Check, CheckContext, Said
from toolkit.checks.findings import Finding

EXTENSIONS = {
    "AVIF": ("avif", "avifs"),
    "BMP": ("bmp", "dib"),
    "GIF": ("gif",),
    "JPEG": ("jpg", "jpeg", "jpe", "jfif"),
    "JPEG2000": ("jp2", "j2k", "j2c", "jpc", "jpf", "jpx"),
    "MPO": ("jpg", "jpeg", "jpe", "mpo"),  # what some cameras write for JPEG
    "PNG": ("png", "apng"),
    "PPM": ("ppm", "pgm", "pbm", "pnm", "pfm"),
    "TIFF": ("tif", "tiff"),
    "WEBP": ("webp",),
}
CUT = ("truncated", "eoferror", "unexpected end")
"""What decoders say of a file that ends early."""


def _kind(reason: str) -> str:
    """Which of the four checks of undecodable files a reason belongs to."""
    if "first bytes are b''" in reason:
        return "empty"
    if reason.startswith("not an image"):
        return "not_an_image"
    return "truncated" if any(word in reason.lower() for word in CUT) else "unreadable"


def _undecodable(check: str, given: CheckContext) -> Said:
    """Files that the scan rejected, and images that do not decode to the end."""
    action = getattr(given.settings, check)
    rejected = [
        Finding(check, action, str(entry["reason"]), (str(entry["path"]),))
        for entry in given.manifest.notes.get("rejected", [])
        if _kind(str(entry["reason"])) == check
    ]
    damaged = [
        given.finding(check, [number], problem)
        for number, problem in enumerate(given.table.problems)
        if problem and _kind(problem) == check
    ]
    return None, rejected + damaged


def _wrong_extension(given: CheckContext) -> Said:
    formats, found = given.table.words("format"), []
    for number in map(int, given.table.readable):
        suffix = PurePosixPath(given.table.samples[number].path).suffix.lower().lstrip(".")
        expected = EXTENSIONS.get(formats[number], (suffix,))
        if suffix and suffix not in expected:
            message = f"a {formats[number]} file that is called .{suffix}"
            found.append(given.finding("wrong_extension", [number], message))
    return None, found


def _animated(given: CheckContext) -> Said:
    several = given.table.numbers["several"]
    return None, [
        given.finding("animated", [n], "several frames or pages, of which the first is used")
        for n in map(int, given.table.readable)
        if several[n]
    ]


def _enormous(given: CheckContext) -> Said:
    width, height = (given.table.numbers[side].astype(float) for side in ("width", "height"))
    readable = given.table.readable
    millions, most = width * height / 1e6, given.settings.thresholds.enormous
    return float(millions[readable].max(initial=0)), [
        given.finding("enormous", [n], f"{width[n]:.0f} x {height[n]:.0f} pixels", millions[n])
        for n in map(int, readable)
        if millions[n] > most
    ]


def _tiny(given: CheckContext) -> Said:
    width, height = (given.table.numbers[side] for side in ("width", "height"))
    shorter, readable = np.minimum(width, height), given.table.readable
    return (float(shorter[readable].min()) if len(readable) else None), [
        given.finding("tiny", [n], f"{width[n]:.0f} x {height[n]:.0f} pixels", shorter[n])
        for n in map(int, readable)
        if shorter[n] < given.settings.thresholds.tiny
    ]


FILE_CHECKS: dict[str, Check] = {
    "empty": Check(partial(_undecodable, "empty"), "zero bytes"),
    "not_an_image": Check(partial(_undecodable, "not_an_image"), "the header is no image's"),
    "truncated": Check(partial(_undecodable, "truncated"), "ends before the picture does"),
    "unreadable": Check(
        partial(_undecodable, "unreadable"),
        "damaged otherwise, a link, in no class, or beyond audit.limits",
    ),
    "wrong_extension": Check(_wrong_extension, "the name says another format"),
    "animated": Check(_animated, "more frames or pages than one"),
    "enormous": Check(_enormous, "more than {} million pixels"),
    "tiny": Check(_tiny, "a side under {} pixels"),
}
