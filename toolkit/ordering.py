"""In which order the rows of an arm are taken, and in which batches: by the seed and the epoch."""

import torch
from torch import Tensor

from toolkit import compute

SHUFFLE = 1  # see fitting: each use of a seed draws from a stream of its own


def shuffled(count: int, take: int, seed: int, epoch: int) -> Tensor:
    """Row numbers of epoch 1, 2, ...: the next `take` of an endless stream of permutations.

    With `take` equal to `count` each epoch is one permutation of all rows. A smaller `take`, for
    arms that must not take more steps than the original, still reaches every row equally often.
    """
    first = (epoch - 1) * take
    rounds = range(first // count, (first + take - 1) // count + 1)
    stream = torch.cat([_permutation(count, seed, number) for number in rounds])
    return stream[first % count :][:take]


def _permutation(count: int, seed: int, number: int) -> Tensor:
    generator = torch.Generator().manual_seed(compute.seed(seed, SHUFFLE, number))
    return torch.randperm(count, generator=generator)


def batches(order: Tensor, size: int, least: int = 2) -> list[Tensor]:
    """Split in parts of `size`; a last part of fewer than `least` joins the part before it.

    Batch norm cannot do with one row, several processes not with fewer rows than there are.
    """
    parts = list(torch.split(order, size))
    if len(parts) > 1 and len(parts[-1]) < least:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts
