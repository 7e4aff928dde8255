"""DUPLICATE_CHECKS: files that show one picture, and what follows for labels and splits."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from toolkit.checks import neighbors
from toolkit.checks.base import Check, CheckContext, DuplicateSets, Said
from toolkit.checks.findings import Finding
from toolkit.checks.records import Measurements
from toolkit.io.manifest import Sample

PLAIN = 0.02
"""Contrast (see `measures`) under which a picture shows too little to be compared."""
SHARE, FEW = 0.1, 20
"""A near group of more than this share of all pictures, and more than a few, is no copies."""


def find_duplicates(table: Measurements, lowest: float, processes: int = 1) -> list[DuplicateSets]:
    """Groups of samples with equal pixels, then of those that agree by `lowest` or more.

    A near group holds all its members' exact copies.
    """
    exact = defaultdict(list)
    for number in map(int, table.readable):
        exact[table.pixels[number]].append(number)
    same = [
        DuplicateSets(tuple(group), 1.0, exact=True) for group in exact.values() if len(group) > 1
    ]
    return same + _near(table, list(exact.values()), lowest, processes)


def _near(
    table: Measurements, exact: Sequence[list[int]], lowest: float, processes: int
) -> list[DuplicateSets]:
    """Of equal pictures the first is compared with the others."""
    contrast = table.numbers["contrast"]
    shown = [group for group in exact if contrast[group[0]] >= PLAIN]
    if len(shown) < 2:
        return []
    first = np.array([group[0] for group in shown], dtype=np.int64)
    found = neighbors.pairs(lambda rows: table.copies(first[rows]), len(first), lowest, processes)
    return [
        DuplicateSets(
            tuple(sorted(n for row in rows for n in shown[int(row)])), weakest, exact=False
        )
        for rows, weakest in neighbors.duplicate_groups(found, len(first))
    ]


def _exact(given: CheckContext) -> Said:
    groups = [group for group in given.twins if group.exact]
    return None, [
        _copies(given, "exact_duplicates", group, "files show the same pixels", group.numbers[0])
        for group in groups
    ]


def _near_duplicates(given: CheckContext) -> Said:
    groups = sorted((group for group in given.twins if not group.exact), key=lambda g: -g.agreement)
    found = [
        _crowded(given, group)
        if _crowd(given, group)
        else _copies(
            given,
            "near_duplicates",
            group,
            "files show nearly the same picture",
            _largest(given, group.numbers),
        )
        for group in groups
    ]
    return (groups[0].agreement if groups else None), found


def _crowd(given: CheckContext, group: DuplicateSets) -> bool:
    """Whether so many pictures are alike that this is how such pictures look."""
    return not group.exact and len(group.numbers) > max(FEW, SHARE * len(given.table.readable))


def _crowded(given: CheckContext, group: DuplicateSets) -> Finding:
    message = f"{len(group.numbers)} files look alike: too many to be copies, so they may be parted"
    found = given.finding("near_duplicates", group.numbers, message, group.agreement)
    return replace(found, action="fail" if found.action == "fail" else "warn", drop=())


def _copies(
    given: CheckContext, check: str, group: DuplicateSets, words: str, best: int
) -> Finding:
    """With action `drop` all but the `best` are dropped."""
    samples = given.samples(group.numbers)
    message = f"{len(samples)} {words}"
    if len(labels := _labels(samples)) > 1:
        message += f", under different labels ({', '.join(labels)})"
    if len(splits := _splits(samples)) > 1:
        message += f", in different splits ({', '.join(splits)})"
    score = None if group.exact else group.agreement
    found = given.finding(check, group.numbers, message, score)
    kept = given.table.samples[best].id
    return replace(found, drop=tuple(ident for ident in found.drop if ident != kept))


def _largest(given: CheckContext, numbers: Iterable[int]) -> int:
    """The one with the most pixels, of equal ones the first."""
    width, height = (given.table.numbers[side].astype(float) for side in ("width", "height"))
    return min(numbers, key=lambda n: (-width[n] * height[n], n))


def _labels(samples: Sequence[Sample]) -> list[str]:
    return sorted({sample.label for sample in samples})


def _splits(samples: Sequence[Sample]) -> list[str]:
    return sorted({sample.split for sample in samples if sample.split})


def _conflicts(given: CheckContext) -> Said:
    return None, _across(given, "conflicts", "under {} labels", _labels)


def _leaks(given: CheckContext) -> Said:
    return None, _across(given, "leaks", "in {} splits", _splits)


def _across(
    given: CheckContext, check: str, words: str, names: Callable[[Sequence[Sample]], list[str]]
) -> list[Finding]:
    found = [(group, names(given.samples(group.numbers))) for group in _widest(given)]
    return [
        given.finding(
            check,
            group.numbers,
            f"{'the same' if group.exact else 'nearly the same'} picture "
            f"{words.format(len(of))}: {', '.join(of)}",
        )
        for group, of in found
        if len(of) > 1
    ]


def _widest(given: CheckContext) -> list[DuplicateSets]:
    """Every near group but crowds, and the exact ones that lie in none."""
    near = [group for group in given.twins if not group.exact and not _crowd(given, group)]
    held = {number for group in near for number in group.numbers}
    return near + [g for g in given.twins if g.exact and g.numbers[0] not in held]


DUPLICATE_CHECKS: dict[str, Check] = {
    "exact_duplicates": Check(_exact, "the same bytes, or the same decoded pixels"),
    "near_duplicates": Check(
        _near_duplicates,
        "one picture again: encoded, resized, mirrored, cropped, lit differently (agreement {})",
    ),
    "conflicts": Check(_conflicts, "the same picture, or nearly, under two labels"),
    "leaks": Check(_leaks, "the same picture, or nearly, in two of the source's own splits"),
}
