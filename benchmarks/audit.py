"""Speed of `toolkit audit`, compared with libraries that search for the same problems.

    python benchmarks/audit.py [--images 100000] [--folder WORK] [--peers PATH]

Images: JPEGs of 128 px, each blended from two drawn faces, with random rotation, crop and
brightness; one in 50 is the previous one re-encoded. Each measurement is a process of its own, from
start to end; memory is that of all its processes, with shared pages counted once. "again" repeats
the audit with the work file of the first run; "killed" is ended by SIGKILL when half of the images
are measured, and resumes. --peers: where the libraries are (`pip install --target PATH imagehash
imagededup cleanvision`), on 10,000 images.
"""

import argparse
import filecmp
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from costs import Cost, measure
from PIL import Image, ImageEnhance

from toolkit.checks.records import RECORD
from toolkit.datasets.faces.draw import LABELS, draw_face
from toolkit.io import parallel

ROOT = Path(__file__).resolve().parent.parent
SIDE, DRAWN, COPIES = 128, 600, 50
SIZES, PEERED = (1_000, 10_000), 10_000
MAX_BITS = 8  # of 64 that may differ
PEERS = ("ImageHash", "imagededup", "cleanvision")


# --- images -----------------------------------------------------------------------------------


def make(folder: Path, images: int) -> None:
    """Write this many images into two classes, one of them rare."""
    draw = partial(_face, size=SIDE)
    faces = list(parallel.ordered_map(draw, range(DRAWN), parallel.cores()))
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
    write = partial(_write, folder, faces)
    for _ in parallel.ordered_map(write, range(0, images, COPIES), parallel.cores()):
        pass


def _face(index: int, size: int) -> Image.Image:
    label = LABELS[index % 2]
    return Image.fromarray(draw_face(label, index, size=size, seed=0))


def _write(folder: Path, faces: Sequence[Image.Image], start: int) -> None:
    rng = np.random.default_rng(start)
    pictures = [_picture(faces, rng) for _ in range(COPIES - 1)]
    for k, picture in enumerate([*pictures, pictures[-1]]):
        path = folder / "ab"[k % 10 == 0] / f"{start + k:06d}.jpg"
        picture.save(path, "JPEG", quality=60 if k == len(pictures) else 90)


def _picture(faces: Sequence[Image.Image], rng: np.random.Generator) -> Image.Image:
    one, other = (faces[k] for k in rng.choice(len(faces), 2, replace=False))
    mixed = Image.blend(one, other, rng.uniform(0.25, 0.75)).rotate(rng.uniform(-30, 30))
    left, top = rng.uniform(5, 30, 2)
    box = (left, top, left + rng.uniform(80, 95), top + rng.uniform(80, 95))
    moved = mixed.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box)
    return ImageEnhance.Brightness(moved).enhance(rng.uniform(0.6, 1.3))


# --- measuring --------------------------------------------------------------------------------


def audit(folder: Path, work: Path) -> list[str]:
    """Return the command; it writes into the work folder."""
    options = ["--output", f"{work}/audit.json", "--work", str(work), "--quiet"]
    return [sys.executable, "-m", "toolkit", "audit", str(folder), *options]


def cost(command: Sequence[str], peers: str = "") -> Cost | None:
    """Measure a command, with modules from `peers`; None if it fails."""
    return measure(command, os.pathsep.join(filter(None, (str(ROOT), peers))), Path.cwd())


def killed(folder: Path, work: Path, images: int) -> Cost | None:
    """Measure the second run after the first was killed half-way."""
    process = subprocess.Popen(audit(folder, work), stdout=subprocess.DEVNULL)
    half = images * RECORD.itemsize // 2
    while process.poll() is None:
        if any(path.stat().st_size > half for path in work.glob("audit/*.records")):
            process.kill()
        time.sleep(0.01)
    return cost(audit(folder, work))


def ours(root: Path, images: int, whole: Path) -> None:
    """Print the rows for this many images."""
    folder = part(root, whole, images)
    first, second = root / f"work{images}", root / f"killed{images}"
    row("toolkit", images, cost(audit(folder, first)))
    row("toolkit, again", images, cost(audit(folder, first)))
    if images <= PEERED:
        row("toolkit, killed half-way", images, killed(folder, second, images))
        if not filecmp.cmp(first / "audit.json", second / "audit.json", shallow=False):
            raise SystemExit("the run that was killed gave another audit.json")


def part(root: Path, whole: Path, images: int) -> Path:
    """Hard-link the first images into a folder of their own."""
    folder = root / f"images{images}"
    for path in sorted(whole.rglob("*.jpg"), key=lambda p: p.name)[:images]:
        target = folder / path.relative_to(whole)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, target)
    return folder


def row(name: str, images: int, result: Cost | None) -> None:
    """Print one row of the table."""
    cells = ["not installed, or failed", "", ""]
    if result:
        each = 1000 * result.cpu / images
        cells = [f"{result.wall:.1f}", f"{each:.2f}", f"{result.memory:.0f}"]
    print(f"| {name} | {images:,} | {' | '.join(cells)} |", flush=True)


# --- peers: each in a process of its own ------------------------------------------------------


def imagehash_all_pairs(folder: Path) -> None:
    """Compare the perceptual hashes of all pairs: no mirror images, no crops, no other check."""
    import imagehash

    paths = sorted(folder.rglob("*.jpg"))
    hashes = [imagehash.phash(Image.open(io.BytesIO(path.read_bytes()))) for path in paths]
    bits = np.packbits([one.hash.ravel() for one in hashes], axis=1).view(np.uint64).ravel()
    for k, one in enumerate(bits):
        np.flatnonzero(np.bitwise_count(bits[k + 1 :] ^ one) <= MAX_BITS)


def imagededup(folder: Path) -> None:
    """Run its perceptual hash and search."""
    from imagededup.methods import PHash

    hasher = PHash(verbose=False)
    encodings = hasher.encode_images(image_dir=folder, recursive=True, num_enc_workers=2)
    hasher.find_duplicates(encoding_map=encodings, max_distance_threshold=MAX_BITS)


def cleanvision(folder: Path) -> None:
    """Run all default checks."""
    from cleanvision import Imagelab

    Imagelab(data_path=str(folder)).find_issues(n_jobs=2, verbose=False)


RUN = dict(zip(PEERS, (imagehash_all_pairs, imagededup, cleanvision), strict=True))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--peers", default="")
    parser.add_argument("--peer", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        RUN[options.peer[0]](Path(options.peer[1]))
        return
    root = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        make(root / "whole", options.images)
        print(
            "| | images | s | CPU, ms per image | peak, MB |\n| --- | ---: | ---: | ---: | ---: |"
        )
        for images in [size for size in SIZES if size < options.images] + [options.images]:
            ours(root, images, root / "whole")
        fewer = min(PEERED, options.images)
        for name in PEERS:
            folder = str(root / f"images{fewer}")
            command = [sys.executable, __file__, "--peer", name, folder]
            row(name, fewer, cost(command, options.peers))
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
