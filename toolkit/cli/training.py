"""Commands that train networks and apply them."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli import console, options
from toolkit.cli.options import Output, Quiet
from toolkit.errors import InputError
from toolkit.pipeline import paths

if TYPE_CHECKING:  # heavy modules are imported by the command that needs them
    from toolkit.evaluation.evaluate import RunOutputs
    from toolkit.training import runs


def train(
    arm: Annotated[Path, typer.Option(help="Images to train on: from `augment`, or <class>/file.")],
    valid: Annotated[Path, typer.Option(help="Other images, which decide which epoch is kept.")],
    recipe: Annotated[str, typer.Option(help="A recipe of params.yaml: train.recipes.")],
    output: Output,
    seed: Annotated[int, typer.Option(min=0, help="Seed of weights, shuffling and dropout.")] = 0,
    seeds: Annotated[
        str | None, typer.Option(help="Several: 0-9 or 0,3,5; --output must contain {seed}.")
    ] = None,
    restart: Annotated[bool, typer.Option(help="Ignore any checkpoint.")] = False,
    max_minutes: Annotated[
        float | None, typer.Option(min=0, help="Stop in time, with the best weights so far.")
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Write where the time goes to .toolkit/profile.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Train a network on an arm. If it is interrupted or killed, the same command resumes it.

    Example: toolkit train --arm data/arms/augmented --valid data/prepared/valid
    --recipe resnet18 --output models/augmented-resnet18-0
    """
    from toolkit.training import distributed, profiling
    from toolkit.training.train import TrainingOptions, train_seeds

    settings = options.read_project().train
    if recipe not in settings.recipes:
        known = ", ".join(settings.recipes)
        raise InputError(f"--recipe must be one of train.recipes ({known}), got {recipe!r}")
    outputs = _outputs(output, seeds) if seeds else {seed: output}
    quiet = quiet or not distributed.is_writer()
    progress, folder = console.training_progress(quiet), paths.PROFILES / output.name
    with profiling.profiled(folder) if profile else contextlib.nullcontext():
        trained = train_seeds(
            arm,
            valid,
            recipe,
            settings,
            outputs=outputs,
            options=TrainingOptions(
                checkpoints=paths.CHECKPOINTS,
                restart=restart,
                max_minutes=max_minutes,
                track=progress.track,
                on_epoch=progress.on_epoch,
                say=lambda text: console.say(text, quiet=quiet),
            ),
        )
    if profile:
        console.say(f"{folder}: {profiling.describe_profile(folder)}", quiet=quiet)
    for run in trained:
        if run.drawn and run.settings.weights:
            names, path = ", ".join(run.drawn), run.settings.weights.path
            console.say(f"{names}: not in {path} in this shape, so these start from random weights")
        console.say(f"{outputs[run.seed]}: {_summary(run)}", quiet=quiet)


def _outputs(output: Path, seeds: str) -> dict[int, Path]:
    """Parse seeds such as `0-9` or `0,3,5`; return the folder of each one's run."""
    if "{seed}" not in str(output):
        raise typer.BadParameter("with --seeds, --output must contain {seed}")
    try:
        parts = [tuple(map(int, part.split("-"))) for part in seeds.split(",")]
        numbers = [number for part in parts for number in range(part[0], part[-1] + 1)]
    except ValueError:
        numbers = []
    if not numbers:
        raise typer.BadParameter(f"--seeds must be like 0-9 or 0,3,5, got {seeds!r}")
    return {number: Path(str(output).replace("{seed}", str(number))) for number in numbers}


def _summary(run: "runs.Run") -> str:
    best = run.best
    text = f"best epoch {best.epoch} of {len(run.history)}: valid loss {best.valid_loss:.4f}"
    text += f", accuracy {best.valid_accuracy:.4f}, G-mean {best.valid_gmean:.4f}"
    if run.complete:
        return text
    return f"{text}; stopped by --max-minutes, the same command resumes"


def networks(
    name: Annotated[str, typer.Argument(help="Show this network layer by layer.")] = "",
    size: Annotated[int | None, typer.Option(help="Pixels; else prepare.size, or 128.")] = None,
    classes: Annotated[int, typer.Option(help="Number of classes.")] = 2,
) -> None:
    """List the networks with their layers, parameters and FLOPs for one image.

    Example: toolkit networks resnet18 --size 64

    FLOPs are torch's count of a forward pass: convolutions and matrix products, a multiplication
    and its addition as two operations.
    """
    from toolkit.datasets.params import PrepareParams
    from toolkit.training import flops

    size = size or options.read_section("prepare", PrepareParams).size
    rows = (
        flops.layer_table(flops.summarize_network(name, size, classes))
        if name
        else flops.network_table(size, classes)
    )
    typer.echo(console.table(rows))
    console.say(f"FLOPs: forward, {size} x {size} px; a multiply-add counts as two")


