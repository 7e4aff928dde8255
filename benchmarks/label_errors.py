"""How many planted label errors the audit finds, and how many of those it reports are real.

    python benchmarks/label_errors.py [FOLDER]

Some images, drawn from a seed, get the other label. The images are drawn faces, and with FOLDER
also the photos in its with_mask/ and without_mask/, whose own label errors count against the
precision. "noise" is added to the features, to see what a classifier is worth that barely separates
the classes; the audit then reports nothing. Numbers are means over SEEDS; `recall at k` is the
fraction of k planted errors among the k least confident labels.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toolkit.checks import confident, duplicates, records
from toolkit.checks.base import picture_numbers
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
"""Images per class, fraction of wrong labels, noise in standard deviations of the features."""
SEEDS = range(5)
NEAR = 0.95
LIMITS = ImageLimits()


@dataclass(frozen=True, eq=False)
class Images:
    """Feature vectors [N, M], class numbers [N] and groups of duplicates [N] of images."""

    vectors: confident.Floats
    classes: confident.Labels
    groups: confident.Labels


def load(folder: Path) -> Images:
    """Compute the features of a folder as the audit does, and print how long it took."""
    samples = folders.scan(folder, workers=cores()).samples
    with tempfile.TemporaryDirectory() as work:
        table = records.measure_samples(folder, samples, LIMITS, Path(work), processes=cores())
        sets = duplicates.find_duplicates(table, NEAR, cores())
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        paths = [samples[n].path for n in table.readable]
        decoded, vectors = confident.file_features(folder, paths, LIMITS)
        seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        indices = table.readable[decoded]
    print(f"{len(indices)} images, {1000 * seconds / len(indices):.1f} ms each\n")
    classes = np.array([CLASSES.index(samples[n].label) for n in indices])
    return Images(vectors, classes, picture_numbers(len(samples), sets)[indices])


def score(
    images: Images, counts: tuple[int, int], fraction: float, noise: float, seed: int
) -> Sequence[float]:
    """Return AUC, planted errors, reported ones, recall, precision, recall at k, ms per image."""
    rng = np.random.default_rng(seed)
    of_class = [rng.permutation(np.flatnonzero(images.classes == k)) for k in (0, 1)]
    rows = np.concatenate([of[:n] for of, n in zip(of_class, counts, strict=True)])
    wrong = np.zeros(len(rows), dtype=bool)
    wrong[rng.permutation(len(rows))[: round(fraction * len(rows))]] = True
    noisy = images.classes[rows] ^ wrong
    vectors, groups = images.vectors[rows], images.groups[rows]
    vectors = vectors + noise * rng.normal(size=vectors.shape) * vectors.std(axis=0)
    start = time.process_time()
    result = confident.find_label_issues(vectors, [CLASSES[k] for k in noisy], groups, min_auc=0)
    milliseconds = 1000 * (time.process_time() - start) / len(rows)
    reported = wrong[[issue.index for issue in result.issues]]
    probabilities = confident.out_of_fold_probabilities(vectors, noisy, groups, 0, cores())
    ranking = np.argsort(probabilities[np.arange(len(rows)), noisy], kind="stable")
    recall, at_k = reported.sum() / wrong.sum(), wrong[ranking[: wrong.sum()]].mean()
    precision = reported.mean() if len(reported) else np.nan
    auc = result.auc or 0.5
    return auc, wrong.sum(), len(reported), recall, precision, at_k, milliseconds


def report(name: str, folder: Path) -> None:
    """Print the table of one collection."""
    images = load(folder)
    print(f"| {name} | planted | AUC | reported | recall | precision | recall at k | ms |")
    print("| --- " + "| ---: " * 7 + "|")
    for common, rare, fraction, noise in CASES:
        runs = [score(images, (common, rare), fraction, noise, seed) for seed in SEEDS]
        auc, errors, reported, *rates, milliseconds = np.mean(runs, axis=0)
        cells = (f"{auc:.2f}", f"{reported:.0f}", *(f"{rate:.2f}" for rate in rates))
        planted = f"{errors:.0f} ({fraction:.0%})"
        noisy = f", noise {noise}" if noise else ""
        row = f"| {common} / {rare}{noisy} | {planted} | {' | '.join(cells)} "
        print(f"{row}| {milliseconds:.1f} |")
    print()


def main() -> None:
    """Print the table of drawn faces, and of the photos in each folder given."""
    with tempfile.TemporaryDirectory() as folder:
        counts = dict(zip(CLASSES, (1300, 500), strict=True))
        for path, data in draw.draw_images(counts, size=96, seed=0, workers=cores()):
            files.write_file(Path(folder) / path, data)
        report("drawn faces", Path(folder))
    for folder in sys.argv[1:]:
        report("photos", Path(folder))


if __name__ == "__main__":
    main()
