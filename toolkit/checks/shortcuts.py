"""SHORTCUT_CHECKS: file properties that predict the class; a network would learn these instead.

The values of each property are binned into levels. Each level predicts the class that is more
frequent in it than elsewhere, and the predictions are scored on images that did not take part.
"""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from toolkit.checks.base import Check, CheckContext, CheckResult, picture_numbers, round_score
from toolkit.checks.findings import Finding
from toolkit.checks.records import Measurements

LEVELS = 12
"""Levels of a property, at most; the rarer names share one level."""
FOLDS = 5
MARGIN = 3.0
"""Standard errors subtracted from a score, so that none of 15 properties stands out by chance."""
MIN_IMAGES = 20
"""Different pictures that every class needs."""
WORDS = re.compile(r"[^\W\d_]+")

Codes = npt.NDArray[np.int64]
Values = npt.NDArray[np.floating] | Sequence[str]


def _shortcuts(context: CheckContext) -> CheckResult:
    """Report the properties that predict the class, the best first.

    The score is balanced accuracy rescaled to 0 for chance and 1 for perfect prediction.
    """
    measurements = context.measurements
    readable = measurements.readable
    labels = [measurements.samples[int(index)].label for index in readable]
    classes, actual = np.unique(labels, return_inverse=True)
    pictures = picture_numbers(len(measurements.samples), context.duplicates)[readable]
    if len(classes) < 2 or count_pictures(actual, pictures).min() < MIN_IMAGES:
        return None, []
    best, scored = 0.0, []
    for name, values_of in PROPERTIES.items():
        codes, names = _levels(values_of(measurements), readable)
        score = skill(codes, actual, pictures)
        best = max(best, score)
        if score > context.settings.thresholds.shortcuts:
            chance = 1 / len(classes)
            accuracy = chance + score * (1 - chance)
            message = f"{name} predicts the class: balanced accuracy at least {accuracy:.2f}"
            message += f" (chance: {chance:.2f}); {_example(codes, names, actual, list(classes))}"
            scored.append((score, message))
    scored.sort(key=lambda pair: -pair[0])
    action = context.settings.shortcuts
    return best, [
        Finding("shortcuts", action, message, (), score=round_score(score))
        for score, message in scored
    ]


def skill(codes: Codes, actual: Codes, pictures: Codes) -> float:
    """Return how much better than chance the levels [N] predict the classes [N], 0 to 1.

    Files with the same number in `pictures` [N] show one picture: they count as one, and lie in one
    fold. Balanced accuracy, cross-validated over FOLDS and lowered by MARGIN standard errors, is
    rescaled to 0 for chance and 1 for perfect prediction.
    """
    classes, levels = int(actual.max()) + 1, int(codes.max()) + 1
    shown = pictures * classes + actual  # a picture under one label
    weights = 1 / np.bincount(shown)[shown]
    folds = _folds(actual, pictures)
    counts = np.zeros((FOLDS, levels, classes))
    np.add.at(counts, (folds, codes, actual), weights)
    others = (counts.sum(axis=0) - counts).round(9)
    fractions = others / np.maximum(others.sum(axis=1, keepdims=True), 1e-9)
    correct = fractions.argmax(axis=2)[folds, codes] == actual
    number = count_pictures(actual, pictures)
    recalls = np.minimum(1, np.bincount(actual, weights * correct) / number)  # sums are rounded
    error = np.sqrt((recalls * (1 - recalls) / number).sum()) / classes
    chance = 1 / classes
    return float(max(0, (recalls.mean() - MARGIN * error - chance) / (1 - chance)))


def count_pictures(actual: Codes, pictures: Codes) -> Codes:
    """Return the number of different pictures of each class."""
    classes = int(actual.max()) + 1
    return np.bincount(np.unique(pictures * classes + actual) % classes)


