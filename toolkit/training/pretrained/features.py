"""Features of images: computed once by a backbone, and kept in tables that are read in place.

An image's features depend on nothing but the image and what computes them: batches are always of
one size. So a table may be begun with rows of others.
"""

import csv
import hashlib
import io
import json
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from toolkit.errors import InputError, explain_error
from toolkit.io import closure, files, inside, parallel
from toolkit.io.manifest import content_hash
from toolkit.progress import Track, silent
from toolkit.training import device, streaming
from toolkit.training.dataset import LabeledFolder
from toolkit.training.device import CPU, normalize
from toolkit.training.pretrained.backbones import Backbone

Features = npt.NDArray[np.float32]
"""One row of features for each image: [N, dimensions]."""
BATCH = 16
"""Images at once: more are slower, as their activations leave the processor's cache. A last batch
of fewer is filled up, for the last digits depend on their number."""
TRIAL = 4
"""Images that are timed."""
DECIDING = ("toolkit.io.images", "toolkit.training.pretrained.backbones")
"""Modules whose code, and what it imports, decides features."""
TABLE, IMAGES, SIDE = "features.npy", "images.csv", "features.json"
MAX_IMAGES, MAX_SIDE = 10_000_000_000, 1_000_000
"""Bytes of the list of a table's images, and of what describes it."""
MOST_AT_ONCE = 8
"""Batches: each needs some 200 MB."""


