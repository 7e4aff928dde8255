"""The page of an audit: counts, the outcome of each check, and what the checks found."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from toolkit.checks import params, thumbnails
from toolkit.checks.findings import Audit, Finding, format_score
from toolkit.checks.thumbnails import Thumbnails
from toolkit.reporting import gallery, html
from toolkit.reporting.gallery import InlineImage, Strip
from toolkit.reporting.tables import Table

MAX_PATHS, MAX_FINDINGS = 5, 60
"""Files named per finding, and findings listed per check."""
ACTIONS = {
    "drop": "prepare leaves the files out; of duplicates it keeps one",
    "group": "prepare keeps the files in one split",
    "warn": "nothing is changed, but the files are worth a look",
    "fail": "the pipeline stops",
    "skip": "the check does not run",
}
"""What each action does."""


def audit_page(audit: Audit, pictures: Thumbnails, folder: str) -> str:
    """Return the page as HTML; `folder` is the name of the folder of images."""
    return html.render_template("audit.html.j2", audit_values(audit, pictures, folder))


def audit_values(audit: Audit, pictures: Thumbnails, folder: str) -> dict[str, Any]:
    """Return the values of the template."""
    checks = check_sections(audit, pictures)
    return {
        "folder": folder,
        "headline": audit_headline(audit),
        "read": audit.read,
        "counts": class_count_table(audit),
        "outcomes": outcome_table(audit),
        "checks": checks,
        "choices": {check.name: _choices(check.name) for check in checks},
        "actions": ACTIONS,
    }


def audit_headline(audit: Audit) -> str:
    """Summarize the findings and what follows from them in one sentence."""
    parts = [
        f"{n:,} {singular if n == 1 else plural}"
        for n, singular, plural in (
            (len(audit.failures), "finding stops the pipeline", "findings stop the pipeline"),
            (_files(audit, "drop"), "file is left out", "files are left out"),
            (
                _files(audit, "group"),
                "image stays in the split of its duplicates",
                "images have duplicates; each set stays in one split",
            ),
            (
                len(audit.findings_of("shortcuts")),
                "file property predicts the class",
                "file properties predict the class",
            ),
            (_files(audit, "warn"), "file is worth a look", "files are worth a look"),
        )
        if n
    ]
    return f"{audit.images:,} images: {'; '.join(parts) or 'no problems found'}"


def _files(audit: Audit, action: str) -> int:
    """Count the files that an action applies to; of duplicates, only those that are dropped."""
    findings = (finding for finding in audit.findings if finding.action == action)
    return len({file for finding in findings for file in finding.drop or finding.paths})


def _choices(check: str) -> str:
    """Return the actions that params.yaml allows for a check; "" for an unknown check."""
    field = params.AuditParams.model_fields.get(check)
    return " | ".join(map(str, get_args(field.annotation))) if field else ""


# --- tables -----------------------------------------------------------------------------------


def class_count_table(audit: Audit) -> Table:
    """Count the images per class and split of the source; empty if nothing was counted."""
    return [list(row) for row in audit.count_rows()] if audit.counts else []


def outcome_table(audit: Audit) -> Table:
    """Return one row per check; empty if there are no checks."""
    body = [
        [
            name,
            str(of.flagged),
            of.action,
            format_score(of.score),
            format_score(of.threshold),
            of.meaning,
        ]
        for name, of in audit.checks.items()
    ]
    header = ["check", "flagged", "action", "score", "threshold", "what is flagged"]
    return [header, *body] if body else []


# --- what one check found ---------------------------------------------------------------------


@dataclass(frozen=True)
class CheckSection:
    """The findings of one check.

    `summary` counts them, `action` says what is done, `keys` are the keys of params.yaml that
    change it; `strips` are thumbnails, and `table` lists the findings.
    """

    name: str
    summary: str
    action: str
    keys: tuple[str, ...]
    strips: tuple[Strip, ...]
    table: Table


def check_sections(audit: Audit, pictures: Thumbnails) -> list[CheckSection]:
    """Return the sections of the checks that found something, in the order of the audit."""
    names = dict.fromkeys([*audit.checks, *(finding.check for finding in audit.findings)])
    return [_section(audit, name, pictures) for name in names if audit.findings_of(name)]


def _section(audit: Audit, name: str, pictures: Thumbnails) -> CheckSection:
    findings = audit.findings_of(name)
    files = len({path for finding in findings for path in finding.paths})
    counts = [_plural(len(findings), "finding"), *([_plural(files, "file")] if files else [])]
    actions = dict.fromkeys(finding.action for finding in findings)
    action = "; ".join(f"{each}: {ACTIONS[each]}" for each in actions if each in ACTIONS)
    threshold = audit.checks[name].threshold if name in audit.checks else None
    keys = (f"audit.{name}", *([] if threshold is None else [f"audit.thresholds.{name}"]))
    strips = tuple(_strips(findings, pictures))
    return CheckSection(name, ", ".join(counts), action, keys, strips, _finding_table(findings))


def _plural(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _finding_table(findings: Sequence[Finding]) -> Table:
    body = [[f.action, f.message, _paths(f.paths)] for f in findings[:MAX_FINDINGS]]
    if len(findings) > MAX_FINDINGS:
        body.append(["", f"and {len(findings) - MAX_FINDINGS} more findings", ""])
    return [["action", "finding", "files"], *body]


def _paths(paths: Sequence[str]) -> str:
    more = len(paths) - MAX_PATHS
    return ", ".join(paths[:MAX_PATHS]) + (f" and {more} more" if more > 0 else "")


def _strips(findings: Sequence[Finding], pictures: Thumbnails) -> Iterator[Strip]:
    """Yield one strip of all findings about single files, and one for each other finding."""
    singles, groups = thumbnails.illustrated(findings)
    images = [image for of in singles for image in _images(of, pictures, (of.message,))]
    if images:
        yield Strip("", tuple(images), sum(len(finding.samples) == 1 for finding in findings))
    for finding in groups:
        members = tuple(_images(finding, pictures))
        if members:
            yield Strip(finding.message, members, len(finding.samples))


def _images(
    finding: Finding, pictures: Thumbnails, lines: Sequence[str] = ()
) -> Iterator[InlineImage]:
    members = zip(finding.samples[: thumbnails.MEMBERS], finding.paths, strict=False)
    for ident, path in members:
        if ident in pictures:
            of = pictures[ident]
            place = f"{of.label}, {of.split}" if of.split else of.label
            yield gallery.inline_image(of.pixels, f"{path}, {place}", (path, place, *lines))
