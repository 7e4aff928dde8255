"""How often the 95 % intervals of one evaluation hold the truth.

    python benchmarks/coverage.py [--experiments 2000]

Scores are drawn from two normal distributions, so that the truth is known; each row is a test split
of 500/90 or 300/40 images and a network of a certain quality. Beside ours stands the plain
bootstrap of whole images, percentiles, for the G-mean. The aim is 93 to 97 %.
"""

import argparse
import time
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from toolkit.metrics import classification, confusion
from toolkit.metrics.intervals import confidence_intervals
from toolkit.metrics.predictions import Predictions

CLASSES = ("common", "rare")
SHOWN = (
    "accuracy", "balanced_accuracy", "gmean", "mcc", "kappa", "recall", "precision", "specificity",
    "f1", "fbeta", "iba", "roc_auc", "average_precision", "loss", "brier", "ece",
)  # fmt: skip


@dataclass(frozen=True)
class Network:
    """Common images score N(-threshold, 1), rare ones N(gap - threshold, 1), times `slope`."""

    gap: float
    threshold: float
    slope: float


NETWORKS = (Network(2.6, 1.6, 1.0), Network(3.2, 1.9, 1.5), Network(4.0, 2.1, 2.0))
SIZES = ((500, 90), (300, 40))
PLAIN = "gmean, plain bootstrap"


def draw(network: Network, images: tuple[int, int], rng: np.random.Generator) -> Predictions:
    """One test split."""
    actual = np.repeat([0, 1], images)
    raw = rng.standard_normal(len(actual)) + network.gap * actual - network.threshold
    score = expit(network.slope * raw)
    names = np.array(CLASSES)
    ids, said = map(str, range(len(actual))), (score > 0.5).astype(int)
    scores = np.stack([1 - score, score], axis=1)
    return Predictions(CLASSES, tuple(ids), tuple(names[actual]), tuple(names[said]), scores)


def truth(network: Network, images: tuple[int, int]) -> dict[str, float]:
    """The numbers on so many images that chance is gone, with the split's class balance."""
    many = (images[0] * 2500, images[1] * 2500)
    return classification.compute_metrics(draw(network, many, np.random.default_rng(99)), "rare")


def plain(predictions: Predictions, rng: np.random.Generator) -> tuple[float, float]:
    """Percentiles of the G-mean over whole images drawn with replacement, class by class."""
    matrix = confusion.matrix_of(predictions)
    rows = [rng.multinomial(row.sum(), row / row.sum(), 1000) for row in matrix]
    low, high = np.quantile(confusion.gmean(np.stack(rows, axis=1)), [0.025, 0.975])
    return float(low), float(high)


def main() -> None:
    """Print a row a metric, a column a split and network."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--experiments", type=int, default=2000)
    parser.add_argument("--resamples", type=int, default=1000)
    given = parser.parse_args()
    start = time.perf_counter()
    counts = given.experiments, given.resamples
    columns = [column(images, network, *counts) for images in SIZES for network in NETWORKS]
    print(f"{given.experiments:,} test splits a column, {given.resamples:,} resamples each\n")
    print("| |", " | ".join(head for head, _ in columns), "|")
    print("| --- |" + " ---: |" * len(columns))
    for name in columns[0][1]:
        print(f"| {name} |", " | ".join(f"{held[name]:.1%}" for _, held in columns), "|")
    print(f"\n{time.perf_counter() - start:.0f} s")


def column(
    images: tuple[int, int], network: Network, experiments: int, resamples: int
) -> tuple[str, dict[str, float]]:
    """Its head, and how often each metric's interval holds the truth."""
    known, rng = truth(network, images), np.random.default_rng(0)
    held: dict[str, list[bool]] = {name: [] for name in (*SHOWN, PLAIN)}
    for number in range(experiments):
        predictions = draw(network, images, rng)
        found = confidence_intervals(predictions, "rare", resamples=resamples, seed=number)
        found[PLAIN] = plain(predictions, rng)
        for name, values in held.items():
            low, high = found[name]
            values.append(low <= known["gmean" if name == PLAIN else name] <= high)
    head = f"{images[0]}/{images[1]}, G-mean {known['gmean']:.2f}"
    return head, {name: float(np.mean(values)) for name, values in held.items()}


if __name__ == "__main__":
    main()
