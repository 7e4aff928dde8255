"""Assign images to splits: groups stay whole, and counts are met exactly or refused."""

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from toolkit.datasets import params
from toolkit.errors import InputError
from toolkit.io.manifest import SPLITS, Sample, content_hash

ANEW = "{fractions: {train: 0.7, valid: 0.15, test: 0.15}}"
MOST_CLASSES = 6
FEW, FOLDS, REPEATS = 200, 5, 2
"""Images of the rarest class below which all images are tested: in so many folds, so many times."""
MOST_TRIES = 10_000
"""Steps of the search for groups that give every split each class."""

SplitGroup = tuple[Sample, ...]
Assigned = dict[str, list[SplitGroup]]
Counts = dict[str, dict[str, int]]
"""Split -> class -> images."""
Classes = Mapping[str, Collection[str]]
"""Split -> classes."""


@dataclass(frozen=True)
class SplitChoice:
    """How images can be split: `split` for `prepare`, and what `fetch.classes` has to say first.

    `rename` has the classes that another split spells in another way, `leave_out` those that cannot
    lie in every split, each with the reason. `said` is all of it in sentences.
    """

    split: params.Split
    rename: Mapping[str, str]
    leave_out: Mapping[str, str]
    said: tuple[str, ...]


def choose_split(
    samples: Sequence[Sample], classes: Sequence[str], settings: params.PrepareParams
) -> SplitChoice:
    """Choose how to split images, so that `assign_splits` is able to; they are not changed.

    The source's own splits are kept if there are images in train and another one. Raises
    InputError if fewer than two classes can lie in every split.
    """
    spelled = _find_spellings(samples)
    samples = [replace(s, label=spelled.get(s.label, s.label)) for s in samples]
    split = resolve_split("auto", samples)
    settings = settings.model_copy(update={"split": split})
    names = sorted({spelled.get(name, name) for name in classes})
    groups, divided = group_samples(samples, ()), _count_divided(samples)
    unfit = _find_unfit(groups, names, settings)
    if split == "source" and unfit and divided:
        split = params.ByFractions()
        settings = settings.model_copy(update={"split": split})
        unfit = _find_unfit(groups, names, settings)
    used = [name for name in names if name not in unfit]
    if len(used) < 2:
        anew = ", or split all images anew by --layout any/class" if split == "source" else ""
        raise InputError(f"fewer than two classes can be split: {_listed(unfit)}; add images{anew}")
    rename, leave_out, said = _settle_classes(classes, spelled, unfit, "split")
    kept = [sample for sample in samples if sample.label in used]
    there = {sample.split for sample in kept}
    if split != "source" and there != {""}:
        alone = f"all images lie in {' and '.join(sorted(there))}"
        if len(there) > 1:
            alone = f"{divided} groups lie in several of the splits {', '.join(sorted(there))}"
        where = "some images lie in no split" if "" in there else alone
        said.append(f"{where}: all are split anew, 70% train, 15% valid and 15% test")
    rng = np.random.default_rng(settings.seed)
    assigned = assign_splits(group_samples(kept, ()), used, settings, rng)
    return SplitChoice(split, rename, leave_out, (*said, *describe_cuts(assigned, settings)))


