"""Fit a head on the features of a network with ImageNet's weights, which stay as they are."""

import functools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from toolkit.metrics import confusion, scores
from toolkit.metrics.arrays import Floats, Labels
from toolkit.progress import Track, ignore, silent
from toolkit.training import device, loop
from toolkit.training.dataset import Data
from toolkit.training.loop import FitResult
from toolkit.training.pretrained import backbones, heads
from toolkit.training.pretrained.features import BATCH
from toolkit.training.pretrained.heads import Head, TrainingSet
from toolkit.training.runs import Epoch
from toolkit.training.state import TrainingJob, resolve_machine

STRONGEST = 4
"""The last epoch's penalty: 10 to this power, a tenth of it in each epoch before."""


def fit_frozen(
    arm: Data,
    valid: Data,
    job: TrainingJob,
    on_epoch: Callable[[Epoch], object] = ignore,
    track: Track = silent,
) -> FitResult:
    """Fit a class-balanced head on `arm`, once for each epoch, from weak to strong penalties.

    The head that is best on `valid`, by the recipe's `keep`, becomes the last layer of the network.
    Nothing is random: all seeds give the same weights. Raises InputError as `loop.check_data` and
    `backbones.load_backbone` do.
    """
    loop.check_data(arm, valid, job)
    where = resolve_machine(job.settings).device
    network = backbones.load_backbone(job.recipe.network).network.to(where)
    with device.reproducible(job.settings.threads, where):
        ours, theirs = (_embed(network, data.to(where), track) for data in (arm, valid))
    data = TrainingSet(ours, arm.labels.cpu().numpy(), len(arm.classes), balanced=True)
    fitted: list[tuple[Epoch, Head]] = []
    for epoch in range(1, job.recipe.epochs + 1):
        strength = 10.0 ** (job.recipe.epochs - STRONGEST - epoch)
        head = heads.fit_head(data, np.arange(len(data.labels)), strength)
        fitted.append((_measured(epoch, head, data, theirs, valid.labels.cpu().numpy()), head))
        on_epoch(fitted[-1][0])
    best, kept = functools.reduce(functools.partial(_better, job.recipe.keep), fitted)
    history = tuple(epoch for epoch, _ in fitted)
    return FitResult(history, best, _with_head(kept), drawn=(), complete=True, parts=1)


def _better(keep: str, one: tuple[Epoch, Head], other: tuple[Epoch, Head]) -> tuple[Epoch, Head]:
    """Return the better of two, the first one if they are equal."""
    return other if loop.is_better(keep, other[0], one[0]) else one


def _embed(network: torch.nn.Module, data: Data, track: Track) -> Floats:
    batches = torch.split(torch.arange(len(data.labels)), BATCH)
    images = (pixels for pixels, _ in track(data.take(batches), "embed", len(batches)))
    return device.forward_batches(network, images).double().cpu().numpy()


def _measured(epoch: int, head: Head, data: TrainingSet, valid: Floats, labels: Labels) -> Epoch:
    of_arm, of_valid = head.scores(data.features), head.scores(valid)
    matrix = confusion.confusion_matrix(labels, of_valid.argmax(axis=1), data.classes)
    return Epoch(
        epoch=epoch,
        train_loss=float(scores.log_loss(data.labels, of_arm)),
        valid_loss=float(scores.log_loss(labels, of_valid)),
        valid_accuracy=float(confusion.accuracy(matrix)),
        valid_gmean=float(confusion.gmean(matrix)),
        learning_rate=0.0,
    )


def _with_head(head: Head) -> dict[str, Tensor]:
    """Return the network's weights with the head as its last layer."""
    last = {
        "fc.weight": torch.from_numpy(head.coefficients).float(),
        "fc.bias": torch.from_numpy(head.intercepts).float(),
    }
    return backbones.lite0_weights() | last
