"""Look at the images before anything is trained on them: CHECKS, from measurements to Findings."""

import functools
import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from toolkit import codec, data_params, files, isolation, progress
from toolkit.errors import InputError
from toolkit.manifest import SPLITS, Manifest, Sample


@dataclass(frozen=True)
class Measurement:
    """What one decode of one image tells: why it failed, or the hash of its pixels."""

    sample: Sample
    problem: str | None
    pixels: str


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


@dataclass(frozen=True)
class Audit:
    """Counts per split and class, and the findings in the order of CHECKS."""

    counts: Mapping[str, Mapping[str, int]]
    findings: tuple[Finding, ...]

    @property
    def failures(self) -> list[Finding]:
        """Findings that stop the pipeline."""
        return [finding for finding in self.findings if finding.action == "fail"]


Check = Callable[[Manifest, Sequence[Measurement], data_params.Audit], list[Finding]]


def audit(
    manifest: Manifest,
    folder: Path,
    settings: data_params.Audit,
    *,
    processes: int = 1,
    track: progress.Track = progress.silent,
) -> Audit:
    """Decode every image of `folder` once and run every check."""
    limits = codec.Limits(**settings.limits.model_dump())
    found = isolation.ordered(
        functools.partial(_measure, folder, limits),
        manifest.samples,
        processes,
        seconds=limits.seconds,
        memory=limits.memory,
    )
    shown = track(zip(manifest.samples, found, strict=True), "audit", len(manifest.samples))
    measured = [
        Measurement(sample, one.reason, "") if isinstance(one, isolation.Stopped) else one
        for sample, one in shown
    ]
    findings = [f for check in CHECKS.values() for f in check(manifest, measured, settings)]
    return Audit(_counts(manifest), tuple(findings))


def _measure(folder: Path, limits: codec.Limits, sample: Sample) -> Measurement:
    try:
        pixels = codec.decode(codec.content(folder / sample.path, limits), limits)
    except InputError as error:
        return Measurement(sample, str(error), "")
    digest = hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes())
    return Measurement(sample, None, digest.hexdigest())


def _counts(manifest: Manifest) -> dict[str, dict[str, int]]:
    splits = [split for split in SPLITS if any(s.split == split for s in manifest.samples)]
    return {"all": manifest.counts()} | {split: manifest.counts(split) for split in splits}


def _unreadable(
    manifest: Manifest, measured: Sequence[Measurement], settings: data_params.Audit
) -> list[Finding]:
    """Files that are no images (by their header), and images that do not decode to the end."""
    action = settings.unreadable
    rejected = [
        Finding("unreadable", action, str(entry["reason"]), (str(entry["path"]),))
        for entry in manifest.notes.get("rejected", [])
    ]
    damaged = [
        Finding("unreadable", action, m.problem, (m.sample.path,), (m.sample.id,), (m.sample.id,))
        for m in measured
        if m.problem
    ]
    return rejected + damaged


def _exact_duplicates(
    manifest: Manifest,  # noqa: ARG001
    measured: Sequence[Measurement],
    settings: data_params.Audit,
) -> list[Finding]:
    """Images with the same decoded pixels, which same bytes imply."""
    groups = defaultdict(list)
    for m in measured:
        if not m.problem:
            groups[m.pixels].append(m.sample)
    return [_duplicates(group, settings) for group in groups.values() if len(group) > 1]


def _duplicates(group: list[Sample], settings: data_params.Audit) -> Finding:
    labels = sorted({s.label for s in group})
    splits = sorted({s.split for s in group if s.split})
    message = f"{len(group)} files show the same pixels"
    if len(labels) > 1:
        message += f", under different labels ({', '.join(labels)})"
    if len(splits) > 1:
        message += f", in different splits ({', '.join(splits)})"
    ids, paths = tuple(s.id for s in group), tuple(s.path for s in group)
    action = settings.exact_duplicates
    drop = ids[1:] if action == "drop" else ()
    return Finding("exact_duplicates", action, message, paths, ids, drop)


def describe(result: Audit, most: int = 3) -> list[str]:
    """The findings for a person: for each check how many, what is done, and the first `most`."""
    lines = []
    for check in CHECKS:
        found = [finding for finding in result.findings if finding.check == check]
        paths = sum(len(finding.paths) for finding in found)
        actions = ", ".join(sorted({finding.action for finding in found}))
        lines.append(f"{check}: {paths} files ({actions})" if found else f"{check}: none")
        for finding in found[:most]:
            names = ", ".join(finding.paths[:most]) + (", ..." if len(finding.paths) > most else "")
            lines.append(f"  {names}: {finding.message}")
        if len(found) > most:
            lines.append(f"  and {len(found) - most} more, all in the file that --output writes")
    return lines


def write(path: Path, result: Audit) -> None:
    """Write audit.json: no times and no versions, so that an equal verdict is an equal file."""
    data = {"counts": result.counts, "findings": [asdict(f) for f in result.findings]}
    files.write_json(path, data, indent=1)


def read(path: Path) -> Audit:
    """Read audit.json. Raises InputError that names the file."""
    try:
        data = files.read_json(path)
        return Audit(data["counts"], tuple(_finding(entry) for entry in data["findings"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{path}: not an audit ({error}); write it with `toolkit audit IMAGES --output`"
        raise InputError(message) from error


def _finding(entry: Mapping[str, Any]) -> Finding:
    lists = {name: tuple(map(str, entry[name])) for name in ("paths", "samples", "drop")}
    return Finding(str(entry["check"]), str(entry["action"]), str(entry["message"]), **lists)


CHECKS: dict[str, Check] = {
    "unreadable": _unreadable,
    "exact_duplicates": _exact_duplicates,
}
