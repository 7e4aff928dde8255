"""FILE_CHECKS: files that are not images or are damaged, and what the names of files say."""

from functools import partial
from pathlib import PurePosixPath

import numpy as np

from toolkit.checks.base import Check, CheckContext, CheckResult, picture_numbers
from toolkit.checks.findings import Finding
from toolkit.datasets.choice import describe_companions, find_companions
from toolkit.datasets.groups import describe_name_groups, find_name_groups
from toolkit.datasets.layouts import BESIDE
from toolkit.datasets.tables.labels import NO_IMAGE, NO_ROW
from toolkit.io.manifest import content_hash
from toolkit.io.text import EMPTY

EXTENSIONS = {
    "AVIF": ("avif", "avifs"),
    "BMP": ("bmp", "dib"),
    "DICOM": ("dcm", "dicom", "ima"),
    "GIF": ("gif",),
    "HEIF": ("heic", "heif", "hif"),
    "JPEG": ("jpg", "jpeg", "jpe", "jfif"),
    "JPEG2000": ("jp2", "j2k", "j2c", "jpc", "jpf", "jpx"),
    "MPO": ("jpg", "jpeg", "jpe", "mpo"),  # some cameras write it for JPEG
    "PNG": ("png", "apng"),
    "PPM": ("ppm", "pgm", "pbm", "pnm", "pfm"),
    "TIFF": ("tif", "tiff"),
    "WEBP": ("webp",),
}
TRUNCATED = ("truncated", "eoferror", "unexpected end")
"""What decoders say of a file that ends early."""


def _kind(reason: str) -> str:
    """Return the check that a reason for not using a file belongs to, "" if it is wanted."""
    if reason.startswith(("fetch.", BESIDE, NO_IMAGE, NO_ROW)):
        return ""
    if EMPTY in reason:
        return "empty"
    if reason.startswith("not an image"):
        return "not_an_image"
    return "truncated" if any(word in reason.lower() for word in TRUNCATED) else "unreadable"


def _undecodable(check: str, context: CheckContext) -> CheckResult:
    """Report files that the scan rejected, and images that do not decode completely."""
    action = getattr(context.settings, check)
    rejected = [
        Finding(check, action, str(entry["reason"]), (str(entry["path"]),))
        for entry in context.manifest.notes.get("rejected", [])
        if _kind(str(entry["reason"])) == check
    ]
    damaged = [
        context.finding(check, [index], problem)
        for index, problem in enumerate(context.measurements.problems)
        if problem and _kind(problem) == check
    ]
    return None, rejected + damaged


def _wrong_extension(context: CheckContext) -> CheckResult:
    formats, findings = context.measurements.text("format"), []
    for index in map(int, context.measurements.readable):
        path = PurePosixPath(context.measurements.samples[index].path)
        extension = path.suffix.lower().lstrip(".")
        expected = EXTENSIONS.get(formats[index], (extension,))
        if extension and extension not in expected:
            message = f"a {formats[index]} file with the extension .{extension}"
            findings.append(context.finding("wrong_extension", [index], message))
    return None, findings


def _animated(context: CheckContext) -> CheckResult:
    multiframe = context.measurements.columns["multiframe"]
    return None, [
        context.finding("animated", [index], "several frames or pages; only the first is used")
        for index in map(int, context.measurements.readable)
        if multiframe[index]
    ]


def _enormous(context: CheckContext) -> CheckResult:
    columns, readable = context.measurements.columns, context.measurements.readable
    megapixels = columns["width"].astype(float) * columns["height"] / 1e6
    return float(megapixels[readable].max(initial=0)), [
        context.finding("enormous", [index], _size(context, index), megapixels[index])
        for index in map(int, readable)
        if megapixels[index] > context.settings.thresholds.enormous
    ]


def _tiny(context: CheckContext) -> CheckResult:
    columns, readable = context.measurements.columns, context.measurements.readable
    shorter = np.minimum(columns["width"], columns["height"])
    return (float(shorter[readable].min()) if len(readable) else None), [
        context.finding("tiny", [index], _size(context, index), shorter[index])
        for index in map(int, readable)
        if shorter[index] < context.settings.thresholds.tiny
    ]


def _size(context: CheckContext, index: int) -> str:
    width, height = (context.measurements.columns[side][index] for side in ("width", "height"))
    return f"{width:.0f} x {height:.0f} pixels"


def _companions(context: CheckContext) -> CheckResult:
    paths, labels = _paths_and_labels(context)
    entropy = context.measurements.columns["entropy"]
    found = find_companions(paths, labels, [float(value) for value in entropy])
    if found is None:
        return None, []
    message = describe_companions(found)
    return None, [context.finding("companions", found.indices, message)]


def _name_groups(context: CheckContext) -> CheckResult:
    """Report names that look like groups, unless groups were given."""
    samples = context.measurements.samples
    if any(sample.group not in ("", content_hash(sample)) for sample in samples):
        return None, []
    pictures = picture_numbers(len(samples), context.duplicates)
    found = find_name_groups(*_paths_and_labels(context), [int(number) for number in pictures])
    if found is None:
        return None, []
    action = context.settings.name_groups
    return None, [Finding("name_groups", action, describe_name_groups(found), ())]


def _paths_and_labels(context: CheckContext) -> tuple[list[PurePosixPath], list[str]]:
    samples = context.measurements.samples
    return [PurePosixPath(sample.path) for sample in samples], [sample.label for sample in samples]


FILE_CHECKS: dict[str, Check] = {
    "empty": Check(partial(_undecodable, "empty"), "zero bytes"),
    "not_an_image": Check(partial(_undecodable, "not_an_image"), "not an image (wrong header)"),
    "truncated": Check(partial(_undecodable, "truncated"), "the file ends before the image does"),
    "unreadable": Check(
        partial(_undecodable, "unreadable"),
        "damaged in another way, changed after fetch, a link, in no class, or beyond audit.limits",
    ),
    "wrong_extension": Check(_wrong_extension, "the extension belongs to another format"),
    "animated": Check(_animated, "more than one frame or page"),
    "enormous": Check(_enormous, "more than {} megapixels"),
    "tiny": Check(_tiny, "shorter side under {} pixels"),
    "companions": Check(_companions, "goes with a picture of the same name, as its mask does"),
    "name_groups": Check(_name_groups, "names look like groups, and fetch.group is not set"),
}
