"""What new images will cost, known before the work: a few are made, measured, and forgotten."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from toolkit.augmentation import plan
from toolkit.augmentation.params import AugmentParams
from toolkit.augmentation.transforms import compose
from toolkit.augmentation.transforms.policy import Policy
from toolkit.errors import InputError
from toolkit.io import files, images, parallel, samples, sandbox
from toolkit.io.manifest import Sample

MEASURED = 5  # originals
BLOCK = 4096  # bytes that a file takes of most disks at least
LARGEST_GROWTH = 20  # times the original's file, that of a new image at most


@dataclass(frozen=True)
class AugmentationCost:
    """The number of new images, the bytes that they take, and the seconds that they take."""

    images: int
    bytes: float
    seconds: float

    def __str__(self) -> str:
        megabytes, minutes = self.bytes / 1e6, self.seconds / 60
        return f"{self.images:,} new images, about {megabytes:,.0f} MB and {minutes:,.0f} minutes"


def check_cost(
    folder: Path,
    output: Path,
    originals: Sequence[Sample],
    count: int,
    policy: Policy,
    settings: AugmentParams,
    *,
    size: int | None,
    accepted: bool,
) -> None:
    """Raise InputError for new images that do not fit on the disk of `output`.

    And for more than `settings.limit` megabytes of them unless that is `accepted`. Nothing is
    measured where the originals' files show that there are far fewer.
    """
    chosen = originals[:: max(1, len(originals) // MEASURED)][:MEASURED]
    files_bytes = [samples.sample_bytes(folder, parent) for parent in chosen]
    at_most = LARGEST_GROWTH * count * max(map(len, files_bytes), default=0)
    if at_most < 1e6 * min(settings.limit, 100):
        return
    measure = partial(_measure, folder, policy, settings, size, len(originals) / count)
    pairs = list(zip(chosen, files_bytes, strict=True))
    results = sandbox.sandboxed_map(measure, pairs, 1)
    measured = sandbox.finished(results, [parent.path for parent in chosen])
    sizes, seconds = np.sum(list(measured), axis=0).tolist()
    share = count / len(chosen)
    cost = AugmentationCost(count, sizes * share, seconds * share / parallel.cores())
    if cost.bytes > 1e6 * settings.limit and not accepted:
        raise InputError(
            f"{output}: {cost}, more than augment.limit, {settings.limit:,.0f} MB; ask for it with "
            f"--yes, or lower --target or --size, or raise augment.limit"
        )
    files.check_space(output, cost.bytes, f"{count:,} new images")


def _measure(
    folder: Path,
    policy: Policy,
    settings: AugmentParams,
    size: int | None,
    decodings: float,
    original: tuple[Sample, bytes],
) -> tuple[int, float]:
    """Return bytes and seconds of a new image, with so many decodings of its original."""
    started = time.perf_counter()
    picture = samples.sample_picture(folder, size, *original)
    decoded = time.perf_counter()
    row, new = next(plan.plan_rows(original[0], [1], policy, settings.seed, picture))
    new = new or compose.apply_transform(row.transform, picture, row.params)
    blocks = -(-len(images.ENCODERS[settings.format](new)) // BLOCK)
    return blocks * BLOCK, time.perf_counter() - decoded + (decoded - started) * decodings
