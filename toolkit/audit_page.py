"""The audit as one page: counts, a line for each check, and what it found with pictures."""

from typing import Any, get_args

from toolkit import audit_sections, data_params, html_page
from toolkit.findings import Audit
from toolkit.specimens import Specimens


def page(audit: Audit, pictures: Specimens, folder: str) -> str:
    """The page as HTML (see `html_page`); `folder` is what the images' folder is called."""
    return html_page.render("audit.html.j2", values(audit, pictures, folder))


def values(audit: Audit, pictures: Specimens, folder: str) -> dict[str, Any]:
    """What the template shows, as plain values."""
    checks = audit_sections.checks(audit, pictures)
    return {
        "folder": folder,
        "headline": headline(audit),
        "found": audit_sections.found(audit),
        "outcomes": audit_sections.outcomes(audit),
        "checks": checks,
        "choices": {check.name: _choices(check.name) for check in checks},
        "done": audit_sections.DONE,
    }


def headline(audit: Audit) -> str:
    """What follows from the findings, in a sentence."""
    images = sum(audit.counts.get("all", {}).values())
    told = [
        f"{n:,} {one if n == 1 else many}"
        for n, one, many in (
            (len(audit.failures), "finding stops the pipeline", "findings stop the pipeline"),
            (_files(audit, "drop"), "file is left out", "files are left out"),
            (_files(audit, "group"), "stays with its copies", "have copies and stay with them"),
            (
                len(audit.of("shortcuts")),
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
    field = data_params.Audit.model_fields.get(check)
    return " | ".join(map(str, get_args(field.annotation))) if field else ""
