"""`toolkit audit`, and `toolkit.audit`."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.checks.audit import run_checks
from toolkit.checks.findings import Audit, settle_findings, write_audit
from toolkit.checks.params import AuditParams
from toolkit.checks.thumbnails import TABLE, make_thumbnails, write_thumbnails
from toolkit.datasets import folders
from toolkit.datasets.local import open_images
from toolkit.datasets.params import PrepareParams, ReadParams
from toolkit.datasets.tables.decisions import follow_decisions, read_decision_table
from toolkit.errors import InputError
from toolkit.io import files, parallel
from toolkit.io.images import noted_bits
from toolkit.io.manifest import Manifest
from toolkit.io.schema import build
from toolkit.metrics.predictions import Predictions, read_predictions
from toolkit.progress import Track, silent
from toolkit.reporting.audit import audit_page
from toolkit.reporting.exchange import FORMS, review_images


def audit(
    images: Path | str,
    *,
    output: Path | str | None = None,
    export: str | None = None,
    predictions: Predictions | Path | str | None = None,
    html: Path | str | None = None,
    pictures: Path | str | None = None,
    label_errors: bool = False,
    decisions: Path | str | None = None,
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
    audit.json to write, or with `export` a file in another form: "decisions" (a table to fill in),
    "fiftyone", "label-studio" or "cleanlab", in which the mistakes in `predictions` of these images
    are findings too. `html` is a page with pictures, `pictures` a folder
    for small pictures of the findings. `label_errors` also looks for wrong labels, which takes
    cleanlab. `decisions` is a table of what a person decided about single images: the audit is of
    the images as they are then, and silent about those to keep. `checks` holds keys of the section
    `audit` of params.yaml, such as `{"dark": "drop", "thresholds": {"dark": 0.3}}`, and `prepare`
    those of `prepare`: the split to come, and the decisions unless others are given. What was
    measured is kept in `work`. `workers` are processes, 0 for one per core. Raises InputError for a
    folder without class folders, for an output that lies among the images, and for decisions that
    do nothing or contradict one another; findings never raise, see `Audit.failures`.
    """
    processes = workers or parallel.cores()
    settings = build(AuditParams, checks, "checks")
    if label_errors and settings.label_errors == "skip":
        settings = settings.model_copy(update={"label_errors": "warn"})
    _check_export(output, export, predictions, settings)
    files.check_output(html, "--html", file=True)
    files.check_replaceable(pictures, TABLE, "--pictures")
    how, to_come = build(ReadParams, reading, "reading"), build(PrepareParams, prepare, "prepare")
    guesses = _read_guesses(predictions, say)
    to_follow = read_decision_table(decisions or to_come.decisions)
    folder = open_images(images, Path(work), track, say, links=how.follow_links).folder
    _check_apart((output, html, Path(pictures) / "000.jpg" if pictures else None), folder)
    found = folders.scan(folder, track, processes, settings=how)
    decided = follow_decisions(found, to_follow)
    manifest, split = decided.manifest, to_come.split
    result = run_checks(
        manifest, folder, settings, Path(work), split=split, processes=processes, track=track
    )
    if decided.sha256:
        result = settle_findings(result, decided.settled, decided.sha256)
    if output:
        _write_result(Path(output), export, result, manifest, folder, guesses)
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


def _read_guesses(
    predictions: Predictions | Path | str | None, say: Callable[[str], object]
) -> Predictions | None:
    if predictions is None or isinstance(predictions, Predictions):
        return predictions
    path = Path(predictions)
    try:
        return read_predictions(path, say=say)
    except InputError as error:
        if not path.is_file():
            raise
        raise InputError(
            f"{error}. audit has no options for that: `toolkit evaluate {shlex.quote(str(path))} "
            "--output DIR` has, and writes DIR/predictions.csv, which audit reads"
        ) from error


def _check_export(
    output: Path | str | None, export: str | None, predictions: object, settings: AuditParams
) -> None:
    """Refuse, before any work, a form that there is not, and an output that cannot be made."""
    files.check_output(output, file=True)
    if export is None:
        if predictions is not None:
            raise InputError("--predictions needs --export, the form in which mistakes are written")
        return
    if export not in FORMS:
        raise InputError(f"--export must be one of {', '.join(FORMS)}, got {export!r}")
    if output is None:
        raise InputError(f"--export {export} needs --output, the file to write")
    if export == "cleanlab" and settings.label_errors == "skip" and predictions is None:
        raise InputError(
            "--export cleanlab is a table of label issues: add --label-errors or --predictions, or "
            "set audit.label_errors to warn"
        )
    if export == "decisions" and Path(output).exists():
        raise InputError(f"{output}: there is one already, which may hold decisions; name another")


def _check_apart(places: Sequence[Path | str | None], images: Path) -> None:
    """Refuse to overwrite a photo by a slip of the pen; files at the top are not images."""
    for place in (Path(place) for place in places if place):
        if files.resolve(images) in files.resolve(place).parent.parents:
            raise InputError(f"{place}: lies among the images of {images}; choose another place")


def _write_result(
    output: Path,
    export: str | None,
    result: Audit,
    manifest: Manifest,
    folder: Path,
    guesses: Predictions | None,
) -> None:
    """Write audit.json, or the result in the form `export`."""
    if export:
        images = review_images(result, manifest, guesses)
        files.write_file(output, FORMS[export](images, files.resolve(folder).name))
    else:
        write_audit(output, result)
