"""Does something that no person looks at give the class away? A network would learn that instead.

Each property of a file is cut to levels, and each level votes for the class that is more frequent
in it than elsewhere; the votes are counted on images that did not take part in the vote.
"""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from toolkit.checks.base import Check, CheckContext, Said, rounded
from toolkit.checks.findings import Finding
from toolkit.checks.records import Measurements

LEVELS = 12
"""At most, of a property; the rarer names of one are one level."""
FOLDS = 5
SURE = 3.0
"""Standard errors that are taken off a score: of 15 properties by chance none stands out."""
FEWEST = 20
"""Images that a class must have."""
WORDS = re.compile(r"[^\W\d_]+")

Codes = npt.NDArray[np.int64]
Values = npt.NDArray[np.floating] | Sequence[str]


def _shortcuts(given: CheckContext) -> Said:
    """The check: properties that predict the class by more than chance, and by how much.

    The score is 0 for chance and 1 for always right: balanced accuracy, so scaled.
    """
    readable = given.table.readable
    labels = [given.table.samples[int(n)].label for n in readable]
    classes, actual = np.unique(labels, return_inverse=True)
    if len(classes) < 2 or np.bincount(actual).min() < FEWEST:
        return None, []
    best, found = 0.0, []
    for name, values in PROPERTIES.items():
        codes, names = _levels(values(given.table), readable)
        score = skill(codes, actual)
        best = max(best, score)
        if score > given.settings.thresholds.shortcuts:
            chance = 1 / len(classes)
            right = chance + score * (1 - chance)
            message = f"{name} predicts the class: balanced accuracy {right:.2f} or more"
            message += f" (chance: {chance:.2f}); {_example(codes, names, actual, list(classes))}"
            found.append((score, message))
    found.sort(key=lambda pair: -pair[0])
    action = given.settings.shortcuts
    return best, [
        Finding("shortcuts", action, text, (), score=rounded(score)) for score, text in found
    ]


def skill(codes: Codes, actual: Codes) -> float:
    """How much better than chance the levels predict the classes [N]: 0 not at all, 1 always.

    The balanced accuracy of levels that were counted on four fifths of the images, asked about the
    last; less SURE standard errors.
    """
    classes, levels = int(actual.max()) + 1, int(codes.max()) + 1
    folds = _folds(actual)
    counts = np.zeros((FOLDS, levels, classes))
    np.add.at(counts, (folds, codes, actual), 1)
    others = counts.sum(axis=0) - counts
    shares = others / np.maximum(others.sum(axis=1, keepdims=True), 1)
    right = shares.argmax(axis=2)[folds, codes] == actual
    images = np.bincount(actual)
    recalls = np.bincount(actual, right) / images
    error = np.sqrt((recalls * (1 - recalls) / images).sum()) / classes
    chance = 1 / classes
    return float(max(0, (recalls.mean() - SURE * error - chance) / (1 - chance)))


def _folds(actual: Codes) -> Codes:
    """Each class dealt out in turn: no chance, and the order of the files is spread."""
    folds = np.empty(len(actual), dtype=np.int64)
    for label in range(int(actual.max()) + 1):
        rows = np.flatnonzero(actual == label)
        folds[rows] = np.arange(len(rows)) % FOLDS
    return folds


def _levels(values: Values, readable: Codes) -> tuple[Codes, list[str]]:
    """The level of each readable image, and the levels' names."""
    chosen = [values[int(n)] for n in readable]
    if chosen and isinstance(chosen[0], str):
        common = [name for name, _ in Counter(map(str, chosen)).most_common(LEVELS - 1)]
        names = [*common, "others"]
        at = {name: number for number, name in enumerate(common)}
        return np.array([at.get(str(v), len(common)) for v in chosen]), names
    numbers = np.nan_to_num(np.array(chosen, dtype=float), nan=-1.0)
    cuts = np.unique(np.quantile(numbers, np.linspace(0, 1, LEVELS + 1)[1:-1]))
    ends = ["-inf", *(f"{cut:.3g}" for cut in cuts), "inf"]
    names = [f"{low} to {high}" for low, high in itertools.pairwise(ends)]
    names[0], names[-1] = f"up to {ends[1]}", f"over {ends[-2]}"
    return np.searchsorted(cuts, numbers, side="left"), names


def _example(codes: Codes, names: Sequence[str], actual: Codes, classes: Sequence[str]) -> str:
    """The level that says most: its name, the class that it stands for, and in how many images."""
    counts = np.zeros((len(names), len(classes)))
    np.add.at(counts, (codes, actual), 1)
    shares = counts / counts.sum(axis=0)
    usual = shares.mean(axis=1, keepdims=True)
    level, label = np.unravel_index((shares - usual).argmax(), shares.shape)
    mine, rest = shares[level, label], counts[level].sum() - counts[level, label]
    others = rest / max(1, len(actual) - counts[:, label].sum())
    return (
        f"{names[level]!r} has {100 * mine:.0f} % of {classes[label]} and {100 * others:.0f} % of "
        "the rest"
    )


# --- properties -------------------------------------------------------------------------------


def _number(name: str) -> Callable[[Measurements], Values]:
    return lambda table: table.numbers[name]


def _aspect(table: Measurements) -> Values:
    return table.numbers["width"] / np.maximum(table.numbers["height"], 1)


def _weight(table: Measurements) -> Values:
    pixels = table.numbers["width"].astype(float) * table.numbers["height"]
    return np.asarray(table.numbers["bytes"] / np.maximum(pixels, 1))


def _beginning(table: Measurements) -> Values:
    """The first word of each file's name: collections that were put together keep their names."""
    stems = (PurePosixPath(sample.path).stem.lower() for sample in table.samples)
    return [(WORDS.findall(stem) or ["numbers"])[0] for stem in stems]


PROPERTIES: dict[str, Callable[[Measurements], Values]] = {
    "width": _number("width"),
    "height": _number("height"),
    "aspect ratio": _aspect,
    "format": lambda table: table.words("format"),
    "colour mode": lambda table: table.words("mode"),
    "JPEG quality": _number("quality"),
    "bytes a pixel": _weight,
    "brightness": _number("brightness"),
    "contrast": _number("contrast"),
    "sharpness": _number("sharpness"),
    "colourfulness": _number("colour"),
    "red against blue": _number("warmth"),
    "green against red and blue": _number("greenness"),
    "the file's name": _beginning,
}
"""What a file has besides what it shows: a value of each sample."""

SHORTCUT_CHECKS: dict[str, Check] = {
    "shortcuts": Check(
        _shortcuts, "a property of files predicts the class (0 as chance, 1 always; over {})"
    ),
}
