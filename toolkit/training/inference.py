"""Predictions and Grad-CAM heatmaps of a run's network, for images of any size.

Images are resized to the run's size. float32 on the CPU gives the same bytes each time.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import softmax
from torch import Tensor, nn
from torch.nn.functional import interpolate

from toolkit.datasets.params import BY_NAME, ReadParams
from toolkit.errors import InputError
from toolkit.io import images, parallel, sandbox
from toolkit.io.images import Pixels
from toolkit.io.samples import CHUNK
from toolkit.io.sandbox import Stopped
from toolkit.metrics.mistakes import ExplainedExample, HardExample
from toolkit.metrics.predictions import Predictions
from toolkit.progress import Track, ignore, silent
from toolkit.training import dataset, device, networks, runs, streaming
from toolkit.training.dataset import Data, LabeledFolder
from toolkit.training.device import normalize
from toolkit.training.pretrained.backbones import as_backbone
from toolkit.training.pretrained.features import Embedder, Features, embed_folder
from toolkit.training.runs import Run

HEATMAP_BATCH = 16
POOLING = ("avgpool", "global_pool")
"""How torchvision and timm name the layer that pools the last features."""

Scores = npt.NDArray[np.float64]
"""A probability for each image and class: [N, classes]."""


@dataclass(frozen=True)
class Guess:
    """The prediction for one image file: its likeliest class, and a score per class (sum 1).

    Where the file cannot be read as an image, `problem` says why and the rest is empty.
    """

    path: Path
    predicted: str = ""
    scores: tuple[float, ...] = ()
    problem: str = ""


@dataclass(frozen=True, eq=False)
class AppliedRun:
    """A run with its network, the images that it was applied to, and what it predicts for them.

    Of a cross-fitted run these are the images in folds, each predicted by the network of its fold,
    and `beside` is what its own network makes of others in the folder, such as a test split.
    """

    run: Run
    network: nn.Module
    folder: LabeledFolder
    predictions: Predictions
    beside: Predictions | None = None


# --- predictions ------------------------------------------------------------------------------


def apply_runs(
    run_folders: Sequence[Path],
    images: LabeledFolder,
    track: Track = silent,
    *,
    features: Sequence[Path] = (),
    kept: Path | None = None,
) -> Iterator[AppliedRun]:
    """Predict every image of a labeled folder with each run.

    Several runs share the images, which are decoded once if they fit in memory. A frozen network's
    features come from the folders `features` or `kept`, see `embed_folder`. The rows are in the
    order of its table. Raises InputError for a class that a run does not know, for images in folds
    that are not those of a cross-fitted run, and as `runs.load_run` and `dataset.load_tensors` do.
    """
    how, decoded = "auto" if len(run_folders) > 1 else "files", dict[object, Data]()
    known = dict[str, Predictions]()  # of frozen networks, whose seeds have the same weights
    for run_folder in run_folders:
        run, network = runs.load_run(run_folder)
        folder = images.scaled(run.bits)
        check_known_classes(run, folder.path, folder.classes)
        held_out = _held_out(run, folder) if run.held_out else None
        if held_out:
            folder = _without(folder, held_out)
        kind = run.size, run.bits
        predictions = None
        if folder.samples and run.settings.frozen:
            embed = partial(embed_folder, folder, cache=kept, tables=features, track=track)
            predictions = _predict_frozen(run, network, folder, embed, known)
        elif folder.samples:
            if kind not in decoded:
                decoded[kind] = streaming.open_data(folder, run.size, how, 0, device.CPU, track)
            predictions = predict_data(run, network, folder, decoded[kind], track)
        if held_out:
            yield AppliedRun(run, network, images.scaled(run.bits), held_out, predictions)
        elif predictions:
            yield AppliedRun(run, network, folder, predictions)


def _predict_frozen(
    run: Run,
    network: nn.Module,
    folder: LabeledFolder,
    embed: Callable[[Embedder], Features],
    known: dict[str, Predictions],
) -> Predictions:
    """Return the predictions of a frozen network, from those `known` of the same weights."""
    key = f"{run.weights_sha256} {run.settings} {run.threads} {run.size} {run.bits}"
    if key not in known:
        backbone = as_backbone(run.settings.network, network, run.size)
        features = embed(Embedder(backbone, run.size, run.threads))
        known[key] = predict_features(run, network, folder, features)
    return known[key]


def check_known_classes(run: Run, folder: Path, classes: Sequence[str]) -> None:
    """Raise InputError for a class of a folder that the run does not know."""
    if unknown := sorted(set(classes) - set(run.classes)):
        problem = f"the classes must be those of {run.folder}, {list(run.classes)}"
        remedy = "rename the folder, or train again"
        raise InputError(f"{folder}: {problem}, got {', '.join(unknown)}; {remedy}")


def _held_out(run: Run, folder: LabeledFolder) -> Predictions:
    """Return what the folds' networks make of the images in folds. Raises as `apply_runs` does."""
    held_out = runs.read_valid(run)
    if {sample.id for sample in folder.samples if sample.folds} != {*held_out.ids}:
        raise InputError(
            f"{folder.path}: its images in folds are not those that {run.folder} was cross-fitted "
            "on; give the test folder of the same `toolkit prepare`, or train again"
        )
    return held_out


