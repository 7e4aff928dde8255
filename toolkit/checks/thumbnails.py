"""Thumbnails of what an audit found: a few per check, made where the images are.

Original files are untrusted: each is decoded within the limits, in a process of its own.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from toolkit import progress
from toolkit.checks.findings import Audit, Finding
from toolkit.errors import InputError, explain_error
from toolkit.io import files, images, inside, sandbox
from toolkit.io.color import to_rgb
from toolkit.io.csv import csv_text, read_rows
from toolkit.io.images import ImageLimits, Pixels
from toolkit.io.manifest import Manifest

SIDE, QUALITY = 96, 80
"""Longer side of a thumbnail in pixels, at most, and its JPEG quality: about 3 kB."""
SINGLES, GROUPS, MEMBERS = 12, 6, 6
"""Illustrated findings per check, about one file and about several, and files of each of these."""
TABLE, COLUMNS = "pictures.csv", ("id", "label", "split")


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """The label and split of an image, and uint8 pixels [H, W, 3], SIDE at most."""

    label: str
    split: str
    pixels: Pixels


Thumbnails = Mapping[str, Thumbnail]
"""Thumbnails by sample id, without the images that do not decode."""


def illustrated(findings: Sequence[Finding]) -> tuple[Sequence[Finding], Sequence[Finding]]:
    """Return the findings of one check that get thumbnails: about one sample, and about several."""
    singles = [finding for finding in findings if len(finding.samples) == 1]
    groups = [finding for finding in findings if len(finding.samples) > 1]
    return singles[:SINGLES], groups[:GROUPS]


def make_thumbnails(
    audit: Audit,
    manifest: Manifest,
    folder: Path,
    limits: ImageLimits,
    *,
    processes: int = 1,
    track: progress.Track = progress.silent,
) -> Thumbnails:
    """Make thumbnails for the audit of `manifest`, whose images are in `folder`."""
    ids = [
        ident
        for check in audit.checks
        for part in illustrated(audit.findings_of(check))
        for finding in part
        for ident in finding.samples[:MEMBERS]
    ]
    samples = [manifest.by_id[ident] for ident in dict.fromkeys(ids)]
    results = sandbox.sandboxed_map(
        partial(_thumbnail, folder, limits),
        [sample.path for sample in samples],
        processes,
        seconds=limits.seconds,
        memory=limits.memory,
    )
    pairs = zip(samples, track(results, "pictures", len(samples)), strict=True)
    return {
        sample.id: Thumbnail(sample.label, sample.split, pixels)
        for sample, pixels in pairs
        if pixels is not None and not isinstance(pixels, sandbox.Stopped)
    }


def _thumbnail(folder: Path, limits: ImageLimits, path: str) -> Pixels | None:
    try:
        data = inside.read_inside(folder, path, limits.bytes)
        return images.to_pixels(images.examine(data, _reduced, limits))
    except InputError:
        return None  # the finding says why


def _reduced(image: Image.Image) -> Image.Image:
    image.draft("RGB", (2 * SIDE, 2 * SIDE))
    picture = to_rgb(image)
    picture.thumbnail((SIDE, SIDE))
    return picture


def write_thumbnails(folder: Path, thumbnails: Thumbnails) -> None:
    """Write the thumbnails as 000.jpg and so on, and TABLE with a row for each; all or nothing."""
    rows = [[ident, each.label, each.split] for ident, each in thumbnails.items()]
    with files.new_folder(folder, TABLE) as building:
        for number, each in enumerate(thumbnails.values()):
            files.write_plain(
                building / f"{number:03d}.jpg", images.encode_jpeg(each.pixels, QUALITY)
            )
        files.write_plain(building / TABLE, csv_text(COLUMNS, rows).encode())


def read_thumbnails(folder: Path) -> Thumbnails:
    """Read what `write_thumbnails` wrote. Raises InputError that names the file."""
    path = folder / TABLE
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            header, *rows = read_rows(stream)
        if tuple(header) != COLUMNS:
            raise InputError(f"its columns must be {','.join(COLUMNS)}")
        return {
            ident: Thumbnail(label, split, _read(folder, f"{number:03d}.jpg"))
            for number, (ident, label, split) in enumerate(rows)
        }
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: {explain_error(error)}; run `toolkit audit` again") from error


def _read(folder: Path, name: str) -> Pixels:
    try:
        return images.decode(inside.read_inside(folder, name, images.LIMITS.bytes))
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
