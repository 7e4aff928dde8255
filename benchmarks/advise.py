"""How good frozen features are on real photos, and how often the verdict of `advise` is right.

python benchmarks/advise.py PHOTOS [--draws 30] [--no-transfer]

PHOTOS is laid out <class>/file, with two classes and far more images than are used here: 60 (and 5)
of the class that comes last, 500 of the other. Features are computed once. Printed are:

- G-mean on 500/90 other photos of classifiers trained on 500/60 and on 500/5, with the threshold
  chosen by cross-fitting, over five draws of the photos;
- a table of folders, drawn from all photos: how often two remedies that are equal by construction
  get the verdict better or worse, and how often one that is truly better gets it (the other's
  features are noisy, so that its G-mean on other photos is lower by about 0.085). Equal are:
  random halves of the features, all of them with noise of its own for each remedy, the same with
  other noise where a photo is tested than where it is trained on, and new images, noisy copies,
  that each remedy draws for itself.
"""

import argparse
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from toolkit.datasets import folders
from toolkit.datasets.folds import assign_folds
from toolkit.evaluation import judgment, remedies
from toolkit.evaluation.remedies import HeldOutImages, HeldOutScores
from toolkit.metrics import confusion, thresholds
from toolkit.metrics.predictions import Predictions
from toolkit.pipeline.steps.advise import usable_images
from toolkit.progress import silent
from toolkit.training.pretrained import backbones, heads
from toolkit.training.pretrained.features import Embedder, embed_folder
from toolkit.training.pretrained.heads import TrainingSet

FOLDS, REPEATS, SEEDS = 5, 2, 5
NOISE = (3.0, 3.25, 3.5, 3.75, 4.0)
"""Deviations of the noise that are tried, in those of each feature."""
NEW = 5
"""New images of each rare photo."""
HALVES, NOISY, APART, DRAWN, WORSE = "halves", "noisy", "noisy apart", "drawn", "worse"
TABLE = *((60, kind) for kind in (HALVES, NOISY, APART, DRAWN, WORSE)), (5, WORSE)
"""Rare photos and remedies of each row."""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--size", type=int, nargs="*", default=[None])
    parser.add_argument("--draws", type=int, default=30)
    parser.add_argument("--no-transfer", action="store_true")
    parser.add_argument("--work", type=Path, default=Path(".toolkit"))
    arguments = parser.parse_args()
    table = folders.scan(arguments.photos, silent, 2)
    folder, _, notes = usable_images(
        table, arguments.photos, arguments.work, most=10**9, seed=0, workers=2
    )
    print(f"{arguments.photos}: {folder.table.counts()}; {'; '.join(notes)}")
    labels = folder.labels.numpy()
    for size in arguments.size:
        network = backbones.load_backbone()
        embedder = Embedder(network, size or network.size, threads=2)
        features = np.asarray(embed_folder(folder, embedder, arguments.work / "features"))
        print(f"\n{network.name} at {size or network.size} px")
        for rare in () if arguments.no_transfer else (60, 5):
            values = [transfer(features, labels, rare, seed) for seed in range(5)]
            print(f"500/{rare}: G-mean {np.mean(values):.3f}, SD over draws {np.std(values):.3f}")
    if arguments.draws:
        noise, gain = noise_for(features, labels, 0.085)
        print(f"\nnoise of {noise} deviations costs {gain:.3f} of G-mean\n")
        heads_ = ("rare photos", "remedies", *judgment.VERDICTS, "G-mean", "interval")
        print("|", " | ".join(heads_), "|")
        print("|" + " ---: |" * len(heads_))
        for rare, kind in TABLE:
            row = verdicts(features, labels, arguments.draws, kind, noise, rare)
            print("|", " | ".join(row), "|", flush=True)
        print(f"\n{time.process_time():.0f} CPU s")


def transfer(features: np.ndarray, labels: np.ndarray, rare: int, seed: int) -> float:
    """Train on 500 and `rare` photos; return the G-mean on 500/90 others."""
    rng = np.random.default_rng(seed)
    common, scarce = (rng.permutation(np.flatnonzero(labels == k)) for k in (0, 1))
    train = np.concatenate([common[:500], scarce[:rare]])
    test = np.concatenate([common[500:1000], scarce[rare : rare + 90]])
    data = TrainingSet(features[train], labels[train], 2, balanced=True)
    folds = fold(labels[train], rng)
    held_out = heads.cross_fit(data, folds)
    threshold = thresholds.smooth_threshold(predictions(labels[train], held_out), "1")
    head = heads.fit_head(data, np.arange(len(train)), heads.STRENGTH)
    decided = thresholds.apply_threshold(
        predictions(labels[test], head.scores(features[test])), "1", threshold
    )
    return float(confusion.gmean(confusion.matrix_of(decided)))


