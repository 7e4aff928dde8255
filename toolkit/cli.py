"""The command line: one thin command a stage."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit import console
from toolkit.errors import InputError

if TYPE_CHECKING:  # heavy modules are imported by the command that needs them
    from toolkit import params

PARAMS = Path("params.yaml")
# What bare commands mean in a project; elsewhere paths come from dvc.yaml.
ARMS = Path("data/arms")
RUNS, AUDIT = Path("reports/runs"), Path("reports/audit.json")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Augment, train and compare on imbalanced image folders, and say whether it helped.",
)

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors only.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Where to write.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes; 0 for one per core.")]


def main() -> None:
    """Run the command line: exit code 1 and one message for bad input, 2 for wrong usage."""
    sys.exit(console.guarded(app))


def _project() -> "params.Params":
    """The project's params.yaml; InputError where there is none or `version` does not fit."""
    from toolkit import project

    return project.settings(PARAMS)


def _section(name: str, default: Callable[[], Any]) -> Any:
    """The section of params.yaml named `name`, or the default outside a project."""
    return getattr(_project(), name) if PARAMS.is_file() else default()


def _processes(workers: int) -> int:
    from toolkit.workers import cores

    return workers or cores()


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where; made if it is not there.")] = Path(),
    preset: Annotated[str, typer.Option(help="quick, homework, elpv, cifar10 or folder.")] = "",
    images: Annotated[Path | None, typer.Option(help="Your images, for preset folder.")] = None,
    force: Annotated[bool, typer.Option(help="Overwrite params.yaml and dvc.yaml.")] = False,
    quiet: Quiet = False,
) -> None:
    """Write params.yaml and dvc.yaml, so that `dvc repro` runs there.

    Example: toolkit init masks --preset folder --images ~/photos
    """
    from toolkit import project

    preset = preset or ("folder" if images else "quick")
    for line in project.init(folder, preset, images, force=force):
        console.say(line, quiet=quiet)


@app.command()
def fetch(
    output: Output,
    work: Annotated[Path, typer.Option(help="Where downloads are kept.")] = Path(".toolkit"),
    quiet: Quiet = False,
) -> None:
    """Get the images that params.yaml names, as they are.

    Example: toolkit fetch --output data/raw
    """
    from toolkit import sources

    manifest = sources.fetch(_project().fetch, output, work, console.track(quiet))
    rejected = manifest.notes.get("rejected", [])
    console.say(f"{output}: {_counted(manifest.counts())}", quiet=quiet)
    if rejected:
        first = rejected[0]
        more = f"{len(rejected)} files are no images and were left out of the manifest, such as"
        console.say(f"{output}: {more} {first['path']}: {first['reason']}", quiet=quiet)


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counts.items())


