"""What an audit found, and audit.json, which the stages behind it read."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from toolkit.errors import InputError
from toolkit.io import files


@dataclass(frozen=True)
class Finding:
    """Something a check found, and what is done about it.

    `samples` are the ids concerned and `paths` their files; `drop` the ids that `prepare` leaves
    out. With action `group` prepare keeps the samples in one split, with `fail` the audit stops.
    """

    check: str
    action: str
    message: str
    paths: tuple[str, ...]
    samples: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    score: float | None = None


@dataclass(frozen=True)
class Outcome:
    """One check: what it flags, what was decided beforehand, and what it found.

    `score` is the number of all samples that is furthest beyond the threshold, or nearest to it.
    `flagged` counts files; of findings about no file in particular, the findings.
    """

    meaning: str
    action: str
    threshold: float | None
    score: float | None
    flagged: int


@dataclass(frozen=True)
class Audit:
    """Counts per split and class, the findings in the order of the checks, and the checks."""

    counts: Mapping[str, Mapping[str, int]]
    findings: tuple[Finding, ...]
    checks: Mapping[str, Outcome] = field(default_factory=dict)

    @property
    def failures(self) -> list[Finding]:
        """Findings that stop the pipeline."""
        return [finding for finding in self.findings if finding.action == "fail"]

    @property
    def dropped(self) -> set[str]:
        """Ids of the samples to leave out."""
        return {ident for finding in self.findings for ident in finding.drop}

    @property
    def grouped(self) -> list[tuple[str, ...]]:
        """Ids of samples that stay in one split, set by set."""
        return [f.samples for f in self.findings if f.action == "group"]

    def of(self, check: str) -> list[Finding]:
        """The findings of one check."""
        return [finding for finding in self.findings if finding.check == check]


def write_audit(path: Path, result: Audit) -> None:
    """Write audit.json: no times and no versions, so that an equal verdict is an equal file."""
    files.write_json(path, asdict(result), indent=1)


def read_audit(path: Path) -> Audit:
    """Read audit.json. Raises InputError that names the file."""
    try:
        data = files.read_json(path)
        findings = tuple(_finding(entry) for entry in data["findings"])
        checks = {str(name): Outcome(**entry) for name, entry in data["checks"].items()}
        return Audit(data["counts"], findings, checks)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{path}: not an audit ({error}); write it with `toolkit audit IMAGES --output`"
        raise InputError(message) from error


def _finding(entry: Mapping[str, Any]) -> Finding:
    check, action, message = (str(entry[name]) for name in ("check", "action", "message"))
    paths, samples, drop = (tuple(map(str, entry[name])) for name in ("paths", "samples", "drop"))
    return Finding(check, action, message, paths, samples, drop, entry["score"])