def choose_folds(samples: Sequence[Sample], classes: Sequence[str]) -> SplitChoice | None:
    """Choose folds (see `params.ByFolds`) for images whose rarest class has fewer than FEW.

    Images that the source has in test are not counted. None where folds are not needed, or where
    there are not two classes with two groups each.
    """
    spelled = _find_spellings(samples)
    samples = [replace(s, label=spelled.get(s.label, s.label)) for s in samples]
    groups = _without_test(group_samples(samples, ()))
    holding, rest = _by_class(groups), [sample for group in groups for sample in group]
    names = sorted({spelled.get(name, name) for name in classes})
    unfit = {
        name: f"{_plural(len(holding[name]), 'group')} of images, and each is tested on others"
        for name in names
        if len(holding[name]) < 2
    }
    used = [name for name in names if name not in unfit]
    counts = Counter(sample.label for sample in rest)
    rarest = min(used, key=lambda name: (counts[name], name), default="")
    if len(used) < 2 or counts[rarest] >= FEW:
        return None
    folds = min(FOLDS, min(len(holding[name]) for name in used))
    rename, leave_out, said = _settle_classes(classes, spelled, unfit, "fold")
    apart = "; the images of test stay apart" if len(rest) < len(samples) else ""
    tested = {sample.label for sample in samples if sample.split == "test"}
    if apart and (untested := [name for name in used if name not in tested]):
        apart += f", where there is none of {_some(untested)}"
    why = (
        f"{rarest!r} has {counts[rarest]} images: all are tested, each by networks that train "
        f"without its fold (prepare.split: {folds} folds, {REPEATS} times){apart}"
    )
    split = params.ByFolds(folds=folds, repeats=REPEATS)
    return SplitChoice(split, rename, leave_out, (*said, why))


def _settle_classes(
    classes: Sequence[str], spelled: Mapping[str, str], unfit: Mapping[str, str], part: str
) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Return which classes are renamed to what, which are left out and why, and both in words."""
    new_names = {name: spelled.get(name, name) for name in classes}
    rename = {old: new for old, new in spelled.items() if new not in unfit}
    leave_out = {name: unfit[new] for name, new in new_names.items() if new in unfit}
    said = [
        f"class {old!r} is {new!r} in another split: fetch.classes renames it"
        for old, new in rename.items()
    ]
    if leave_out:
        why = f"for no {part} may lack a class"
        said.append(f"left out by fetch.classes, {why}: {_listed(leave_out)}")
    return rename, leave_out, said


def _count_divided(samples: Iterable[Sample]) -> int:
    """Return how many groups that were given lie in several splits."""
    splits = defaultdict[str, set[str]](set)
    for sample in samples:
        if sample.group not in ("", content_hash(sample)):
            splits[sample.group].add(sample.split)
    return sum(len(of) > 1 for of in splits.values())


def resolve_split(split: params.Split, samples: Iterable[Sample]) -> params.Split:
    """Return what the setting `auto` means for samples, and any other setting as it is."""
    if split != "auto":
        return split
    there = {sample.split for sample in samples}
    own = "train" in there and len(there) > 1 and "" not in there
    return "source" if own else params.ByFractions()


def describe_cuts(
    assigned: Mapping[str, Sequence[Sample]], settings: params.PrepareParams
) -> list[str]:
    """Say which images of train `assign_splits` put in a split that the source does not have.

    A sentence for each such split, and for each class that only some split lacks.
    """
    samples = [sample for part in assigned.values() for sample in part]
    if resolve_split(settings.split, samples) != "source":
        return []
    train = Counter(sample.label for sample in samples if sample.split == "train")
    cut = {
        split: Counter(s.label for s in assigned[split] if s.split == "train") for split in SPLITS
    }
    whole = [split for split in ("valid", "test") if len(assigned[split]) == cut[split].total()]
    said = [
        f"there is no {split} split: {cut[split].total()} images of train become {split} "
        f"(prepare.{split}_fraction)"
        for split in whole
    ]
    for name in sorted(train):
        lacking = [s for s in ("valid", "test") if s not in whole and cut[s][name]]
        if lacking:
            parts = " and ".join(f"{cut[split][name]} become {split}" for split in lacking)
            said.append(
                f"class {name!r} has no image in {' and '.join(lacking)}: of its {train[name]} in "
                f"train {parts}; else set prepare.split to {ANEW}, which splits all images anew, "
                f"or fetch.classes to {{leave_out: [{name!r}]}}"
            )
    return said


def _find_spellings(samples: Sequence[Sample]) -> dict[str, str]:
    """Return old and new name of classes that only capitals, spaces or Unicode tell apart.

    They are renamed if no split has two of them: as train spells it.
    """
    splits = defaultdict[str, set[str]](set)
    for sample in samples:
        splits[sample.label].add(sample.split)
    alike = defaultdict[str, list[str]](list)
    for name in sorted(splits, key=lambda name: "train" not in splits[name]):
        alike[_fold(name)].append(name)
    return {
        name: first
        for first, *others in alike.values()
        for name in others
        if sum(len(splits[each]) for each in (first, *others))
        == len(set().union(*(splits[each] for each in (first, *others))))
    }


def _fold(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().replace("_", " ").split())


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

    Only fractions split anew, whatever the source says; with folds all that the source does not
    have in test is train, and there is no valid. Counts are met exactly. Fractions, and the
    source's splits, may be exceeded by whole groups: if the fractions add up to 1, no group is left
    over. Raises InputError if a class has fewer images than requested, or a split would lack a
    class.
    """
    split = resolve_split(settings.split, (sample for group in groups for sample in group))
    settings = settings.model_copy(update={"split": split})
    if isinstance(split, params.ByFolds):
        return _beside_test(groups)
    if split == "source":
        _check_source(groups)
    assigned, requested, placed = _assign(groups, classes, settings, rng)
    if isinstance(split, params.ByCounts):
        _check_counts(assigned, requested, placed)
    elif _find_lacking(_have(assigned), requested):
        unfit = _find_unfit(groups, classes, settings)
        raise InputError(
            f"prepare.split: each class must lie in every split, which these cannot: "
            f"{_listed(unfit)}; add images of them, or set fetch.classes to "
            f"{{leave_out: {[*unfit]}}}"
        )
    return {split: [s for group in assigned[split] for s in group] for split in SPLITS}


