"""A run's network applied to images: float32 on the CPU, the same bytes each time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from toolkit import codec, compute, csv_files, dataset, gradcam, manifest, runs
from toolkit.calibration import softmax
from toolkit.errors import InputError
from toolkit.mistakes import Choice, Explained
from toolkit.predictions import Predictions
from toolkit.progress import Track, silent
from toolkit.runs import Run

Scores = npt.NDArray[np.float64]
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Guess:
    """One image file: its likeliest class, and a score per class (they sum to 1).

    Where the file cannot be read as an image, `problem` says why and the rest is empty.
    """

    path: Path
    predicted: str = ""
    scores: tuple[float, ...] = ()
    problem: str = ""


def predict(run_folder: Path, images_folder: Path, track: Track = silent) -> Predictions:
    """Predict every image of the manifest in `images_folder`, in its order.

    Raises InputError if classes or image size are not the run's, and as `runs.restore` and
    `dataset.load` do.
    """
    run, network = runs.restore(run_folder)
    data = dataset.load(images_folder, track)
    for what, ours, theirs in (
        ("classes", list(run.classes), list(data.classes)),
        ("image size", run.size, data.size),
    ):
        if ours != theirs:
            found = f"the {what} must be those of {run_folder}, {ours}, got {theirs}"
            raise InputError(f"{images_folder}: {found}; prepare both alike, or train again")
    scores = classify(run, network, data.images)
    return Predictions(
        classes=run.classes,
        ids=data.ids,
        actual=tuple(run.classes[label] for label in data.labels.tolist()),
        predicted=tuple(run.classes[index] for index in scores.argmax(axis=1)),
        scores=scores,
    )


def explain(
    run_folder: Path, images_folder: Path, choices: Sequence[Choice]
) -> tuple[Explained, ...]:
    """Photos of chosen images of the manifest in `images_folder`, each with its class's heatmap.

    Raises InputError as `runs.restore` does, and for a file that cannot be read.
    """
    if not choices:
        return ()
    run, network = runs.restore(run_folder)
    samples = manifest.read(images_folder).by_id
    paths = [samples[choice.id].path for choice in choices]
    photos = [codec.read(images_folder / path) for path in paths]
    labels = [run.classes.index(choice.label) for choice in choices]
    maps = gradcam.heatmaps(network, dataset.stack(photos), labels, run.threads)
    return tuple(map(Explained, choices, paths, photos, maps))


def predict_files(run_folder: Path, paths: Sequence[Path], track: Track = silent) -> list[Guess]:
    """Predict image files of any size and format, resized to the run's image size.

    A file that cannot be read gets a Guess with a `problem`; the others are predicted. Only a
    batch of images is in memory at a time. Raises InputError as `runs.restore` does.
    """
    run, network = runs.restore(run_folder)
    remaining = iter(track(paths, "predict", len(paths)))
    guesses: list[Guess] = []
    while part := list(islice(remaining, run.settings.batch)):
        guesses += _guess(run, network, part)
    return guesses


def _guess(run: Run, network: nn.Module, paths: list[Path]) -> Iterator[Guess]:
    read = [_read(path, run.size) for path in paths]
    images = [pixels for pixels in read if not isinstance(pixels, str)]
    scores = iter(list(classify(run, network, dataset.stack(images))) if images else [])
    for path, pixels in zip(paths, read, strict=True):
        if isinstance(pixels, str):
            yield Guess(path, problem=pixels)
        else:
            row = next(scores)
            yield Guess(path, run.classes[row.argmax()], tuple(row.tolist()))


def _read(path: Path, size: int) -> "codec.Pixels | str":
    """Pixels [size, size, 3], or what is wrong with the file."""
    try:
        return codec.resize(codec.read(path), size)
    except InputError as error:
        return str(error)


def classify(run: Run, network: nn.Module, images: Tensor) -> Scores:
    """Softmax scores, float64 [N, classes], for uint8 images [N, 3, size, size].

    Uses as many threads, and batches as large, as the run was trained with: with others the last
    digits could differ.
    """
    with compute.reproducible(run.threads, CPU):
        return softmax(compute.logits(network, images, run.settings.batch).double().numpy())


def table(classes: Sequence[str], guesses: Sequence[Guess]) -> str:
    """The guesses as CSV: path, predicted and a score for each class; failed files are left out."""
    return csv_files.text(
        ["path", "predicted", *(f"score_{name}" for name in classes)],
        (
            [str(guess.path), guess.predicted, *map(repr, guess.scores)]
            for guess in guesses
            if not guess.problem
        ),
    )