def gradients(
    where: Annotated[list[Path], typer.Argument(help="Runs, or folders of them.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A PNG.")] = None,
    quiet: Quiet = False,
) -> None:
    """Tabulate and plot the gradient norms of each layer, beside loss and accuracy.

    Example: toolkit gradients models --output gradients.png

    The recipes of the runs need `gradients: true`. A network and its plain twin share a column.
    """
    from toolkit.io import files
    from toolkit.reporting.plots.gradients import GradientCurves, gradient_figure
    from toolkit.training.gradients import (
        find_traces,
        gradient_rows,
        group_traces,
        mean_curves,
        mean_norms,
    )

    traces = find_traces(where)
    if output:
        curves = {
            name: GradientCurves(
                mean_norms(group),
                [t.loss for t in group],
                [t.accuracy for t in group],
                *mean_curves(group),
            )
            for name, group in group_traces(traces).items()
        }
        files.write_file(output, gradient_figure(curves))
        console.say(f"{output}: {len(traces)} runs", quiet=quiet)
    typer.echo(console.table(gradient_rows(traces)))


def evaluate(
    source: Annotated[Path, typer.Argument(help="A run, or a CSV of any tool's predictions.")],
    output: Output,
    test: Annotated[Path | None, typer.Option(help="Test images, for a run.")] = None,
    valid: Annotated[
        Path | None, typer.Option(help="Other images, for a run: threshold and calibration.")
    ] = None,
    valid_predictions: Annotated[
        Path | None, typer.Option(help="For a CSV: predictions of other images.")
    ] = None,
    positive: options.PositiveClass = None,
    threshold: Annotated[
        str | None, typer.Option(help="How it is chosen: gmean, cost:RATIO or recall:MINIMUM.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Measure on the test images: predictions, metrics with intervals, mistakes.

    Example: toolkit evaluate models/original-resnet18-0 --test data/prepared/test
    --valid data/prepared/valid --output reports/runs/original-resnet18-0

    A CSV has the columns actual and predicted, and optionally id and score_<class>.

    Example: toolkit evaluate theirs.csv --positive rare --valid-predictions valid.csv
    --threshold recall:0.95 --output theirs
    """
    from toolkit.evaluation.evaluate import evaluation_notes, metric_table
    from toolkit.metrics import thresholds
    from toolkit.metrics.params import EvaluateParams
    from toolkit.reporting import evaluation

    settings = options.read_section("evaluate", EvaluateParams)
    given = {
        "positive": positive,
        "threshold": thresholds.parse_rule(threshold) if threshold else None,
    }
    settings = settings.model_copy(update={k: v for k, v in given.items() if v is not None})
    if source.is_dir():
        if test is None or valid_predictions is not None:
            raise typer.BadParameter("a run is tested on images: --test DIR, and --valid DIR")
        evidence = _of_run(source, test, valid, settings.positive, quiet=quiet)
    else:
        if test is not None or valid is not None:
            raise typer.BadParameter("a CSV holds predictions of test: --valid-predictions CSV")
        evidence = _of_file(source, valid_predictions)
    numbers = evaluation.write_evaluation(output, evidence, settings)
    typer.echo(console.table(metric_table(numbers, evidence.test.classes)))
    for line in evaluation_notes(evidence, numbers.metrics, settings):
        typer.echo(line)
    console.say(f"{output}/metrics.json: all {len(numbers.metrics)} numbers", quiet=quiet)


def _of_run(
    run: Path, test: Path, valid: Path | None, positive: str | None, *, quiet: bool
) -> "RunOutputs":
    from toolkit.evaluation import results
    from toolkit.evaluation.evaluate import RunOutputs
    from toolkit.metrics import mistakes
    from toolkit.training import inference, runs

    track, side = console.track(quiet), runs.read_run(run)
    found = inference.predict_folder(run, test, track)
    return RunOutputs(
        key=results.RunKey(side.arm, side.recipe, side.seed),
        test=found,
        valid=inference.predict_folder(run, valid, track) if valid else None,
        trained=side.counts,
        history=run / runs.HISTORY,
        explained=inference.explain_examples(run, test, mistakes.choose_examples(found, positive)),
    )


def _of_file(test: Path, valid: Path | None) -> "RunOutputs":
    from toolkit.evaluation import results
    from toolkit.evaluation.evaluate import RunOutputs
    from toolkit.metrics import predictions

    return RunOutputs(
        key=results.RunKey(test.stem, "predictions", 0),
        test=predictions.read_predictions(test),
        valid=predictions.read_predictions(valid) if valid else None,
    )


def predict(
    run: Annotated[Path, typer.Argument(help="A folder that `train` wrote.")],
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A CSV file.")] = None,
    quiet: Quiet = False,
) -> None:
    """Predict the class of each image, with a score per class.

    Example: toolkit predict models/augmented-resnet18-0 photo.jpg
    """
    from toolkit.training import inference, runs

    classes = runs.read_run(run).classes
    paths = [path for place in images for path in _images(place)]
    guesses = inference.predict_files(run, paths, console.track(quiet))
    text = inference.guesses_csv(classes, guesses)
    if output:
        from toolkit.io import files

        files.write_file(output, text)
    else:
        typer.echo(text, nl=False)
    failed = [guess for guess in guesses if guess.problem]
    for guess in failed:
        console.say(guess.problem)
    if failed:
        raise InputError(f"{len(failed)} of {len(guesses)} files could not be read")


def _images(place: Path) -> list[Path]:
    """Return the file, or the files of the folder without hidden ones and symbolic links."""
    from toolkit.datasets import folders

    if not place.is_dir():
        return [place]
    paths = [place / path for path in folders.list_tree(place)[0]]
    if links := [path for path in paths if path.is_symlink()]:
        console.say(f"{links[0]}: {len(links)} symbolic links, such as this, are not followed")
    return [path for path in paths if not path.is_symlink()]
