"""Which image goes to which split: groups stay whole, counts are met exactly or refused."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from toolkit.datasets import params
from toolkit.errors import InputError
from toolkit.io.manifest import SPLITS, Sample

SplitGroup = tuple[Sample, ...]
Wanted = dict[str, dict[str, int]]
"""Split -> class -> images."""


def split_groups(samples: Iterable[Sample], together: Iterable[Sequence[str]]) -> list[SplitGroup]:
    """Partition samples: those of one `group` value or of one tuple of ids in `together` unite."""
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
    found: Sequence[SplitGroup],
    classes: Sequence[str],
    settings: params.PrepareParams,
    rng: np.random.Generator,
) -> dict[str, list[Sample]]:
    """Split -> samples. Where the source has splits of its own, no image leaves test for train.

    Raises InputError when a class has fewer images than asked for, or a split would lack a class.
    """
    kept = [_one_split(group) for group in found]
    wanted = _wanted(kept, classes, settings)
    order = [kept[i] for i in rng.permutation(len(kept))]
    own = {sample.split for group in kept for sample in group}
    chosen: dict[str, list[Sample]] = {}
    free = order
    for split in ("test", "valid", "train"):
        allowed = [group for group in free if _may_go(group, split, own)]
        taken = _take(allowed, wanted[split])
        chosen[split] = [sample for group in taken for sample in group]
        used = {id(group) for group in taken}
        free = [group for group in free if id(group) not in used]
    exact = isinstance(settings.split, params.ByCounts)
    _check(chosen, wanted, kept, exact)
    return {split: chosen[split] for split in SPLITS}


def _one_split(group: SplitGroup) -> SplitGroup:
    """Of a group that the source spread over splits, the part in test, else valid, else train."""
    for split in ("test", "valid", "train"):
        part = tuple(sample for sample in group if sample.split == split)
        if part:
            return part
    return group


def _may_go(group: SplitGroup, split: str, own: set[str]) -> bool:
    source = group[0].split
    if split == "valid" and "valid" not in own:
        return source in ("", "train")
    return source in ("", split)


def _take(allowed: Iterable[SplitGroup], wanted: Mapping[str, int]) -> list[SplitGroup]:
    """Groups, in the order given, that fit into what is still wanted of each class."""
    left, taken = Counter(wanted), []
    for group in allowed:
        needs = Counter(sample.label for sample in group)
        if all(left[label] >= n for label, n in needs.items()):
            left -= needs
            taken.append(group)
    return taken


def _wanted(
    found: Sequence[SplitGroup], classes: Sequence[str], settings: params.PrepareParams
) -> Wanted:
    have = {
        split: Counter(s.label for group in found for s in group if s.split == split)
        for split in ("", *SPLITS)
    }
    split = settings.split
    if isinstance(split, params.ByCounts):
        return {name: _named(getattr(split.counts, name), name, classes) for name in SPLITS}
    if isinstance(split, params.ByFractions):
        total = sum(have.values(), Counter())
        return _shares(total, split.fractions, classes)
    return _as_in_source(have, classes, settings.valid_fraction)


def _named(value: int | dict[str, int], split: str, classes: Sequence[str]) -> dict[str, int]:
    if isinstance(value, int):
        return dict.fromkeys(classes, value)
    if sorted(value) != sorted(classes):
        key = f"prepare.split.counts.{split}"
        raise InputError(f"{key} must name the classes {list(classes)}, got {sorted(value)}")
    return value


def _shares(total: Counter[str], share: params.SplitFractions, classes: Sequence[str]) -> Wanted:
    wanted: Wanted = {split: {} for split in SPLITS}
    for name in classes:
        n = total[name]
        wanted["valid"][name] = max(1, round(n * share.valid))
        wanted["test"][name] = max(1, round(n * share.test))
        rest = n - wanted["valid"][name] - wanted["test"][name]
        wanted["train"][name] = max(1, min(rest, math.ceil(n * share.train)))
    return wanted


def _as_in_source(
    have: Mapping[str, Counter[str]], classes: Sequence[str], valid_fraction: float
) -> Wanted:
    if have[""] or not have["test"] or not have["train"]:
        raise InputError(
            "prepare.split is 'source', but the images do not lie in train/ and test/ folders; "
            "set prepare.split to {fractions: {train: 0.7, valid: 0.15, test: 0.15}} or to counts"
        )
    wanted = {split: {name: have[split][name] for name in classes} for split in SPLITS}
    if not have["valid"]:
        for name in classes:
            wanted["valid"][name] = max(1, round(valid_fraction * have["train"][name]))
            wanted["train"][name] -= wanted["valid"][name]
    return wanted


def _check(
    chosen: Mapping[str, Sequence[Sample]], wanted: Wanted, found: Sequence[SplitGroup], exact: bool
) -> None:
    have = Counter(sample.label for group in found for sample in group)
    for split in SPLITS:
        got = Counter(sample.label for sample in chosen[split])
        for name, n in wanted[split].items():
            if got[name] == 0 or (exact and got[name] < n):
                asked = sum(counts[name] for counts in wanted.values())
                raise InputError(
                    f"prepare.split: class {name!r} has {have[name]} usable images, {asked} were "
                    f"asked for; {split} got {got[name]} of {n}. Lower prepare.split.counts or "
                    f"add images (copies of one picture stay in one split)"
                )
