"""What every check gets, and what it returns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from toolkit.checks.confident import LabelIssues
from toolkit.checks.findings import Finding
from toolkit.checks.params import AuditParams
from toolkit.checks.records import Measurements
from toolkit.datasets.params import Split
from toolkit.io.manifest import Manifest, Sample

Numbers = npt.NDArray[np.int64]

DIGITS = 3
"""Decimals of a score: audit.json must not change with the last bits."""


@dataclass(frozen=True)
class DuplicateSet:
    """Samples, by index, that show the same image; `exact` if their pixels are identical.

    `similarity` is the lowest of the pairs that connect them (see `hashing.similarity`). A `crowd`
    only looks alike: its images are not copies of one (see `neighbors.copies_and_crowds`).
    """

    indices: tuple[int, ...]
    similarity: float
    exact: bool
    crowd: bool = False


@dataclass(frozen=True, eq=False)
class CheckContext:
    """Everything that is known about a folder of images when the checks run.

    `split` is how `prepare` will split the images. `label_issues` is None if the labels are not
    checked.
    """

    manifest: Manifest
    measurements: Measurements
    settings: AuditParams
    split: Split
    duplicates: Sequence[DuplicateSet] = ()
    label_issues: LabelIssues | None = None

    def finding(
        self, check: str, indices: Sequence[int], message: str, score: float | None = None
    ) -> Finding:
        """Return a finding about these samples; with action `drop` all of them are dropped."""
        samples = self.samples(indices)
        action = getattr(self.settings, check)
        ids = tuple(sample.id for sample in samples)
        paths = tuple(sample.path for sample in samples)
        drop = ids if action == "drop" else ()
        return Finding(check, action, message, paths, ids, drop, round_score(score))

    def samples(self, indices: Sequence[int]) -> list[Sample]:
        """Return the samples at these indices."""
        return [self.measurements.samples[index] for index in indices]

    def threshold(self, check: str) -> float:
        """Return the threshold of a check."""
        return float(getattr(self.settings.thresholds, check))


CheckResult = tuple[float | None, list[Finding]]
"""The score furthest beyond the threshold, or closest to it (None for no score); the findings."""


@dataclass(frozen=True)
class Check:
    """A check and what it flags, in words, with `{}` for the threshold."""

    find: Callable[[CheckContext], CheckResult]
    meaning: str


def picture_numbers(samples: int, duplicates: Sequence[DuplicateSet]) -> Numbers:
    """Return a number for each sample, [N], that all copies of one picture share.

    Splits keep just these together.
    """
    numbers = np.arange(samples, dtype=np.int64)
    for group in duplicates:  # near-duplicates come last, and hold the exact duplicates
        if not group.crowd:
            numbers[list(group.indices)] = group.indices[0]
    return numbers


def round_score(score: float | None) -> float | None:
    """Round a score to the digits that audit.json keeps."""
    return None if score is None else round(float(score), DIGITS)
