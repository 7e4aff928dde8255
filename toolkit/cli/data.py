"""Commands from the source to the training data of an arm."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli import console, options
from toolkit.cli.options import Output, Quiet, Workers
from toolkit.errors import InputError

if TYPE_CHECKING:
    from toolkit.checks import findings, thumbnails

Work = Annotated[Path, typer.Option(help="Where downloads and measurements are kept.")]


def init(
    folder: Annotated[Path, typer.Argument(help="Where; made if it is not there.")] = Path(),
    preset: Annotated[
        str, typer.Option(help="quick, homework, elpv, cifar10, shortcuts, folder.")
    ] = "",
    images: Annotated[Path | None, typer.Option(help="Your images, for preset folder.")] = None,
    force: Annotated[bool, typer.Option(help="Overwrite params.yaml and dvc.yaml.")] = False,
    quiet: Quiet = False,
) -> None:
    """Write params.yaml and dvc.yaml, so that `dvc repro` runs there.

    Example: toolkit init masks --preset folder --images ~/photos
    """
    from toolkit.pipeline.project import init_project as start

    preset = preset or ("folder" if images else "quick")
    for line in start(folder, preset, images, force=force):
        console.say(line, quiet=quiet)


def fetch(
    output: Output,
    work: Work = Path(".toolkit"),
    quiet: Quiet = False,
) -> None:
    """Get the images that params.yaml names, as they are.

    Example: toolkit fetch --output data/raw
    """
    from toolkit.datasets import sources

    manifest = sources.fetch_source(
        options.read_project().fetch, output, work, console.track(quiet)
    )
    rejected = manifest.notes.get("rejected", [])
    console.say(f"{output}: {_counted(manifest.counts())}", quiet=quiet)
    if rejected:
        first = rejected[0]
        more = f"{len(rejected)} files are no images and were left out of the manifest, such as"
        console.say(f"{output}: {more} {first['path']}: {first['reason']}", quiet=quiet)


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counts.items())


def audit(
    images: Annotated[Path, typer.Argument(help="A folder <split>/<class>/file or <class>/file.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="audit.json.")] = None,
    html: Annotated[Path | None, typer.Option(help="A page with pictures.")] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="A folder for small pictures of what was found.")
    ] = None,
    labels: Annotated[
        bool, typer.Option("--labels", help="Look for wrong labels as well; takes cleanlab.")
    ] = False,
    work: Work = Path(".toolkit"),
    workers: Workers = 0,
    quiet: Quiet = False,
) -> None:
    """Check the images: damaged files, duplicates, odd looks, shortcuts, imbalance.

    Example: toolkit audit photos --html audit.html
    """
    from toolkit.checks import findings, thumbnails
    from toolkit.checks.audit import check_table, describe_audit, run_checks
    from toolkit.checks.params import AuditParams
    from toolkit.datasets import folders
    from toolkit.datasets.params import PrepareParams

    for place in filter(None, (output, html, pictures and pictures / "000.jpg")):
        _check_apart(place, images)
    track, processes = console.track(quiet), options.process_count(workers)
    manifest = folders.scan(images, track, processes)
    settings = options.read_section("audit", AuditParams)
    if labels and settings.label_errors == "skip":
        settings = settings.model_copy(update={"label_errors": "warn"})
    split = options.read_section("prepare", PrepareParams).split
    result = run_checks(
        manifest, images, settings, work, split=split, processes=processes, track=track
    )
    typer.echo(console.table([("split", *manifest.classes), *_count_rows(result.counts)]))
    typer.echo(f"\n{console.table(check_table(result))}\n")
    for line in describe_audit(result):
        console.answer(line)
    if output:
        findings.write_audit(output, result)
    if html or pictures:
        few = thumbnails.make_thumbnails(
            result, manifest, images, settings.limits, processes=processes, track=track
        )
        _illustrate(result, few, images.resolve().name, html, pictures)
    if result.failures:
        keys = sorted({f"audit.{finding.check}" for finding in result.failures})
        message = f"{images}: {len(result.failures)} findings of checks set to fail"
        raise InputError(f"{message}; mend the images or set {', '.join(keys)} in params.yaml")


def _check_apart(place: Path, images: Path) -> None:
    """A slip of the pen must not overwrite a photo; files at the top are none of the images."""
    if images.resolve() in place.resolve().parent.parents:
        raise InputError(f"{place}: lies among the images of {images}; choose another place")


def _illustrate(
    result: "findings.Audit",
    few: "thumbnails.Thumbnails",
    folder: str,
    html: Path | None,
    pictures: Path | None,
) -> None:
    from toolkit.checks import thumbnails
    from toolkit.io import files
    from toolkit.reporting.audit import audit_page

    if html:
        files.write_file(html, audit_page(result, few, folder))
    if pictures:
        thumbnails.write_thumbnails(pictures, few)


def _count_rows(counts: Any) -> list[tuple[object, ...]]:
    return [(split, *of.values()) for split, of in counts.items()]


def prepare(
    raw: Annotated[Path, typer.Argument(help="The folder that `fetch` wrote.")],
    audit: Annotated[Path, typer.Option(help="The file that `audit` wrote.")],
    output: Output,
    workers: Workers = 0,
    quiet: Quiet = False,
) -> None:
    """Split into train, valid and test; decode, resize, write PNG.

    Example: toolkit prepare data/raw --audit reports/audit.json --output data/prepared
    """
    from toolkit.checks import findings
    from toolkit.datasets import folders
    from toolkit.datasets.prepare import write_splits

    manifest = folders.scan(raw)
    result, settings = findings.read_audit(audit), options.read_project()
    splits = write_splits(
        manifest,
        raw,
        output,
        settings.prepare,
        drop=result.dropped,
        groups=result.grouped,
        limits=settings.audit.limits,
        processes=options.process_count(workers),
        track=console.track(quiet),
    )
    for split, part in splits.items():
        console.say(f"{output / split}: {_counted(part.counts())}", quiet=quiet)


def augment(
    train: Annotated[Path | None, typer.Argument(help="Training images, <class>/file.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A new folder.")] = None,
    target: Annotated[
        str | None, typer.Option(help="Images a class ends with, originals included.")
    ] = None,
    classes: Annotated[
        list[str] | None, typer.Option("--class", help="Only this class; may be repeated.")
    ] = None,
    policy: Annotated[str | None, typer.Option(help="A policy's name, or a YAML file.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of everything that is drawn.")] = None,
    file_format: Annotated[str | None, typer.Option("--format", help="png or jpeg.")] = None,
    size: Annotated[int | None, typer.Option(min=1, help="Side of new images, in px.")] = None,
    only_new: Annotated[bool, typer.Option(help="Do not copy the originals.")] = False,
    arm: Annotated[str, typer.Option(help="An arm of params.yaml: augment.arms.")] = "augmented",
    shards: Annotated[
        int, typer.Option(min=0, help="Write so many tar files (WebDataset) instead of folders.")
    ] = 0,
    explain: Annotated[
        Path | None,
        typer.Option(help="Say how this new image was made; with --output, make it again."),
    ] = None,
    preview: Annotated[
        bool, typer.Option(help="Write a sheet of what the policy does, and nothing else.")
    ] = False,
    force: Annotated[bool, typer.Option(help="Replace an output that is not ours.")] = False,
    workers: Workers = 0,
    quiet: Quiet = False,
) -> None:
    """Bring rare classes to a target with new images; write them, the manifest and a sheet.

    Example: toolkit augment photos/train --output photos/balanced --target 360

    Example: toolkit augment photos/train --policy mine.yaml --preview

    Example: toolkit augment --explain photos/balanced/rare/new-000001-5d02d1b1.png
    """
    from toolkit.cli.augment import Call, augment_from_options

    if train is not None and output is None and not preview:
        raise typer.BadParameter("a folder to write to is needed: --output OUT")
    call = Call(
        train,
        output,
        target,
        classes,
        policy,
        seed,
        file_format,
        size,
        only_new,
        arm,
        shards,
        explain,
        preview,
        force,
        workers,
        quiet,
    )
    augment_from_options(call)


def policies(
    name: Annotated[str | None, typer.Argument(help="Write this one out, as YAML.")] = None,
) -> None:
    """List the named policies with their transforms, or write one out for a file of your own.

    Example: toolkit policies randaugment > mine.yaml
    """
    from toolkit.augmentation.transforms import presets

    if name is not None:
        typer.echo(presets.policy_text(name), nl=False)
        return
    found = {key: ", ".join(each.names()) for key, each in presets.POLICIES.items()}
    typer.echo(console.table([("policy", "transforms"), *found.items()]))
