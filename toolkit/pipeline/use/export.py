"""`toolkit export`, and `toolkit.export`."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from toolkit.datasets.params import BY_NAME
from toolkit.errors import DISTRIBUTION, InputError, unknown_name
from toolkit.io import files
from toolkit.io.images import NamedImage
from toolkit.metrics import calibration
from toolkit.metrics.arrays import Floats
from toolkit.metrics.decisions import Decisions
from toolkit.metrics.params import ThresholdRule
from toolkit.pipeline import paths
from toolkit.pipeline.steps.predict import image_files, opened_place, read_decisions
from toolkit.progress import Track, silent
from toolkit.training import dataset, inference, runs
from toolkit.training.export.formats import EXPORT_FORMATS, INPUT, OUTPUT, ExportedModel, PixelBatch
from toolkit.training.export.network import CalibratedNetwork
from toolkit.training.runs import Run

ABOUT = "model.json"
"""In the folder of an exported network: what goes in, what comes out, and how it was checked."""
TOLERANCE = 1e-4
"""Largest difference of a probability from that of `predict`."""
SYNTHETIC = 16
"""Images that are drawn for the check where none are given."""
RESIZE = (
    "turned as the EXIF data says, converted to RGB, then resized to size x size pixels, bilinear "
    "with antialiasing (Pillow's BILINEAR); the aspect ratio is not kept"
)


@dataclass(frozen=True)
class ParityCheck:
    """The largest difference from the probabilities of `predict`, on so many images."""

    images: int
    largest_difference: float


def export(
    run: Run | Path | str,
    *,
    format: str = "onnx",  # noqa: A002 - as the option is called
    output: Path | str | None = None,
    images: Path | str | None = None,
    positive: str | None = None,
    threshold: str | float | ThresholdRule = "gmean",
    track: Track = silent,
    say: Callable[[str], object] = lambda _: None,
) -> Path:
    """Write a run's network as one file that other programs use; return its folder.

    `run` is what `train` returned, or its folder. The `format` is "onnx" or "torchscript". The
    network takes RGB images, uint8 [N, size, size, 3], and gives calibrated probabilities: pixels
    are normalized and scores softened inside. `output` is a folder to write, by default
    exported/<run>-<format>: the network, and model.json with the size, the rule of
    resizing, the classes and the threshold, which are stored in the network's file as well.
    `positive` and `threshold` choose the last as those of `predict` do.

    What the file gives is compared to what `predict` gives on `images`, a file or folder, or where
    none are given on drawn ones, and the largest difference is written down. Raises InputError
    where it is more than 1e-4, for a package that is missing, and as `predict` does.
    """
    if format not in EXPORT_FORMATS:
        raise unknown_name("format", format, EXPORT_FORMATS)
    form = EXPORT_FORMATS[format]
    files.check_replaceable(output, ABOUT)
    about = run if isinstance(run, Run) else runs.read_run(Path(run))
    place = about.located()
    folder = paths.EXPORTED / export_name(about, format) if output is None else Path(output)
    files.check_replaceable(folder, ABOUT)
    decisions = read_decisions(about, positive, threshold)
    batches: Iterator[PixelBatch] = iter([synthetic_images(about.size)])
    if images is not None:
        batches = _batches(about, _files(images, track, say), track)
    first = next(batches, None)
    if first is None:
        raise InputError(f"{images}: no image to check the exported network on; name others")
    _, network = runs.load_run(place)
    notes = describe_export(about, decisions)
    example = torch.zeros(2, about.size, about.size, 3, dtype=torch.uint8)
    calibrated = CalibratedNetwork(network, decisions.temperature).eval()
    data = form.write(calibrated, example, {key: json.dumps(notes[key]) for key in notes})
    parity = check_parity(
        form.open(data),
        partial(_scores, about, network, decisions.temperature),
        chain([first], batches),
    )
    drawn = "drawn" if images is None else "given"
    with files.new_folder(folder, marker=ABOUT) as building:
        files.write_file(building / form.file, data)
        files.write_sealed(building / ABOUT, notes | _checked(format, data, parity, drawn))
    say(
        f"{folder / form.file}: {len(data) / 1e6:,.1f} MB; its probabilities differ from those of "
        f"predict by {parity.largest_difference:.1g} at most, on {parity.images} {drawn} images"
    )
    return folder


def export_name(run: Run, format: str = "") -> str:  # noqa: A002 - as the option is called
    """Return the name of what leaves a run, such as augmented-resnet18-0-onnx."""
    place = run.located().resolve()
    parts = place.parts[-2 if place.name.isdigit() else -1 :]  # models/<arm>-<recipe>/0
    return "-".join([*parts, format] if format else parts)


def describe_export(run: Run, decisions: Decisions) -> dict[str, Any]:
    """Return what a program must know to use the network, the same as is stored in its file."""
    return {
        "run": {"arm": run.arm, "recipe": run.recipe, "seed": run.seed},
        "weights_sha256": run.weights_sha256,
        "toolkit": metadata.version(DISTRIBUTION),
        "input": f"{INPUT}: uint8 [N, {run.size}, {run.size}, 3], RGB, 0 to 255",
        "output": f"{OUTPUT}: float32 [N, {len(run.classes)}], calibrated, their sum is 1",
        "size": run.size,
        "resize": RESIZE,
        "bits": run.bits,
        "mean": run.mean,
        "deviation": run.deviation,
        "inside": "mean, deviation and temperature are applied inside the network",
        "temperature": decisions.temperature,
        "classes": list(run.classes),
        "positive": decisions.positive,
        "threshold": decisions.calibrated_threshold,
        "decision": "positive where its probability is at least threshold; where both are null, "
        "the class with the highest probability",
    }


def _checked(name: str, data: bytes, parity: ParityCheck, source: str) -> dict[str, Any]:
    form = EXPORT_FORMATS[name]
    return {
        "format": name,
        "file": form.file,
        "file_sha256": hashlib.sha256(data).hexdigest(),
        "check": {
            "images": parity.images,
            "source": source,
            "largest_difference": parity.largest_difference,
            "tolerance": TOLERANCE,
            "with": f"{form.package} {metadata.version(form.package)}",
        },
    }


# --- the check --------------------------------------------------------------------------------


def check_parity(
    model: ExportedModel, scores: Callable[[PixelBatch], Floats], batches: Iterable[PixelBatch]
) -> ParityCheck:
    """Compare what a model gives for batches of images to their `scores`, [n, classes] both.

    The first image of each batch is also given alone. Raises InputError where a probability
    differs by more than TOLERANCE.
    """
    images, largest = 0, 0.0
    for pixels in batches:
        expected = scores(pixels)
        for got in (model(pixels), model(pixels[:1])):
            difference = float(np.abs(got - expected[: len(got)]).max())
            if not difference <= TOLERANCE:  # NaN is none
                raise InputError(
                    f"the exported network's probabilities differ from the run's by "
                    f"{difference:.2g}, more than {TOLERANCE:g}, so nothing was written; choose "
                    f"another --format"
                )
            largest = max(largest, difference)
        images += len(pixels)
    return ParityCheck(images, largest)


def _scores(run: Run, network: nn.Module, temperature: float, pixels: PixelBatch) -> Floats:
    raw = inference.classify(run, network, dataset.stack_images(list(pixels)))
    return calibration.soften(raw, temperature)


def _files(place: Path | str, track: Track, say: Callable[[str], object]) -> list[NamedImage]:
    return image_files(opened_place(place, BY_NAME, track, say), say)


def _batches(run: Run, photos: Sequence[NamedImage], track: Track) -> Iterator[PixelBatch]:
    """Yield the pixels of files in batches; those that cannot be read are left out."""
    read = track(inference.read_photos(run, photos), "check", len(photos))
    pixels = (each for each in read if isinstance(each, np.ndarray))
    while batch := list(islice(pixels, run.settings.measured)):
        yield np.stack(batch)


def synthetic_images(size: int) -> PixelBatch:
    """Return images of smooth and rough noise, uint8 [SYNTHETIC, size, size, 3]."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (SYNTHETIC, 4, 4, 3))
    cells = np.arange(size) * 4 // size
    smooth = coarse[:, cells][:, :, cells]
    rough = rng.integers(-40, 41, smooth.shape)
    return np.asarray(np.clip(smooth + rough, 0, 255), dtype=np.uint8)
