"""Features of images: computed once by a backbone, and kept in a file that is read in place."""

import hashlib
import json
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from toolkit.errors import InputError, explain_error
from toolkit.io import files
from toolkit.progress import Track, silent
from toolkit.training import device, streaming
from toolkit.training.dataset import LabeledFolder
from toolkit.training.device import normalize
from toolkit.training.pretrained.backbones import Backbone
from toolkit.training.runs import training_versions

Features = npt.NDArray[np.float32]
"""One row of features for each image: [N, dimensions]."""
BATCH = 16
"""Images at once: more are slower, as their activations leave the processor's cache."""
TRIAL = 4
"""Images that are timed."""
TABLE, SIDE = "features.npy", "features.json"


def embed_folder(
    folder: LabeledFolder,
    backbone: Backbone,
    cache: Path,
    *,
    size: int | None = None,
    threads: int = 1,
    track: Track = silent,
) -> Features:
    """Return the features of a folder's images, in the order of its table, read-only.

    Images are resized to `size` x `size` pixels, else to the backbone's size. They are streamed,
    and the features lie in a folder inside `cache`, named for all that decides them: a second call
    only reads them. The same `threads` give the same bytes. Raises InputError as
    `dataset.load_tensors` does, and for a size that the network does not take.
    """
    size = size or backbone.size
    place = cache / _key(folder, backbone, size, threads)
    if not place.is_dir():
        _check_size(backbone, size)
        with files.new_folder(place, marker=SIDE) as building:
            _write(building / TABLE, folder, backbone, size, threads, track)
            files.write_json(building / SIDE, {"sha256": files.sha256(building / TABLE)})
    return read_features(place, (len(folder.samples), backbone.dimensions))


def embedding_seconds(
    folder: LabeledFolder,
    backbone: Backbone,
    cache: Path,
    images: int,
    *,
    size: int | None = None,
    threads: int = 1,
) -> float:
    """Return how long the features of so many `images` take by the clock, from a few empty ones.

    It is 0 where those of the folder are there already; see `embed_folder`.
    """
    size = size or backbone.size
    if (cache / _key(folder, backbone, size, threads)).is_dir():
        return 0.0
    with device.reproducible(threads, device.CPU), torch.inference_mode():
        empty = torch.zeros(TRIAL, 3, size, size).to(memory_format=torch.channels_last)
        backbone.network(empty)  # the first time takes longer
        began = time.perf_counter()
        backbone.network(empty)
        return (time.perf_counter() - began) / TRIAL * images


def read_features(place: Path, shape: tuple[int, int]) -> Features:
    """Read features [N, dimensions] that `embed_folder` wrote, without loading them.

    Raises InputError that names the file, if it was changed or has another shape.
    """
    path = place / TABLE
    try:
        expected = files.read_json(place / SIDE)["sha256"]
        features: Features = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{place}: not features ({explain_error(error)}); remove the folder"
        ) from error
    if files.sha256(path) != expected or features.shape != shape or features.dtype != np.float32:
        raise InputError(f"{path}: changed since it was written; remove the folder {place}")
    return features


def _key(folder: LabeledFolder, backbone: Backbone, size: int, threads: int) -> str:
    decides = [folder.sha256, backbone.name, backbone.sha256, size, threads, training_versions()]
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:32]


def _check_size(backbone: Backbone, size: int) -> None:
    """Raise InputError for a size that the network does not take."""
    try:
        with torch.inference_mode():
            backbone.network(torch.zeros(1, 3, size, size))
    except (AssertionError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"backbone {backbone.name}: does not take images of {size} pixels ({reason}); it is "
            f"made for {backbone.size}: leave the size out"
        ) from error


def _write(
    path: Path, folder: LabeledFolder, backbone: Backbone, size: int, threads: int, track: Track
) -> None:
    """Write one batch after the other: of a mapped file, a full disk would kill the process."""
    shape = len(folder.samples), backbone.dimensions
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    batches = torch.split(torch.arange(len(folder.samples)), BATCH)
    decoded = streaming.open_stream(folder, size).take(batches)
    with (
        files.naming_errors(path),
        path.open("wb") as table,
        device.reproducible(threads, device.CPU),
        torch.inference_mode(),
    ):
        np.lib.format.write_array_header_1_0(table, header)
        for images, _ in track(decoded, f"embed {folder.name}", len(batches)):
            table.write(backbone.network(normalize(images)).numpy().astype("<f4").tobytes())
