"""False alarms and power of `compare`: how often it sees a difference without one, and with one.

    python benchmarks/false_alarms.py [--design folds] [--experiments 2000] [--part 1/8]

Scores are drawn, no network is trained: each image has a difficulty that all networks share, each
training run an effect of its own, each run and image a noise of its own. All arms have the same
mean G-mean as predicted over training runs or, for the power, the second a higher one. The training
of the two arms may vary unequally, and they may have unequal numbers of runs. With two classes
thresholds are chosen on a valid split with two thirds of the images, and the verdict is about the
ranking; its true difference is that of the mean G-mean over many runs, each at a threshold chosen
on a valid split of its own. A false alarm is the verdict better or worse on any contrast without a
true difference; the aim is at most 5%.

In the design `folds` images are crossed with divisions: a run is a division of all images into
folds, the same for all arms, and the network of each fold has an effect of its own on the images
that it is tested on; thresholds come from the other folds.

    python benchmarks/false_alarms.py --looks

prints another table, in a minute: what looking several times does, with seeds added
(`compare.looks`) or divisions into folds (`advise --until-sure`). Each image's contribution to the
metric is drawn.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit, ndtr, ndtri

from toolkit.evaluation import contrasts, judgment, sequential
from toolkit.evaluation.ranking import at_thresholds
from toolkit.evaluation.results import RunResult
from toolkit.metrics import significance, thresholds
from toolkit.metrics.predictions import Predictions

TRAINED, FROZEN = ({"epoch": (1.0,), "learning_rate": (rate,)} for rate in (1.0, 0.0))
"""The history of a result of which comparisons know that it was trained, by chance or without."""
CLEAR = (judgment.BETTER, judgment.WORSE)
SHARED = 0.5
"""Part of the variance that is the images' difficulty, the same for all networks."""
SLOPE = 2.0
"""Log-odds for each standard deviation of the margin."""
Outcome = tuple[Sequence[contrasts.Contrast], contrasts.ArmEstimate]


@dataclass(frozen=True)
class Scene:
    """Test images and recalls of the classes, runs of two arms, and the parts of the variance.

    `training` is the part of the training runs of each arm, SHARED that of the images' difficulty,
    the rest is noise. `gain` is the true increase of the second arm's G-mean, which its
    recall of the last class makes. `others` are further arms like the second. With more than one
    of the `folds` runs are divisions, and each fold has an effect of its own; where the networks
    are `frozen` the comparison is told that chance has no part in their training.
    """

    images: tuple[int, ...]
    recalls: tuple[float, ...]
    seeds: tuple[int, int]
    training: tuple[float, float] = (0.0, 0.0)
    gain: float = 0.0
    others: int = 0
    folds: int = 1
    frozen: bool = False


@cache
def mean_gmean(
    recalls: tuple[float, ...], training: float, folds: int = 1, runs: int = 200_000
) -> float:
    """Return the mean G-mean of many runs on infinitely many images."""
    shape = len(recalls), runs // folds, folds
    effect = np.sqrt(training) * np.random.default_rng(0).standard_normal(shape)
    found = ndtr((ndtri(recalls)[:, None, None] - effect) / np.sqrt(1 - training)).mean(axis=2)
    return float((found.prod(axis=0) ** (1 / len(recalls))).mean())


@cache
def second_recalls(scene: Scene) -> tuple[float, ...]:
    """Return the second arm's recalls: the last is such that its mean G-mean is `gain` higher."""
    if not scene.gain and scene.training[0] == scene.training[1]:
        return scene.recalls
    aim = mean_gmean(scene.recalls, scene.training[0], scene.folds) + scene.gain

    def excess(last: float) -> float:
        return mean_gmean((*scene.recalls[:-1], last), scene.training[1], scene.folds) - aim

    return (*scene.recalls[:-1], float(brentq(excess, 0.05, 0.99999, xtol=1e-5)))


