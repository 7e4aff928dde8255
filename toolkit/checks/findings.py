"""The result of an audit, and audit.json, which later stages read."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from toolkit.errors import InputError, explain_error
from toolkit.io import files
from toolkit.io.notebook import html_table


@dataclass(frozen=True)
class Finding:
    """A problem that a check found, and what is done about it.

    `samples` are the ids of the images concerned and `paths` their files; `drop` are the ids that
    `prepare` leaves out. With action `group` prepare keeps the samples in one split, with `fail`
    the audit stops the pipeline. `predicted` is the class that the image looks like, where
    the check tells one.
    """

    check: str
    action: str
    message: str
    paths: tuple[str, ...]
    samples: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    score: float | None = None
    predicted: str = ""


@dataclass(frozen=True)
class CheckOutcome:
    """A check: what it flags, its settings, and how much it found.

    `score` is that of the image furthest beyond the threshold, or closest to it. `flagged` counts
    files, or findings where these are not about single files.
    """

    meaning: str
    action: str
    threshold: float | None
    score: float | None
    flagged: int


@dataclass(frozen=True)
class Audit:
    """Images per split and class, the findings, and the outcome of each check, in their order.

    `counts` are of the images that decode, `unusable` of all other files, per class. `read` is how
    the folder was understood, `decisions` the sha256 of the table of decisions that was followed,
    "" for none.
    """

    counts: Mapping[str, Mapping[str, int]]
    findings: tuple[Finding, ...]
    checks: Mapping[str, CheckOutcome] = field(default_factory=dict)
    unusable: Mapping[str, int] = field(default_factory=dict)
    read: str = ""
    decisions: str = ""

    def __repr__(self) -> str:
        parts = f"{self.images} images, {len(self.checks)} checks, {len(self.findings)} findings"
        return f"Audit({parts})"

    def _repr_html_(self) -> str:
        return html_table(self.table(), repr(self))

    @property
    def images(self) -> int:
        """The number of images that were audited."""
        return sum(self.counts.get("all", {}).values())

    def count_rows(self) -> list[tuple[str, ...]]:
        """Return a row of counts for each split and one for what cannot be used, and a header."""
        classes = sorted({name for of in self.counts.values() for name in of})
        rows = {**self.counts, **({"cannot be used": self.unusable} if self.unusable else {})}
        body = [(name, *(str(of.get(each, 0)) for each in classes)) for name, of in rows.items()]
        return [("split", *classes), *body]

    @property
    def failures(self) -> list[Finding]:
        """The findings that stop the pipeline."""
        return [finding for finding in self.findings if finding.action == "fail"]

    @property
    def dropped(self) -> set[str]:
        """The ids of the samples to leave out."""
        return {ident for finding in self.findings for ident in finding.drop}

    @property
    def grouped(self) -> list[tuple[str, ...]]:
        """The ids of the samples that must stay in one split, one tuple per set."""
        return [finding.samples for finding in self.findings if finding.action == "group"]

    def findings_of(self, check: str) -> list[Finding]:
        """Return the findings of one check."""
        return [finding for finding in self.findings if finding.check == check]

    def table(self) -> list[tuple[str, str, str, str, str]]:
        """Return one row of text per check, after a header."""
        header = ("check", "flagged", "action", "score", "what is flagged")
        return [header] + [
            (name, str(of.flagged), of.action, format_score(of.score), of.meaning)
            for name, of in self.checks.items()
        ]


def format_score(score: float | None) -> str:
    """Format a score or a threshold; empty for None."""
    return "" if score is None else f"{score:zg}"


def describe_audit(audit: Audit, limit: int = 3) -> list[str]:
    """Return lines of text with the first `limit` findings of each check."""
    lines = []
    for check in audit.checks:
        findings = audit.findings_of(check)
        lines += [f"{check}:"] if findings else []
        for finding in findings[:limit]:
            more = ", ..." if len(finding.paths) > limit else ""
            paths = ", ".join(finding.paths[:limit]) + more
            lines.append(f"  {paths}: {finding.message}" if paths else f"  {finding.message}")
        if len(findings) > limit:
            lines.append(f"  and {len(findings) - limit} more; --output writes all of them")
    return lines


def count_flagged(findings: Sequence[Finding]) -> int:
    """Count the files of findings, or these where they are not about single files."""
    return len({path for finding in findings for path in finding.paths}) or len(findings)


# --- what a person decided --------------------------------------------------------------------


def settle_findings(audit: Audit, settled: Collection[str], decisions: str = "") -> Audit:
    """Return the audit without what it says of images that a person has settled, by their ids.

    Nothing leaves them out. Copies of a picture stay in one split all the same: else a decision
    would make a leak. `decisions` is the sha256 of the table. Raises InputError for a settled image
    that cannot be read.
    """
    settled = frozenset(settled)
    for finding in audit.findings:
        if finding.check in UNREADABLE and settled & {*finding.samples}:
            problem = f"{finding.check}: {finding.message}"
            raise InputError(f"{finding.paths[0]}: cannot be kept ({problem}); drop or mend it")
    findings = tuple(
        left for finding in audit.findings if (left := _without(finding, settled)) is not None
    )
    by_check = {name: [f for f in findings if f.check == name] for name in audit.checks}
    checks = {
        name: replace(outcome, flagged=count_flagged(by_check[name]))
        for name, outcome in audit.checks.items()
    }
    return replace(audit, findings=findings, checks=checks, decisions=decisions)


UNREADABLE = ("empty", "not_an_image", "truncated", "unreadable")
"""Checks of files that are no pictures: a decision does not make them any."""
DUPLICATES = ("exact_duplicates", "near_duplicates")
"""Checks whose findings are sets: of copies of one picture, or of what looks alike."""
CROWD = "similar images and not copies of one"
"""What the message of a set says that is none of copies."""
WHOLE = (*DUPLICATES, "leaks", "name_groups")
"""Checks whose findings are sets that say nothing if an image is missing."""


def _without(finding: Finding, settled: frozenset[str]) -> Finding | None:
    """Return what is left of a finding where some images are settled; None if that is nothing."""
    if not settled & {*finding.samples}:
        return finding
    drop = tuple(ident for ident in finding.drop if ident not in settled)
    if finding.check in WHOLE and not settled >= {*finding.samples}:
        regroup = finding.action == "drop" and finding.check in DUPLICATES
        return replace(finding, action="group" if regroup else finding.action, drop=drop)
    if finding.check in DUPLICATES:
        copies = finding.action != "warn" and CROWD not in finding.message
        return replace(finding, action="group", drop=()) if copies else None
    pairs = zip(finding.samples, finding.paths, strict=True)
    left = [(ident, path) for ident, path in pairs if ident not in settled]
    if finding.check in WHOLE or not left:
        return None
    samples, paths = zip(*left, strict=True)
    return replace(finding, samples=samples, paths=paths, drop=drop)


# --- audit.json -------------------------------------------------------------------------------


def write_audit(path: Path, audit: Audit) -> None:
    """Write audit.json, without times and versions: equal results give equal files.

    `decisions` and `predicted` are written only where they say something.
    """
    findings = [_filled(asdict(finding), "predicted") for finding in audit.findings]
    files.write_sealed(path, _filled(asdict(audit), "decisions") | {"findings": findings})


def _filled(fields: dict[str, Any], optional: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value or name != optional}


def read_audit(path: Path) -> Audit:
    """Read audit.json. Raises InputError that names the file."""
    try:
        data = files.read_sealed(path)
        findings = tuple(_finding(entry) for entry in data["findings"])
        checks = {str(name): CheckOutcome(**entry) for name, entry in data["checks"].items()}
        read, decisions = data.get("read", ""), str(data.get("decisions", ""))
        return Audit(data["counts"], findings, checks, data["unusable"], read, decisions)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{path}: not an audit ({explain_error(error)})"
        raise InputError(f"{message}; write it with `toolkit audit IMAGES --output`") from error


def _finding(entry: Mapping[str, Any]) -> Finding:
    check, action, message = (str(entry[name]) for name in ("check", "action", "message"))
    paths, samples, drop = (tuple(map(str, entry[name])) for name in ("paths", "samples", "drop"))
    predicted = str(entry.get("predicted", ""))
    return Finding(check, action, message, paths, samples, drop, entry["score"], predicted)
