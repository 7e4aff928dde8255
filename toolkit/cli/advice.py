"""The command that answers the question: which remedy helps on these photos."""

import shlex
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli import console, options
from toolkit.cli.options import Quiet, Reading, Work, Workers


@options.reads_images
def advise(
    photos: Annotated[Path, typer.Argument(help="A folder laid out <class>/file.")],
    rare: Annotated[
        str | None, typer.Option(help="The class that matters; else the one with fewest images.")
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="Pretrained network: torchvision.WEIGHTS, timm.NAME, NAME=FILE; else "
            "efficientnet_lite0 or, where it is not installed, networks from scratch."
        ),
    ] = None,
    size: Annotated[int | None, typer.Option(min=32, help="Pixels; else the backbone's.")] = None,
    folds: Annotated[int, typer.Option(min=2, help="Parts that the photos are tested in.")] = 5,
    repeats: Annotated[int, typer.Option(min=1, help="How often they are divided anew.")] = 2,
    most: Annotated[int, typer.Option(min=2, help="Photos of a class that are used.")] = 2000,
    margin: Annotated[
        float, typer.Option(min=0, max=1, help="Differences in G-mean that do not matter.")
    ] = 0.02,
    max_minutes: Annotated[
        float | None,
        typer.Option(help="Time to spend: networks are trained too, and more divisions tried."),
    ] = None,
    until_sure: Annotated[
        bool, typer.Option("--until-sure", help="Add divisions until the verdict is known.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of folds and of new images.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads that compute features.")] = 2,
    workers: Workers = 0,
    html: Annotated[Path | None, typer.Option(help="HTML page to write, with photos.")] = None,
    decisions: options.Decisions = None,
    work: Work = Path(".toolkit"),
    as_json: options.Json = False,
    quiet: Quiet = False,
    *,
    reading: Reading,
) -> None:
    """Find out which remedy for imbalance helps on your photos.

    Nothing else is needed: no params.yaml, DVC or git. Photos are compared by the features of a
    pretrained network, and each is tested by classifiers that have not seen it.

    Example: toolkit advise photos --html advice.html

    Example: toolkit advise photos --max-minutes 30
    """
    from toolkit.evaluation.advice import advice_sentences, advice_summary, advice_table
    from toolkit.pipeline.steps.advise import advise as run

    result = run(
        photos,
        rare=rare,
        backbone=backbone,
        size=size,
        folds=folds,
        repeats=repeats,
        most=most,
        margin=margin,
        max_minutes=max_minutes,
        until_sure=until_sure,
        seed=seed,
        threads=threads,
        workers=workers,
        html=html,
        decisions=decisions,
        work=work,
        reading=reading,
        track=console.track(quiet),
        say=partial(console.say, quiet=quiet),
    )
    if as_json:
        console.answer_json(advice_summary(result))
        return
    console.answer(console.table(advice_table(result)) + "\n")
    for line in advice_sentences(result):
        console.answer(line)
    words = ["toolkit", "init", "my-project", "--images", str(photos)]
    if result.backbone not in (None, "efficientnet_lite0"):
        words += ["--backbone", result.backbone]
    start = shlex.join([*words, *options.reading_words(reading)])
    console.say(f"a reproducible project of it: {start}", quiet=quiet)
