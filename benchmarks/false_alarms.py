"""False alarms and power of `compare`: how often it sees a difference without one, and with one.

    python benchmarks/false_alarms.py [--experiments 2000]

Predictions are drawn, no network is trained: each test image has a difficulty that all networks
share, each training run an effect of its own, each run and image a noise of its own. All arms have
the same mean G-mean over training runs or, for the power, the second a higher one. The training of
the two arms may vary unequally, and they may have unequal numbers of runs. A false alarm is a
verdict other than inconclusive on any contrast without a true difference; the aim is at most 5%.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from toolkit.evaluation import contrasts
from toolkit.evaluation.results import RunResult
from toolkit.metrics.predictions import Predictions

HISTORY = {"epoch": (1.0,)}  # marks a result as a training run
Outcome = tuple[Sequence[contrasts.Contrast], contrasts.ArmEstimate]


@dataclass(frozen=True)
class Scene:
    """Test images and recalls of the classes, runs of two arms, and the parts of the variance.

    `training` is the part of the training runs of each arm, `shared` that of the images'
    difficulty, the rest is noise. `gain` is the true increase of the second arm's G-mean, which its
    recall of the last class makes. `others` are further arms like the second.
    """

    images: tuple[int, ...]
    recalls: tuple[float, ...]
    seeds: tuple[int, int]
    training: tuple[float, float] = (0.0, 0.0)
    shared: float = 0.5
    gain: float = 0.0
    others: int = 0


@cache
def mean_gmean(recalls: tuple[float, ...], training: float, runs: int = 200_000) -> float:
    """Return the mean G-mean of many runs on infinitely many images."""
    effect = np.sqrt(training) * np.random.default_rng(0).standard_normal((len(recalls), runs))
    found = ndtr((ndtri(recalls)[:, None] - effect) / np.sqrt(1 - training))
    return float((found.prod(axis=0) ** (1 / len(recalls))).mean())


@cache
def second_recalls(scene: Scene) -> tuple[float, ...]:
    """Return the second arm's recalls: the last is such that its mean G-mean is `gain` higher."""
    aim = mean_gmean(scene.recalls, scene.training[0]) + scene.gain

    def excess(last: float) -> float:
        return mean_gmean((*scene.recalls[:-1], last), scene.training[1]) - aim

    return (*scene.recalls[:-1], float(brentq(excess, 0.05, 0.99999, xtol=1e-5)))


HEADS = (
    "images", "recalls", "seeds", "training", "contrasts", "gain", "verdicts", "covered", "width",
    "arm covered",
)  # fmt: skip
BINARY = [
    (size, recalls) for size in ((500, 90), (300, 40)) for recalls in ((0.98, 0.9), (0.95, 0.75))
]
TEN = (10,) * 10, (0.9,) * 10
THREE = (200, 80, 40), (0.95, 0.85, 0.75)
NULL = [
    *(
        Scene(*split, seeds, training)
        for split in BINARY
        for seeds, training in (
            ((1, 1), (0.0, 0.0)), ((2, 2), (0.1, 0.1)), ((2, 10), (0.1, 0.1)),
            ((3, 3), (0.0, 0.0)), ((3, 3), (0.1, 0.1)),
            ((5, 5), (0.1, 0.1)), ((3, 3), (0.02, 0.3)), ((3, 10), (0.1, 0.1)),
            ((3, 10), (0.3, 0.02)),
        )
    ),
    *(Scene(*split, (1, 1)) for split in (TEN, THREE)),
    *(Scene(*split, (3, 3), (0.1, 0.1)) for split in (TEN, THREE)),
    *(Scene(*BINARY[1], (3, 3), (0.1, 0.1), others=others) for others in (3, 9)),
]  # fmt: skip
POWER = [
    Scene(images, recalls, (3, 3), (0.05, 0.05), gain=gain)
    for images, recalls in (BINARY[1], BINARY[3])
    for gain in (0.03, 0.06, 0.09)
]


def experiment(scene: Scene, rng: np.random.Generator, resamples: int) -> Outcome:
    """Draw the runs of all arms; return their contrasts and the estimate of the first arm."""
    actual = np.repeat(np.arange(len(scene.images)), scene.images)
    difficulty = rng.standard_normal(len(actual))
    results = []
    for arm in range(2 + scene.others):
        recalls = second_recalls(scene) if arm else scene.recalls
        training, seeds = scene.training[min(arm, 1)], scene.seeds[min(arm, 1)]
        for seed in range(seeds):
            effect = rng.standard_normal(len(recalls))[actual]
            noise = rng.standard_normal(len(actual))
            score = np.sqrt(scene.shared) * difficulty + np.sqrt(training) * effect
            score += np.sqrt(1 - scene.shared - training) * noise
            wrong = (actual + rng.integers(1, len(recalls), len(actual))) % len(recalls)
            predicted = np.where(score < ndtri(recalls)[actual], actual, wrong)
            results.append(result(str(arm), seed, actual, predicted, scene))
    metrics = contrasts.estimate_metrics(results, None, resamples, seed=int(rng.integers(2**31)))
    arms = [
        [i for i, r in enumerate(results) if r.arm == str(arm)] for arm in range(2 + scene.others)
    ]
    compared = [contrasts.contrast_arms(results, arm, arms[0], metrics) for arm in arms[1:]]
    return contrasts.apply_holm(compared), contrasts.estimate_arm(results, arms[0], metrics)


def result(
    arm: str, seed: int, actual: np.ndarray, predicted: np.ndarray, scene: Scene
) -> RunResult:
    """Make one run; with a single seed it counts as the predictions of a fixed network."""
    ids = tuple(map(str, range(len(actual))))
    classes = tuple(chr(ord("a") + k) for k in range(len(scene.images)))
    names = [tuple(classes[i] for i in labels) for labels in (actual, predicted)]
    history = HISTORY if max(scene.seeds) > 1 else None
    return RunResult(arm, "drawn", seed, {}, Predictions(classes, ids, *names), None, history)


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
    mean = mean_gmean(scene.recalls, scene.training[0])
    verdicts = np.mean(
        [any(c.verdict != contrasts.INCONCLUSIVE for c in all_) for all_, _ in outcomes]
    )
    tested = [c.tested for all_, _ in outcomes for c in all_]
    width = np.mean([of.high - of.low for of in tested])
    covered = np.mean([of.low <= scene.gain <= of.high for of in tested])
    ends = [estimate.intervals[contrasts.TESTED] for _, estimate in outcomes]
    arm_covered = np.mean([low <= mean <= high for low, high in ends])
    row = [
        *(_list(values) for values in (scene.images, scene.recalls, scene.seeds, scene.training)),
        str(1 + scene.others), f"{scene.gain:+.2f}",
    ]  # fmt: skip
    return [*row, f"{verdicts:.1%}", f"{covered:.1%}", f"{width:.3f}", f"{arm_covered:.1%}"]


def _list(values: Sequence[float]) -> str:
    if len(values) > 2 and len(set(values)) == 1:
        return f"{len(values)} x {values[0]}"
    return "/".join(map(str, values))


if __name__ == "__main__":
    main()