@dataclass(frozen=True, eq=False)
class Embedder:
    """What decides features: the backbone, `size` x `size` pixels, CPU threads and the device."""

    backbone: Backbone
    size: int
    threads: int = 1
    device: torch.device = CPU

    def key(self, folder: LabeledFolder) -> str:
        """Return a hash of all that decides the features of the folder's images but these."""
        machine = self.threads, self.device.type, torch.__version__
        code = [closure.trace_imports(module) for module in DECIDING]
        of_code = [[of.code, of.versions] for of in code]
        decides = [self.backbone.sha256, self.size, folder.bits, machine, of_code]
        return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:32]


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Features [N, dimensions], and the sha256 of the image file that each row is of."""

    features: Features
    images: tuple[str, ...]


def embed_folder(
    folder: LabeledFolder,
    embedder: Embedder,
    cache: Path | None,
    *,
    tables: Sequence[Path] = (),
    track: Track = silent,
) -> Features:
    """Return the features of a folder's images, in the order of its table, read-only.

    What lies in `tables`, folders that `keep_table` wrote, is taken from there. If that is not
    all, the features lie in a folder inside `cache`, named for all that decides them; a second call
    only reads them, and the features of images that lie in other folders there are not computed
    again. Without a `cache` nothing is kept, and the features are in memory. Images are streamed.
    The same `threads` give the same bytes. Raises InputError as `dataset.load_tensors` does,
    and for a size that the network does not take.
    """
    images = tuple(content_hash(sample) for sample in folder.samples)
    known = _find_rows(tables, embedder.key(folder), {*images})
    if len(known) == len({*images}):
        return np.stack([known[image] for image in images])
    if cache is None:
        with tempfile.TemporaryDirectory() as passing:
            place = keep_table(folder, embedder, Path(passing), known=known, track=track)
            return np.array(read_features(place, embedder.key(folder), images).features)
    place = keep_table(folder, embedder, cache, known=known, track=track)
    return read_features(place, embedder.key(folder), images).features


def keep_table(
    folder: LabeledFolder,
    embedder: Embedder,
    cache: Path,
    *,
    known: Mapping[str, Features] | None = None,
    track: Track = silent,
) -> Path:
    """Return the table of a folder's features in `cache`, where it is made if it is not there.

    `known`: rows by the sha256 of the image's file, which are not computed, nor are those of images
    in other tables there. Raises as `embed_folder` does.
    """
    place, rows = _place(folder, embedder, cache), dict(known or {})
    if not place.is_dir():
        missing = {content_hash(sample) for sample in folder.samples} - rows.keys()
        rows |= _find_rows(place.parent.glob("[!.]*/"), embedder.key(folder), missing)
        _check_size(embedder)
        with files.new_folder(place, marker=SIDE) as building:
            _write(building, folder, embedder, rows, track)
    return place


def embedding_seconds(folder: LabeledFolder, embedder: Embedder, cache: Path, images: int) -> float:
    """Return how long the features of so many `images` take by the clock, from a few empty ones.

    It is 0 where those of the folder are there already; see `embed_folder`.
    """
    if _place(folder, embedder, cache).is_dir():
        return 0.0
    with device.reproducible(embedder.threads, embedder.device), torch.inference_mode():
        empty = torch.zeros(TRIAL, 3, embedder.size, embedder.size)
        empty = empty.to(memory_format=torch.channels_last)
        embedder.backbone.network(empty)  # the first time takes longer
        began = time.perf_counter()
        embedder.backbone.network(empty)
        return (time.perf_counter() - began) / TRIAL * images


def find_tables(place: Path | str | None) -> list[Path]:
    """Return the tables of features in a folder and in those inside it; none for None.

    Raises InputError for a folder that `embed` has not written.
    """
    if place is None:
        return []
    found = sorted(path.parent for path in Path(place).rglob(SIDE))
    if not found:
        raise InputError(f"{place}: no features in it; name a folder that `toolkit embed` wrote")
    return [folder for folder in found if (folder / TABLE).is_file()]


def read_features(place: Path, key: str, images: Sequence[str] | None = None) -> FeatureTable:
    """Read what `keep_table` wrote, the features without loading them.

    Raises InputError that names the file, if it was changed, is of another `key` or of other
    `images`, where these are given.
    """
    try:
        side = files.unseal(inside.read_file(place / SIDE, MAX_SIDE), required=True)
        listed = inside.read_file(place / IMAGES, MAX_IMAGES)
        features: Features = np.load(place / TABLE, mmap_mode="r", allow_pickle=False)
        expected = side["key"], side[TABLE], side[IMAGES]
        _, *rows = csv.reader(io.StringIO(listed.decode(), newline=""))
        found = tuple(row[0] for row in rows)
    except (OSError, ValueError, LookupError, TypeError, csv.Error) as error:
        raise InputError(
            f"{place}: not features ({explain_error(error)}); remove the folder"
        ) from error
    if expected != (key, files.sha256(place / TABLE), hashlib.sha256(listed).hexdigest()):
        raise InputError(f"{place}: changed, or of another network or size; remove the folder")
    fits = features.ndim == 2 and len(features) == len(found) and features.dtype == np.float32
    if not fits or found != tuple(images or found):
        raise InputError(f"{place}: of other images; remove the folder")
    return FeatureTable(features, found)


def _write(
    building: Path,
    folder: LabeledFolder,
    embedder: Embedder,
    known: Mapping[str, Features],
    track: Track,
) -> None:
    images = [content_hash(sample) for sample in folder.samples]
    first = {image: row for row, image in reversed([*enumerate(images)])}
    fresh = [row for row, image in enumerate(images) if first[image] == row and image not in known]
    computed = _compute(folder, embedder, fresh, track)
    shape = len(images), embedder.backbone.dimensions
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    path, width = building / TABLE, 4 * shape[1]
    # Row by row: of a mapped file, a full disk would kill the process.
    with files.naming_errors(path), path.open("w+b") as table:
        np.lib.format.write_array_header_1_0(table, header)
        begin = table.tell()
        for row, image in enumerate(images):
            if image in known:
                features = known[image].astype("<f4").tobytes()
            elif first[image] == row:
                features = next(computed)
            else:
                table.seek(begin + width * first[image])
                features = table.read(width)
                table.seek(0, io.SEEK_END)
            table.write(features)
    with files.csv_table(building / IMAGES, ("sha256", "path", "label")) as add:
        for sample, image in zip(folder.samples, images, strict=True):
            add((image, sample.path, sample.label))
    hashes = {name: files.sha256(building / name) for name in (TABLE, IMAGES)}
    files.write_sealed(building / SIDE, {"key": embedder.key(folder), **hashes})


def _compute(
    folder: LabeledFolder, embedder: Embedder, rows: Sequence[int], track: Track
) -> Iterator[bytes]:
    """Yield the features of these rows of a folder; on a CPU several batches are computed at once.

    They are computed in threads, as torch lets others run while it computes.
    """
    batches = torch.split(torch.tensor(rows, dtype=torch.int64), BATCH) if rows else ()
    decoded = streaming.open_stream(folder, embedder.size).take(batches)
    network, on_cpu = embedder.backbone.network.to(embedder.device), embedder.device == CPU
    cores = parallel.cores() // embedder.threads
    at_once = max(1, min(cores, MOST_AT_ONCE)) if on_cpu else 1

    def compute(images: Tensor) -> Features:
        filled = torch.cat([images, images[-1:].expand(BATCH - len(images), -1, -1, -1)])
        with torch.inference_mode():
            batch = filled.contiguous(memory_format=torch.channels_last).to(embedder.device)
            found: Features = network(normalize(batch))[: len(images)].cpu().numpy()
        return found

    begun = deque[Future[Features]]()
    with device.reproducible(embedder.threads, embedder.device), ThreadPoolExecutor(at_once) as of:
        for images, _ in track(decoded, f"embed {folder.name}", len(batches)):
            begun.append(of.submit(compute, images))
            if len(begun) > at_once:
                yield from _as_bytes(begun.popleft())
        for future in begun:
            yield from _as_bytes(future)


def _as_bytes(future: Future[Features]) -> Iterator[bytes]:
    return (row.tobytes() for row in future.result().astype("<f4"))


def _find_rows(tables: Iterable[Path], key: str, wanted: set[str]) -> dict[str, Features]:
    """Return the rows of tables that are of images `wanted`; damaged tables are passed over."""
    rows: dict[str, Features] = {}
    for place in tables:
        if not wanted - rows.keys():
            break
        try:
            table = read_features(place, key)
        except InputError:
            continue
        for image, features in zip(table.images, table.features, strict=True):
            if image in wanted:
                rows[image] = features
    return rows


def _place(folder: LabeledFolder, embedder: Embedder, cache: Path) -> Path:
    """Return the folder of a folder's features in `cache`."""
    images = "".join(content_hash(sample) for sample in folder.samples)
    return cache / embedder.key(folder) / hashlib.sha256(images.encode()).hexdigest()[:32]


def _check_size(embedder: Embedder) -> None:
    """Raise InputError for a size that the network does not take."""
    backbone, size = embedder.backbone, embedder.size
    try:
        with torch.inference_mode():
            backbone.network.to(CPU)(torch.zeros(1, 3, size, size))
    except (AssertionError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"backbone {backbone.name}: does not take images of {size} pixels ({reason}); it is "
            f"made for {backbone.size}: leave the size out"
        ) from error
