"""How many planted label errors the audit finds, and how many of its doubts are right.

    python benchmarks/label_errors.py [FOLDER]

Some images, drawn from a seed, get the other label; then they are looked for. The images are drawn
faces, and with FOLDER also the photos in its with_mask/ and without_mask/, whose own wrong labels
count against the precision. "noise" spoils what is measured, to see what a judge who hardly tells
classes apart is worth; the audit then doubts nothing. Numbers are means over SEEDS; `recall in as
many` is the share of the planted errors among as many images at the head of the ranking.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toolkit.checks import confident, duplicates, labels, records
from toolkit.datasets import folders
from toolkit.datasets.faces import draw
from toolkit.io import files
from toolkit.io.images import ImageLimits
from toolkit.io.parallel import cores

CLASSES = draw.LABELS
CASES = (
    (500, 60, 0.05, 0),
    (500, 60, 0.02, 0),
    (1300, 190, 0.05, 0),
    (500, 500, 0.05, 0),
    (500, 60, 0.05, 1),
    (500, 60, 0.05, 3),
)
"""Images of the classes, share of wrong labels, noise in the measurements' own deviations."""
SEEDS = range(5)
NEAR = 0.95
LIMITS = ImageLimits()


@dataclass(frozen=True, eq=False)
class Images:
    """Vectors [N, M] of images, their classes [N] by number, and the pictures [N] they show."""

    vectors: confident.Floats
    classes: confident.Labels
    pictures: confident.Labels


def measured(folder: Path) -> Images:
    """The images of a folder as the audit sees them; prints what it took."""
    samples = folders.scan(folder, workers=cores()).samples
    with tempfile.TemporaryDirectory() as work:
        table = records.measure_samples(folder, samples, LIMITS, Path(work), processes=cores())
        twins = duplicates.find_duplicates(table, NEAR, cores())
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        paths = [samples[n].path for n in table.readable]
        known, vectors = confident.measure_files(folder, paths, LIMITS)
        took = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        numbers = table.readable[known]
    print(f"{len(numbers)} images measured in {1000 * took / len(numbers):.1f} ms each\n")
    classes = np.array([CLASSES.index(samples[n].label) for n in numbers])
    return Images(vectors, classes, labels.pictures(len(samples), twins)[numbers])


def planted(
    images: Images, counts: tuple[int, int], share: float, noise: float, seed: int
) -> Sequence[float]:
    """AUC, errors planted, doubts, recall, precision, recall in as many, and ms an image."""
    rng = np.random.default_rng(seed)
    of_class = [rng.permutation(np.flatnonzero(images.classes == k)) for k in (0, 1)]
    rows = np.concatenate([of[:n] for of, n in zip(of_class, counts, strict=True)])
    wrong = np.zeros(len(rows), dtype=bool)
    wrong[rng.permutation(len(rows))[: round(share * len(rows))]] = True
    given = images.classes[rows] ^ wrong
    vectors, pictures = images.vectors[rows], images.pictures[rows]
    vectors = vectors + noise * rng.normal(size=vectors.shape) * vectors.std(axis=0)
    begun = time.process_time()
    judged = confident.find_label_issues(vectors, [CLASSES[k] for k in given], pictures, least=0)
    took = 1000 * (time.process_time() - begun) / len(rows)
    doubted = wrong[[doubt.number for doubt in judged.doubts]]
    likely = confident.unseen(vectors, given, pictures, 0, cores())
    first = np.argsort(likely[np.arange(len(rows)), given], kind="stable")[: wrong.sum()]
    found, right = doubted.sum() / wrong.sum(), doubted.mean() if len(doubted) else np.nan
    told = judged.auc or 0.5
    return told, wrong.sum(), len(doubted), found, right, wrong[first].mean(), took


def report(name: str, folder: Path) -> None:
    """Print the table of one collection."""
    images = measured(folder)
    print(f"| {name} | planted | AUC | doubted | recall | precision | recall in as many | ms |")
    print("| --- " + "| ---: " * 7 + "|")
    for common, rare, share, noise in CASES:
        runs = [planted(images, (common, rare), share, noise, seed) for seed in SEEDS]
        told, errors, doubts, found, right, first, took = np.mean(runs, axis=0)
        cells = (f"{told:.2f}", f"{doubts:.0f}", f"{found:.2f}", f"{right:.2f}", f"{first:.2f}")
        planted_words = f"{errors:.0f} ({share:.0%})"
        spoilt = f", noise {noise}" if noise else ""
        print(f"| {common} / {rare}{spoilt} | {planted_words} | {' | '.join(cells)} | {took:.1f} |")
    print()


def main() -> None:
    """Draw the faces, and take the photos that were named."""
    with tempfile.TemporaryDirectory() as folder:
        counts = dict(zip(CLASSES, (1300, 500), strict=True))
        for path, data in draw.draw_images(counts, size=96, seed=0, workers=cores()):
            files.write_file(Path(folder) / path, data)
        report("drawn faces", Path(folder))
    for folder in sys.argv[1:]:
        report("photos", Path(folder))


if __name__ == "__main__":
    main()
