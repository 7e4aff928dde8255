"""Commands that get, check and prepare images, and augment them."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli import console, options
from toolkit.cli.options import Output, Quiet, Reading, Work, Workers
from toolkit.errors import InputError
from toolkit.io.manifest import SIDECAR
from toolkit.io.text import describe_rejected
from toolkit.pipeline import paths


@options.reads_images
def init(
    folder: Annotated[
        Path, typer.Argument(help="Project folder; created if it does not exist.")
    ] = Path(),
    preset: Annotated[
        str, typer.Option(help="quick, homework, elpv, cifar10, shortcuts or folder.")
    ] = "",
    images: Annotated[Path | None, typer.Option(help="Folder of your own images.")] = None,
    force: Annotated[bool, typer.Option(help="Overwrite params.yaml and dvc.yaml.")] = False,
    commit: Annotated[
        bool, typer.Option("--commit/--no-commit", help="Commit them, so that experiments can run.")
    ] = True,
    backbone: Annotated[
        str | None, typer.Option(help="Another pretrained network, as `advise` takes it.")
    ] = None,
    quiet: Quiet = False,
    *,
    reading: Reading,
) -> None:
    """Write params.yaml and dvc.yaml, so that `dvc repro` runs in the folder.

    Example: toolkit init masks --preset folder --images ~/photos
    """
    from toolkit.pipeline.steps.init import init as run

    project = run(
        folder,
        preset=preset,
        images=images,
        force=force,
        commit=commit,
        backbone=backbone,
        reading=reading,
    )
    for line in project.notes:
        console.say(line, quiet=quiet)


def provenance(output: Output = paths.PROVENANCE, quiet: Quiet = False) -> None:
    """Write what each stage depends on besides files, and say what changed; the first stage.

    Example: toolkit provenance
    """
    from toolkit.io import files
    from toolkit.pipeline import provenance as of

    files.check_replaceable(output, f"{of.SOURCE}.json")
    with options.quick_imports():  # in it all code is parsed, for its imports
        found = of.collect_provenance(options.read_project(), output)
    for line in of.describe_changes(output, found):
        console.say(line, quiet=quiet)
    of.write_provenance(output, found)


def fetch(
    output: Output,
    work: Work = Path(".toolkit"),
    quiet: Quiet = False,
) -> None:
    """Get the images that params.yaml names, unchanged.

    Example: toolkit fetch --output data/raw
    """
    from toolkit.pipeline.steps.fetch import fetch as run

    source = options.read_project().fetch
    manifest = run(output, source=source, work=work, track=console.track(quiet))
    rejected = manifest.notes.get("rejected", [])
    console.say(f"{output}: {manifest.notes['read']}", quiet=quiet)
    console.say(f"{output}: {_counted(manifest.counts())}", quiet=quiet)
    if rejected:
        told = describe_rejected(rejected, len(rejected) + len(manifest.samples))
        console.say(f"{output}: {told}; all are listed in {output / SIDECAR}", quiet=quiet)


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counts.items())


@options.reads_images
def audit(
    images: Annotated[Path, typer.Argument(help="A folder of images, or one that `fetch` wrote.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="JSON file to write.")
    ] = None,
    export: Annotated[
        str | None,
        typer.Option(help="Another form of it: decisions, fiftyone, label-studio or cleanlab."),
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="For --export: a table of predictions; its mistakes too.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="HTML page to write, with pictures.")] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder to write thumbnails of the findings to.")
    ] = None,
    label_errors: Annotated[
        bool, typer.Option("--label-errors", help="Also look for wrong labels; needs cleanlab.")
    ] = False,
    decisions: options.Decisions = None,
    work: Work = Path(".toolkit"),
    workers: Workers = 0,
    as_json: options.Json = False,
    quiet: Quiet = False,
    *,
    reading: Reading,
) -> None:
    """Check images for damage, duplicates, odd appearance, shortcuts and imbalance.

    Example: toolkit audit photos --html audit.html

    Example: toolkit audit photos --export decisions --output decisions.csv

    Example: toolkit audit data/prepared/test --export fiftyone --output samples.json
    --predictions reports/runs/original-recommended/0/predictions.csv
    """
    from toolkit.checks.findings import describe_audit
    from toolkit.checks.params import AuditParams
    from toolkit.cli.summaries import audit_summary
    from toolkit.datasets.params import PrepareParams
    from toolkit.pipeline.steps.audit import audit as run

    result = run(
        images,
        output=output,
        export=export,
        predictions=predictions,
        html=html,
        pictures=pictures,
        label_errors=label_errors,
        decisions=decisions,
        checks=options.read_section("audit", AuditParams),
        prepare=options.read_section("prepare", PrepareParams),
        work=work,
        workers=workers,
        reading=reading,
        track=console.track(quiet),
        say=partial(console.say, quiet=quiet),
    )
    if result.read:
        console.say(f"{images}: {result.read}", quiet=quiet)
    if as_json:
        console.answer_json(audit_summary(result))
    else:
        console.answer(console.table(result.count_rows()))
        console.answer(f"\n{console.table(result.table())}\n")
        for line in describe_audit(result):
            console.answer(line)
    if result.failures:
        keys = sorted({f"audit.{finding.check}" for finding in result.failures})
        message = f"{images}: {len(result.failures)} findings of checks that are set to fail"
        raise InputError(f"{message}; fix the images or change {', '.join(keys)} in params.yaml")


@options.reads_images
def prepare(
    raw: Annotated[Path, typer.Argument(help="The folder that `fetch` wrote, or another.")],
    audit: Annotated[Path, typer.Option(help="JSON file that `audit` wrote.")],
    output: Output,
    workers: Workers = 0,
    quiet: Quiet = False,
    *,
    reading: Reading,
) -> None:
    """Split images into train, valid and test, and write them as PNG of one size.

    Example: toolkit prepare data/raw --audit reports/audit.json --output data/prepared
    """
    with options.quick_imports():
        from toolkit.evaluation.verdict import design_sentence
        from toolkit.pipeline.steps.prepare import prepare as run

    settings = options.read_project()
    prepared = run(
        raw,
        output,
        audit=audit,
        **dict(settings.prepare),
        limits=settings.audit.limits,
        workers=workers,
        reading=reading,
        track=console.track(quiet),
        say=partial(console.say, quiet=quiet),
    )
    if prepared.read:
        console.say(f"{raw}: {prepared.read}", quiet=quiet)
    for line in prepared.cut:
        console.say(f"{raw}: {line}", quiet=quiet)
    if prepared.left_out:
        told = describe_rejected(prepared.left_out, prepared.files)
        listed = output / "train" / SIDECAR
        console.say(f"{raw}: {told}; all are listed in {listed}", quiet=quiet)
    for split, part in prepared.splits.items():
        console.say(f"{output / split}: {_counted(part.counts())}", quiet=quiet)
    test = prepared.splits["test"].counts()
    if min(test.values()):
        console.say(design_sentence(test, len(settings.compare.seeds)), quiet=quiet)


@options.reads_images
def augment(
    train: Annotated[Path | None, typer.Argument(help="Training images, <class>/file.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder to create.")] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Images that a class ends with, originals included; or {class: images}."),
    ] = None,
    classes: Annotated[
        list[str] | None, typer.Option("--class", help="Augment only this class; may be repeated.")
    ] = None,
    policy: Annotated[str | None, typer.Option(help="Name of a policy, or a file.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything that is sampled.")] = None,
    file_format: Annotated[str | None, typer.Option("--format", help="png or jpeg.")] = None,
    size: Annotated[
        int | None, typer.Option(min=1, help="Height and width of new images, in pixels.")
    ] = None,
    only_new: Annotated[bool, typer.Option(help="Do not copy the originals.")] = False,
    arm: Annotated[str, typer.Option(help="Arm of params.yaml (augment.arms).")] = "augmented",
    shards: Annotated[
        int,
        typer.Option(min=0, help="Number of tar files (WebDataset) to write instead of folders."),
    ] = 0,
    explain: Annotated[
        Path | None,
        typer.Option(help="Explain how this new image was made; with --output, make it again."),
    ] = None,
    preview: Annotated[
        bool, typer.Option(help="Only write a sheet of what the policy does.")
    ] = False,
    force: Annotated[
        bool, typer.Option(help="Replace an output that the toolkit did not write.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Write more than augment.limit, 10,000 MB unless set.")
    ] = False,
    workers: Workers = 0,
    quiet: Quiet = False,
    *,
    reading: Reading,
) -> None:
    """Bring rare classes to a target size with new images.

    Example: toolkit augment photos/train --output photos/balanced --target 360

    Example: toolkit augment photos/train --policy mine.yaml --preview

    Example: toolkit augment --explain photos/balanced/rare/new-000001-5d02d1b1.png
    """
    given = dict(locals())
    with options.quick_imports():
        from toolkit.cli.augment import AugmentOptions, augment_from_options

    if train is not None and output is None and not preview:
        raise typer.BadParameter("name the folder to create: --output OUT")
    augment_from_options(AugmentOptions(**given))


def policies(
    name: Annotated[
        str | None, typer.Argument(help="Print this policy, or that of a file, as YAML.")
    ] = None,
) -> None:
    """List the named policies with their transforms, or print one to start your own from.

    Example: toolkit policies randaugment > mine.yaml

    Example: toolkit policies saved-by-albumentations.json
    """
    from toolkit.augmentation.transforms import parsing, presets

    if name is not None:
        policy = parsing.make_policy(name)
        for line in policy.notes:
            console.say(line)
        console.hand_over(presets.policy_text(name, policy))
        return
    names = {name: ", ".join(policy.names()) for name, policy in presets.POLICIES.items()}
    console.answer(console.table([("policy", "transforms"), *names.items()]))