def _without(folder: LabeledFolder, held_out: Predictions) -> LabeledFolder:
    tested = {*held_out.ids}
    rest = tuple(sample for sample in folder.samples if sample.id not in tested)
    return replace(folder, table=replace(folder.table, samples=rest))


def predict_folder(
    run_folder: Path,
    images_folder: Path,
    track: Track = silent,
    say: Callable[[str], object] = ignore,
    reading: ReadParams = BY_NAME,
) -> Predictions:
    """Predict every image of a labeled folder with one run, as `apply_runs` does.

    Of a cross-fitted run, those in folds. `say` gets a line on files that are left out. Raises as
    `apply_runs` and `dataset.open_folder` do.
    """
    opened = dataset.open_folder(images_folder, track, say, reading)
    (applied,) = apply_runs([run_folder], opened, track)
    return applied.predictions


def predict_data(
    run: Run, network: nn.Module, folder: LabeledFolder, data: Data, track: Track = silent
) -> Predictions:
    """Predict the images of a folder that is open: `data` are its images, of the run's size."""
    batches = torch.split(torch.arange(len(folder.samples)), run.settings.measured)
    decoded = track(data.to(device.CPU).take(batches), f"predict {folder.name}", len(batches))
    return _predictions(run, folder, _scores(run, network, (pixels for pixels, _ in decoded)))


def predict_features(
    run: Run, network: nn.Module, folder: LabeledFolder, features: Features
) -> Predictions:
    """Predict the images of a folder from their `features` [N, D], of a frozen run's backbone."""
    last = network.get_submodule("fc")
    with device.reproducible(run.threads, device.CPU), torch.inference_mode():
        logits = last(torch.from_numpy(np.array(features))).double().numpy()
    return _predictions(run, folder, _finite_softmax(run, logits))


def _predictions(run: Run, folder: LabeledFolder, scores: Scores) -> Predictions:
    return Predictions(
        classes=run.classes,
        ids=tuple(sample.id for sample in folder.samples),
        actual=tuple(sample.label for sample in folder.samples),
        predicted=tuple(run.classes[index] for index in scores.argmax(axis=1)),
        scores=scores,
    )


def predict_files(
    run_folder: Path, photos: Sequence[images.NamedImage], track: Track = silent
) -> list[Guess]:
    """Predict image files of any format.

    A file that cannot be read gets a Guess with a `problem`; the others are predicted. Only a
    batch of images is in memory at a time. Raises InputError as `runs.load_run` does.
    """
    run, network = runs.load_run(run_folder)
    results = read_photos(run, photos)
    remaining = iter(track(zip(photos, results, strict=True), "predict", len(photos)))
    guesses: list[Guess] = []
    while part := list(islice(remaining, run.settings.measured)):
        guesses += _guess(run, network, part)
    return guesses


def read_photos(run: Run, photos: Sequence[images.NamedImage]) -> Iterator[Pixels | str | Stopped]:
    """Yield the pixels of each file as the run's network takes them, [size, size, 3], or a reason.

    They are decoded in worker processes.
    """
    read = partial(_read, run.size, images.LIMITS.scaled(run.bits))
    return sandbox.sandboxed_map(read, photos, parallel.cores(), chunksize=CHUNK)


def _guess(
    run: Run, network: nn.Module, part: Sequence[tuple[images.NamedImage, Pixels | str | Stopped]]
) -> Iterator[Guess]:
    pixels = [result for _, result in part if isinstance(result, np.ndarray)]
    rows = iter(list(classify(run, network, dataset.stack_images(pixels))) if pixels else [])
    for photo, result in part:
        if isinstance(result, Stopped):
            yield Guess(photo.path, problem=result.reason)
        elif isinstance(result, str):
            yield Guess(photo.path, problem=result)
        else:
            row = next(rows)
            yield Guess(photo.path, run.classes[row.argmax()], tuple(row.tolist()))


def _read(size: int, limits: images.ImageLimits, photo: images.NamedImage) -> Pixels | str:
    """Return pixels [size, size, 3], or what is wrong with the file."""
    try:
        return images.resize(images.to_pixels(photo.picture(limits)), size)
    except InputError as error:
        return str(error)


def classify(run: Run, network: nn.Module, pixels: Tensor) -> Scores:
    """Return softmax scores for uint8 images [N, 3, size, size]."""
    return _scores(run, network, torch.split(pixels, run.settings.measured))


def _scores(run: Run, network: nn.Module, batches: Iterable[Tensor]) -> Scores:
    """Use as many threads as in training; with others the last digits could differ.

    Batch norms of the network are merged into its convolutions (see `networks.fuse_norms`).
    """
    with device.reproducible(run.threads, device.CPU):
        fused = networks.fuse_norms(network.eval())
        logits = device.forward_batches(fused, batches).double().numpy()
    return _finite_softmax(run, logits)


def _finite_softmax(run: Run, logits: Scores) -> Scores:
    if not np.isfinite(logits).all():
        raise InputError(f"{run.folder}: its network computes numbers that are not finite")
    scores: Scores = softmax(logits, axis=1)
    return scores


