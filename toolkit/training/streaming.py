"""Images that do not fit in memory, decoded by processes a little ahead of the network."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from toolkit.progress import Track, silent
from toolkit.training import dataset, device
from toolkit.training.dataset import Data, LabeledFolder

MEMORY_FRACTION = 0.4  # of the free memory, which images may fill
ROOT = Path("/")
V2 = ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file")
V1 = (
    "sys/fs/cgroup/memory",
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    "total_inactive_file",
)
"""Of each version of control groups: where they are mounted, the files of the limit and of the use,
and the key in memory.stat of the file cache that the kernel drops first."""


@dataclass(frozen=True)
class Stream:
    """A folder's images on disk: the batches that `dataset.Tensors` gives, bit for bit.

    `workers`: processes that decode, 0 for one per core; `device`: where batches go.
    """

    folder: LabeledFolder
    labels: Tensor
    weights: Tensor | None
    size: int
    workers: int
    device: torch.device

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, sorted."""
        return self.folder.classes

    @property
    def originals(self) -> int:
        """How many of the samples were not derived from others."""
        return self.folder.originals

    def to(self, device: torch.device) -> "Stream":
        """Return the same with batches on a device."""
        weights = None if self.weights is None else self.weights.to(device)
        return replace(self, labels=self.labels.to(device), weights=weights, device=device)

    def take(self, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images and labels of the rows of each batch.

        Raises InputError as `dataset.load_tensors` does, when the file is reached.
        """
        rows = [row for batch in batches for row in batch.tolist()]
        samples = [self.folder.samples[row] for row in rows]
        pixels = dataset.decode_samples(self.folder, samples, self.size, self.workers)
        for batch in batches:
            images = dataset.stack_images(islice(pixels, len(batch)))
            yield images.to(self.device), self.labels[batch.to(self.device)]


def open_stream(folder: LabeledFolder, size: int, workers: int = 0) -> Stream:
    """Stream a folder's images at `size` x `size` pixels; 0 workers means one per core."""
    return Stream(folder, folder.labels, folder.weights, size, workers, device.CPU)


def open_data(
    folder: LabeledFolder,
    size: int,
    how: str,
    workers: int,
    device: torch.device,
    track: Track = silent,
) -> Data:
    """Load a folder's images into memory, or stream them; `how` is `train.data`."""
    fits = how == "auto" and fits_in_memory(len(folder.samples), size, device)
    if how == "memory" or fits:
        return dataset.load_tensors(folder, size, track)
    return open_stream(folder, size, workers)


def fits_in_memory(count: int, size: int, device: torch.device) -> bool:
    """Return whether so many images take at most MEMORY_FRACTION of what is free, here and there.

    There is the device.
    """
    needed = count * size * size * 3
    free = available_memory()
    if device.type == "cuda":
        free = min(free, torch.cuda.mem_get_info(device)[0])
    return needed <= MEMORY_FRACTION * free


# --- free memory ------------------------------------------------------------------------------


def available_memory(root: Path = ROOT) -> int:
    """Return the bytes that Linux could give to a program now, its file cache included.

    A container or a batch job has a limit of its own, and so may each group above it. `root` is
    the folder that proc and sys are in.
    """
    machine = _read_fields(root / "proc/meminfo")["MemAvailable:"] * 1024
    return max(0, min([machine, *_group_rests(root)]))


def _group_rests(root: Path) -> Iterator[int]:
    """Yield what is left in the group of this process, and in each above it that has a limit."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        mount, *names = V1 if controllers else V2
        group = Path(path.lstrip("/"))
        for folder in (group, *group.parents):  # in a container the path may be that outside
            yield from _group_rest(root / mount / folder, *names)


def _group_rest(folder: Path, limit: str, use: str, cache: str) -> Iterator[int]:
    try:
        most = (folder / limit).read_text(encoding="ascii").strip()
        if most != "max":
            used = int((folder / use).read_text(encoding="ascii"))
            yield int(most) - used + _read_fields(folder / "memory.stat").get(cache, 0)
    except OSError:  # no such group here
        return


def _read_fields(path: Path) -> dict[str, int]:
    lines = path.read_text(encoding="ascii").splitlines()
    return {name: int(value) for name, value, *_ in map(str.split, lines)}
