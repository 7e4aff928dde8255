"""What the audit's checks are given, and what they say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from toolkit.checks.confident import LabelIssues
from toolkit.checks.findings import Finding
from toolkit.checks.params import AuditParams
from toolkit.checks.records import Measurements
from toolkit.datasets.params import Split
from toolkit.io.manifest import Manifest, Sample

DIGITS = 3
"""Of a score, behind the point: audit.json does not change with the last bits."""


@dataclass(frozen=True)
class DuplicateSets:
    """Samples, by their numbers, that show one picture; `exact`: in the same pixels.

    `agreement` is the lowest of the pairs that join them (see `hashing.agreement`).
    """

    numbers: tuple[int, ...]
    agreement: float
    exact: bool


@dataclass(frozen=True, eq=False)
class CheckContext:
    """All that is known of a folder's images: `twins` are their duplicates, `split` is to come.

    `judged` is None where the labels were not to be looked at.
    """

    manifest: Manifest
    table: Measurements
    settings: AuditParams
    split: Split
    twins: Sequence[DuplicateSets] = ()
    judged: LabelIssues | None = None

    def finding(
        self, check: str, numbers: Sequence[int], message: str, score: float | None = None
    ) -> Finding:
        """A finding about the samples of these numbers; with action `drop` all are dropped."""
        samples = self.samples(numbers)
        action = getattr(self.settings, check)
        ids = tuple(sample.id for sample in samples)
        paths = tuple(sample.path for sample in samples)
        drop = ids if action == "drop" else ()
        return Finding(check, action, message, paths, ids, drop, rounded(score))

    def samples(self, numbers: Sequence[int]) -> list[Sample]:
        """The samples of these numbers."""
        return [self.table.samples[number] for number in numbers]

    def threshold(self, check: str) -> float:
        """The check's threshold in params."""
        return float(getattr(self.settings.thresholds, check))


Said = tuple[float | None, list[Finding]]
"""The score that is nearest to the threshold or furthest beyond, None for none; and findings."""


@dataclass(frozen=True)
class Check:
    """`meaning`: what is flagged, with `{}` for the threshold."""

    find: Callable[[CheckContext], Said]
    meaning: str


def rounded(score: float | None) -> float | None:
    """To so many digits as audit.json keeps."""
    return None if score is None else round(float(score), DIGITS)
