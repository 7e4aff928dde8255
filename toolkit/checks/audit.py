"""Check the images before anything is trained on them: CHECKS, from measurements to findings."""

from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath

from toolkit import progress
from toolkit.checks import confident, labels, records
from toolkit.checks.appearance import APPEARANCE_CHECKS
from toolkit.checks.base import Check, CheckContext, CheckResult, round_score
from toolkit.checks.duplicates import DUPLICATE_CHECKS, find_duplicates
from toolkit.checks.files import FILE_CHECKS
from toolkit.checks.findings import Audit, CheckOutcome, count_flagged
from toolkit.checks.imbalance import IMBALANCE_CHECKS
from toolkit.checks.labels import LABEL_CHECKS
from toolkit.checks.params import AuditParams
from toolkit.checks.shortcuts import SHORTCUT_CHECKS
from toolkit.datasets import folders
from toolkit.datasets.params import PrepareParams, Split
from toolkit.io.images import noted_bits
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

    A file in the folder `work` keeps the measurements: an interrupted audit resumes, and a second
    audit of the same images is fast. `split` is how `prepare` will split the images. Raises
    InputError if there are no class folders, if another process audits the same images, or if the
    labels are to be checked and cleanlab is missing; OSError for example if the disk is full.
    """
    if not manifest.classes:
        folders.check_classes(manifest, folder)
    if settings.label_errors != "skip":
        confident.require_cleanlab()
    limits = settings.limits.scaled(noted_bits(manifest.notes))
    measurements = records.measure_samples(
        folder, manifest.samples, limits, work, processes=processes, track=track
    )
    duplicates = find_duplicates(measurements, settings.thresholds.near_duplicates, processes)
    label_issues = None
    if settings.label_errors != "skip":
        label_issues = labels.check_labels(
            folder, measurements, duplicates, limits, processes=processes, track=track
        )
    split = split or PrepareParams().split
    context = CheckContext(manifest, measurements, settings, split, duplicates, label_issues)
    results = {name: check.find(context) for name, check in CHECKS.items()}
    findings = tuple(finding for _, of_check in results.values() for finding in of_check)
    outcomes = {name: _outcome(context, name, result) for name, result in results.items()}
    usable = replace(manifest, samples=tuple(manifest.samples[n] for n in measurements.readable))
    read = manifest.notes.get("read", "")
    return Audit(_counts(usable), findings, outcomes, _unusable(manifest, usable), read)


def _outcome(context: CheckContext, name: str, result: CheckResult) -> CheckOutcome:
    score, findings = result
    threshold = getattr(context.settings.thresholds, name, None)
    meaning = CHECKS[name].meaning
    if threshold is not None:
        meaning = meaning.format(f"{threshold:g}")
    action = getattr(context.settings, name)
    flagged = count_flagged(findings)
    return CheckOutcome(meaning, action, threshold, round_score(score), flagged)


def _counts(manifest: Manifest) -> dict[str, dict[str, int]]:
    """Count the images per class, of all splits and of each split of the source."""
    splits = [split for split in SPLITS if any(s.split == split for s in manifest.samples)]
    return {"all": manifest.counts()} | {split: manifest.counts(split) for split in splits}


def _unusable(manifest: Manifest, usable: Manifest) -> dict[str, int]:
    """Count the files per class that do not decode; nothing if all do."""
    before, after = manifest.counts(), usable.counts()
    counts = Counter({name: before[name] - after[name] for name in before})
    for entry in manifest.notes.get("rejected", []):
        parts = PurePosixPath(entry["path"]).parts[:-1]
        counts.update([name for name in parts if name in before][-1:])
    return dict(counts) if any(counts.values()) else {}


CHECKS: dict[str, Check] = {
    **FILE_CHECKS,
    **DUPLICATE_CHECKS,
    **APPEARANCE_CHECKS,
    **SHORTCUT_CHECKS,
    **LABEL_CHECKS,
    **IMBALANCE_CHECKS,
}
"""All checks, in the order in which they are reported. Each has an action in the settings."""
