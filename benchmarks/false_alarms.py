"""False alarms and power of `compare`: how often it sees a difference without one, and with one.

    python benchmarks/false_alarms.py [--experiments 2000]

Predictions are drawn, no network is trained: each test image has a difficulty that all networks
share, each training run an effect of its own, each run and image a noise of its own. Both arms are
drawn from the same distribution or, for the power, the second from one with a higher recall of the
rare class. A false alarm is a verdict other than inconclusive without a true difference; the aim is
at most 5 %.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from toolkit.evaluation import contrasts
from toolkit.evaluation.results import RunResult
from toolkit.metrics.predictions import Predictions

CLASSES = ("common", "rare")
HISTORY = {"epoch": (1.0,)}  # marks a result as a training run
Outcome = tuple[contrasts.Contrast, contrasts.ArmEstimate]


@dataclass(frozen=True)
class Scene:
    """Test images and recalls of both classes, the runs of an arm, and the parts of the variance.

    `training` is the part of the training runs, `shared` that of the images' difficulty, the rest
    is noise. `gain` is added to the second arm's recall of the rare class.
    """

    images: tuple[int, int]
    recalls: tuple[float, float]
    seeds: int
    training: float
    shared: float
    gain: float = 0.0

    def mean(self, gain: float, runs: int = 1_000_000) -> float:
        """Return the mean G-mean of many runs on infinitely many images, of the arm with a gain."""
        common, rare = (ndtri(self.recalls[0]), ndtri(self.recalls[1] + gain))
        effect = np.sqrt(self.training) * np.random.default_rng(0).standard_normal((2, runs))
        recalls = ndtr((np.array([[common], [rare]]) - effect) / np.sqrt(1 - self.training))
        return float(np.sqrt(recalls.prod(axis=0)).mean())


HEADS = (
    "images", "recalls", "seeds", "training", "gain", "verdicts", "covered", "width", "arm covered",
)  # fmt: skip
SIZES = ((500, 90), (300, 40))
NULL = [
    Scene(size, recalls, seeds, training, 0.5)
    for size in SIZES
    for recalls in ((0.98, 0.90), (0.95, 0.75))
    for seeds, training in ((1, 0.0), (2, 0.1), (3, 0.0), (3, 0.1), (3, 0.3), (5, 0.1))
]
POWER = [
    Scene(size, (0.95, 0.75), 3, 0.05, 0.5, gain) for size in SIZES for gain in (0.05, 0.1, 0.15)
]


def experiment(scene: Scene, rng: np.random.Generator, resamples: int) -> Outcome:
    """Draw the runs of both arms; return their contrast and the estimate of the first arm."""
    actual = np.repeat([0, 1], scene.images)
    difficulty = rng.standard_normal(len(actual))
    recalls = np.array([scene.recalls, (scene.recalls[0], scene.recalls[1] + scene.gain)])
    results = []
    for arm, name in enumerate(("original", "augmented")):
        for seed in range(scene.seeds):
            effect = rng.standard_normal(2)[actual]
            noise = 1 - scene.shared - scene.training
            score = np.sqrt(scene.shared) * difficulty + np.sqrt(scene.training) * effect
            score += np.sqrt(noise) * rng.standard_normal(len(actual))
            correct = score < ndtri(recalls[arm])[actual]
            predicted = np.where(correct, actual, 1 - actual)
            results.append(result(name, seed, actual, predicted, scene))
    metrics = contrasts.estimate_metrics(results, "rare", resamples, seed=int(rng.integers(2**31)))
    original, augmented = (
        [i for i, r in enumerate(results) if r.arm == arm] for arm in ("original", "augmented")
    )
    contrast = contrasts.contrast_arms(results, augmented, original, metrics)
    return contrast, contrasts.estimate_arm(results, original, metrics)


def result(
    arm: str, seed: int, actual: np.ndarray, predicted: np.ndarray, scene: Scene
) -> RunResult:
    """Make one run; with a single seed it counts as the predictions of a fixed network."""
    ids = tuple(map(str, range(len(actual))))
    names = [tuple(CLASSES[i] for i in labels) for labels in (actual, predicted)]
    history = HISTORY if scene.seeds > 1 else None
    return RunResult(arm, "drawn", seed, {}, Predictions(CLASSES, ids, *names), "rare", history)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--experiments", type=int, default=2000)
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.perf_counter()
    print(f"{options.experiments:,} experiments a row, {options.resamples:,} resamples each\n")
    print("|", " | ".join(HEADS), "|")
    print("|" + " ---: |" * len(HEADS))
    for scene in [*NULL, *POWER]:
        rng = np.random.default_rng(options.seed)
        outcomes = [experiment(scene, rng, options.resamples) for _ in range(options.experiments)]
        print("|", " | ".join(cells(scene, outcomes)), "|", flush=True)
    print(f"\n{time.perf_counter() - start:.0f} s")


def cells(scene: Scene, outcomes: Sequence[Outcome]) -> list[str]:
    """Return one row of the table."""
    mean = scene.mean(0)
    difference = scene.mean(scene.gain) - mean
    verdicts = np.mean([c.verdict != contrasts.INCONCLUSIVE for c, _ in outcomes])
    width = np.mean([c.tested.high - c.tested.low for c, _ in outcomes])
    covered = np.mean([c.tested.low <= difference <= c.tested.high for c, _ in outcomes])
    ends = [estimate.intervals[contrasts.TESTED] for _, estimate in outcomes]
    arm_covered = np.mean([low <= mean <= high for low, high in ends])
    images, recalls = "/".join(map(str, scene.images)), "/".join(f"{r:.2f}" for r in scene.recalls)
    row = [images, recalls, str(scene.seeds), str(scene.training), f"{scene.gain:+.2f}"]
    return [*row, f"{verdicts:.1%}", f"{covered:.1%}", f"{width:.3f}", f"{arm_covered:.1%}"]


if __name__ == "__main__":
    main()
