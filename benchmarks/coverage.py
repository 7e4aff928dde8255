"""Coverage of the 95% confidence intervals of one evaluation.

    python benchmarks/coverage.py [--experiments 2000]

Logits are drawn from normal distributions, so that the true value of every metric is known. Columns
are test splits of 2 to 20 classes with 5 to 500 images, and networks of different quality. For the
G-mean the plain bootstrap (images drawn with replacement, percentiles) stands beside it. The aim is
93 to 97%. A share in brackets is that of the splits that have an interval, where some have none.
"""

import argparse
import time
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from toolkit.metrics import classification, confusion
from toolkit.metrics.intervals import confidence_intervals
from toolkit.metrics.predictions import Predictions

SHOWN = (
    "accuracy", "balanced_accuracy", "gmean", "mcc", "kappa", "macro_precision",
    "macro_specificity", "macro_f1", "macro_fbeta", "macro_iba", "macro_roc_auc",
    "macro_average_precision", "macro_loss", "macro_brier", "macro_ece", "recall", "precision",
    "specificity", "f1", "fbeta", "iba", "roc_auc", "average_precision", "loss", "brier", "ece",
)  # fmt: skip
PLAIN = "gmean, plain bootstrap"


@dataclass(frozen=True)
class Case:
    """The images of each class, and a network.

    Its logits are `slope` times normal ones of variance 1/2, `gap` higher for the actual class and
    `threshold` lower for the last.
    """

    images: tuple[int, ...]
    gap: float
    threshold: float = 0.0
    slope: float = 2.0

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names in alphabetical order."""
        return tuple(chr(ord("a") + k) for k in range(len(self.images)))

    @property
    def title(self) -> str:
        """The number of classes and their images."""
        if len(set(self.images)) == 1:
            return f"{len(self.images)} x {self.images[0]}"
        ends = "/".join(map(str, self.images[:: max(1, len(self.images) - 1)]))
        return ends if len(self.images) == 2 else f"{len(self.images)} of {ends}"


CASES = (
    Case((500, 90), 1.3, 0.3, 1.0),
    Case((500, 90), 2.0, 0.1, 2.0),
    Case((300, 40), 1.3, 0.3, 1.0),
    Case((300, 40), 1.6, 0.3, 1.5),
    Case((60, 5), 1.3, 0.1, 1.0),
    Case((180, 70), 1.0, 2.0, 1.0),
    Case((40,) * 3, 1.7),
    Case((50,) * 5, 2.3),
    Case((200, 100, 80, 40, 30, 20, 10), 2.1),
    Case((10,) * 10, 2.1),
    Case((100,) * 10, 2.4),
    Case((20,) * 20, 2.3),
)


def draw(case: Case, copies: int, rng: np.random.Generator) -> Predictions:
    """Draw the predictions on one test split, of `copies` times as many images."""
    classes = len(case.images)
    actual = np.repeat(np.arange(classes), [copies * n for n in case.images])
    logits = rng.standard_normal((len(actual), classes)) / np.sqrt(2)
    logits[np.arange(len(actual)), actual] += case.gap
    logits[:, -1] -= case.threshold
    scores = softmax(case.slope * logits, axis=1)
    names = np.array(case.classes)
    ids, predicted = map(str, range(len(actual))), scores.argmax(axis=1)
    columns = tuple(ids), tuple(names[actual]), tuple(names[predicted])
    return Predictions(case.classes, *columns, scores)


def true_metrics(case: Case) -> dict[str, float]:
    """Compute the metrics on 1,000 times as many images, with the split's class balance."""
    predictions = draw(case, 1000, np.random.default_rng(99))
    return classification.compute_metrics(predictions, case.classes[-1])


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
    columns = [column(case, *counts) for case in CASES]
    print(f"{counts[0]:,} test splits a column, {counts[1]:,} resamples each\n")
    print("| |", " | ".join(head for head, _ in columns), "|")
    print("| --- |" + " ---: |" * len(columns))
    for name in columns[0][1]:
        print(f"| {name} |", " | ".join(cells[name] for _, cells in columns), "|")
    print(f"\n{time.perf_counter() - start:.0f} s")


def column(case: Case, experiments: int, resamples: int) -> tuple[str, dict[str, str]]:
    """Return the head of a column, and the coverage of each metric's interval."""
    truth, rng = true_metrics(case), np.random.default_rng(0)
    covered: dict[str, list[bool]] = {name: [] for name in (*SHOWN, PLAIN)}
    for number in range(experiments):
        predictions = draw(case, 1, rng)
        ends = confidence_intervals(predictions, case.classes[-1], resamples=resamples, seed=number)
        ends[PLAIN] = plain_bootstrap(predictions, rng)
        for name in covered.keys() & ends.keys():
            low, high = ends[name]
            covered[name].append(low <= truth["gmean" if name == PLAIN else name] <= high)
    head = f"{case.title}, G-mean {truth['gmean']:.2f}"
    return head, {name: _cell(values, experiments) for name, values in covered.items()}


def _cell(covered: list[bool], experiments: int) -> str:
    if not covered:
        return "none"
    share = len(covered) / experiments
    return f"{np.mean(covered):.1%}" + (f" ({share:.0%})" if share < 1 else "")


if __name__ == "__main__":
    main()
