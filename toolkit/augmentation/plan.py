"""The plan: how many new images each class gets, of whom, and how. All chance is spent here."""

import csv
import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from toolkit import errors
from toolkit.augmentation.params import Target
from toolkit.augmentation.transforms import compose, parsing
from toolkit.augmentation.transforms.policy import Policy
from toolkit.errors import InputError
from toolkit.io import files, manifest
from toolkit.io.csv import read_rows
from toolkit.io.images import Picture
from toolkit.io.manifest import Sample

COLUMNS = ("parent", "label", "number", "transform", "params", "seed")
TABLE = "plan.csv"
ATTEMPTS = 50
EVEN, RANDOM, ROW = 0, 1, 2  # what a stream of chance is for


@dataclass(frozen=True)
class PlannedImage:
    """One new image: the `number`-th (from 1) of its class, a copy of the sample `parent`.

    `draw_params(policy.of(label), default_rng(seed), parent's pixels)` gives transform and params
    again.
    """

    parent: str
    label: str
    number: int
    transform: str
    params: Mapping[str, Any]
    seed: int


# --- how many ---------------------------------------------------------------------------------


def quotas(
    counts: Mapping[str, int], target: Target, classes: Sequence[str] | None = None
) -> dict[str, int]:
    """New images for each class that needs some, from the classes' counts.

    `target`: a whole number (what a class ends with: each of `classes`, or every class that has
    fewer), a mapping class -> that number, or imbalanced-learn's sampling_strategy: "auto" and
    "not majority", "minority", "not minority", "all" (to the largest class's number), or with two
    classes the wished ratio smaller/larger. `classes` restricts a target to the named classes.

    >>> quotas({"with_mask": 500, "without_mask": 60}, 360)
    {'without_mask': 300}

    Raises InputError for unknown names, for fewer images than there are, for an empty class, and
    where there is no class at all.
    """
    if not counts:
        raise InputError("there is no image in a class; the folder must be laid out <class>/file")
    for name in (*(classes or ()), *(target if isinstance(target, Mapping) else ())):
        if name not in counts:
            raise errors.unknown_name("class", name, counts)
    wanted = _wanted(counts, target, classes)
    for name, number in wanted.items():
        _check_wanted(name, number, counts[name])
    added = {name: wanted[name] - counts[name] for name in sorted(wanted)}
    return {name: number for name, number in added.items() if number}


def _wanted(
    counts: Mapping[str, int], target: Target, classes: Sequence[str] | None
) -> dict[str, int]:
    """Class -> the number of images it ends with, for the classes that the request concerns."""
    if isinstance(target, Mapping):
        if classes:
            raise InputError("target names its classes itself: leave out the list of classes")
        return dict(target)
    if isinstance(target, str):
        concerned = _by_word(counts, target)
        return {n: max(counts.values()) for n in concerned if classes is None or n in classes}
    if isinstance(target, float):
        return _by_ratio(counts, target, classes)
    return dict.fromkeys(classes or [n for n, count in counts.items() if count < target], target)


def _by_word(counts: Mapping[str, int], word: str) -> list[str]:
    if word not in WORDS:
        raise InputError(
            f"target must be a number, a mapping class -> number, a ratio, or one of "
            f"{', '.join(WORDS)}, got {word!r}"
        )
    largest = max(sorted(counts), key=lambda name: counts[name])
    smallest = min(sorted(counts), key=lambda name: counts[name])
    return [name for name in counts if WORDS[word](name, smallest, largest)]


def _by_ratio(
    counts: Mapping[str, int], ratio: float, classes: Sequence[str] | None
) -> dict[str, int]:
    if len(counts) != 2 or not 0 < ratio <= 1:
        raise InputError(
            f"target as a ratio must be more than 0 and at most 1, and needs two classes, got "
            f"{ratio} with {len(counts)}; give a number, or a mapping class -> number"
        )
    largest = max(sorted(counts), key=lambda name: counts[name])
    ends = {name: int(counts[largest] * ratio) for name in counts if name != largest}
    return {name: end for name, end in ends.items() if classes is None or name in classes}


def _check_wanted(name: str, number: int, count: int) -> None:
    if number < count:
        raise InputError(
            f"target asks for {number} images of class {name!r}, which has {count} already: "
            f"images are only added; ask for {count} or more"
        )
    if not count and number:
        raise InputError(f"class {name!r} has no image to make {number} of")


# --- who and how ------------------------------------------------------------------------------


def assign_parents(
    samples: Iterable[Sample],
    quotas: Mapping[str, int],
    *,
    draw: Literal["even", "random"] = "even",
    seed: int = 0,
) -> list[tuple[Sample, list[int]]]:
    """The parents, in the order of `samples`, with the numbers of the new images made of each."""
    originals = [sample for sample in samples if not sample.derived]
    numbers: dict[str, list[int]] = {}
    for label, quota in quotas.items():
        parents = sorted(sample.id for sample in originals if sample.label == label)
        if not parents:
            raise InputError(f"class {label!r} has no image to make {quota} of")
        drawn = DRAWS[draw](len(parents), quota, seed, label)
        for number, index in enumerate(drawn, start=1):
            numbers.setdefault(parents[index], []).append(number)
    return [(parent, numbers[parent.id]) for parent in originals if parent.id in numbers]


