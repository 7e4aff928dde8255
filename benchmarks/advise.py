"""How good frozen features are on real photos, and how often the verdict of `advise` is right.

python benchmarks/advise.py PHOTOS [--draws 200]

PHOTOS is laid out <class>/file, with two classes and far more images than are used here: 60 (and 5)
of the class that comes last, 500 of the other. Three tables are printed:

- G-mean on 500/90 other photos of classifiers trained on 500/60 and on 500/5, with the threshold
  chosen by cross-fitting, over five draws of the photos;
- false alarms: how often two remedies that are equal by construction (each sees one random half of
  the features) get the verdict better or worse, over many draws of 500/60 photos;
- power: how often a remedy that is truly better (the other's features are noisy, so that its G-mean
  on all other photos is lower by about 0.085) gets the verdict better.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from toolkit.datasets import folders
from toolkit.datasets.folds import assign_folds
from toolkit.evaluation import remedies
from toolkit.evaluation.remedies import HeldOutImages, HeldOutScores
from toolkit.metrics import confusion, thresholds
from toolkit.metrics.predictions import Predictions
from toolkit.pipeline.steps.advise import usable_images
from toolkit.progress import silent
from toolkit.training.pretrained import backbones, heads
from toolkit.training.pretrained.features import embed_folder
from toolkit.training.pretrained.heads import TrainingSet

FOLDS, REPEATS = 5, 2
NOISE = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--size", type=int, nargs="*", default=[None])
    parser.add_argument("--draws", type=int, default=200)
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
        features = np.asarray(
            embed_folder(folder, network, arguments.work / "features", size=size, threads=2)
        )
        print(f"\n{network.name} at {size or network.size} px")
        for rare in (60, 5):
            values = [transfer(features, labels, rare, seed) for seed in range(5)]
            print(f"500/{rare}: G-mean {np.mean(values):.3f}, SD over draws {np.std(values):.3f}")
    if arguments.draws:
        print("\nfalse alarms, equal remedies:", verdicts(features, labels, arguments.draws, 0))
        noise, gain = noise_for(features, labels, 0.085)
        print(f"\ntrue gain {gain:.3f} (noise {noise}):", end=" ")
        print(verdicts(features, labels, arguments.draws, noise))


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
    head = heads.fit_chosen(data, folds)
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


def verdicts(features: np.ndarray, labels: np.ndarray, draws: int, noise: float) -> str:
    """Return how often each verdict is given: with noise one remedy is worse, else both are equal.

    Equal remedies see disjoint random halves of the features.
    """
    counts: Counter[str] = Counter()
    for seed in range(draws):
        rng = np.random.default_rng([seed, 17])
        rows = np.concatenate(
            [rng.permutation(np.flatnonzero(labels == k))[:n] for k, n in ((0, 500), (1, 60))]
        )
        halves = np.array_split(rng.permutation(features.shape[1]), 2)
        both = [features[np.ix_(rows, half)] for half in halves]
        if noise:
            both = [noisy(features[rows], noise, rng), features[rows]]
        folds = tuple(fold(labels[rows], rng) for _ in range(REPEATS))
        about = HeldOutImages(tuple(map(str, rows)), ("0", "1"), labels[rows], folds, "1")
        held_out = [
            HeldOutScores(name, tuple(heads.cross_fit(data, one) for one in folds), tuned=True)
            for name, some in zip("ab", both, strict=True)
            for data in (TrainingSet(some, labels[rows], 2, balanced=True),)
        ]
        counts[remedies.compare_remedies(about, held_out, "b", resamples=500)["b"].verdict] += 1
    return ", ".join(f"{name} {n / draws:.1%}" for name, n in counts.most_common())


def noisy(features: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Add noise of so many standard deviations to each feature."""
    return features + noise * features.std(axis=0) * rng.normal(size=features.shape)


def noise_for(features: np.ndarray, labels: np.ndarray, gain: float) -> tuple[float, float]:
    """Return the noise that costs about `gain` of G-mean, and what it costs on other photos."""
    plain = np.mean([transfer(features, labels, 60, seed) for seed in range(10)])
    costs = {}
    for noise in NOISE:
        rng = np.random.default_rng(0)
        lost = noisy(features, noise, rng)
        costs[noise] = plain - np.mean([transfer(lost, labels, 60, seed) for seed in range(10)])
    best = min(costs, key=lambda noise: abs(costs[noise] - gain))
    return best, float(costs[best])


if __name__ == "__main__":
    main()
