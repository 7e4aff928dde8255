"""Assign images to splits: groups stay whole, and counts are met exactly or refused."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from toolkit.datasets import params
from toolkit.errors import InputError
from toolkit.io.manifest import SPLITS, Sample

SplitGroup = tuple[Sample, ...]
Counts = dict[str, dict[str, int]]
"""Split -> class -> images."""


def group_samples(samples: Iterable[Sample], together: Iterable[Sequence[str]]) -> list[SplitGroup]:
    """Partition samples: those with one `group`, or with ids in one item of `together`, unite."""
    root: dict[str, str] = {}

    def find(key: str) -> str:
        while root.setdefault(key, key) != key:
            key = root[key]
        return key

    samples = list(samples)
    for sample in samples:
        root[find(f"group {sample.group or sample.id}")] = find(sample.id)
    for ids in together:
        for other in ids[1:]:
            root[find(other)] = find(ids[0])
    members = defaultdict(list)
    for sample in samples:
        members[find(sample.id)].append(sample)
    return [tuple(group) for group in members.values()]


def assign_splits(
    groups: Sequence[SplitGroup],
    classes: Sequence[str],
    settings: params.PrepareParams,
    rng: np.random.Generator,
) -> dict[str, list[Sample]]:
    """Return split -> samples. An image that the source has in test is never put in train.

    Raises InputError if a class has fewer images than requested, or a split would lack a class.
    """
    groups = [_in_one_split(group) for group in groups]
    requested = _requested(groups, classes, settings)
    source_splits = {sample.split for group in groups for sample in group}
    remaining = [groups[i] for i in rng.permutation(len(groups))]
    assigned: dict[str, list[Sample]] = {}
    for split in ("test", "valid", "train"):
        allowed = [group for group in remaining if _allowed(group, split, source_splits)]
        taken = _take(allowed, requested[split])
        assigned[split] = [sample for group in taken for sample in group]
        used = {id(group) for group in taken}
        remaining = [group for group in remaining if id(group) not in used]
    exact = isinstance(settings.split, params.ByCounts)
    _check(assigned, requested, groups, exact)
    return {split: assigned[split] for split in SPLITS}


def _in_one_split(group: SplitGroup) -> SplitGroup:
    """Return the part of a group that the source has in test, else in valid, else in train."""
    for split in ("test", "valid", "train"):
        part = tuple(sample for sample in group if sample.split == split)
        if part:
            return part
    return group


def _allowed(group: SplitGroup, split: str, source_splits: set[str]) -> bool:
    source = group[0].split
    if split == "valid" and "valid" not in source_splits:
        return source in ("", "train")
    return source in ("", split)


def _take(groups: Iterable[SplitGroup], requested: Mapping[str, int]) -> list[SplitGroup]:
    """Take groups, in their order, that fit into what is still missing of each class."""
    missing, taken = Counter(requested), []
    for group in groups:
        counts = Counter(sample.label for sample in group)
        if all(missing[label] >= n for label, n in counts.items()):
            missing -= counts
            taken.append(group)
    return taken


def _requested(
    groups: Sequence[SplitGroup], classes: Sequence[str], settings: params.PrepareParams
) -> Counts:
    available = {
        split: Counter(s.label for group in groups for s in group if s.split == split)
        for split in ("", *SPLITS)
    }
    split = settings.split
    if isinstance(split, params.ByCounts):
        return {name: _per_class(getattr(split.counts, name), name, classes) for name in SPLITS}
    if isinstance(split, params.ByFractions):
        total = sum(available.values(), Counter())
        return _by_fractions(total, split.fractions, classes)
    return _as_in_source(available, classes, settings.valid_fraction)


def _per_class(count: int | dict[str, int], split: str, classes: Sequence[str]) -> dict[str, int]:
    if isinstance(count, int):
        return dict.fromkeys(classes, count)
    if sorted(count) != sorted(classes):
        key = f"prepare.split.counts.{split}"
        raise InputError(f"{key} must name the classes {list(classes)}, got {sorted(count)}")
    return count


def _by_fractions(
    total: Counter[str], fractions: params.SplitFractions, classes: Sequence[str]
) -> Counts:
    counts: Counts = {split: {} for split in SPLITS}
    for name in classes:
        n = total[name]
        counts["valid"][name] = max(1, round(n * fractions.valid))
        counts["test"][name] = max(1, round(n * fractions.test))
        rest = n - counts["valid"][name] - counts["test"][name]
        counts["train"][name] = max(1, min(rest, math.ceil(n * fractions.train)))
    return counts


def _as_in_source(
    available: Mapping[str, Counter[str]], classes: Sequence[str], valid_fraction: float
) -> Counts:
    if available[""] or not available["test"] or not available["train"]:
        raise InputError(
            "prepare.split is 'source', but the images do not lie in train/ and test/ folders; "
            "set prepare.split to {fractions: {train: 0.7, valid: 0.15, test: 0.15}} or to counts"
        )
    counts = {split: {name: available[split][name] for name in classes} for split in SPLITS}
    if not available["valid"]:
        for name in classes:
            counts["valid"][name] = max(1, round(valid_fraction * available["train"][name]))
            counts["train"][name] -= counts["valid"][name]
    return counts


def _check(
    assigned: Mapping[str, Sequence[Sample]],
    requested: Counts,
    groups: Sequence[SplitGroup],
    exact: bool,
) -> None:
    available = Counter(sample.label for group in groups for sample in group)
    for split in SPLITS:
        counts = Counter(sample.label for sample in assigned[split])
        for name, n in requested[split].items():
            if counts[name] == 0 or (exact and counts[name] < n):
                total = sum(per_class[name] for per_class in requested.values())
                raise InputError(
                    f"prepare.split: class {name!r} has {available[name]} usable images, but "
                    f"{total} were requested; {split} got {counts[name]} of {n}. Lower "
                    f"prepare.split.counts or add images (duplicates stay in one split)"
                )