def predictions(labels: np.ndarray, scores: np.ndarray) -> Predictions:
    """Return predictions of the likelier class, with scores [N, 2]."""
    ids = tuple(map(str, range(len(labels))))
    predicted = tuple(map(str, scores.argmax(axis=1)))
    return Predictions(("0", "1"), ids, tuple(map(str, labels)), predicted, scores)


def fold(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Divide images, each a group of its own, into as many folds as the rare class allows."""
    names = [str(label) for label in labels]
    folds = min(FOLDS, int(np.bincount(labels).min()))
    return assign_folds(names, [str(n) for n in range(len(names))], folds, rng)


def verdicts(
    features: np.ndarray, labels: np.ndarray, draws: int, kind: str, noise: float, rare: int
) -> list[str]:
    """Return a row: how often each verdict is given in folders of 500 and `rare` photos.

    Also the second remedy's G-mean and its interval, in the mean.
    """
    counts: Counter[str] = Counter()
    shown = []
    for seed in range(draws):
        rng = np.random.default_rng([seed, 17])
        rows = np.concatenate(
            [rng.permutation(np.flatnonzero(labels == k))[:n] for k, n in ((0, 500), (1, rare))]
        )
        plain = TrainingSet(features[rows], labels[rows], 2, balanced=True)
        both = two_remedies(kind, plain, noise, rare, rng)
        folds = tuple(fold(labels[rows], rng) for _ in range(REPEATS))
        about = HeldOutImages(tuple(map(str, rows)), ("0", "1"), labels[rows], folds, "1")
        held_out = [
            HeldOutScores(name, tuple(cross_fit(*data, one) for one in folds), tuned=True)
            for name, data in zip("ab", both, strict=True)
        ]
        found = remedies.compare_remedies(about, held_out, "b", resamples=500)["b"]
        counts[found.verdict] += 1
        shown.append((found.gmean, *found.interval))
    gmean, low, high = np.mean(shown, axis=0)
    shares = [f"{counts[verdict]} of {draws}" for verdict in judgment.VERDICTS]
    return [str(rare), kind, *shares, f"{gmean:.3f}", f"{low:.3f} to {high:.3f}"]


def cross_fit(data: TrainingSet, tested: TrainingSet, folds: np.ndarray) -> np.ndarray:
    """Return `heads.cross_fit` with other features where an image is tested."""
    rows = {fold: np.flatnonzero(folds != fold) for fold in np.unique(folds).tolist()}
    return heads.score_without(tested, folds, heads.fit_without(data, folds, rows))


def two_remedies(
    kind: str, plain: TrainingSet, noise: float, rare: int, rng: np.random.Generator
) -> list[tuple[TrainingSet, TrainingSet]]:
    """Return what two remedies are fitted on, and with which features they are tested.

    The second is better where `kind` is WORSE. The `rare` photos come last.
    """
    own = plain.features

    def blurred() -> TrainingSet:
        return replace(plain, features=noisy(own, noise, rng))

    if kind == HALVES:
        halves = np.array_split(rng.permutation(own.shape[1]), 2)
        both = [replace(plain, features=own[:, half]) for half in halves]
    elif kind == DRAWN:
        parents = np.repeat(np.arange(len(own) - rare, len(own)), NEW)
        deviation = own.std(axis=0)
        new = [noisy(own[parents], noise, rng, deviation) for _ in range(2)]
        both = [replace(plain, new=one, parents=parents) for one in new]
    elif kind == APART:
        return [(blurred(), blurred()) for _ in range(2)]
    else:
        both = [blurred(), plain if kind == WORSE else blurred()]
    return [(one, one) for one in both]


def noisy(
    features: np.ndarray,
    noise: float,
    rng: np.random.Generator,
    deviation: np.ndarray | None = None,
) -> np.ndarray:
    """Add noise of so many standard deviations to each feature, those of these unless given."""
    deviation = features.std(axis=0) if deviation is None else deviation
    return features + noise * deviation * rng.normal(size=features.shape)


def noise_for(features: np.ndarray, labels: np.ndarray, gain: float) -> tuple[float, float]:
    """Return the noise that costs about `gain` of G-mean, and what it costs on other photos."""
    plain = np.mean([transfer(features, labels, 60, seed) for seed in range(SEEDS)])
    costs = {}
    for noise in NOISE:
        rng = np.random.default_rng(0)
        lost = noisy(features, noise, rng)
        costs[noise] = plain - np.mean([transfer(lost, labels, 60, seed) for seed in range(SEEDS)])
    best = min(costs, key=lambda noise: abs(costs[noise] - gain))
    return best, float(costs[best])


if __name__ == "__main__":
    main()
