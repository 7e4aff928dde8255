"""`toolkit audit`, and `toolkit.audit`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from toolkit.checks.audit import run_checks
from toolkit.checks.findings import Audit, write_audit
from toolkit.checks.params import AuditParams
from toolkit.checks.thumbnails import TABLE, make_thumbnails, write_thumbnails
from toolkit.datasets import folders
from toolkit.datasets.local import open_images
from toolkit.datasets.params import PrepareParams, ReadParams
from toolkit.errors import InputError
from toolkit.io import files, parallel
from toolkit.io.images import noted_bits
from toolkit.io.schema import build
from toolkit.progress import Track, silent
from toolkit.reporting.audit import audit_page


def audit(
    images: Path | str,
    *,
    output: Path | str | None = None,
    html: Path | str | None = None,
    pictures: Path | str | None = None,
    label_errors: bool = False,
    checks: AuditParams | Mapping[str, Any] | None = None,
    prepare: PrepareParams | Mapping[str, Any] | None = None,
    work: Path | str = Path(".toolkit"),
    workers: int = 0,
    reading: ReadParams | Mapping[str, Any] | None = None,
    track: Track = silent,
    say: Callable[[str], object] = lambda _: None,
) -> Audit:
    """Check images for damaged files, duplicates, odd pictures, shortcuts and imbalance.

    `images` is a folder, archive or address (see `datasets.local.open_images`), read as the keys of
    the section `fetch` in `reading` say, such as `{"layout": "split/class"}`. `output` is an
    audit.json to write, `html` a page with pictures, `pictures` a folder for small pictures of the
    findings. `label_errors` also looks for wrong labels, which takes cleanlab. `checks` holds keys
    of the section `audit` of params.yaml, such as `{"dark": "drop", "thresholds": {"dark": 0.3}}`,
    and `prepare` those of `prepare`: the split to come. What was measured is kept in `work`.
    `workers` are processes, 0 for one per core. Raises InputError for a folder without class
    folders, and for an output that lies among the images; findings never raise, see
    `Audit.failures`.
    """
    processes = workers or parallel.cores()
    files.check_output(output, file=True)
    files.check_output(html, "--html", file=True)
    files.check_replaceable(pictures, TABLE, "--pictures")
    how = build(ReadParams, reading, "reading")
    folder = open_images(images, Path(work), track, say, links=how.follow_links).folder
    for place in (output, html, Path(pictures) / "000.jpg" if pictures else None):
        if place:
            _check_apart(Path(place), folder)
    settings = build(AuditParams, checks, "checks")
    if label_errors and settings.label_errors == "skip":
        settings = settings.model_copy(update={"label_errors": "warn"})
    split = build(PrepareParams, prepare, "prepare").split
    manifest = folders.scan(folder, track, processes, settings=how)
    result = run_checks(
        manifest, folder, settings, Path(work), split=split, processes=processes, track=track
    )
    if output:
        write_audit(Path(output), result)
    if html or pictures:
        limits = settings.limits.scaled(noted_bits(manifest.notes))
        thumbnails = make_thumbnails(
            result, manifest, folder, limits, processes=processes, track=track
        )
        if html:
            files.write_file(Path(html), audit_page(result, thumbnails, files.resolve(folder).name))
        if pictures:
            write_thumbnails(Path(pictures), thumbnails)
    return result


def _check_apart(place: Path, images: Path) -> None:
    """Refuse to overwrite a photo by a slip of the pen; files at the top are not images."""
    if files.resolve(images) in files.resolve(place).parent.parents:
        raise InputError(f"{place}: lies among the images of {images}; choose another place")
