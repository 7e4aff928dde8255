"""Look at the images before anything is trained on them: CHECKS, from measurements to Findings."""

from pathlib import Path

from toolkit import progress
from toolkit.checks import confident, labels, records
from toolkit.checks.appearance import LOOK_CHECKS
from toolkit.checks.base import Check, CheckContext, Said, rounded
from toolkit.checks.duplicates import DUPLICATE_CHECKS, find_duplicates
from toolkit.checks.files import FILE_CHECKS
from toolkit.checks.findings import Audit, Outcome
from toolkit.checks.imbalance import BALANCE_CHECKS
from toolkit.checks.labels import LABEL_CHECKS
from toolkit.checks.params import AuditParams
from toolkit.checks.shortcuts import SHORTCUT_CHECKS
from toolkit.datasets import folders
from toolkit.datasets.params import PrepareParams, Split
from toolkit.errors import InputError
from toolkit.io.manifest import SPLITS, Manifest


def run_checks(
    manifest: Manifest,
    folder: Path,
    settings: AuditParams,
    work: Path,
    *,
    split: Split | None = None,
    processes: int = 1,
    track: progress.Track = progress.silent,
) -> Audit:
    """Decode every image of `folder` once and run every check.

    In the folder `work` a file keeps what was measured: an interrupted audit goes on, and one of
    images that were audited before is quick. `split` is that of `prepare`. Raises InputError for a
    folder without classes, when another process audits the same images or where labels are to be
    judged without cleanlab, and OSError, as for a full disk.
    """
    if not manifest.classes:
        raise InputError(f"{folder}: has no class folder; {folders.LAYOUT}")
    if settings.label_errors != "skip":
        confident.require()
    limits = settings.limits
    samples = manifest.samples
    table = records.measure_samples(folder, samples, limits, work, processes=processes, track=track)
    same = find_duplicates(table, settings.thresholds.near_duplicates, processes)
    judged = None
    if settings.label_errors != "skip":
        judged = labels.look(folder, table, same, limits, processes=processes, track=track)
    to_come = split or PrepareParams().split
    given = CheckContext(manifest, table, settings, to_come, same, judged)
    said = {name: check.find(given) for name, check in CHECKS.items()}
    findings = tuple(finding for _, found in said.values() for finding in found)
    checks = {name: _outcome(given, name, CHECKS[name], found) for name, found in said.items()}
    return Audit(_counts(manifest), findings, checks)


def _outcome(given: CheckContext, name: str, check: Check, said: Said) -> Outcome:
    score, found = said
    threshold = getattr(given.settings.thresholds, name, None)
    meaning = check.meaning if threshold is None else check.meaning.format(f"{threshold:g}")
    flagged = {path for finding in found for path in finding.paths}
    action = getattr(given.settings, name)
    return Outcome(meaning, action, threshold, rounded(score), len(flagged) or len(found))


def _counts(manifest: Manifest) -> dict[str, dict[str, int]]:
    splits = [split for split in SPLITS if any(s.split == split for s in manifest.samples)]
    return {"all": manifest.counts()} | {split: manifest.counts(split) for split in splits}


def check_table(result: Audit) -> list[tuple[str, str, str, str, str]]:
    """A line for each check, a header first."""
    header = ("check", "flagged", "action", "score", "what is flagged")
    return [header] + [
        (name, str(of.flagged), of.action, "" if of.score is None else f"{of.score:g}", of.meaning)
        for name, of in result.checks.items()
    ]


def describe_audit(result: Audit, most: int = 3) -> list[str]:
    """The first `most` findings of each check for a person, and how many more there are."""
    lines = []
    for check in result.checks:
        found = result.of(check)
        lines += [f"{check}:"] if found else []
        for finding in found[:most]:
            names = ", ".join(finding.paths[:most]) + (", ..." if len(finding.paths) > most else "")
            lines.append(f"  {names}: {finding.message}" if names else f"  {finding.message}")
        if len(found) > most:
            lines.append(f"  and {len(found) - most} more, all in the file that --output writes")
    return lines


CHECKS: dict[str, Check] = {
    **FILE_CHECKS,
    **DUPLICATE_CHECKS,
    **LOOK_CHECKS,
    **SHORTCUT_CHECKS,
    **LABEL_CHECKS,
    **BALANCE_CHECKS,
}
"""In the order in which they are told. Each has its action in params, some a threshold."""