def _beside_test(groups: Sequence[SplitGroup]) -> dict[str, list[Sample]]:
    """Return what the source has in test, and as train all groups that have no image there."""
    test = [sample for group in groups for sample in group if sample.split == "test"]
    rest = [sample for group in _without_test(groups) for sample in group]
    return {"train": rest, "valid": [], "test": test}


def _without_test(groups: Iterable[SplitGroup]) -> list[SplitGroup]:
    """Return the groups of which the source has no image in test."""
    return [group for group in groups if all(sample.split != "test" for sample in group)]


def fit_folds(
    known: Sequence[SplitGroup], groups: Sequence[SplitGroup], settings: params.PrepareParams
) -> tuple[params.PrepareParams, list[str]]:
    """Return settings with fewer folds, and say so, if near-duplicates leave a class too few.

    `known` are the groups without near-duplicates: where these are too few as well, nothing is
    changed, and `folds.assign_folds` refuses.
    """
    split = settings.split
    if not isinstance(split, params.ByFolds):
        return settings, []
    before, after = _fewest(known), _fewest(groups)
    if not 2 <= after < split.folds <= before:
        return settings, []
    fitted = settings.model_copy(update={"split": split.model_copy(update={"folds": after})})
    return fitted, [
        f"near-duplicates leave a class {after} different pictures: {after} folds instead of "
        f"{split.folds} (prepare.split.folds)"
    ]


def _fewest(groups: Sequence[SplitGroup]) -> int:
    """Return the number of groups of the class that has the fewest, beside the source's test."""
    return min(map(len, _by_class(_without_test(groups)).values()), default=0)


def leave_out_unfit(
    groups: Sequence[SplitGroup], classes: Sequence[str], settings: params.PrepareParams
) -> tuple[list[SplitGroup], dict[str, str]]:
    """Return groups without the classes that cannot lie in every split, and why each cannot.

    Nothing is left out where counts or folds are asked for, or where one class alone would be left:
    `assign_splits` then refuses.
    """
    if isinstance(settings.split, params.ByCounts | params.ByFolds):
        return [*groups], {}
    unfit = _find_unfit(groups, classes, settings)
    if len(classes) - len(unfit) < 2:
        return [*groups], {}
    kept = [tuple(sample for sample in group if sample.label not in unfit) for group in groups]
    return [group for group in kept if group], unfit


