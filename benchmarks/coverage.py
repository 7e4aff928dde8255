"""Coverage of the 95 % confidence intervals of one evaluation.

    python benchmarks/coverage.py [--experiments 2000]

Scores are drawn from two normal distributions, so that the true value of every metric is known.
Columns are test splits of 500/90 or 300/40 images and networks of different quality. For the G-mean
the plain bootstrap (images drawn with replacement, percentiles) stands beside it. The aim is 93 to
97 %.
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
PLAIN = "gmean, plain bootstrap"


@dataclass(frozen=True)
class Network:
    """A network whose logits of both classes are normal.

    `slope` times N(-threshold, 1) for common images and N(gap - threshold, 1) for rare ones.
    """

    gap: float
    threshold: float
    slope: float


NETWORKS = (Network(2.6, 1.6, 1.0), Network(3.2, 1.9, 1.5), Network(4.0, 2.1, 2.0))
SIZES = ((500, 90), (300, 40))


def draw(network: Network, images: tuple[int, int], rng: np.random.Generator) -> Predictions:
    """Draw the predictions on one test split."""
    actual = np.repeat([0, 1], images)
    logits = rng.standard_normal(len(actual)) + network.gap * actual - network.threshold
    score = expit(network.slope * logits)
    names = np.array(CLASSES)
    ids, predicted = map(str, range(len(actual))), (score > 0.5).astype(int)
    scores = np.stack([1 - score, score], axis=1)
    return Predictions(CLASSES, tuple(ids), tuple(names[actual]), tuple(names[predicted]), scores)


def true_metrics(network: Network, images: tuple[int, int]) -> dict[str, float]:
    """Compute the metrics on 2,500 times as many images, with the split's class balance."""
    many = (images[0] * 2500, images[1] * 2500)
    return classification.compute_metrics(draw(network, many, np.random.default_rng(99)), "rare")


def plain_bootstrap(predictions: Predictions, rng: np.random.Generator) -> tuple[float, float]:
    """Return percentiles of the G-mean over images drawn with replacement, class by class."""
    matrix = confusion.matrix_of(predictions)
    rows = [rng.multinomial(row.sum(), row / row.sum(), 1000) for row in matrix]
    low, high = np.quantile(confusion.gmean(np.stack(rows, axis=1)), [0.025, 0.975])
    return float(low), float(high)


def main() -> None:
    """Print a row per metric, a column per split and network."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--experiments", type=int, default=2000)
    parser.add_argument("--resamples", type=int, default=1000)
    options = parser.parse_args()
    start = time.perf_counter()
    counts = options.experiments, options.resamples
    columns = [column(images, network, *counts) for images in SIZES for network in NETWORKS]
    print(f"{counts[0]:,} test splits a column, {counts[1]:,} resamples each\n")
    print("| |", " | ".join(head for head, _ in columns), "|")
    print("| --- |" + " ---: |" * len(columns))
    for name in columns[0][1]:
        print(f"| {name} |", " | ".join(f"{rates[name]:.1%}" for _, rates in columns), "|")
    print(f"\n{time.perf_counter() - start:.0f} s")


def column(
    images: tuple[int, int], network: Network, experiments: int, resamples: int
) -> tuple[str, dict[str, float]]:
    """Return the head of a column, and the coverage of each metric's interval."""
    truth, rng = true_metrics(network, images), np.random.default_rng(0)
    covered: dict[str, list[bool]] = {name: [] for name in (*SHOWN, PLAIN)}
    for number in range(experiments):
        predictions = draw(network, images, rng)
        ends = confidence_intervals(predictions, "rare", resamples=resamples, seed=number)
        ends[PLAIN] = plain_bootstrap(predictions, rng)
        for name, values in covered.items():
            low, high = ends[name]
            values.append(low <= truth["gmean" if name == PLAIN else name] <= high)
    head = f"{images[0]}/{images[1]}, G-mean {truth['gmean']:.2f}"
    return head, {name: float(np.mean(values)) for name, values in covered.items()}


if __name__ == "__main__":
    main()
