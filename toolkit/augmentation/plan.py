"""The plan: how many new images each class gets, of which originals, and how.

All randomness is here; everything after it is a function of the plan.
"""

import csv
import functools
import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from toolkit import errors
from toolkit.augmentation.params import Target
from toolkit.augmentation.transforms import compose
from toolkit.augmentation.transforms.policy import Policy
from toolkit.errors import InputError
from toolkit.io import files, manifest
from toolkit.io.csv import read_rows
from toolkit.io.images import Picture
from toolkit.io.manifest import Sample

COLUMNS = ("parent", "label", "number", "transform", "params", "seed")
TABLE = "plan.csv"
ATTEMPTS = 50
EVEN, RANDOM, ROW = 0, 1, 2  # what a seed is derived for


@dataclass(frozen=True)
class PlannedImage:
    """A new image: the `number`-th (from 1) of its class, made of the sample `parent`.

    `sample_policy(policy.for_class(label), default_rng(seed), picture of the parent)` returns
    transform and params again.
    """

    parent: str
    label: str
    number: int
    transform: str
    params: Mapping[str, Any]
    seed: int


# --- how many ---------------------------------------------------------------------------------


def compute_quotas(
    counts: Mapping[str, int], target: Target, classes: Sequence[str] | None = None
) -> dict[str, int]:
    """Return the number of new images of each class that needs some, given the class counts.

    `target` is an integer (the images that a class ends with: each of `classes`, or every class
    that has fewer), a mapping class -> that number, or imbalanced-learn's sampling_strategy: "auto"
    and "not majority", "minority", "not minority", "all" (up to the size of the largest class), or
    for two classes the ratio smaller/larger. `classes` restricts a target to the named classes.

    >>> compute_quotas({"with_mask": 500, "without_mask": 60}, 360)
    {'without_mask': 300}

    Raises InputError for unknown names, for fewer images than there are, for an empty class, and if
    there is no class.
    """
    if not counts:
        raise InputError("there is no image in a class; the folder must be laid out <class>/file")
    for name in (*(classes or ()), *(target if isinstance(target, Mapping) else ())):
        if name not in counts:
            raise errors.unknown_name("class", name, counts)
    targets = _class_targets(counts, target, classes)
    for name, number in targets.items():
        _check_target(name, number, counts[name])
    quotas = {name: targets[name] - counts[name] for name in sorted(targets)}
    return {name: quota for name, quota in quotas.items() if quota}


def _class_targets(
    counts: Mapping[str, int], target: Target, classes: Sequence[str] | None
) -> dict[str, int]:
    """Return the number of images that each class ends with, for the classes concerned."""
    if isinstance(target, Mapping):
        if classes:
            raise InputError("target names its classes itself: leave out the list of classes")
        return dict(target)
    if isinstance(target, str):
        concerned = _classes_by_word(counts, target)
        return {n: max(counts.values()) for n in concerned if classes is None or n in classes}
    if isinstance(target, float):
        return _targets_by_ratio(counts, target, classes)
    return dict.fromkeys(classes or [n for n, count in counts.items() if count < target], target)


def _classes_by_word(counts: Mapping[str, int], word: str) -> list[str]:
    if word not in WORDS:
        raise InputError(
            f"target must be a number, a mapping class -> number, a ratio, or one of "
            f"{', '.join(WORDS)}, got {word!r}"
        )
    largest = max(sorted(counts), key=lambda name: counts[name])
    smallest = min(sorted(counts), key=lambda name: counts[name])
    return [name for name in counts if WORDS[word](name, smallest, largest)]


def _targets_by_ratio(
    counts: Mapping[str, int], ratio: float, classes: Sequence[str] | None
) -> dict[str, int]:
    if len(counts) != 2 or not 0 < ratio <= 1:
        raise InputError(
            f"target as a ratio must be more than 0 and at most 1, and needs two classes, got "
            f"{ratio} with {len(counts)}; give a number, or a mapping class -> number, such as "
            f"{{{min(counts, key=lambda name: counts[name])}: {max(counts.values())}}}"
        )
    largest = max(sorted(counts), key=lambda name: counts[name])
    targets = {name: int(counts[largest] * ratio) for name in counts if name != largest}
    return {name: n for name, n in targets.items() if classes is None or name in classes}


def _check_target(name: str, number: int, count: int) -> None:
    if number < count:
        raise InputError(
            f"target asks for {number} images of class {name!r}, which has {count} already: "
            f"images are only added; ask for {count} or more"
        )
    if not count and number:
        raise InputError(f"class {name!r} has no image to make {number} of")


WORDS: dict[str, Callable[[str, str, str], bool]] = {
    "auto": lambda name, _smallest, largest: name != largest,
    "not majority": lambda name, _smallest, largest: name != largest,
    "minority": lambda name, smallest, _largest: name == smallest,
    "not minority": lambda name, smallest, _largest: name != smallest,
    "all": lambda _name, _smallest, _largest: True,
}


