"""Small pictures of what an audit found: a few of each check, made where the images lie.

Originals are nobody's friends: each is decoded within the limits, in a process of its own.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from toolkit import progress
from toolkit.checks.findings import Audit, Finding
from toolkit.errors import InputError
from toolkit.io import files, images, sandbox
from toolkit.io.color import to_rgb
from toolkit.io.csv import csv_text, read_rows
from toolkit.io.images import Pixels
from toolkit.io.manifest import Manifest

SIDE, QUALITY = 96, 80
"""Longer side of a picture at most, in pixels, and its JPEG quality: some 3 kB."""
SINGLES, GROUPS, MEMBERS = 12, 6, 6
"""Of a check: findings about one file, findings about several, and files of each of those."""
TABLE, COLUMNS = "pictures.csv", ("id", "label", "split")


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """A picture, uint8 [H, W, 3] of SIDE at most, of an image with this label and split."""

    label: str
    split: str
    pixels: Pixels


Thumbnails = Mapping[str, Thumbnail]
"""By the sample's id; those that did not decode are not in it."""


def illustrated(found: Sequence[Finding]) -> tuple[Sequence[Finding], Sequence[Finding]]:
    """Of one check's findings those that get pictures: about one sample, and about several."""
    singles = [finding for finding in found if len(finding.samples) == 1]
    groups = [finding for finding in found if len(finding.samples) > 1]
    return singles[:SINGLES], groups[:GROUPS]


def make_thumbnails(
    result: Audit,
    manifest: Manifest,
    folder: Path,
    limits: images.ImageLimits,
    *,
    processes: int = 1,
    track: progress.Track = progress.silent,
) -> Thumbnails:
    """Pictures for `result`, the audit of `manifest`, whose images lie in `folder`."""
    wanted = [
        ident
        for check in result.checks
        for part in illustrated(result.of(check))
        for finding in part
        for ident in finding.samples[:MEMBERS]
    ]
    samples = [manifest.by_id[ident] for ident in dict.fromkeys(wanted)]
    found = sandbox.sandboxed_map(
        partial(_small, folder, limits),
        [sample.path for sample in samples],
        processes,
        seconds=limits.seconds,
        memory=limits.memory,
    )
    pictures = zip(samples, track(found, "pictures", len(samples)), strict=True)
    return {
        sample.id: Thumbnail(sample.label, sample.split, pixels)
        for sample, pixels in pictures
        if pixels is not None and not isinstance(pixels, sandbox.Stopped)
    }


def _small(folder: Path, limits: images.ImageLimits, path: str) -> "Pixels | None":
    try:
        data = images.read_bounded(folder / path, limits)
        return images.to_pixels(images.examine(data, _reduced, limits))
    except InputError:
        return None  # the finding says why


def _reduced(image: Image.Image) -> Image.Image:
    image.draft("RGB", (2 * SIDE, 2 * SIDE))
    picture = to_rgb(image)
    picture.thumbnail((SIDE, SIDE))
    return picture


def write_thumbnails(folder: Path, specimens: Thumbnails) -> None:
    """Write the pictures as JPEG, 000.jpg and so on, and TABLE with a row for each; or nothing."""
    rows = [[ident, of.label, of.split] for ident, of in specimens.items()]
    with files.new_folder(folder, TABLE) as building:
        for number, of in enumerate(specimens.values()):
            files.put(building / f"{number:03d}.jpg", images.encode_jpeg(of.pixels, QUALITY))
        files.put(building / TABLE, csv_text(COLUMNS, rows).encode())


def read_thumbnails(folder: Path) -> Thumbnails:
    """What `write` wrote. Raises InputError that names the file."""
    path = folder / TABLE
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            header, *rows = read_rows(stream)
        if tuple(header) != COLUMNS:
            raise InputError(f"its columns must be {','.join(COLUMNS)}")
        return {
            ident: Thumbnail(label, split, images.read_image(folder / f"{number:03d}.jpg"))
            for number, (ident, label, split) in enumerate(rows)
        }
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: {error}; run `toolkit audit` again") from error