def _folds(actual: Codes, pictures: Codes) -> Codes:
    """Deal the pictures of each class out in turn: nothing is random, and file order is spread.

    A picture with several labels lies in the fold of its first file.
    """
    _, first, picture = np.unique(pictures, return_index=True, return_inverse=True)
    folds = np.empty(len(first), dtype=np.int64)
    for label in range(int(actual.max()) + 1):
        dealt = np.flatnonzero(actual[first] == label)
        dealt = dealt[np.argsort(first[dealt])]
        folds[dealt] = np.arange(len(dealt)) % FOLDS
    return folds[picture]


def _levels(values: Values, readable: Codes) -> tuple[Codes, list[str]]:
    """Return the level of each readable image, and the names of the levels."""
    chosen = [values[int(index)] for index in readable]
    if chosen and isinstance(chosen[0], str):
        common = [name for name, _ in Counter(map(str, chosen)).most_common(LEVELS - 1)]
        codes = {name: code for code, name in enumerate(common)}
        return np.array([codes.get(str(v), len(common)) for v in chosen]), [*common, "others"]
    numbers = np.nan_to_num(np.array(chosen, dtype=float), nan=-1.0)
    cuts = np.unique(np.quantile(numbers, np.linspace(0, 1, LEVELS + 1)[1:-1]))
    ends = ["-inf", *(f"{cut:.3g}" for cut in cuts), "inf"]
    names = [f"{low} to {high}" for low, high in itertools.pairwise(ends)]
    names[0], names[-1] = f"up to {ends[1]}", f"over {ends[-2]}"
    return np.searchsorted(cuts, numbers, side="left"), names


def _example(codes: Codes, names: Sequence[str], actual: Codes, classes: Sequence[str]) -> str:
    """Describe the most telling level: its name, its class, and in how many images it occurs."""
    counts = np.zeros((len(names), len(classes)))
    np.add.at(counts, (codes, actual), 1)
    fractions = counts / counts.sum(axis=0)
    mean = fractions.mean(axis=1, keepdims=True)
    level, label = np.unravel_index((fractions - mean).argmax(), fractions.shape)
    others = counts[level].sum() - counts[level, label]
    elsewhere = others / max(1, len(actual) - counts[:, label].sum())
    return (
        f"{names[level]!r} holds for {fractions[level, label]:.0%} of {classes[label]} and "
        f"{elsewhere:.0%} of the rest"
    )


# --- properties -------------------------------------------------------------------------------


def _column(name: str) -> Callable[[Measurements], Values]:
    return lambda measurements: measurements.columns[name]


def _aspect_ratio(measurements: Measurements) -> Values:
    return measurements.columns["width"] / np.maximum(measurements.columns["height"], 1)


def _bytes_per_pixel(measurements: Measurements) -> Values:
    columns = measurements.columns
    pixels = columns["width"].astype(float) * columns["height"]
    return np.asarray(columns["bytes"] / np.maximum(pixels, 1))


def _name_prefix(measurements: Measurements) -> Values:
    """Return the first word of each file name: merged collections keep their naming schemes."""
    stems = (PurePosixPath(sample.path).stem.lower() for sample in measurements.samples)
    return [(WORDS.findall(stem) or ["numbers"])[0] for stem in stems]


PROPERTIES: dict[str, Callable[[Measurements], Values]] = {
    "width": _column("width"),
    "height": _column("height"),
    "aspect ratio": _aspect_ratio,
    "format": lambda measurements: measurements.text("format"),
    "color mode": lambda measurements: measurements.text("mode"),
    "JPEG quality": _column("quality"),
    "bytes per pixel": _bytes_per_pixel,
    "brightness": _column("brightness"),
    "contrast": _column("contrast"),
    "sharpness": _column("sharpness"),
    "colorfulness": _column("colorfulness"),
    "red-blue balance": _column("warmth"),
    "green-magenta balance": _column("greenness"),
    "file name prefix": _name_prefix,
}
"""Properties of a file apart from what it shows: functions to one value per sample."""

SHORTCUT_CHECKS: dict[str, Check] = {
    "shortcuts": Check(
        _shortcuts, "a file property predicts the class (over {}; 0 is chance, 1 is perfect)"
    ),
}
