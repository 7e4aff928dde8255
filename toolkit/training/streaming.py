"""Images that do not fit in memory, read from their files a few batches ahead of the network."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from toolkit.io import manifest
from toolkit.io.images import Pixels
from toolkit.io.manifest import Sample
from toolkit.progress import Track, silent
from toolkit.training import dataset
from toolkit.training.dataset import Data

AHEAD = 3  # batches that are decoded before they are asked for
SHARE = 0.4  # of the free memory; more is not filled with images


@dataclass(frozen=True)
class Stream:
    """A manifest's images on disk, as `dataset.Tensors` has them in memory; same order, same bytes.

    `workers`: threads that decode (Pillow lets go of Python's lock); `device`: where batches go.
    """

    folder: Path
    samples: tuple[Sample, ...]
    labels: Tensor
    classes: tuple[str, ...]
    size: int
    workers: int
    device: torch.device

    @property
    def originals(self) -> int:
        """How many of the samples were not derived."""
        return sum(not sample.derived for sample in self.samples)

    def to(self, where: torch.device) -> "Stream":
        """The same with batches on a device."""
        return replace(self, labels=self.labels.to(where), device=where)

    def take(self, parts: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Images and labels of the rows of each part in turn.

        Raises InputError as `dataset.load_tensors` does, when the file is reached.
        """
        left, waiting = iter(parts), deque[tuple[Tensor, list[Future[Pixels]]]]()
        pool = ThreadPoolExecutor(self.workers)

        def ask(count: int) -> None:
            for rows in islice(left, count):
                waiting.append((rows, [pool.submit(self._read, row) for row in rows.tolist()]))

        try:
            ask(AHEAD)
            while waiting:
                rows, found = waiting.popleft()
                images = dataset.stack(future.result() for future in found)
                ask(1)
                yield images.to(self.device), self.labels[rows.to(self.device)]
        finally:
            pool.shutdown(cancel_futures=True)

    def _read(self, row: int) -> Pixels:
        return dataset.image(self.folder, self.samples[row], self.size)


def open_folder(folder: Path, workers: int = 0) -> Stream:
    """The images of the manifest in `folder`; 0 workers are one per core.

    Raises InputError as `dataset.load_tensors` does, but for all files after the first only when
    they are read.
    """
    table = manifest.read_manifest(folder)
    first = dataset.image(folder, dataset.read_samples(folder, table)[0])
    labels = dataset.labels(table)
    workers = workers or len(os.sched_getaffinity(0))
    cpu = torch.device("cpu")
    return Stream(folder, table.samples, labels, table.classes, len(first), workers, cpu)


def open_data(
    folder: Path, how: str, workers: int, where: torch.device, track: Track = silent
) -> Data:
    """Images in memory, or a stream of files; `how` is `train.data`."""
    if how == "memory":
        return dataset.load_tensors(folder, track)
    stream = open_folder(folder, workers)
    if how == "files" or not fits_in_memory(len(stream.samples), stream.size, where):
        return stream
    return dataset.load_tensors(folder, track)


def fits_in_memory(count: int, size: int, where: torch.device) -> bool:
    """Whether so many images take at most SHARE of the memory that is free now, there and here."""
    needed = count * size * size * 3
    free = _available()
    if where.type == "cuda":
        free = min(free, torch.cuda.mem_get_info(where)[0])
    return needed <= SHARE * free


def _available() -> int:
    """Bytes that Linux could give to a program now; what it caches of files is counted in."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    found = dict(line.split(":") for line in lines)
    return int(found["MemAvailable"].split()[0]) * 1024
