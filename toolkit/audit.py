"""Look at the images before anything is trained on them: CHECKS, from measurements to Findings."""

from pathlib import Path

from toolkit import codec, data_params, label_checks, label_errors, measurements, progress, scanning
from toolkit.balance import BALANCE_CHECKS
from toolkit.duplicate_checks import DUPLICATE_CHECKS, twins
from toolkit.errors import InputError
from toolkit.evidence import Check, Evidence, Said, rounded
from toolkit.file_checks import FILE_CHECKS
from toolkit.findings import Audit, Outcome
from toolkit.label_checks import LABEL_CHECKS
from toolkit.look_checks import LOOK_CHECKS
from toolkit.manifest import SPLITS, Manifest
from toolkit.shortcuts import SHORTCUT_CHECKS


def audit(
    manifest: Manifest,
    folder: Path,
    settings: data_params.Audit,
    work: Path,
    *,
    split: data_params.Split | None = None,
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
        raise InputError(f"{folder}: has no class folder; {scanning.LAYOUT}")
    if settings.label_errors != "skip":
        label_errors.require()
    limits = codec.Limits(**settings.limits.model_dump())
    samples = manifest.samples
    table = measurements.table(folder, samples, limits, work, processes=processes, track=track)
    same = twins(table, settings.thresholds.near_duplicates, processes)
    judged = None
    if settings.label_errors != "skip":
        judged = label_checks.look(folder, table, same, limits, processes=processes, track=track)
    to_come = split or data_params.Prepare().split
    given = Evidence(manifest, table, settings, to_come, same, judged)
    said = {name: check.find(given) for name, check in CHECKS.items()}
    findings = tuple(finding for _, found in said.values() for finding in found)
    checks = {name: _outcome(given, name, CHECKS[name], found) for name, found in said.items()}
    return Audit(_counts(manifest), findings, checks)


def _outcome(given: Evidence, name: str, check: Check, said: Said) -> Outcome:
    score, found = said
    threshold = getattr(given.settings.thresholds, name, None)
    meaning = check.meaning if threshold is None else check.meaning.format(f"{threshold:g}")
    flagged = {path for finding in found for path in finding.paths}
    action = getattr(given.settings, name)
    return Outcome(meaning, action, threshold, rounded(score), len(flagged) or len(found))


def _counts(manifest: Manifest) -> dict[str, dict[str, int]]:
    splits = [split for split in SPLITS if any(s.split == split for s in manifest.samples)]
    return {"all": manifest.counts()} | {split: manifest.counts(split) for split in splits}


def table(result: Audit) -> list[tuple[str, str, str, str, str]]:
    """A line for each check, a header first."""
    header = ("check", "flagged", "action", "score", "what is flagged")
    return [header] + [
        (name, str(of.flagged), of.action, "" if of.score is None else f"{of.score:g}", of.meaning)
        for name, of in result.checks.items()
    ]


def describe(result: Audit, most: int = 3) -> list[str]:
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