@app.command()
def audit(
    images: Annotated[Path, typer.Argument(help="A folder <split>/<class>/file or <class>/file.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="audit.json.")] = None,
    workers: Workers = 0,
    quiet: Quiet = False,
) -> None:
    """Check the images: counts, unreadable files, duplicates.

    Example: toolkit audit photos
    """
    from toolkit import audit as audits
    from toolkit import params, scanning

    track = console.track(quiet)
    manifest = scanning.scan(images, track)
    settings = _section("audit", params.Audit)
    processes = _processes(workers)
    result = audits.audit(manifest, images, settings, processes=processes, track=track)
    typer.echo(console.table([("split", *manifest.classes), *_count_rows(result.counts)]))
    for line in audits.describe(result):
        typer.echo(line)
    if output:
        audits.write(output, result)
    if result.failures:
        keys = sorted({f"audit.{finding.check}" for finding in result.failures})
        message = f"{images}: {len(result.failures)} findings of checks set to fail"
        raise InputError(f"{message}; mend the images or set {', '.join(keys)} in params.yaml")


def _count_rows(counts: Any) -> list[tuple[object, ...]]:
    return [(split, *of.values()) for split, of in counts.items()]


@app.command()
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
    from toolkit import audit as audits
    from toolkit import prepare as preparing
    from toolkit import scanning

    manifest = scanning.scan(raw)
    found, settings, track = audits.read(audit), _project().prepare, console.track(quiet)
    processes = _processes(workers)
    splits = preparing.prepare(
        manifest, raw, found, output, settings, processes=processes, track=track
    )
    for split, part in splits.items():
        console.say(f"{output / split}: {_counted(part.counts())}", quiet=quiet)


@app.command()
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
    workers: Workers = 0,
    quiet: Quiet = False,
) -> None:
    """Bring rare classes to a target with new images; write them, the manifest and a sheet.

    Example: toolkit augment photos/train --output photos/balanced --target 360
    """
    from toolkit import augmenting

    if train is not None and output is None:
        raise typer.BadParameter("a folder to write to is needed: --output OUT")
    call = augmenting.Call(
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
        workers,
        quiet,
    )
    augmenting.run(call)


@app.command()
def train(
    arm: Annotated[Path, typer.Option(help="The training data: a folder that `augment` wrote.")],
    valid: Annotated[Path, typer.Option(help="The prepared valid split.")],
    recipe: Annotated[str, typer.Option(help="A recipe of params.yaml: train.recipes.")],
    output: Output,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, shuffling and dropout.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Train one network on one arm.

    Example: toolkit train --arm data/arms/augmented --valid data/prepared/valid
    --recipe resnet18 --output models/augmented-resnet18-0
    """
    from toolkit import training

    settings = _project().train
    if recipe not in settings.recipes:
        known = ", ".join(settings.recipes)
        raise InputError(f"--recipe must be one of train.recipes ({known}), got {recipe!r}")
    run = training.train(
        arm,
        valid,
        recipe,
        settings,
        seed=seed,
        output=output,
        track=console.track(quiet),
    )
    best = run.history[run.best_epoch - 1]
    text = f"best epoch {best.epoch} of {len(run.history)}: valid loss {best.valid_loss:.4f}"
    text += f", accuracy {best.valid_accuracy:.4f}, G-mean {best.valid_gmean:.4f}"
    console.say(f"{output}: {text}", quiet=quiet)


@app.command()
def evaluate(
    source: Annotated[Path, typer.Argument(help="A run, or a CSV of any tool's predictions.")],
    output: Output,
    test: Annotated[Path | None, typer.Option(help="The prepared test split, for a run.")] = None,
    quiet: Quiet = False,
) -> None:
    """Measure on the test images: predictions, confusion matrix, metrics.

    Example: toolkit evaluate models/original-resnet18-0 --test data/prepared/test
    --output reports/runs/original-resnet18-0

    A CSV has the columns actual and predicted, and optionally id and score_<class>.
    """
    from toolkit import params, predictions, report, results

    positive = _section("evaluate", params.Evaluate).positive
    if source.is_dir():
        from toolkit import inference, runs

        if test is None:
            raise typer.BadParameter("a run needs the images to test it on: --test DIR")
        run = runs.read(source)
        found = inference.predict(source, test, console.track(quiet))
        key = results.Key(run.arm, run.recipe, run.seed)
        history = source / runs.HISTORY
    else:
        found, history = predictions.read(source), None
        key = results.Key(source.stem, "predictions", 0)
    metrics = report.write_evaluation(output, found, positive, key, history)
    for name, value in metrics.items():
        typer.echo(f"{name}: {value}")


@app.command()
def compare(
    reports: Annotated[
        list[Path] | None, typer.Argument(help="Folders of `evaluate`, or predictions CSV files.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="The arm that others are set against.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="summary.json.")] = None,
) -> None:
    """Print arms against the baseline; with --output also write summary.json and pictures.

    A folder of folders stands for those in it, in a project for those that params.yaml compares.

    Example: toolkit compare original.csv augmented.csv --baseline original
    """
    from toolkit import comparison, report

    results = _results(reports or [RUNS])
    if baseline is None:
        baseline = _project().compare.baseline if PARAMS.is_file() else results[0].arm
    compared = comparison.compare(results, baseline)
    typer.echo(console.table(comparison.table(compared)))
    for line in comparison.notes(compared):
        typer.echo(line)
    if output:
        report.write_comparison(output, compared, results)


def _results(given: list[Path]) -> list[Any]:
    from toolkit import params, results

    positive = _section("evaluate", params.Evaluate).positive
    paths = [path for place in given for path in _reports(place)]
    return [results.read_result(path, positive) for path in paths]


def _reports(place: Path) -> list[Path]:
    """The evaluations that a path stands for."""
    if not place.is_dir() or (place / "metrics.json").is_file():
        return [place]
    if PARAMS.is_file():
        wanted = _project().compare
        return [
            place / f"{arm}-{recipe}-{seed}"
            for recipe in wanted.recipes
            for arm in wanted.arms
            for seed in wanted.seeds
        ]
    found = sorted(path.parent for path in place.glob("*/metrics.json"))
    if not found:
        raise InputError(f"{place}: holds no evaluation; write one with `toolkit evaluate`")
    return found


@app.command()
def report(output: Output = Path("reports/index.html"), quiet: Quiet = False) -> None:
    """Write the page that shows everything: one HTML file that needs no network.

    Example: toolkit report --output reports/index.html
    """
    from toolkit import audit as audits
    from toolkit import comparison, files
    from toolkit import report as reports

    settings, results = _project(), _results([RUNS])
    compared = comparison.compare(results, settings.compare.baseline)
    arms = [arm for arm in compared.arms if (ARMS / f"{arm}.png").is_file()]
    page = reports.page(
        compared,
        results,
        audit=audits.read(AUDIT),
        contact_sheets={arm: (ARMS / f"{arm}.png").read_bytes() for arm in arms},
        params=PARAMS.read_text(encoding="utf-8"),
    )
    files.write(output, page)
    console.say(f"report: {output}", quiet=quiet)


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="A folder that `train` wrote.")],
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A CSV file.")] = None,
    quiet: Quiet = False,
) -> None:
    """Name the class of each image, with a score per class.

    Example: toolkit predict models/augmented-resnet18-0 photo.jpg
    """
    from toolkit import inference, runs

    classes = runs.read(run).classes
    paths = [path for place in images for path in _images(place)]
    guesses = inference.predict_files(run, paths, console.track(quiet))
    text = inference.table(classes, guesses)
    if output:
        from toolkit import files

        files.write(output, text)
    else:
        typer.echo(text, nl=False)
    failed = [guess for guess in guesses if guess.problem]
    for guess in failed:
        console.say(guess.problem)
    if failed:
        raise InputError(f"{len(failed)} of {len(guesses)} files could not be read")


def _images(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    return sorted(p for p in place.rglob("*") if p.is_file() and not p.name.startswith("."))


if __name__ == "__main__":
    main()