def _find_unfit(
    groups: Sequence[SplitGroup], classes: Sequence[str], settings: params.PrepareParams
) -> dict[str, str]:
    """Return the classes that cannot lie in every split, and why: the others can, without them."""
    unfit: dict[str, str] = {}
    while True:
        kept = [tuple(s for s in group if s.label not in unfit) for group in groups]
        used = [name for name in classes if name not in unfit]
        rng = np.random.default_rng(settings.seed)
        assigned, requested, placed = _assign([g for g in kept if g], used, settings, rng)
        lacking = {name for _, name in _find_lacking(_have(assigned), requested)}
        if not lacking:
            return unfit
        holding = _by_class(placed)
        found = [(len(holding[name]), name) for name in sorted(lacking)]
        wanted = {name: sum(requested[split][name] > 0 for split in SPLITS) for name in used}
        few = [name for n, name in found if n < wanted[name]] or [min(found)[1]]
        unfit |= {name: _why(name, requested, holding[name]) for name in few}


def _assign(
    groups: Sequence[SplitGroup],
    classes: Sequence[str],
    settings: params.PrepareParams,
    rng: np.random.Generator,
) -> tuple[Assigned, Counts, Sequence[SplitGroup]]:
    """Return the groups of each split, the images requested, and the groups that were placed."""
    samples = [sample for group in groups for sample in group]
    split = resolve_split(settings.split, samples)
    if isinstance(split, params.ByFractions):
        groups = [tuple(replace(sample, split="") for sample in group) for group in groups]
    groups = [_in_one_split(group) for group in groups]
    samples = [sample for group in groups for sample in group]
    requested = _requested(_count(samples), classes, split, settings)
    cut = _find_cut(samples, classes)
    shuffled = [groups[i] for i in rng.permutation(len(groups))]
    assigned = _fill(shuffled, {name: [] for name in SPLITS}, requested, cut, split)
    if not isinstance(split, params.ByCounts) and _find_lacking(_have(assigned), requested):
        reserved = _reserve(shuffled, requested, cut)
        assigned = _fill(shuffled, reserved, requested, cut, split)
    return assigned, requested, groups


def _fill(
    groups: Sequence[SplitGroup],
    reserved: Assigned,
    requested: Counts,
    cut: Classes,
    split: params.Split,
) -> Assigned:
    """Return the groups of each split: those reserved for it, and others in their order."""
    assigned = {name: [*reserved[name]] for name in SPLITS}
    used = {id(group) for name in SPLITS for group in assigned[name]}
    for name in ("test", "valid", "train"):
        allowed = [g for g in groups if id(g) not in used and _allowed(g, name, cut)]
        allowed.sort(key=lambda group: group[0].split != name)
        taken = _take(allowed, Counter(requested[name]) - _labels(assigned[name]))
        used |= {id(group) for group in taken}
        assigned[name] += taken
    if not isinstance(split, params.ByCounts):
        rest = [group for group in groups if id(group) not in used]
        _place_rest(rest, assigned, requested, cut, every=_uses_all(split))
    return assigned


def _in_one_split(group: SplitGroup) -> SplitGroup:
    """Return the part of a group that the source has in test, else in valid, else in train."""
    for split in ("test", "valid", "train"):
        part = tuple(sample for sample in group if sample.split == split)
        if part:
            return part
    return group


def _find_cut(samples: Iterable[Sample], classes: Sequence[str]) -> Classes:
    """Return the classes of which valid and test have no image in the source."""
    available = _count(samples)
    return {
        split: {name for name in classes if not available[split][name]}
        for split in ("valid", "test")
    }


def _allowed(group: SplitGroup, split: str, cut: Classes) -> bool:
    """Return whether a group may lie in a split: in its own, or in one that cuts train."""
    source = group[0].split
    if source in ("", split):
        return True
    return source == "train" and any(sample.label in cut[split] for sample in group)


