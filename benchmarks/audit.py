"""How fast `toolkit audit` looks at a folder, beside other libraries that look for the same.

    python benchmarks/audit.py [--images 100000] [--folder WORK] [--peers PATH]

Images: JPEG of 128 px, each blended from two drawn faces and turned, moved and lit by chance; one
of 50 is a copy of the one before, encoded again. Each measurement is a process of its own, from its
start to its end; memory is that of all its processes, what they share counted once. "again" runs
once more with the work file of the first time; "killed" is ended by SIGKILL when half is measured,
and goes on. --peers: where the libraries are (`pip install --target PATH imagehash imagededup
cleanvision`): 10,000 images.
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
HASHED = 8  # bits of 64 that may differ
PEERS = ("ImageHash", "imagededup", "cleanvision")


# --- images -----------------------------------------------------------------------------------


def make(folder: Path, images: int) -> None:
    """Write `images` files into two classes, of which one is rare."""
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
    """The command; its output lies in the work folder."""
    options = ["--output", f"{work}/audit.json", "--work", str(work), "--quiet"]
    return [sys.executable, "-m", "toolkit", "audit", str(folder), *options]


def cost(command: Sequence[str], peers: str = "") -> Cost | None:
    """What a command costs here, with modules from `peers`; None if it fails."""
    return measure(command, os.pathsep.join(filter(None, (str(ROOT), peers))), Path.cwd())


def killed(folder: Path, work: Path, images: int) -> Cost | None:
    """What the second run costs when the first was killed half-way."""
    process = subprocess.Popen(audit(folder, work), stdout=subprocess.DEVNULL)
    half = images * RECORD.itemsize // 2
    while process.poll() is None:
        if any(path.stat().st_size > half for path in work.glob("audit/*.records")):
            process.kill()
        time.sleep(0.01)
    return cost(audit(folder, work))


def ours(root: Path, images: int, whole: Path) -> None:
    """Print the rows of so many images."""
    folder = part(root, whole, images)
    first, second = root / f"work{images}", root / f"killed{images}"
    row("toolkit", images, cost(audit(folder, first)))
    row("toolkit, again", images, cost(audit(folder, first)))
    if images <= PEERED:
        row("toolkit, killed half-way", images, killed(folder, second, images))
        if not filecmp.cmp(first / "audit.json", second / "audit.json", shallow=False):
            raise SystemExit("the run that was killed gave another audit.json")


def part(root: Path, whole: Path, images: int) -> Path:
    """A folder with the first so many images, linked hard."""
    folder = root / f"images{images}"
    for path in sorted(whole.rglob("*.jpg"), key=lambda p: p.name)[:images]:
        target = folder / path.relative_to(whole)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, target)
    return folder


def row(name: str, images: int, found: Cost | None) -> None:
    """Print one row of the table."""
    cells = ["not installed, or failed", "", ""]
    if found:
        each = 1000 * found.cpu / images
        cells = [f"{found.wall:.1f}", f"{each:.2f}", f"{found.memory:.0f}"]
    print(f"| {name} | {images:,} | {' | '.join(cells)} |", flush=True)


# --- peers: each in a process of its own ------------------------------------------------------


def imagehash_all_pairs(folder: Path) -> None:
    """Perceptual hashes, every pair compared: no mirror images, no crops, no other check."""
    import imagehash

    paths = sorted(folder.rglob("*.jpg"))
    found = [imagehash.phash(Image.open(io.BytesIO(path.read_bytes()))) for path in paths]
    bits = np.packbits([one.hash.ravel() for one in found], axis=1).view(np.uint64).ravel()
    for k, one in enumerate(bits):
        np.flatnonzero(np.bitwise_count(bits[k + 1 :] ^ one) <= HASHED)


def imagededup(folder: Path) -> None:
    """Perceptual hashes and its search."""
    from imagededup.methods import PHash

    hasher = PHash(verbose=False)
    encodings = hasher.encode_images(image_dir=folder, recursive=True, num_enc_workers=2)
    hasher.find_duplicates(encoding_map=encodings, max_distance_threshold=HASHED)


def cleanvision(folder: Path) -> None:
    """All its default checks."""
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
    given = parser.parse_args()
    if given.peer:
        RUN[given.peer[0]](Path(given.peer[1]))
        return
    root = Path(tempfile.mkdtemp(dir=given.folder))
    try:
        make(root / "whole", given.images)
        print("| | images | s | CPU, ms an image | peak, MB |\n| --- | ---: | ---: | ---: | ---: |")
        for images in [size for size in SIZES if size < given.images] + [given.images]:
            ours(root, images, root / "whole")
        fewer = min(PEERED, given.images)
        for name in PEERS:
            folder = str(root / f"images{fewer}")
            command = [sys.executable, __file__, "--peer", name, folder]
            row(name, fewer, cost(command, given.peers))
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
