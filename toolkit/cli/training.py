"""Commands that train networks and apply them."""

import contextlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli import console, options
from toolkit.cli.options import Output, Quiet, Reading
from toolkit.errors import InputError
from toolkit.pipeline import paths

if TYPE_CHECKING:  # heavy modules are imported by the command that needs them
    from toolkit.training import runs

MAX_SEEDS = 10_000
PARAMS_SEEDS = "params"


@options.reads_images
def train(
    arm: Annotated[Path, typer.Option(help="Images to train on: from `augment`, or <class>/file.")],
    valid: Annotated[Path, typer.Option(help="Other images, which decide which epoch is kept.")],
    recipe: Annotated[
        str, typer.Option(help="A recipe of params.yaml (train.recipes), or resnet18, googlenet.")
    ] = "recommended",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Else models/<arm>-<recipe>/<seed>."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, shuffling and dropout.")] = 0,
    seeds: Annotated[
        str | None,
        typer.Option(
            help="Several, each in a folder in --output: 0-9 or 0,3,5; or `params`, those of "
            "compare.seeds and no others."
        ),
    ] = None,
    features: options.Features = None,
    restart: Annotated[bool, typer.Option(help="Ignore any checkpoint.")] = False,
    max_minutes: Annotated[
        float | None, typer.Option(help="Stop in time, with the best weights so far.")
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Write where the time goes to .toolkit/profile.")
    ] = False,
    quiet: Quiet = False,
    *,
    reading: Reading,
) -> None:
    """Train a network on an arm. If it is interrupted or killed, the same command resumes it.

    Example: toolkit train --arm data/arms/augmented --valid data/prepared/valid
    --recipe resnet18 --seeds 0-4 --output models/augmented-resnet18

    Runs that the same training has left there before are kept: more seeds train only what is new.
    """
    from toolkit.datasets.params import ReadParams
    from toolkit.io import files
    from toolkit.io.schema import build
    from toolkit.pipeline.steps.train import default_place, remove_others, train_all
    from toolkit.pipeline.steps.train import train as run
    from toolkit.training import distributed, profiling
    from toolkit.training.params import RECIPES, TrainParams
    from toolkit.training.pretrained.features import find_tables
    from toolkit.training.train import TrainingOptions

    quiet = quiet or not distributed.is_writer()
    progress, folder = console.training_progress(quiet), paths.PROFILES / (output or arm).name
    settings = options.read_project().train if paths.PARAMS.is_file() else None
    how: dict[str, Any] = {
        "restart": restart,
        "max_minutes": max_minutes,
        "track": progress.track,
        "on_epoch": progress.on_epoch,
        "say": partial(console.say, quiet=quiet),
    }
    with profiling.profiled(folder) if profile else contextlib.nullcontext():
        if seeds:
            section = settings or TrainParams(recipes=RECIPES)
            if profile:  # which measures this process
                section = section.model_copy(update={"jobs": 1})
            declared = seeds == PARAMS_SEEDS
            numbers = options.read_project().compare.seeds if declared else _parse_seeds(seeds)
            files.check_output(output)
            place = output or default_place(arm, recipe)
            outputs = {number: place / str(number) for number in numbers}
            read = build(ReadParams, reading, "reading")
            todo = TrainingOptions(
                checkpoints=paths.CHECKPOINTS,
                features=tuple(find_tables(features)),
                kept=paths.KEPT_FEATURES,
                reading=read,
                **how,
            )
            trained = train_all(arm, valid, recipe, section, outputs, todo)
            if declared and distributed.is_writer():
                remove_others(place, numbers, how["say"])
        else:
            how |= {key: value for key, value in settings or () if key != "jobs"}
            how |= {"reading": reading, "features": features}
            trained = [run(arm, valid=valid, recipe=recipe, output=output, seed=seed, **how)]
    if profile:
        console.say(f"{folder}: {profiling.describe_profile(folder)}", quiet=quiet)
    for done in trained:
        if done.drawn and done.settings.weights:
            names, path = ", ".join(done.drawn), done.settings.weights.path
            console.say(f"{names}: not in {path} in this shape, so these start from random weights")
        if not quiet:  # of several processes one has written what the summary reads
            console.say(f"{done.folder}: {_summary(done)}")