HEADS = (
    "images", "recalls", "runs", "network", "training", "contrasts", "gain", "better or worse",
    "practically equal", "covered", "width", "arm covered", "at .5", "covered at .5",
)  # fmt: skip
BINARY = [((500, 90), (0.95, 0.75)), ((300, 40), (0.98, 0.9))]
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
    *(Scene(*BINARY[0], (3, 3), (0.1, 0.1), others=others) for others in (3, 9)),
]  # fmt: skip
POWER = [Scene(*BINARY[0], (3, 3), (0.05, 0.05), gain=gain) for gain in (0.03, 0.06, 0.09)]
SPLIT = [*NULL, *POWER]
SIXTY = [((500, 60), (0.98, 0.9)), ((500, 60), (0.95, 0.75))]
FOLDED = [
    *(
        Scene(*images, runs, training, folds=5, frozen=training == (0.0, 0.0))
        for images in SIXTY
        for runs, training in (
            ((1, 1), (0.0, 0.0)), ((2, 2), (0.0, 0.0)), ((1, 1), (0.1, 0.1)),
            ((2, 2), (0.02, 0.02)), ((2, 2), (0.1, 0.1)), ((5, 5), (0.1, 0.1)),
            ((2, 2), (0.02, 0.3)),
        )
    ),
    Scene((200, 20), (0.95, 0.85), (2, 2), folds=5, frozen=True),
    Scene((200, 20), (0.95, 0.85), (2, 2), (0.1, 0.1), folds=5),
    Scene(*THREE, (2, 2), (0.02, 0.02), folds=5),
    Scene(*SIXTY[1], (2, 2), (0.02, 0.02), others=3, folds=5),
    *(
        Scene(*SIXTY[1], (2, 2), (part, part), gain, folds=5, frozen=part == 0)
        for part in (0.0, 0.05)
        for gain in (0.03, 0.06, 0.09)
    ),
]  # fmt: skip
DESIGNS = {"split": SPLIT, "folds": FOLDED}


