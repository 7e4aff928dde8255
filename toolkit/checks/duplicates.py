"""DUPLICATE_CHECKS: files that show the same image, and what follows for labels and splits."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from toolkit.checks import neighbors
from toolkit.checks.base import Check, CheckContext, CheckResult, DuplicateSet
from toolkit.checks.findings import CROWD, Finding
from toolkit.checks.hashing import Descriptors
from toolkit.checks.records import Measurements
from toolkit.io.manifest import Sample, content_hash

MIN_CONTRAST = 0.02
"""Contrast (see `measures`) below which an image shows too little to be compared."""


def find_duplicates(
    measurements: Measurements, threshold: float, processes: int = 1
) -> list[DuplicateSet]:
    """Return the sets of samples with identical pixels, the crowds, then the near-duplicates.

    Two images are near-duplicates if their similarity reaches the threshold. A set of them also
    holds the exact duplicates of its members.
    """
    identical = defaultdict(list)
    for index in map(int, measurements.readable):
        identical[measurements.pixels[index]].append(index)
    exact = [
        DuplicateSet(tuple(indices), 1.0, exact=True)
        for indices in identical.values()
        if len(indices) > 1
    ]
    near = _near(measurements, list(identical.values()), threshold, processes)
    return exact + sorted(near, key=lambda group: not group.crowd)


def _near(
    measurements: Measurements, identical: Sequence[list[int]], threshold: float, processes: int
) -> list[DuplicateSet]:
    """Compare one of each set of images with the same descriptor with those of the others."""
    contrast = measurements.columns["contrast"]
    equal = defaultdict(list)
    for indices in identical:
        if contrast[indices[0]] >= MIN_CONTRAST:
            descriptor = measurements.descriptors(np.array(indices[:1]))
            equal[hashlib.sha256(descriptor.tobytes()).digest()].append(indices)
    sets = list(equal.values())
    first = np.array([indices[0][0] for indices in sets], dtype=np.int64)

    def load(rows: neighbors.Rows) -> Descriptors:
        return measurements.descriptors(first[rows])

    pairs = neighbors.find_pairs(load, len(first), threshold, processes)
    groups = list(neighbors.copies_and_crowds(load, pairs, len(first), threshold))
    paired = {int(row) for rows, _, _ in groups for row in rows}
    alone = [row for row, indices in enumerate(sets) if len(indices) > 1 and row not in paired]
    return [
        DuplicateSet(
            tuple(sorted(index for row in rows for part in sets[int(row)] for index in part)),
            lowest,
            exact=False,
            crowd=crowd,
        )
        for rows, lowest, crowd in (*groups, *((np.array([row]), 1.0, False) for row in alone))
    ]


def _exact(context: CheckContext) -> CheckResult:
    return None, [
        _finding(context, "exact_duplicates", group, "have identical pixels", group.indices[0])
        for group in context.duplicates
        if group.exact
    ]


def _near_duplicates(context: CheckContext) -> CheckResult:
    sets = sorted(
        (group for group in context.duplicates if not group.exact),
        key=lambda group: (-group.similarity, group.indices),
    )
    findings = [
        _crowd_finding(context, group)
        if group.crowd
        else _finding(
            context,
            "near_duplicates",
            group,
            "are near-duplicates",
            _largest(context.measurements, group.indices),
        )
        for group in sets
    ]
    return (sets[0].similarity if sets else None), findings


def _crowd_finding(context: CheckContext, group: DuplicateSet) -> Finding:
    message = (
        f"{len(group.indices)} files are chained by pairs that look alike, but many pairs do not: "
        f"{CROWD}, so they may go to different splits"
    )
    finding = context.finding("near_duplicates", group.indices, message, group.similarity)
    return replace(finding, action="fail" if finding.action == "fail" else "warn", drop=())


def _finding(
    context: CheckContext, check: str, group: DuplicateSet, predicate: str, kept: int
) -> Finding:
    """Report one set. If the action is `drop`, all samples but `kept` are dropped.

    Copies with several labels stay together instead: which label is right is not for us to say.
    """
    samples = context.samples(group.indices)
    message = f"{len(samples)} files {predicate}"
    labels = _labels(samples)
    if len(labels) > 1:
        message += f", with different labels ({', '.join(labels)})"
    if len(splits := _splits(samples)) > 1:
        message += f", in different splits ({', '.join(splits)})"
    score = None if group.exact else group.similarity
    finding = context.finding(check, group.indices, message, score)
    if len(labels) > 1 and finding.action == "drop":
        return replace(finding, action="group", drop=())
    kept_id = context.measurements.samples[kept].id
    return replace(finding, drop=tuple(ident for ident in finding.drop if ident != kept_id))


def _largest(measurements: Measurements, indices: Iterable[int]) -> int:
    """Return the sample with the most pixels, the first of equally large ones."""
    width, height = (measurements.columns[side].astype(float) for side in ("width", "height"))
    return min(indices, key=lambda index: (-width[index] * height[index], index))


def _labels(samples: Sequence[Sample]) -> list[str]:
    return sorted({sample.label for sample in samples})


def _splits(samples: Sequence[Sample]) -> list[str]:
    return sorted({sample.split for sample in samples if sample.split})


def _conflicts(context: CheckContext) -> CheckResult:
    return None, _across(context, "conflicts", "with {} labels", _labels)


def _leaks(context: CheckContext) -> CheckResult:
    return None, _across(context, "leaks", "in {} splits", _splits) + _divided_groups(context)


def _divided_groups(context: CheckContext) -> list[Finding]:
    """Report the groups that were given and that lie in several splits of the source."""
    members = defaultdict[str, list[int]](list)
    for index, sample in enumerate(context.measurements.samples):
        if sample.group not in ("", content_hash(sample)):
            members[sample.group].append(index)
    divided = {
        name: indices
        for name, indices in members.items()
        if len(_splits(context.samples(indices))) > 1
    }
    if not divided:
        return []
    name, indices = next(iter(divided.items()))
    splits = ", ".join(_splits(context.samples(indices)))
    message = f"{len(divided)} groups are in several splits, such as {name!r}: {splits}"
    return [context.finding("leaks", [i for of in divided.values() for i in of], message)]


def _across(
    context: CheckContext,
    check: str,
    where: str,
    names_of: Callable[[Sequence[Sample]], list[str]],
) -> list[Finding]:
    """Report the sets that lie across several labels, or several splits."""
    named = [(group, names_of(context.samples(group.indices))) for group in _widest(context)]
    return [
        context.finding(
            check,
            group.indices,
            f"{'duplicates' if group.exact else 'near-duplicates'} "
            f"{where.format(len(names))}: {', '.join(names)}",
        )
        for group, names in named
        if len(names) > 1
    ]


def _widest(context: CheckContext) -> list[DuplicateSet]:
    """Return all near-duplicate sets but crowds, and the exact ones that lie in none of them."""
    near = [group for group in context.duplicates if not group.exact and not group.crowd]
    covered = {index for group in near for index in group.indices}
    return near + [
        group for group in context.duplicates if group.exact and group.indices[0] not in covered
    ]


DUPLICATE_CHECKS: dict[str, Check] = {
    "exact_duplicates": Check(_exact, "identical bytes, or identical decoded pixels"),
    "near_duplicates": Check(
        _near_duplicates,
        "one image re-encoded, resized, mirrored, cropped or relit (similarity at least {})",
    ),
    "conflicts": Check(_conflicts, "duplicates or near-duplicates with different labels"),
    "leaks": Check(_leaks, "duplicates, or images of one group, in different splits of the source"),
}
