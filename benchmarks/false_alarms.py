"""How often `compare` sees a difference where there is none, and where there is one.

    python benchmarks/false_alarms.py [--experiments 2000]

Networks are drawn, not trained: each test image has a difficulty that all networks share, each
training run a luck of its own, each run and image a noise of their own. Both arms draw from the
same distribution (or, for the power, from one whose rare-class recall is higher). A false alarm is
a verdict other than inconclusive; the aim is at most 5 %.
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
Found = tuple[contrasts.Contrast, contrasts.ArmEstimate]


@dataclass(frozen=True)
class Scene:
    """Test images of both classes, their recalls, and how much of the variance each luck is."""

    images: tuple[int, int]
    recalls: tuple[float, float]
    seeds: int
    training: float
    shared: float
    gain: float = 0.0

    def mean(self, gain: float, draws: int = 1_000_000) -> float:
        """The mean G-mean of so many runs on all images there are, of the arm with this gain."""
        common, rare = (ndtri(self.recalls[0]), ndtri(self.recalls[1] + gain))
        luck = np.sqrt(self.training) * np.random.default_rng(0).standard_normal((2, draws))
        recalls = ndtr((np.array([[common], [rare]]) - luck) / np.sqrt(1 - self.training))
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


def experiment(scene: Scene, rng: np.random.Generator, resamples: int) -> Found:
    """Draw the test images and both arms' runs; set one arm against the other.

    Returns what came out, and what is said of the first arm.
    """
    actual = np.repeat([0, 1], scene.images)
    difficulty = rng.standard_normal(len(actual))
    recalls = np.array([scene.recalls, (scene.recalls[0], scene.recalls[1] + scene.gain)])
    results = []
    for arm, name in enumerate(("original", "augmented")):
        for seed in range(scene.seeds):
            luck = rng.standard_normal(2)[actual]
            own = 1 - scene.shared - scene.training
            score = np.sqrt(scene.shared) * difficulty + np.sqrt(scene.training) * luck
            score += np.sqrt(own) * rng.standard_normal(len(actual))
            right = score < ndtri(recalls[arm])[actual]
            results.append(result(name, seed, actual, np.where(right, actual, 1 - actual), scene))
    measured = contrasts.estimate_metrics(results, "rare", resamples, seed=int(rng.integers(2**31)))
    original, augmented = (
        [i for i, r in enumerate(results) if r.arm == arm] for arm in ("original", "augmented")
    )
    found = contrasts.contrast_arms(results, augmented, original, measured)
    return found, contrasts.estimate_arm(results, original, measured)


def result(
    arm: str, seed: int, actual: np.ndarray, predicted: np.ndarray, scene: Scene
) -> RunResult:
    """One run; with a single seed it counts as the predictions of a fixed network."""
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
    given = parser.parse_args()
    start = time.perf_counter()
    print(f"{given.experiments:,} experiments a row, {given.resamples:,} resamples each\n")
    print("|", " | ".join(HEADS), "|")
    print("|" + " ---: |" * len(HEADS))
    for scene in [*NULL, *POWER]:
        rng = np.random.default_rng(given.seed)
        found = [experiment(scene, rng, given.resamples) for _ in range(given.experiments)]
        print("|", " | ".join(cells(scene, found)), "|", flush=True)
    print(f"\n{time.perf_counter() - start:.0f} s")


def cells(scene: Scene, found: Sequence[Found]) -> list[str]:
    """One row of the table."""
    before = scene.mean(0)
    difference = scene.mean(scene.gain) - before
    verdicts = np.mean([c.verdict != contrasts.INCONCLUSIVE for c, _ in found])
    width = np.mean([c.tested.high - c.tested.low for c, _ in found])
    covered = np.mean([c.tested.low <= difference <= c.tested.high for c, _ in found])
    ends = [row.intervals[contrasts.TESTED] for _, row in found]
    alone = np.mean([low <= before <= high for low, high in ends])
    images, recalls = "/".join(map(str, scene.images)), "/".join(f"{r:.2f}" for r in scene.recalls)
    known = [images, recalls, str(scene.seeds), str(scene.training), f"{scene.gain:+.2f}"]
    return [*known, f"{verdicts:.1%}", f"{covered:.1%}", f"{width:.3f}", f"{alone:.1%}"]


if __name__ == "__main__":
    main()