def experiment(scene: Scene, rng: np.random.Generator, resamples: int) -> Outcome:
    """Draw the runs of all arms; return their contrasts and the estimate of the first arm."""
    test, valid = (
        np.repeat(np.arange(len(scene.images)), np.array(scene.images) * part // 3)
        for part in (3, 2)
    )
    difficulty = [rng.standard_normal(len(actual)) for actual in (test, valid)]
    divisions = [divide(test, scene.folds, rng) for _ in range(max(scene.seeds))]
    results = []
    for arm in range(2 + scene.others):
        recalls = second_recalls(scene) if arm else scene.recalls
        training, seeds = scene.training[min(arm, 1)], scene.seeds[min(arm, 1)]
        for seed in range(seeds):
            effects = rng.standard_normal((scene.folds, len(recalls)))
            history = TRAINED if max(scene.seeds) > 1 else None
            if scene.folds > 1:
                folds = divisions[seed]
                own = draw(test, difficulty[0], effects[folds, test], recalls, training, rng)
                own, two = replace(own, folds=folds), None
                history = FROZEN if scene.frozen else TRAINED
            else:
                own, two = (
                    draw(actual, hard, effects[0, actual], recalls, training, rng)
                    for actual, hard in zip((test, valid), difficulty, strict=True)
                )
                two = two if len(recalls) == 2 else None
            results.append(RunResult(str(arm), "drawn", seed, {}, own, None, history, two))
    tuned = at_thresholds(results)
    metrics = contrasts.estimate_metrics(results, None, resamples, int(rng.integers(2**31)), tuned)
    arms = [
        [i for i, r in enumerate(results) if r.arm == str(arm)] for arm in range(2 + scene.others)
    ]
    compared = [contrasts.contrast_arms(results, arm, arms[0], metrics) for arm in arms[1:]]
    primary = ("drawn", "1", "0") if not scene.others else None
    found = contrasts.correct_contrasts(compared, primary)
    return found, contrasts.estimate_arm(results, arms[0], metrics)


def divide(actual: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """Divide images, sorted by class, into folds with as many of each class, [N]."""
    return np.concatenate(
        [rng.permutation(np.arange(count) % folds) for count in np.bincount(actual)]
    )


def draw(
    actual: np.ndarray,
    difficulty: np.ndarray,
    effect: np.ndarray,
    recalls: Sequence[float],
    training: float,
    rng: np.random.Generator,
) -> Predictions:
    """Draw what one run predicts, and its scores; `effect` [N] is that of each image's network."""
    noise = np.sqrt(1 - SHARED - training) * rng.standard_normal(len(actual))
    hard = np.sqrt(SHARED) * difficulty + np.sqrt(training) * effect + noise
    margin = ndtri(recalls)[actual] - hard
    wrong = (actual + rng.integers(1, len(recalls), len(actual))) % len(recalls)
    predicted = np.where(margin > 0, actual, wrong)
    scores = None
    if len(recalls) == 2:
        last = expit(SLOPE * np.where(actual == 1, margin, -margin))
        scores = np.stack([1 - last, last], axis=1)
    classes = np.array([chr(ord("a") + k) for k in range(len(recalls))])
    ids = tuple(map(str, range(len(actual))))
    names = [tuple(classes[labels]) for labels in (actual, predicted)]
    return Predictions(tuple(classes), ids, *names, scores)


@cache
def mean_ranked(
    images: tuple[int, ...],
    recalls: tuple[float, ...],
    training: float,
    folds: int = 1,
    runs: int = 2000,
) -> float:
    """Return the mean G-mean on infinitely many images of runs with thresholds of their own.

    Each threshold is chosen on a valid split or, with more than one of the `folds`, on the others.
    """
    rng, found = np.random.default_rng(0), []
    part = 2 if folds == 1 else 3
    actual = np.repeat(np.arange(2), np.array(images) * part // 3)
    for _ in range(runs // folds):
        effects, of = rng.standard_normal((folds, 2)), divide(actual, folds, rng)
        hard = rng.standard_normal(len(actual))
        drawn = draw(actual, hard, effects[of, actual], recalls, training, rng)
        cuts = [
            logit(thresholds.smooth_threshold(tuning, "b")) / SLOPE
            for tuning in (
                [drawn] if folds == 1 else (without(drawn, of == k) for k in range(folds))
            )
        ]
        middle = ndtri(recalls) - np.sqrt(training) * effects - np.outer(cuts, [-1, 1])
        found.append(np.sqrt(ndtr(middle / np.sqrt(1 - training)).mean(axis=0).prod()))
    return float(np.mean(found))


def without(predictions: Predictions, left_out: np.ndarray) -> Predictions:
    """Return the predictions without some images."""
    rows = np.flatnonzero(~left_out)
    ids, actual, predicted = (
        tuple(values[row] for row in rows)
        for values in (predictions.ids, predictions.actual, predictions.predicted)
    )
    scores = predictions.required_scores("a threshold")[rows]
    return Predictions(predictions.classes, ids, actual, predicted, scores)


LOOK_HEADS = (
    "added", "looks", "training", "gain", "5% at each look", "sequential", "runs on average",
    "once, with all",
)  # fmt: skip
RARE, ONE_IMAGE = 60, 0.4
"""Images that the metric is the mean of, and its standard deviation over them."""
SEEDS, REPEATS = (3, 6, 12, 24), (2, 4, 8, 16)
LOOK_SCENES = [
    *(("seeds", SEEDS, training, gain) for training in (0.0, 0.02, 0.1) for gain in (0.0, 0.1)),
    *(("seeds", (3, 5), 0.1, gain) for gain in (0.0, 0.1)),
    *(("divisions", REPEATS, 0.0, gain) for gain in (0.0, 0.1)),
    *(("divisions", (1, 2, 4, 8), 0.0, gain) for gain in (0.0, 0.1)),
]


@cache
def planned(looks: tuple[int, ...]) -> dict[int, sequential.Look]:
    """Return the looks with seeds, which are the same in each experiment."""
    return {count: sequential.look_at(count, looks) for count in looks}


def look_several_times(
    added: str, looks: tuple[int, ...], training: float, gain: float, rng: np.random.Generator
) -> tuple[bool, bool, int, bool]:
    """Draw two arms; return what is found at any look, sequentially, with how many runs, and once.

    Half of an image's variance is shared by the arms, a quarter by the runs of an arm. `training`
    is the standard deviation of a run's own effect.
    """
    most = looks[-1]
    arms = np.sqrt(0.25) * rng.standard_normal((2, 1, RARE))
    noise = np.sqrt(0.25) * rng.standard_normal((2, most, RARE))
    each = ONE_IMAGE * (np.sqrt(0.5) * rng.standard_normal(RARE) + arms + noise)
    each = 0.5 + each + training * rng.standard_normal((2, most, 1))
    each[0] += gain
    naive, found, used, p = False, False, most, 1.0
    plan = planned(looks)
    subtract = significance.difference
    if added == "divisions":
        subtract = significance.networks_difference
    for count in looks:
        rows = each[:, :count].reshape(2 * count, RARE)
        values, covariance = rows.mean(axis=1), np.cov(rows) / RARE
        of = subtract(values[:count], values[count:], covariance, RARE)
        divided = added == "divisions"
        look = sequential.look_at_repeats(of, count, looks) if divided else plan[count]
        p = of.p
        naive |= p < sequential.ALPHA
        if not found and p * look.tests < sequential.ALPHA:
            found, used = True, count
    return naive, found, used, p < sequential.ALPHA


def print_looks(experiments: int, seed: int) -> None:
    """Print how often a difference is found, and with how many runs."""
    print("|", " | ".join(LOOK_HEADS), "|")
    print("|" + " ---: |" * len(LOOK_HEADS))
    for added, looks, training, gain in LOOK_SCENES:
        rng = np.random.default_rng(seed)
        drawn = [look_several_times(added, looks, training, gain, rng) for _ in range(experiments)]
        naive, found, used, once = np.mean(drawn, axis=0)
        shares = (f"{naive:.1%}", f"{found:.1%}", f"{used:.1f}", f"{once:.1%}")
        scene = (added, _list(looks), str(training), f"{gain:+.2f}")
        print("|", " | ".join((*scene, *shares)), "|", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--experiments", type=int, default=2000)
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--design", choices=DESIGNS, default="split")
    parser.add_argument("--part", default="1/1", help="which rows: 1/8 is the first eighth")
    parser.add_argument("--looks", action="store_true", help="what looking several times does")
    options = parser.parse_args()
    if options.looks:
        print_looks(options.experiments, options.seed)
        return
    part, parts = map(int, options.part.split("/"))
    scenes = DESIGNS[options.design]
    edges = [len(scenes) * number // parts for number in (part - 1, part)]
    start = time.process_time()
    print(f"{options.experiments:,} experiments a row, {options.resamples:,} resamples each\n")
    print("|", " | ".join(HEADS), "|")
    print("|" + " ---: |" * len(HEADS))
    for scene in scenes[slice(*edges)]:
        rng = np.random.default_rng(options.seed)
        outcomes = [experiment(scene, rng, options.resamples) for _ in range(options.experiments)]
        print("|", " | ".join(cells(scene, outcomes)), "|", flush=True)
    print(f"\n{time.process_time() - start:.0f} CPU s")


def cells(scene: Scene, outcomes: Sequence[Outcome]) -> list[str]:
    """Return one row of the table."""
    if len(scene.images) == 2:
        first, second = (
            mean_ranked(scene.images, recalls, training, scene.folds)
            for recalls, training in zip(
                (scene.recalls, second_recalls(scene)), scene.training, strict=True
            )
        )
        mean, gain = first, second - first
    else:
        mean, gain = mean_gmean(scene.recalls, scene.training[0], scene.folds), scene.gain
    equal = scene.gain == 0 and scene.training[0] == scene.training[1]
    gain = 0.0 if equal else gain
    pairs = [(c, c.tested, c.as_predicted) for all_, _ in outcomes for c in all_]
    ends = [(estimate.intervals[estimate.metric]) for _, estimate in outcomes]
    row = [
        *(_list(values) for values in (scene.images, scene.recalls, scene.seeds)),
        "frozen" if scene.frozen else "trained", _list(scene.training),
        str(1 + scene.others), f"{gain:+.3f}",
    ]  # fmt: skip
    shares = (
        [any(c.verdict in CLEAR for c in all_) for all_, _ in outcomes],
        [c.verdict == judgment.EQUAL for c, *_ in pairs],
        [of.low <= gain <= of.high for _, of, _ in pairs],
    )
    plain = (
        [any(c.verdict_as_predicted in CLEAR for c in all_) for all_, _ in outcomes],
        [of.low <= scene.gain <= of.high for _, _, of in pairs],
    )
    width = np.mean([of.high - of.low for _, of, _ in pairs])
    covered = np.mean([low <= mean <= high for low, high in ends])
    texts = [[f"{np.mean(share):.1%}" for share in some] for some in (shares, plain)]
    return [*row, *texts[0], f"{width:.3f}", f"{covered:.1%}", *texts[1]]


def _list(values: Sequence[float]) -> str:
    if len(values) > 2 and len(set(values)) == 1:
        return f"{len(values)} x {values[0]}"
    return "/".join(map(str, values))


if __name__ == "__main__":
    main()
