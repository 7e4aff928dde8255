"""What a page shows of an audit: counts, a line for each check, and what each check found."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from toolkit.checks import params, thumbnails
from toolkit.checks.findings import Audit, Finding
from toolkit.checks.thumbnails import Thumbnails
from toolkit.reporting import gallery, html
from toolkit.reporting.gallery import InlineImage, Strip
from toolkit.reporting.tables import Table

MOST_PATHS, MOST_FINDINGS = 5, 60
"""Files that are named for each finding, and findings of each check in its table."""
DONE = {
    "drop": "prepare leaves the files out; of copies it keeps one",
    "group": "prepare keeps the files in one split",
    "warn": "nothing is done, but look at them",
    "fail": "the audit stops",
    "skip": "it was not looked for",
}
"""What each action does."""


def finding_summary(audit: Audit) -> Table:
    """Images of each class as they were found, by split; empty where there are none."""
    classes = sorted({name for of in audit.counts.values() for name in of})
    body = [
        [split or "all", *(str(of.get(name, 0)) for name in classes)]
        for split, of in audit.counts.items()
    ]
    return [["as found", *classes], *body] if body else []


def outcomes(audit: Audit) -> Table:
    """A line for each check; empty where there are none."""
    body = [
        [name, str(of.flagged), of.action, _number(of.score), _number(of.threshold), of.meaning]
        for name, of in audit.checks.items()
    ]
    header = ["check", "flagged", "action", "score", "threshold", "what is flagged"]
    return [header, *body] if body else []


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


@dataclass(frozen=True)
class CheckSection:
    """What one check found: in a few words, what is done, pictures, and finding by finding.

    `keys` are those of params.yaml that change it.
    """

    name: str
    words: str
    done: str
    keys: tuple[str, ...]
    strips: tuple[Strip, ...]
    table: Table


def check_sections(audit: Audit, pictures: Thumbnails) -> list[CheckSection]:
    """The checks that found something, in the audit's order."""
    names = dict.fromkeys([*audit.checks, *(finding.check for finding in audit.findings)])
    return [_check(audit, name, pictures) for name in names if audit.findings_of(name)]


def _check(audit: Audit, name: str, pictures: Thumbnails) -> CheckSection:
    found = audit.findings_of(name)
    files = len({path for finding in found for path in finding.paths})
    actions = dict.fromkeys(finding.action for finding in found)
    done = "; ".join(f"{action}: {DONE[action]}" for action in actions if action in DONE)
    limit = audit.checks[name].threshold if name in audit.checks else None
    keys = (f"audit.{name}", *([] if limit is None else [f"audit.thresholds.{name}"]))
    words = ", ".join(
        [_plural(len(found), "finding"), *([_plural(files, "file")] if files else [])]
    )
    return CheckSection(name, words, done, keys, tuple(_strips(found, pictures)), _table(found))


def _table(found: Sequence[Finding]) -> Table:
    body = [[f.action, f.message, _paths(f.paths)] for f in found[:MOST_FINDINGS]]
    if len(found) > MOST_FINDINGS:
        body.append(["", f"and {len(found) - MOST_FINDINGS} more findings", ""])
    return [["action", "finding", "files"], *body]


def _plural(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _paths(paths: Sequence[str]) -> str:
    more = len(paths) - MOST_PATHS
    return ", ".join(paths[:MOST_PATHS]) + (f" and {more} more" if more > 0 else "")


# --- pictures ---------------------------------------------------------------------------------


def _strips(found: Sequence[Finding], pictures: Thumbnails) -> Iterator[Strip]:
    """One for all findings about single files, and one for each of the others."""
    singles, groups = thumbnails.illustrated(found)
    alone = [picture for of in singles for picture in _pictures(of, pictures, (of.message,))]
    if alone:
        yield Strip("", tuple(alone), sum(len(finding.samples) == 1 for finding in found))
    for finding in groups:
        members = tuple(_pictures(finding, pictures))
        if members:
            yield Strip(finding.message, members, len(finding.samples))


def _pictures(of: Finding, pictures: Thumbnails, said: Sequence[str] = ()) -> Iterator[InlineImage]:
    members = zip(of.samples[: thumbnails.MEMBERS], of.paths, strict=False)
    for ident, path in members:
        if ident in pictures:
            one = pictures[ident]
            where = f"{one.label}, {one.split}" if one.split else one.label
            yield gallery.inline_image(one.pixels, f"{path}, of {where}", (path, where, *said))


def audit_page(audit: Audit, pictures: Thumbnails, folder: str) -> str:
    """The page as HTML (see `html_page`); `folder` is what the images' folder is called."""
    return html.render_template("audit.html.j2", audit_values(audit, pictures, folder))


def audit_values(audit: Audit, pictures: Thumbnails, folder: str) -> dict[str, Any]:
    """What the template shows, as plain values."""
    checks = check_sections(audit, pictures)
    return {
        "folder": folder,
        "headline": audit_headline(audit),
        "found": finding_summary(audit),
        "outcomes": outcomes(audit),
        "checks": checks,
        "choices": {check.name: _choices(check.name) for check in checks},
        "done": DONE,
    }


def audit_headline(audit: Audit) -> str:
    """What follows from the findings, in a sentence."""
    images = sum(audit.counts.get("all", {}).values())
    told = [
        f"{n:,} {one if n == 1 else many}"
        for n, one, many in (
            (len(audit.failures), "finding stops the pipeline", "findings stop the pipeline"),
            (_files(audit, "drop"), "file is left out", "files are left out"),
            (_files(audit, "group"), "stays with its copies", "have copies and stay with them"),
            (
                len(audit.findings_of("shortcuts")),
                "property of the files gives the class away",
                "properties of the files give the class away",
            ),
            (_files(audit, "warn"), "is worth a look", "are worth a look"),
        )
        if n
    ]
    return f"{images:,} images: {'; '.join(told) or 'nothing was found'}"


def _files(audit: Audit, action: str) -> int:
    """How many files the action is for; of copies only those that are dropped."""
    found = (finding for finding in audit.findings if finding.action == action)
    return len({file for finding in found for file in finding.drop or finding.paths})


def _choices(check: str) -> str:
    """The actions that params.yaml may name for a check; "" for one that is not of this version."""
    field = params.AuditParams.model_fields.get(check)
    return " | ".join(map(str, get_args(field.annotation))) if field else ""
