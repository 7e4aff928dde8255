"""Speed of the bootstrap of one evaluation, against a loop over scikit-learn and imbalanced-learn.

    python benchmarks/evaluate.py

All get the same predictions and make 2,000 stratified resamples of G-mean, ROC AUC and average
precision; "all metrics" makes those of all other metrics too, as `toolkit evaluate` does. The loop
is timed on fewer resamples and scaled up, as the table says. Each case runs in its own process; its
imports are not timed, and its peak memory is that of the whole process. Times are the best of
several runs; ratios are of CPU time, which other processes disturb less.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from toolkit.metrics import bootstrap, confusion, scores
from toolkit.metrics.predictions import Predictions

RESAMPLES = 2000
CLASSES = ("with_mask", "without_mask")
SHOWN = ("gmean", "roc_auc", "average_precision")
Resamples = dict[str, np.ndarray]
Way = Callable[[Predictions, int], Resamples]


@dataclass(frozen=True)
class Case:
    """A way to make `resamples` of predictions on `images`; the best of `repeats` runs counts."""

    way: str
    images: int
    resamples: int
    repeats: int


CASES = (
    Case("toolkit, these three", 590, RESAMPLES, 20),
    Case("toolkit, all metrics", 590, RESAMPLES, 20),
    Case("loop", 590, 100, 3),
    Case("toolkit, all metrics", 1_000_000, RESAMPLES, 5),
    Case("loop", 1_000_000, 3, 1),
)


def draw(images: int) -> Predictions:
    """Draw predictions on images of which 90 in 590 are rare, with scores that overlap."""
    rng = np.random.default_rng(0)
    actual = (np.arange(images) >= images * 500 // 590).astype(int)
    score = rng.beta(2 + 3 * actual, 5 - 3 * actual)
    names, ids = np.array(CLASSES), map(str, range(images))
    labels = (tuple(names[column]) for column in (actual, (score >= 0.5).astype(int)))
    return Predictions(CLASSES, tuple(ids), *labels, np.stack([1 - score, score], axis=1))


def all_metrics(predictions: Predictions, resamples: int) -> Resamples:
    """Resample all metrics."""
    return bootstrap.bootstrap_metrics(predictions, CLASSES[1], resamples=resamples)


def three_metrics(predictions: Predictions, resamples: int) -> Resamples:
    """Resample only what the loop does, with the same functions; for few images."""
    rng, actual = np.random.default_rng(0), predictions.actual_index
    table = np.asarray(predictions.scores)
    matrices = bootstrap.resample_matrices(rng, confusion.matrix_of(predictions), resamples)
    actual_score = table[np.arange(len(actual)), actual]
    drawn = bootstrap.bootstrap_weights(rng, actual, actual_score, resamples)
    rows = drawn.samples
    rankings = scores.ranking_metrics(actual[rows], table[rows], 1, drawn.weights)
    return {"gmean": confusion.gmean(matrices), **rankings}


def loop(predictions: Predictions, resamples: int) -> Resamples:
    """Draw images class by class and call three functions, in a loop."""
    from imblearn.metrics import geometric_mean_score
    from sklearn.metrics import average_precision_score, roc_auc_score

    rng, score = np.random.default_rng(0), np.asarray(predictions.scores)[:, 1]
    actual, predicted = predictions.actual_index, predictions.predicted_index
    sides = [np.flatnonzero(actual == label) for label in (0, 1)]
    values = []
    for _ in range(resamples):
        rows = np.concatenate([rng.choice(side, len(side)) for side in sides])
        gmean = geometric_mean_score(actual[rows], predicted[rows])
        ranked = (actual[rows], score[rows])
        values.append((gmean, roc_auc_score(*ranked), average_precision_score(*ranked)))
    return dict(zip(SHOWN, np.array(values).T, strict=True))


WAYS: dict[str, Way] = {
    "toolkit, these three": three_metrics,
    "toolkit, all metrics": all_metrics,
    "loop": loop,
}


def measure(case: Case) -> dict[str, float]:
    """Return seconds for 2,000 resamples (scaled), peak memory in MiB, and standard errors."""
    way, predictions = WAYS[case.way], draw(case.images)
    way(draw(59), 1)  # imports
    runs = [timed(way, predictions, case.resamples) for _ in range(case.repeats)]
    wall, processor = (min(times) * RESAMPLES / case.resamples for times in zip(*runs, strict=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    resampled = way(predictions, case.resamples)
    errors = {name: float(resampled[name].std()) for name in SHOWN}
    return {"wall": wall, "processor": processor, "peak": peak, **errors}


def timed(way: Way, predictions: Predictions, resamples: int) -> tuple[float, float]:
    """Return seconds of wall and CPU time for predictions without cached properties."""
    fresh = replace(predictions)
    start = time.perf_counter(), time.process_time()
    way(fresh, resamples)
    return time.perf_counter() - start[0], time.process_time() - start[1]


def in_process(number: int) -> dict[str, float]:
    """Measure a case in its own process."""
    command = [sys.executable, __file__, "--case", str(number)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def table() -> None:
    """Measure all cases and print them."""
    rows = [(case, in_process(number)) for number, case in enumerate(CASES)]
    loops = {case.images: row["processor"] for case, row in rows if case.way == "loop"}
    heads = "resamples made", "s for 2,000", "CPU s", "the loop takes", "peak, MiB"
    print("| predictions | way |", " | ".join(heads), "|")
    print("| ---: | --- |" + " ---: |" * len(heads))
    for case, row in rows:
        made = f"{case.resamples:,}" + (", scaled" if case.resamples < RESAMPLES else "")
        ratio = f"{loops[case.images] / row['processor']:,.0f} x"
        seconds = f"{row['wall']:.3f}", f"{row['processor']:.3f}"
        cells = (f"{case.images:,}", case.way, made, *seconds, ratio)
        print("|", " | ".join(cells), "|", f"{row['peak']:.0f} |")
    print("\nStandard errors at 590 predictions, of the resamples made:\n")
    for case, row in rows[:3]:
        print(f"- {case.way}:", ", ".join(f"{name} {row[name]:.4f}" for name in SHOWN))


def main() -> None:
    """Print the table, or with --case the numbers of one row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--case", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case is None:
        table()
    else:
        print(json.dumps(measure(CASES[options.case])))


if __name__ == "__main__":
    main()
