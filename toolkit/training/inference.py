"""A run's network applied to images: float32 on the CPU, the same bytes each time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import softmax
from torch import Tensor, nn
from torch.nn.functional import interpolate

from toolkit.errors import InputError
from toolkit.io import csv, manifest
from toolkit.io.images import Pixels, read_image, resize
from toolkit.metrics.mistakes import ExplainedExample, HardExample
from toolkit.metrics.predictions import Predictions
from toolkit.progress import Track, silent
from toolkit.training import dataset, device, runs
from toolkit.training.device import normalize
from toolkit.training.runs import Run

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


def predict_folder(run_folder: Path, images_folder: Path, track: Track = silent) -> Predictions:
    """Predict every image of the manifest in `images_folder`, in its order.

    Raises InputError if classes or image size are not the run's, and as `runs.restore` and
    `dataset.load_tensors` do.
    """
    run, network = runs.restore(run_folder)
    data = dataset.load_tensors(images_folder, track)
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


def explain_examples(
    run_folder: Path, images_folder: Path, choices: Sequence[HardExample]
) -> tuple[ExplainedExample, ...]:
    """Photos of chosen images of the manifest in `images_folder`, each with its class's heatmap.

    Raises InputError as `runs.restore` does, and for a file that cannot be read.
    """
    if not choices:
        return ()
    run, network = runs.restore(run_folder)
    samples = manifest.read_manifest(images_folder).by_id
    paths = [samples[choice.id].path for choice in choices]
    photos = [read_image(images_folder / path) for path in paths]
    labels = [run.classes.index(choice.label) for choice in choices]
    maps = heatmaps(network, dataset.stack(photos), labels, run.threads)
    return tuple(map(ExplainedExample, choices, paths, photos, maps))


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


def _read(path: Path, size: int) -> "Pixels | str":
    """Pixels [size, size, 3], or what is wrong with the file."""
    try:
        return resize(read_image(path), size)
    except InputError as error:
        return str(error)


def classify(run: Run, network: nn.Module, images: Tensor) -> Scores:
    """Softmax scores, float64 [N, classes], for uint8 images [N, 3, size, size].

    Uses as many threads, and batches as large, as the run was trained with: with others the last
    digits could differ.
    """
    with device.reproducible(run.threads, CPU):
        logits = device.logits(network, images, run.settings.batch).double().numpy()
        scores: Scores = softmax(logits, axis=1)
    return scores


def guesses_csv(classes: Sequence[str], guesses: Sequence[Guess]) -> str:
    """The guesses as CSV: path, predicted and a score for each class; failed files are left out."""
    return csv.csv_text(
        ["path", "predicted", *(f"score_{name}" for name in classes)],
        (
            [str(guess.path), guess.predicted, *map(repr, guess.scores)]
            for guess in guesses
            if not guess.problem
        ),
    )


BATCH = 16


def heatmaps(
    network: nn.Module, images: Tensor, classes: npt.ArrayLike, threads: int = 1
) -> npt.NDArray[np.float32]:
    """What in each image speaks for a class: float32 [N, H, W], 0 to 1.

    `images` are uint8 [N, 3, H, W] on the CPU, `classes` int [N]. Selvaraju and others, 2017: the
    last features before `network.avgpool` are added up, each weighted by the mean gradient of the
    class's logit; what is below zero is dropped. The map is as coarse as those features (4 x 4 for
    128 px), enlarged bilinearly, and divided by its own maximum; where nothing speaks for the
    class it is all zero. Leaves the network in evaluation mode.
    """
    network.eval()
    wanted = torch.as_tensor(np.asarray(classes, dtype=np.int64))
    batches = zip(torch.split(images, BATCH), torch.split(wanted, BATCH), strict=True)
    with device.reproducible(threads, images.device):
        maps = [_maps(network, normalize(part), labels) for part, labels in batches]
    return torch.cat(maps).numpy()


def _maps(network: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    features, logits = _forward(network, images)
    chosen = logits.gather(1, classes[:, None]).sum()
    (gradient,) = torch.autograd.grad(chosen, features)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    coarse = (weights * features.detach()).sum(dim=1, keepdim=True).relu()
    maps = interpolate(coarse, images.shape[2:], mode="bilinear", align_corners=False)[:, 0]
    highest = maps.amax(dim=(1, 2), keepdim=True)
    return torch.where(highest > 0, maps / highest, maps)


def _forward(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """The features that the pooling gets, and the logits with a graph that begins at them."""
    kept: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        torch.set_grad_enabled(True)  # from here on only: the layers below need no graph
        kept.append(inputs[0].requires_grad_())
        return (kept[0],)

    hook = network.get_submodule("avgpool").register_forward_pre_hook(keep)
    try:
        with torch.no_grad():
            logits = network(images)
    finally:
        hook.remove()
    return kept[0], logits