def fold_quotas(
    originals: Sequence[Sample], target: Target, classes: Sequence[str] | None = None
) -> list[list[dict[str, int]]]:
    """Return the quotas without each fold of each division: exactly the target is reached there.

    Of the classes that grow with all images; "auto" is the largest class without the fold.
    """
    whole = Counter(sample.label for sample in originals)
    growing = compute_quotas(whole, target, classes)
    divisions = zip(*(sample.folds for sample in originals), strict=True)
    return [
        [
            _quotas_of(_counts_without(originals, folds, fold), target, classes, growing)
            for fold in range(max(folds) + 1)
        ]
        for folds in divisions
    ]


def _counts_without(
    originals: Sequence[Sample], folds: Sequence[int], fold: int
) -> Mapping[str, int]:
    return Counter(s.label for s, own in zip(originals, folds, strict=True) if own != fold)


def _quotas_of(
    counts: Mapping[str, int],
    target: Target,
    classes: Sequence[str] | None,
    growing: Collection[str],
) -> dict[str, int]:
    targets = _class_targets(counts, target, classes)
    return {name: max(0, n - counts[name]) for name, n in targets.items() if name in growing}


def plan_lengths(
    originals: Sequence[Sample],
    quotas: Mapping[str, int],
    by_fold: Sequence[Sequence[Mapping[str, int]]],
    *,
    draw: Literal["even", "random"] = "even",
    seed: int = 0,
) -> dict[str, int]:
    """Return how many new images of each class serve all folds.

    In each fold a new image is used only if its parent is trained on; the first ones in their order
    are taken. So many that the fold that needs most gets its quota.
    """
    lengths = {}
    for label, quota in quotas.items():
        parents = sorted((s for s in originals if s.label == label), key=lambda s: s.id)
        folds = np.array([sample.folds for sample in parents])
        needs = [
            (division, fold, needed.get(label, 0))
            for division, of in enumerate(by_fold)
            for fold, needed in enumerate(of)
        ]
        for at, fold, needed in needs:
            if needed and (folds[:, at] == fold).all():
                raise InputError(f"class {label!r} has images in fold {fold} alone: none to copy")
        length = max(quota, *(needed for *_, needed in needs))
        while True:
            drawn = folds[DRAWS[draw](len(parents), length, seed, label)]
            reached = [_reach(drawn[:, at] != fold, needed) for at, fold, needed in needs]
            if all(end is not None for end in reached):
                lengths[label] = max(quota, *(end for end in reached if end is not None))
                break
            length *= 2
    return lengths


def _reach(allowed: npt.NDArray[np.bool_], needed: int) -> int | None:
    """Return after how many draws so many are allowed; None if they never are."""
    at = int(np.searchsorted(np.cumsum(allowed), needed)) + 1 if needed else 0
    return at if at <= len(allowed) else None


# --- which originals, and how -----------------------------------------------------------------


def assign_parents(
    samples: Iterable[Sample],
    quotas: Mapping[str, int],
    *,
    draw: Literal["even", "random"] = "even",
    seed: int = 0,
) -> list[tuple[Sample, list[int]]]:
    """Return the parents, in the order of `samples`, with the numbers of their new images.

    draw "even": every original once in each shuffled round; "random": as imbalanced-learn's
    RandomOverSampler. Derived samples are never parents. Who is the parent of the k-th image of a
    class depends on the seed, the class's name, k and the ids of the class's originals alone, so
    that a longer plan begins with the shorter one.
    """
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
    class_policy = policy.for_class(parent.label)
    for number in numbers:
        yield _plan_row(parent, number, class_policy, seed, picture)


def _plan_row(
    parent: Sample, number: int, policy: Policy, seed: int, picture: Picture
) -> tuple[PlannedImage, Picture | None]:
    for attempt in range(ATTEMPTS):
        row_seed = _derive_seed(seed, parent.label, ROW, number, attempt)
        transform, params = _sample_params(policy, row_seed, parent, picture)
        row = PlannedImage(parent.id, parent.label, number, transform, params, row_seed)
        if policy.keep_identical:
            return row, None
        new = compose.apply_transform(transform, picture, params)
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
        return compose.sample_policy(policy, np.random.default_rng(seed), picture)
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


DRAWS: dict[str, Callable[[int, int, int, str], list[int]]] = {
    "even": _draw_evenly,
    "random": _draw_randomly,
}


def _derive_seed(seed: int, label: str, *key: int) -> int:
    """Return a seed below 2**32 for this class and key alone."""
    # numpy converts a list word by word, which takes 15 microseconds more than an array.
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
        for row in rows:
            params = manifest.canonical_json(row.params)
            add((row.parent, row.label, row.number, row.transform, params, row.seed))


def read_plan(folder: Path) -> tuple[PlannedImage, ...]:
    """Read plan.csv. Raises InputError that names the file and the line, or a changed file."""
    path = folder / TABLE
    manifest.check_table(folder, TABLE)
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
