"""Commands that take a trained network to where it is used."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli import console, options
from toolkit.cli.options import Quiet

RunFolder = Annotated[Path, typer.Argument(help="A folder that `train` wrote.")]
Threshold = Annotated[
    str | None, typer.Option(help="A probability, or gmean, cost:RATIO, recall:MINIMUM.")
]


def export(
    run: RunFolder,
    format: Annotated[  # noqa: A002 - as the option is called
        str, typer.Option(help="onnx, or torchscript.")
    ] = "onnx",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Else exported/<run>-<format>."),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Images to check the file on; else drawn ones.")
    ] = None,
    positive: options.PositiveClass = None,
    threshold: Threshold = None,
    quiet: Quiet = False,
) -> None:
    """Write the network as one file for other programs, with all that `predict` does around it.

    Example: toolkit export models/augmented-resnet18/0 --images data/prepared/test

    It takes RGB images of the run's size, normalizes them and gives calibrated probabilities. The
    classes and the threshold are stored inside, and beside it in model.json. The file is run and
    compared to `predict` before it is written. ONNX takes the extra `export`.
    """
    from toolkit.metrics.params import EvaluateParams
    from toolkit.pipeline.use.export import export as step

    settings = options.read_section("evaluate", EvaluateParams)
    step(
        run,
        format=format,
        output=output,
        images=images,
        positive=positive or settings.positive,
        threshold=threshold or settings.threshold,
        track=console.track(quiet),
        say=partial(console.say, quiet=quiet),
    )


def push(
    run: RunFolder,
    address: Annotated[
        str | None, typer.Argument(help="hf://owner/name; none with --output alone.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A folder to write what is uploaded.")
    ] = None,
    evaluation: Annotated[
        Path | None, typer.Option(help="A folder that `evaluate` wrote for this run.")
    ] = None,
    audit: Annotated[Path | None, typer.Option(help="A JSON file that `audit` wrote.")] = None,
    exported: Annotated[
        Path | None, typer.Option(help="A folder that `export` wrote, to go along.")
    ] = None,
    positive: options.PositiveClass = None,
    threshold: Threshold = None,
    license: Annotated[  # noqa: A002 - as the option is called
        str | None, typer.Option(help="Of the weights, as the hub names it: mit, cc-by-4.0.")
    ] = None,
    data_license: Annotated[str | None, typer.Option(help="Of the images, in words.")] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Make a new repository that everybody sees.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Upload the run to Hugging Face's hub with a model card; or write that folder only.

    Example: toolkit push models/augmented-resnet18/0 hf://me/masks --license mit

    The card tells how it decides and what that costs, results with intervals, the training images,
    what the audit found, limits and licenses. In a project it finds them itself. Log in by
    `hf auth login` first. Takes the extra `huggingface`.

    Example: toolkit push models/augmented-resnet18/0 --output card
    """
    from toolkit.metrics.params import EvaluateParams
    from toolkit.pipeline.use.push import place_in_project
    from toolkit.pipeline.use.push import push as step

    settings = options.read_section("evaluate", EvaluateParams)
    fetch = options.read_section("fetch", lambda: None) if place_in_project(run) else None
    place = step(
        run,
        address,
        output=output,
        evaluation=evaluation,
        audit=audit,
        exported=exported,
        positive=positive or settings.positive,
        threshold=threshold or settings.threshold,
        license=license,
        data_license=data_license,
        public=public,
        fetch=fetch,
        say=partial(console.say, quiet=quiet),
    )
    console.answer(place)


def serve(
    run: RunFolder,
    images: Annotated[
        Path | None, typer.Option(help="The training images: shows the nearest to each photo.")
    ] = None,
    host: Annotated[str, typer.Option(help="Where to listen; else only this machine.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is any that is free.")] = 8000,
    positive: options.PositiveClass = None,
    threshold: Threshold = None,
    quiet: Quiet = False,
) -> None:
    """Serve a page to drop photos on, with classes, probabilities and heatmaps; and JSON.

    Example: toolkit serve models/augmented-resnet18/0 --images data/prepared/train

    Programs send a file to /predict, as /openapi.json says. Takes the extra `serve`.
    """
    from toolkit.metrics.params import EvaluateParams
    from toolkit.pipeline.use.serve import serve as step

    settings = options.read_section("evaluate", EvaluateParams)
    step(
        run,
        images=images,
        host=host,
        port=port,
        positive=positive or settings.positive,
        threshold=threshold or settings.threshold,
        track=console.track(quiet),
        say=partial(console.say, quiet=quiet),
    )