@options.reads_images
def embed(
    images: Annotated[
        Path | None,
        typer.Argument(help="A folder laid out <class>/file; else all that the project needs."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A folder.")] = None,
    backbone: Annotated[
        str, typer.Option(help="Pretrained network; or torchvision.WEIGHTS, timm.NAME, NAME=FILE.")
    ] = "efficientnet_lite0",
    size: Annotated[int | None, typer.Option(min=32, help="Pixels; else the backbone's.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    quiet: Quiet = False,
    *,
    reading: Reading,
) -> None:
    """Compute the features of images by a pretrained network: features.npy and images.csv.

    Example: toolkit embed photos --output features

    Without images, in a project, those that the frozen recipes of compare.recipes need. They are
    kept in .toolkit/features, where none is computed twice.
    """
    from toolkit.pipeline.steps.embed import embed as run
    from toolkit.pipeline.steps.embed import embed_project
    from toolkit.training.pretrained.backbones import DEFAULT

    how: dict[str, Any] = {"track": console.track(quiet), "say": partial(console.say, quiet=quiet)}
    if images is None:
        if (backbone, size, device, threads) != (DEFAULT, None, "auto", 1) or reading:
            raise InputError("without images all is as params.yaml says: leave the options out")
        place = output or paths.FEATURES
        project = options.read_project()
        embed_project(project.compare, project.train, place, **how)
        console.say(f"{place}: written", quiet=quiet)
        return
    made = run(
        images,
        output=output,
        backbone=backbone,
        size=size,
        device=device,
        threads=threads,
        reading=reading,
        **how,
    )
    console.answer(repr(made))


def _parse_seeds(seeds: str) -> list[int]:
    """Read seeds as `0-9` or `0,3,5`."""
    numbers = [number for part in seeds.split(",") for number in _seed_range(part)]
    if len(set(numbers)) < len(numbers):
        raise InputError(f"--seeds must not repeat a seed, got {seeds!r}")
    return numbers


def _seed_range(part: str) -> range:
    """Read `5` or `0-9`; that the numbers are seeds is checked where they are used."""
    first, dash, last = part.partition("-")
    numbers = [first, last] if dash else [first, first]
    if not all(number.isascii() and number.isdecimal() for number in numbers):
        raise InputError(f"--seeds must be like 0-9 or 0,3,5, or {PARAMS_SEEDS}, got {part!r}")
    seeds = range(int(numbers[0]), min(int(numbers[1]), 2**32) + 1)
    if not 0 < len(seeds) <= MAX_SEEDS:
        raise InputError(f"--seeds must name from 1 to {MAX_SEEDS} seeds, got {part!r}")
    return seeds


def _summary(run: "runs.Run") -> str:
    from toolkit.metrics.confusion import accuracy, gmean, matrix_of
    from toolkit.training import runs

    best = run.best
    text = f"best epoch {best.epoch} of {len(run.history)}: "
    if run.held_out:
        matrix = matrix_of(runs.read_valid(run))
        text += f"held out in {run.held_out.folds} folds: accuracy {accuracy(matrix):.4f}"
        text += f", G-mean {gmean(matrix):.4f}"
    else:
        text += f"valid loss {best.valid_loss:.4f}"
        text += f", accuracy {best.valid_accuracy:.4f}, G-mean {best.valid_gmean:.4f}"
    if run.complete:
        return text
    return f"{text}; stopped by --max-minutes, the same command resumes"


def clean(
    days: Annotated[
        float, typer.Option(min=0, help="Only what was not touched for so many days.")
    ] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Remove nothing, only list.")] = False,
    quiet: Quiet = False,
) -> None:
    """Remove unpacked archives, kept features and evaluations, and checkpoints of trainings.

    Example: toolkit clean --days 7 --dry-run

    Archives and checkpoints go by themselves after 30 days without use. Runs and outputs stay.
    """
    from toolkit.pipeline.cleaning import find_saved, remove_saved

    total = 0
    places = (paths.CHECKPOINTS, paths.UNPACKED, paths.KEPT_FEATURES, paths.KEPT_EVALUATIONS)
    for saved in (saved for place in places for saved in find_saved(place, days)):
        what = f"{saved.folder}: {saved.size / 1e6:,.1f} MB, {saved.days:.0f} days old"
        if dry_run or remove_saved(saved):
            total += saved.size
            console.say(what, quiet=quiet)
        else:
            console.say(f"{what}: kept, for another process is using it")
    console.answer(f"{total / 1e6:,.1f} MB {'would be' if dry_run else 'were'} removed")


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
    from toolkit.training.networks import SMALLEST

    size = size or options.read_section("prepare", PrepareParams).size
    rows = (
        flops.layer_table(flops.summarize_network(name, size, classes))
        if name
        else flops.network_table(size, classes)
    )
    console.answer(console.table(rows))
    for other, least in () if name else SMALLEST.items():
        if least > size:
            console.say(f"{other} is left out: it needs images of {least} px or more")
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

    files.check_output(output, file=True)
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
    console.answer(console.table(gradient_rows(traces)))


@options.reads_images
def evaluate(
    source: Annotated[
        Path, typer.Argument(help="A run, a folder of runs, or a CSV of any tool's predictions.")
    ],
    output: Output,
    test: Annotated[Path | None, typer.Option(help="Test images, for a run.")] = None,
    declared: Annotated[
        bool, typer.Option("--declared", help="Of a folder of runs, those that params.yaml names.")
    ] = False,
    valid_predictions: Annotated[
        Path | None, typer.Option(help="For a CSV: those of other images, for the threshold.")
    ] = None,
    positive: options.PositiveClass = None,
    threshold: Annotated[
        str | None, typer.Option(help="How it is chosen: gmean, cost:RATIO or recall:MINIMUM.")
    ] = None,
    actual: Annotated[
        str | None, typer.Option(help="A table's column of actual classes, such as y_true.")
    ] = None,
    predicted: Annotated[
        str | None, typer.Option(help="A table's column of predicted classes, such as y_pred.")
    ] = None,
    ident: Annotated[
        str | None, typer.Option("--id", help="A table's column that tells the images apart.")
    ] = None,
    logits: options.Logits = False,
    arm: Annotated[
        str | None, typer.Option(help="For a table: the arm's name; else the file's name.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="For a table: the recipe's name; else `predictions`.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="For a table: the seed of its training; else 0.")
    ] = None,
    features: options.Features = None,
    as_json: options.Json = False,
    quiet: Quiet = False,
    *,
    reading: Reading,
) -> None:
    """Measure on the test images: predictions, metrics with intervals, mistakes.

        Example: toolkit evaluate models/original-resnet18 --test data/prepared/test
        --output reports/runs/original-resnet18

    Of a folder of runs each gets a folder in --output; what was evaluated before is kept.
    Threshold and temperature are chosen on what a run made of its validation images.

    A CSV has the columns actual and predicted, and optionally id and score_<class>. Tables of other
    tools are understood by the usual names of their columns, which is said on stderr, or by those
    that are given.

        Example: toolkit evaluate theirs.csv --positive rare --valid-predictions valid.csv
        --threshold recall:0.95 --output theirs
    """
    from toolkit.cli.summaries import evaluation_summary
    from toolkit.evaluation.evaluate import metric_table, run_table
    from toolkit.metrics.params import EvaluateParams
    from toolkit.pipeline.revisions import run_keys
    from toolkit.pipeline.steps.evaluate import evaluate as run
    from toolkit.pipeline.steps.evaluate import evaluate_runs

    chosen = {"positive": positive, "threshold": threshold}
    settings = dict(options.read_section("evaluate", EvaluateParams))
    of_predictions = {
        "valid_predictions": valid_predictions,
        "actual": actual,
        "predicted": predicted,
        "id": ident,
        "arm": arm,
        "recipe": recipe,
        "run_seed": seed,
    }
    given: dict[str, Any] = {
        "output": output,
        "test": test,
        "features": features,
        "reading": reading,
        "track": console.track(quiet),
        "say": partial(console.say, quiet=quiet),
        **settings | {key: value for key, value in chosen.items() if value is not None},
        **{key: value for key, value in of_predictions.items() if value is not None},
        **({"logits": True} if logits else {}),
    }
    if declared and (source / "run.json").is_file():
        raise InputError(f"--declared goes with a folder of runs, and {source} is one run")
    inside = any(any(source.glob(f"{depth}/run.json")) for depth in ("*", "*/*"))
    if not (source / "run.json").is_file() and (inside or declared):
        only = set(run_keys(options.read_project().compare)) if declared else None
        evaluations = evaluate_runs(source, only=only, **given)
        if as_json:
            console.answer_json(evaluation_summary(evaluations))
        else:
            console.answer(console.table(run_table(evaluations)))
        console.say(f"{output}: {len(evaluations)} runs", quiet=quiet)
        return
    evaluation = run(source, **given)
    if as_json:
        console.answer_json(evaluation_summary({source.stem: evaluation}))
    else:
        console.answer(console.table(metric_table(evaluation)))
        for line in evaluation.notes:
            console.answer(line)
    console.say(f"{output}/metrics.json: all {len(evaluation.metrics)} numbers", quiet=quiet)


@options.reads_images
def predict(
    run: Annotated[Path, typer.Argument(help="A folder that `train` wrote.")],
    images: Annotated[
        list[Path], typer.Argument(help="Images, folders, archives, patterns as 'photos/*.jpg'.")
    ],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A CSV file.")] = None,
    positive: options.PositiveClass = None,
    threshold: Annotated[
        str | None,
        typer.Option(help="A probability, or gmean, cost:RATIO, recall:MINIMUM."),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="The network's own scores; the highest decides.")
    ] = False,
    sort_into: Annotated[
        Path | None, typer.Option(help="A new folder with a copy of each image in its class.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="A page, the least certain first.")] = None,
    as_json: options.Json = False,
    quiet: Quiet = False,
    *,
    reading: Reading,
) -> None:
    """Predict the class of each image, with a calibrated probability per class.

    Example: toolkit predict models/augmented-resnet18/0 photo.jpg

    Each file is a row. One that cannot be read has its reason in the column error, and the exit
    code is 1 at the end. A pattern with ** looks into all folders.

    Temperature and threshold are the run's own, chosen on its validation images; in a project by
    the rule and for the class of the section evaluate.

    Example: toolkit predict models/augmented-resnet18/0 photos --threshold recall:0.95
    --sort-into sorted --html predicted.html
    """
    with options.quick_imports():
        from toolkit.cli.summaries import prediction_summary
        from toolkit.io.text import describe_rejected
        from toolkit.metrics.params import EvaluateParams
        from toolkit.metrics.predictions import predictions_csv
        from toolkit.pipeline.steps.predict import predict as step

    settings = options.read_section("evaluate", EvaluateParams)
    predictions = step(
        run,
        images,
        output=output,
        positive=positive or settings.positive,
        threshold=threshold or settings.threshold,
        raw=raw,
        sort_into=sort_into,
        html=html,
        reading=reading,
        track=console.track(quiet),
        say=partial(console.say, quiet=quiet),
    )
    if as_json:
        console.answer_json(prediction_summary(predictions))
    elif not output:
        console.hand_over(predictions_csv(predictions, errors=True))
    if predictions.problems:
        rejected = [{"path": path, "reason": why} for path, why in predictions.problems.items()]
        reasons = describe_rejected(rejected, len(predictions.ids) + len(rejected))
        raise InputError(f"{reasons}; each has a row with its error")
