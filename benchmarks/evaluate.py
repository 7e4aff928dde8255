"""The bootstrap of one evaluation, against the loop over scikit-learn and imbalanced-learn.

    python benchmarks/evaluate.py

All get the same predictions and make 2,000 stratified resamples of G-mean, ROC AUC and average
precision; `all metrics` makes those of all other metrics too, as `toolkit evaluate` does. The loop
is timed on fewer resamples and scaled up, as the table says. Each case has a process of its own;
its imports are not counted, and the peak of its memory is all that the process used. Times are the
least of several runs; ratios are of the processor's seconds, which other jobs disturb less.
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
Drawn = dict[str, np.ndarray]
Way = Callable[[Predictions, int], Drawn]


@dataclass(frozen=True)
class Case:
    """A way to resample so many predictions: `made` resamples, the best of `repeats` runs."""

    way: str
    images: int
    made: int
    repeats: int


CASES = (
    Case("toolkit, these three", 590, RESAMPLES, 20),
    Case("toolkit, all metrics", 590, RESAMPLES, 20),
    Case("loop", 590, 100, 3),
    Case("toolkit, all metrics", 1_000_000, RESAMPLES, 5),
    Case("loop", 1_000_000, 3, 1),
)


def draw(images: int) -> Predictions:
    """Predictions with 90 rare ones in 590, and scores that overlap."""
    rng = np.random.default_rng(0)
    actual = (np.arange(images) >= images * 500 // 590).astype(int)
    score = rng.beta(2 + 3 * actual, 5 - 3 * actual)
    names, ids = np.array(CLASSES), map(str, range(images))
    labels = (tuple(names[said]) for said in (actual, (score >= 0.5).astype(int)))
    return Predictions(CLASSES, tuple(ids), *labels, np.stack([1 - score, score], axis=1))


def everything(given: Predictions, resamples: int) -> Drawn:
    """All metrics."""
    return bootstrap.bootstrap_metrics(given, CLASSES[1], resamples=resamples)


def three(given: Predictions, resamples: int) -> Drawn:
    """By the same parts, only what the loop makes; few enough images to draw each of them."""
    rng, actual = np.random.default_rng(0), given.actual_index
    table = np.asarray(given.scores)
    matrices = bootstrap.resample_matrices(rng, confusion.matrix_of(given), resamples)
    own = table[np.arange(len(actual)), actual]
    weighted = bootstrap.bootstrap_weights(rng, actual, own, resamples)
    drawn = scores.ranking_metrics(
        actual[weighted.samples], table[weighted.samples], 1, weighted.weights
    )
    return {"gmean": confusion.gmean(matrices), **drawn}


def loop(given: Predictions, resamples: int) -> Drawn:
    """What one would write: draw images class by class, call three functions, again and again."""
    from imblearn.metrics import geometric_mean_score
    from sklearn.metrics import average_precision_score, roc_auc_score

    rng, score = np.random.default_rng(0), np.asarray(given.scores)[:, 1]
    actual, said = given.actual_index, given.predicted_index
    sides = [np.flatnonzero(actual == label) for label in (0, 1)]
    values = []
    for _ in range(resamples):
        rows = np.concatenate([rng.choice(side, len(side)) for side in sides])
        gmean = geometric_mean_score(actual[rows], said[rows])
        ranked = (actual[rows], score[rows])
        values.append((gmean, roc_auc_score(*ranked), average_precision_score(*ranked)))
    return dict(zip(SHOWN, np.array(values).T, strict=True))


WAYS: dict[str, Way] = {
    "toolkit, these three": three,
    "toolkit, all metrics": everything,
    "loop": loop,
}


def measure(case: Case) -> dict[str, float]:
    """Seconds for all resamples (scaled), MiB at the peak, and the standard errors."""
    way, predictions = WAYS[case.way], draw(case.images)
    way(draw(59), 1)  # imports
    runs = [timed(way, predictions, case.made) for _ in range(case.repeats)]
    wall, processor = (min(times) * RESAMPLES / case.made for times in zip(*runs, strict=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    drawn = way(predictions, case.made)
    errors = {name: float(drawn[name].std()) for name in SHOWN}
    return {"wall": wall, "processor": processor, "peak": peak, **errors}


def timed(way: Way, given: Predictions, made: int) -> tuple[float, float]:
    """Seconds on the clock and of the processor. As if just read: nothing is remembered."""
    fresh = replace(given)
    start = time.perf_counter(), time.process_time()
    way(fresh, made)
    return time.perf_counter() - start[0], time.process_time() - start[1]


def in_process(number: int) -> dict[str, float]:
    """The case in a process of its own."""
    command = [sys.executable, __file__, "--case", str(number)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def table() -> None:
    """Measure all cases and print them; ratios are those of the processor's seconds."""
    rows = [(case, in_process(number)) for number, case in enumerate(CASES)]
    loops = {case.images: row["processor"] for case, row in rows if case.way == "loop"}
    heads = "resamples made", "s for 2,000", "CPU s", "the loop takes", "peak, MiB"
    print("| predictions | way |", " | ".join(heads), "|")
    print("| ---: | --- |" + " ---: |" * len(heads))
    for case, row in rows:
        made = f"{case.made:,}" if case.made == RESAMPLES else f"{case.made}, scaled"
        ratio = f"{loops[case.images] / row['processor']:,.0f} x"
        seconds = f"{row['wall']:.3f}", f"{row['processor']:.3f}"
        cells = (f"{case.images:,}", case.way, made, *seconds, ratio)
        print("|", " | ".join(cells), "|", f"{row['peak']:.0f} |")
    print("\nStandard errors at 590 predictions, of the resamples made:\n")
    for case, row in rows[:3]:
        print(f"- {case.way}:", ", ".join(f"{name} {row[name]:.4f}" for name in SHOWN))


def main() -> None:
    """Print the table, or with --case what one row needs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--case", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case is None:
        table()
    else:
        print(json.dumps(measure(CASES[given.case])))


if __name__ == "__main__":
    main()