def _take(groups: Iterable[SplitGroup], requested: Mapping[str, int]) -> list[SplitGroup]:
    """Take groups, in their order, that fit into what is still missing of each class."""
    missing, taken = Counter(requested), []
    for group in groups:
        counts = Counter(sample.label for sample in group)
        if all(missing[label] >= n for label, n in counts.items()):
            missing.subtract(counts)
            taken.append(group)
    return taken


def _place_rest(
    groups: Sequence[SplitGroup],
    assigned: Assigned,
    requested: Counts,
    cut: Classes,
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

    have = _have(assigned)
    for group in sorted(groups, key=lambda group: (total[rarest(group)], -len(group))):
        label = rarest(group)
        missing = {
            split: requested[split][label] - have[split][label]
            for split in SPLITS
            if requested[split][label] and _allowed(group, split, cut)
        }
        lacking = [split for split, n in missing.items() if n == requested[split][label]]
        split = max(lacking or missing, key=lambda split: missing[split], default="")
        if split and (every or missing[split] > 0):
            assigned[split].append(group)
            have[split] += _labels([group])


def _reserve(groups: Sequence[SplitGroup], requested: Counts, cut: Classes) -> Assigned:
    """Return small groups that give every split each class; none if that is not found.

    The class with the fewest groups comes first, and the search goes back where it gets stuck.
    """
    groups = sorted(groups, key=len)
    labels = [frozenset(sample.label for sample in group) for group in groups]
    holding = _find_holding(groups, labels)
    pairs = _find_lacking({split: Counter() for split in SPLITS}, requested)
    pairs.sort(key=lambda pair: (len(holding[pair[1]]), pair[1]))
    have = {split: Counter[str]() for split in SPLITS}
    place, trail, n = dict[int, str](), list[tuple[int, list[int]]](), 0
    for _ in range(len(pairs) + MOST_TRIES):
        while n < len(pairs) and have[pairs[n][0]][pairs[n][1]]:
            n += 1
        if n == len(pairs):
            return {name: [groups[at] for at in place if place[at] == name] for name in SPLITS}
        split, label = pairs[n]
        free = [at for at in holding[label] if at not in place and _allowed(groups[at], split, cut)]
        best = {labels[at]: at for at in reversed(free)}
        trail.append((n, sorted(best.values(), reverse=True)))
        while trail and not trail[-1][1]:
            trail.pop()
            if place:
                at, split = place.popitem()
                have[split].subtract(labels[at])
        if not trail:
            break
        n, options = trail[-1]
        at = options.pop()
        place[at] = pairs[n][0]
        have[place[at]].update(labels[at])
    return {split: [] for split in SPLITS}


def _find_holding(
    groups: Sequence[SplitGroup], labels: Sequence[frozenset[str]]
) -> Mapping[str, Sequence[int]]:
    """Return the groups that hold each class, by index; of those alike as many as may be needed."""
    holding, alike = defaultdict[str, list[int]](list), Counter[tuple[frozenset[str], str]]()
    for at, group in enumerate(groups):
        alike[key := (labels[at], group[0].split)] += 1
        if alike[key] <= len(SPLITS) * len(labels[at]):
            for label in labels[at]:
                holding[label].append(at)
    return holding


def _find_lacking(have: Mapping[str, Counter[str]], requested: Counts) -> list[tuple[str, str]]:
    """Return split and class where there is no image; train is to have every class."""
    return [
        (split, name)
        for split in ("test", "valid", "train")
        for name, n in requested[split].items()
        if not have[split][name] and (n or split == "train")
    ]


def _have(assigned: Assigned) -> dict[str, Counter[str]]:
    return {split: _labels(groups) for split, groups in assigned.items()}


def _by_class(groups: Iterable[SplitGroup]) -> dict[str, list[SplitGroup]]:
    """Return the groups that hold an image of each class."""
    holding = defaultdict[str, list[SplitGroup]](list)
    for group in groups:
        for name in {sample.label for sample in group}:
            holding[name].append(group)
    return holding


def _labels(groups: Iterable[SplitGroup]) -> Counter[str]:
    return Counter(sample.label for group in groups for sample in group)


def _count(samples: Iterable[Sample]) -> Mapping[str, Counter[str]]:
    """Count the images of each class by split; "" are those without one."""
    counts = {split: Counter[str]() for split in ("", *SPLITS)}
    for sample in samples:
        counts[sample.split][sample.label] += 1
    return counts


def _uses_all(split: params.Split) -> bool:
    """Whether every usable image is to lie in a split."""
    if isinstance(split, params.ByFractions):
        return split.fractions.total >= 1 - 1e-9
    return split == "source"


def _requested(
    available: Mapping[str, Counter[str]],
    classes: Sequence[str],
    split: params.Split,
    settings: params.PrepareParams,
) -> Counts:
    if isinstance(split, params.ByCounts):
        return {name: _per_class(getattr(split.counts, name), name, classes) for name in SPLITS}
    if isinstance(split, params.ByFractions):
        return _by_fractions(available[""], split.fractions, classes)
    return _as_in_source(available, classes, settings)


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
    available: Mapping[str, Counter[str]],
    classes: Sequence[str],
    settings: params.PrepareParams,
) -> Counts:
    fractions = {"valid": settings.valid_fraction, "test": settings.test_fraction}
    counts: Counts = {split: {} for split in SPLITS}
    for name in classes:
        n = available["train"][name]
        cut = {s: _part(n, f) for s, f in fractions.items() if not available[s][name]}
        for split in fractions:
            counts[split][name] = cut.get(split, available[split][name])
        counts["train"][name] = max(1, n - sum(cut.values()))
    return counts


