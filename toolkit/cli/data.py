"""Commands from the source to the training data of an arm."""

from pathlib import Path
from typing import Annotated, Any

import typer

from toolkit.cli import console, options
from toolkit.cli.options import Output, Quiet, Workers
from toolkit.errors import InputError

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
    from toolkit.pipeline.steps.init import init as run

    for line in run(folder, preset=preset, images=images, force=force).notes:
        console.say(line, quiet=quiet)


def fetch(
    output: Output,
    work: Work = Path(".toolkit"),
    quiet: Quiet = False,
) -> None:
    """Get the images that params.yaml names, as they are.

    Example: toolkit fetch --output data/raw
    """
    from toolkit.pipeline.steps.fetch import fetch as run

    source = options.read_project().fetch
    manifest = run(output, source=source, work=work, track=console.track(quiet))
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
    from toolkit.checks.findings import describe_audit
    from toolkit.checks.params import AuditParams
    from toolkit.datasets.params import PrepareParams
    from toolkit.pipeline.steps.audit import audit as run

    result = run(
        images,
        output=output,
        html=html,
        pictures=pictures,
        labels=labels,
        checks=options.read_section("audit", AuditParams),
        prepare=options.read_section("prepare", PrepareParams),
        work=work,
        workers=workers,
        track=console.track(quiet),
    )
    classes = next(iter(result.counts.values()))
    typer.echo(console.table([("split", *classes), *_count_rows(result.counts)]))
    typer.echo(f"\n{console.table(result.table())}\n")
    for line in describe_audit(result):
        console.answer(line)
    if result.failures:
        keys = sorted({f"audit.{finding.check}" for finding in result.failures})
        message = f"{images}: {len(result.failures)} findings of checks set to fail"
        raise InputError(f"{message}; mend the images or set {', '.join(keys)} in params.yaml")


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
    from toolkit.pipeline.steps.prepare import prepare as run

    settings = options.read_project()
    prepared = run(
        raw,
        output,
        audit=audit,
        **dict(settings.prepare),
        limits=settings.audit.limits,
        workers=workers,
        track=console.track(quiet),
    )
    for split, part in prepared.splits.items():
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
    options = dict(locals())
    from toolkit.cli.augment import AugmentOptions, augment_from_options

    if train is not None and output is None and not preview:
        raise typer.BadParameter("a folder to write to is needed: --output OUT")
    augment_from_options(AugmentOptions(**options))


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