def plan_rows(
    parent: Sample, numbers: Iterable[int], policy: Policy, seed: int, picture: Picture
) -> Iterator[tuple[PlannedImage, Picture | None]]:
    """Yield the rows of these numbers of the parent's class, `picture` being the parent decoded.

    With each row comes the new image where it had to be rendered to see that it differs from its
    parent. Raises InputError for a policy that does not keep identical copies and leaves the parent
    unchanged in 50 draws.
    """
    own_policy = policy.of(parent.label)
    for number in numbers:
        yield _plan_row(parent, number, own_policy, seed, picture)


def _plan_row(
    parent: Sample, number: int, policy: Policy, seed: int, picture: Picture
) -> tuple[PlannedImage, Picture | None]:
    for attempt in range(ATTEMPTS):
        row_seed = _derive_seed(seed, parent.label, ROW, number, attempt)
        transform, params = _sample_params(policy, row_seed, parent, picture)
        row = PlannedImage(parent.id, parent.label, number, transform, params, row_seed)
        if policy.keep_identical:
            return row, None
        new = compose.change(transform, picture, params)
        if new is not picture and new.tobytes() != picture.tobytes():
            return row, new
    names = ", ".join(sorted(policy.names()))
    raise InputError(
        f"{parent.path}: the policy ({names}) never changes this image in {ATTEMPTS} draws; "
        f"use another policy, or 'duplicate' if you want plain copies"
    )


def _sample_params(
    policy: Policy, seed: int, parent: Sample, picture: Picture
) -> tuple[str, Mapping[str, Any]]:
    try:
        return parsing.draw_params(policy, np.random.default_rng(seed), picture)
    except InputError as error:
        raise InputError(f"{parent.path}: {error}") from error


def _draw_evenly(parents: int, count: int, seed: int, label: str) -> list[int]:
    drawn: list[int] = []
    while len(drawn) < count:
        rng = np.random.default_rng(_derive_seed(seed, label, EVEN, len(drawn), 0))
        drawn += rng.permutation(parents).tolist()
    return drawn[:count]


def _draw_randomly(parents: int, count: int, seed: int, label: str) -> list[int]:
    """Draw as RandomOverSampler does, from a column of row numbers.

    It draws one after the other, so that a longer request begins with the shorter one. The second
    class, as large as the first one is to become, is there because it balances two classes.
    """
    from imblearn.over_sampling import RandomOverSampler  # slow to import

    labels = np.repeat([1, 0], [parents, parents + count])
    sampler = RandomOverSampler(random_state=_derive_seed(seed, label, RANDOM, 0, 0))
    sampler.fit_resample(np.arange(len(labels)).reshape(-1, 1), labels)
    drawn: list[int] = sampler.sample_indices_[len(labels) :].tolist()
    return drawn


def _derive_seed(seed: int, label: str, *key: int) -> int:
    """Return a seed below 2**32 for this class and key alone."""
    # An array of uint32 is taken as it is; numpy converts a list word by word, in 20 microseconds.
    words = np.array([seed, *_label_words(label), *key], dtype=np.uint32)
    return int(np.random.SeedSequence(words).generate_state(1)[0])


@functools.lru_cache(maxsize=64)
def _label_words(label: str) -> tuple[int, ...]:
    digest = hashlib.sha256(label.encode()).digest()
    return tuple(int.from_bytes(digest[at : at + 4], "little") for at in range(0, 16, 4))


# --- on disk ----------------------------------------------------------------------------------


def write_plan(folder: Path, rows: Iterable[PlannedImage]) -> None:
    """Write plan.csv into `folder`."""
    with files.csv_table(folder / TABLE, COLUMNS) as add:
        for r in rows:
            add(
                (
                    r.parent,
                    r.label,
                    r.number,
                    r.transform,
                    manifest.canonical_json(r.params),
                    r.seed,
                )
            )


def read_plan(folder: Path) -> tuple[PlannedImage, ...]:
    """Read plan.csv. Raises InputError that names the file and the line."""
    path = folder / TABLE
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            header, *lines = read_rows(stream)
        if tuple(header) != COLUMNS:
            raise InputError(f"columns must be {','.join(COLUMNS)}, got {','.join(header[:9])}")
        return tuple(_parse(fields, line) for line, fields in enumerate(lines, start=2))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; `toolkit augment` writes it") from None
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path}: {error}") from error


def _parse(fields: list[str], line: int) -> PlannedImage:
    try:
        parent, label, number, transform, params, seed = fields
        return PlannedImage(
            parent, label, int(number), transform, files.parse_json(params), int(seed)
        )
    except ValueError as error:
        raise InputError(f"line {line}: {error}") from error


WORDS: dict[str, Callable[[str, str, str], bool]] = {
    "auto": lambda name, _smallest, largest: name != largest,
    "not majority": lambda name, _smallest, largest: name != largest,
    "minority": lambda name, smallest, _largest: name == smallest,
    "not minority": lambda name, smallest, _largest: name != smallest,
    "all": lambda _name, _smallest, _largest: True,
}
DRAWS: dict[str, Callable[[int, int, int, str], list[int]]] = {
    "even": _draw_evenly,
    "random": _draw_randomly,
}