def _check_source(groups: Sequence[SplitGroup]) -> None:
    """Raise InputError unless all groups lie in a split of the source, some of them in train."""
    splits = [sample.split for group in groups for sample in group]
    if "train" in splits and "" not in splits:
        return
    found = f"{splits.count('')} images lie in no split" if "" in splits else "none is in train"
    raise InputError(f"prepare.split is source, but {found}; set prepare.split to {ANEW}")


def _check_counts(assigned: Assigned, requested: Counts, groups: Sequence[SplitGroup]) -> None:
    """Raise InputError for the first class that has fewer images in a split than asked for."""
    available = _labels(groups)
    for split in SPLITS:
        counts = _labels(assigned[split])
        for name, n in requested[split].items():
            if counts[name] < n:
                total = sum(per_class[name] for per_class in requested.values())
                raise InputError(
                    f"prepare.split: class {name!r} has {available[name]} usable images, but "
                    f"{total} were requested; {split} got {counts[name]} of {n}. Lower "
                    f"prepare.split.counts or add images (duplicates stay in one split)"
                )


def _why(name: str, requested: Counts, holding: Sequence[SplitGroup]) -> str:
    """Say why a class cannot lie in every split, given the groups that hold images of it."""
    images = sum(sample.label == name for group in holding for sample in group)
    origins = {group[0].split for group in holding}
    if origins and not origins & {"", "train"}:
        where = f"{_plural(images, 'image')} in {' and '.join(sorted(origins))}, none in train"
        return f"{where}: only fractions as prepare.split would use them"
    wanted = [split for split in SPLITS if requested[split][name]]
    if own := [split for split in wanted if split in origins and split != "train"]:
        cut = ", ".join(split for split in wanted if split not in own)
        train = [group for group in holding if group[0].split not in own]
        return (
            f"{_plural(_labels(train)[name], 'image')} in train for {cut}, as the images in "
            f"{' and '.join(own)} stay there"
        )
    whole = f" of {_plural(len(holding), 'group')} that stay whole" * (len(holding) < images)
    return f"{_plural(images, 'image')}{whole} for {', '.join(wanted)}"


def _plural(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _listed(reasons: Mapping[str, str]) -> str:
    """List classes with the reason that each of them has."""
    alike = defaultdict[str, list[str]](list)
    for name, why in reasons.items():
        alike[why].append(name)
    return "; ".join(f"{_some(names)} ({why})" for why, names in alike.items())


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST_CLASSES]) + ", ..." * (len(names) > MOST_CLASSES)
