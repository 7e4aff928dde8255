"""Assign images to splits: groups stay whole, and counts are met exactly or refused."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from toolkit.datasets import params
from toolkit.errors import InputError
from toolkit.io.manifest import SPLITS, Sample, content_hash

ANEW = "set prepare.split to {fractions: {train: 0.7, valid: 0.15, test: 0.15}} to split anew"

SplitGroup = tuple[Sample, ...]
Assigned = dict[str, list[SplitGroup]]
Counts = dict[str, dict[str, int]]
"""Split -> class -> images."""


def group_samples(samples: Iterable[Sample], together: Iterable[Sequence[str]]) -> list[SplitGroup]:
    """Partition samples: those of one `group`, of equal files, or with ids of one item, unite.

    The items are those of `together`.
    """
    root: dict[str, str] = {}

    def find(key: str) -> str:
        while root.setdefault(key, key) != key:
            key = root[key]
        return key

    samples = list(samples)
    for sample in samples:
        for key in (f"group {sample.group or sample.id}", f"file {content_hash(sample)}"):
            root[find(key)] = find(sample.id)
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

    Counts are met exactly. Fractions, and the source's splits, may be exceeded by whole groups: if
    the fractions add up to 1, no group is left over. Raises InputError if a class has fewer images
    than requested, or a split would lack a class.
    """
    groups = [_in_one_split(group) for group in groups]
    requested = _requested(groups, classes, settings)
    source_splits = {sample.split for group in groups for sample in group}
    remaining = [groups[i] for i in rng.permutation(len(groups))]
    assigned: Assigned = {}
    for split in ("test", "valid", "train"):
        allowed = [group for group in remaining if _allowed(group, split, source_splits)]
        assigned[split] = _take(allowed, requested[split])
        used = {id(group) for group in assigned[split]}
        remaining = [group for group in remaining if id(group) not in used]
    exact = isinstance(settings.split, params.ByCounts)
    if not exact:
        _place_rest(remaining, assigned, requested, source_splits, every=_uses_all(settings.split))
        _fill_empty(assigned, requested, source_splits)
    chosen = {split: [s for group in assigned[split] for s in group] for split in SPLITS}
    _check(chosen, requested, groups, exact)
    return chosen


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


def _place_rest(
    groups: Sequence[SplitGroup],
    assigned: Assigned,
    requested: Counts,
    source_splits: set[str],
    *,
    every: bool,
) -> None:
    """Place groups that no share had room for, those of the rarest class and the largest first.

    Each goes where its rarest class is lacking, else where most of it is missing, over the share
    if need be; unless `every` is true, only while something is missing.
    """
    total = sum((Counter(part) for part in requested.values()), Counter[str]())

    def rarest(group: SplitGroup) -> str:
        return min((sample.label for sample in group), key=lambda name: (total[name], name))

    have = {split: _labels(assigned[split]) for split in SPLITS}
    for group in sorted(groups, key=lambda group: (total[rarest(group)], -len(group))):
        label = rarest(group)
        missing = {
            split: requested[split][label] - have[split][label]
            for split in SPLITS
            if requested[split][label] and _allowed(group, split, source_splits)
        }
        lacking = [split for split, n in missing.items() if n == requested[split][label]]
        split = max(lacking or missing, key=lambda split: missing[split], default="")
        if split and (every or missing[split] > 0):
            assigned[split].append(group)
            have[split] += _labels([group])


def _fill_empty(assigned: Assigned, requested: Counts, source_splits: set[str]) -> None:
    """Where a split lacks a class, move the smallest group of it from one that keeps another."""
    lacking = [
        (split, label)
        for split in ("test", "valid", "train")
        for label, n in requested[split].items()
        if n and not _labels(assigned[split])[label]
    ]
    for split, label in lacking:
        have = {place: _labels(assigned[place]) for place in SPLITS}
        movable = [
            (len(group), place, at)
            for place in SPLITS
            for at, group in enumerate(assigned[place])
            if label in (labels := _labels([group]))
            and _allowed(group, split, source_splits)
            and all(have[place][name] > n for name, n in labels.items())
        ]
        if movable:
            _, place, at = min(movable)
            assigned[split].append(assigned[place].pop(at))


def _labels(groups: Iterable[SplitGroup]) -> Counter[str]:
    return Counter(sample.label for group in groups for sample in group)


def _uses_all(split: params.Split) -> bool:
    """Whether every usable image is to lie in a split."""
    if isinstance(split, params.ByFractions):
        return split.fractions.total >= 1 - 1e-9
    return split == "source"


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
        counts["valid"][name] = valid = _part(n, fractions.valid)
        counts["test"][name] = test = _part(n, fractions.test)
        rest = n - valid - test
        if fractions.total < 1 - 1e-9:
            rest = min(rest, math.ceil(n * fractions.train))
        counts["train"][name] = max(1, rest) if fractions.train else 0
    return counts


def _part(images: int, fraction: float) -> int:
    """Return a fraction of the images, one at least; none for 0."""
    return max(1, round(images * fraction)) if fraction else 0


def _as_in_source(
    available: Mapping[str, Counter[str]], classes: Sequence[str], valid_fraction: float
) -> Counts:
    if available[""] or not available["test"] or not available["train"]:
        raise InputError(
            "prepare.split is 'source', but the images do not lie in train/ and test/ folders; "
            f"{ANEW}, or to counts"
        )
    for name in classes:
        without = [split for split in SPLITS if available[split] and not available[split][name]]
        if without:
            raise InputError(
                f"prepare.split is 'source', but class {name!r} has no usable image in "
                f"{' and '.join(without)}; {ANEW}, or move the folders of the class away"
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
    pictures = Counter(label for group in groups for label in {s.label for s in group})
    for split in SPLITS:
        counts = Counter(sample.label for sample in assigned[split])
        for name, n in requested[split].items():
            if exact and counts[name] < n:
                total = sum(per_class[name] for per_class in requested.values())
                raise InputError(
                    f"prepare.split: class {name!r} has {available[name]} usable images, but "
                    f"{total} were requested; {split} got {counts[name]} of {n}. Lower "
                    f"prepare.split.counts or add images (duplicates stay in one split)"
                )
            if counts[name] == 0 and (n or split == "train"):
                wanted = [name_ for name_ in SPLITS if requested[name_][name]]
                raise InputError(
                    f"prepare.split: {split} would have no image of class {name!r}, which has "
                    f"{available[name]} usable images of {pictures[name]} different pictures "
                    f"(copies stay in one split) for {', '.join(wanted)}; add images of it, or "
                    "move its folder away"
                )