# --- Grad-CAM ---------------------------------------------------------------------------------


def explain_examples(
    applied: AppliedRun, examples: Sequence[HardExample]
) -> tuple[ExplainedExample, ...]:
    """Return the photo and the heatmap of each example, one of the images.

    The heatmap is for the example's label; photos are of the run's size. Raises InputError as
    `apply_runs` does.
    """
    if not examples:
        return ()
    run, folder = applied.run, applied.folder
    samples = [folder.table.by_id[example.id] for example in examples]
    photos = list(dataset.decode_samples(folder, samples, run.size))
    labels = [run.classes.index(example.label) for example in examples]
    pixels = dataset.stack_images(photos)
    if applied.predictions.folds is None:
        maps = heatmaps(applied.network, pixels, labels, run.threads)
    else:
        fold_of = dict(zip(applied.predictions.ids, applied.predictions.folds, strict=True))
        of_folds = {fold: runs.load_fold(run, int(fold)) for fold in {*fold_of.values()}}
        maps = np.concatenate(
            [
                heatmaps(of_folds[fold_of[one.id]], each, [label], run.threads)
                for one, each, label in zip(examples, pixels[:, None], labels, strict=True)
            ]
        )
    return tuple(map(ExplainedExample, examples, [s.path for s in samples], photos, maps))


def heatmaps(
    network: nn.Module, pixels: Tensor, classes: npt.ArrayLike, threads: int = 1
) -> npt.NDArray[np.float32]:
    """Compute Grad-CAM (Selvaraju et al., 2017) for a class of each image: float32 [N, H, W], 0..1.

    `pixels` are uint8 [N, 3, H, W] on the CPU, `classes` int [N]. The last features before they
    are pooled are added up, each weighted by the mean gradient of the class's logit less the
    mean of all logits, and negative sums are dropped. The probabilities depend on such differences
    alone: a head may have nothing but zeros for one class, whose own logit says nothing then.
    The map is as coarse as those features (4 x 4 for 128 px), enlarged
    bilinearly, and divided by its maximum; it is zero where nothing speaks for the class, and for
    networks without such a layer, as many transformers. Leaves the network in evaluation mode.
    """
    network.eval()
    targets = torch.as_tensor(np.asarray(classes, dtype=np.int64))
    batches = zip(
        torch.split(pixels, HEATMAP_BATCH), torch.split(targets, HEATMAP_BATCH), strict=True
    )
    with device.reproducible(threads, pixels.device):
        maps = [_batch_maps(network, normalize(batch), labels) for batch, labels in batches]
    return torch.cat(maps).numpy()


def pooled_features(
    network: nn.Module, pixels: Tensor, threads: int = 1
) -> npt.NDArray[np.float32]:
    """Return the features before they are pooled, averaged over all places: float32 [N, C].

    `pixels` are uint8 [N, 3, H, W] on the CPU. Leaves the network in evaluation mode.
    """
    network.eval()
    with device.reproducible(threads, pixels.device):
        found = [
            _averaged(_forward_with_features(network, normalize(batch))[0].detach())
            for batch in torch.split(pixels, HEATMAP_BATCH)
        ]
    return torch.cat(found).numpy()


def _batch_maps(network: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    features, logits = _forward_with_features(network, inputs)
    if features.ndim == 2:  # they have no places
        return torch.zeros_like(inputs[:, 0])
    total = (logits.gather(1, labels[:, None])[:, 0] - logits.mean(dim=1)).sum()
    (gradient,) = torch.autograd.grad(total, features)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    coarse = (weights * features.detach()).sum(dim=1, keepdim=True).relu()
    maps = interpolate(coarse, inputs.shape[2:], mode="bilinear", align_corners=False)[:, 0]
    highest = maps.amax(dim=(1, 2), keepdim=True)
    return torch.where(highest > 0, maps / highest, maps)


def _forward_with_features(network: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the features before the pooling, and the logits with a graph that begins at them.

    They are [N, C, H, W]; without a layer that pools, those before the last layer, [N, C].
    """
    features: list[Tensor] = []

    def keep(_: nn.Module, arguments: tuple[Tensor]) -> tuple[Tensor]:
        torch.set_grad_enabled(True)  # from here on only: the layers below need no graph
        features.append(arguments[0].requires_grad_())
        return (features[0],)

    hook = _last_pooling(network).register_forward_pre_hook(keep)
    try:
        with torch.no_grad():
            logits = network(inputs)
    finally:
        hook.remove()
    return features[0], logits


def _averaged(features: Tensor) -> Tensor:
    return features if features.ndim == 2 else features.mean(dim=(2, 3))


def _last_pooling(network: nn.Module) -> nn.Module:
    """Return the layer that pools the last features [N, C, H, W], else the last layer."""
    pooling = [
        module
        for name, module in network.named_modules()
        if name.rpartition(".")[2] in POOLING and getattr(module, "input_fmt", "NCHW") == "NCHW"
    ]
    return pooling[-1] if pooling else network.get_submodule("fc")
