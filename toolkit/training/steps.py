"""One optimizer step, one measurement, and batches that do not fit in memory."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_

from toolkit.errors import InputError
from toolkit.metrics import confusion
from toolkit.training import device, networks
from toolkit.training.dataset import Data
from toolkit.training.params import Recipe
from toolkit.training.state import TrainingJob, TrainingState, initial_state, resolve_machine

LEAST = 2
"""Images in a part of a batch: batch norm compares images."""
COPIES = 11
"""Of the weights: gradients, Adam's moments, the kept weights, a checkpoint as it is written."""
BASE = 100_000_000
"""Bytes: what a forked process changes of its parent's memory, and oneDNN's own."""


def train_step(
    state: TrainingState,
    images: Tensor,
    labels: Tensor,
    weight: float = 1,
    parts: int = 1,
    sample_weights: Tensor | None = None,
) -> Tensor:
    """Take one optimizer step on uint8 images; return their mean loss, on the device.

    With `sample_weights` [N], of which the mean over all batches is 1, each image's loss is
    multiplied by its own: the loss of all batches together is then the weighted mean.
    `weight` scales the gradients: with several processes, this one's fraction of the batch times
    their number. With several `parts` the images go through the network one part after the other,
    and their gradients are added up; a short batch has fewer parts, of at least two images.
    """
    state.optimizer.zero_grad()
    losses = []
    parts = max(1, min(parts, len(labels) // LEAST))
    split = [None] * parts if sample_weights is None else sample_weights.tensor_split(parts)
    pairs = zip(images.tensor_split(parts), labels.tensor_split(parts), split, strict=True)
    for some, targets, own in pairs:
        with device.autocast(state.machine.device, state.machine.dtype):
            output = state.forward(device.normalize(some))
        value = loss(output, targets, state.job.recipe.loss_weights, own)
        value = value * (len(targets) / len(labels))
        torch.autograd.backward(value * weight)
        losses.append(value.detach())
    if state.meter:
        state.meter.update()
    if state.job.recipe.clip_norm:
        clip_grad_norm_(state.network.parameters(), state.job.recipe.clip_norm)
    state.optimizer.step()
    return torch.stack(losses).sum()


def loss(
    output: Tensor | tuple[Tensor, ...],
    labels: Tensor,
    weights: Sequence[float],
    sample_weights: Tensor | None = None,
) -> Tensor:
    """Return the mean cross-entropy; with auxiliary heads, its weighted sum over the heads."""
    heads = [head.float() for head in networks.output_heads(output)]
    losses = [_mean_cross_entropy(head, labels, sample_weights) for head in heads]
    if len(losses) == 1:
        return losses[0]
    return torch.stack([w * value for w, value in zip(weights, losses, strict=True)]).sum()


def _mean_cross_entropy(logits: Tensor, labels: Tensor, sample_weights: Tensor | None) -> Tensor:
    if sample_weights is None:
        return cross_entropy(logits, labels)
    return (cross_entropy(logits, labels, reduction="none") * sample_weights).mean()


def validate(state: TrainingState, valid: Data, parts: int = 1) -> tuple[float, float, float]:
    """Return loss, accuracy and G-mean on valid."""
    group, labels = state.group, valid.labels
    rows = group.local(torch.arange(len(labels)))
    batches = valid.take(torch.split(rows, max(1, state.job.recipe.measured // parts)))
    local = device.forward_batches(
        state.network, (images for images, _ in batches), state.machine.dtype
    )
    logits = local.new_zeros(len(labels), len(valid.classes))
    logits[rows.to(labels.device)] = local
    group.sum(logits)
    value = cross_entropy(logits.double(), labels).item()
    actual, predicted = labels.cpu().numpy(), logits.argmax(1).cpu().numpy()
    matrix = confusion.confusion_matrix(actual, predicted, len(valid.classes))
    return value, float(confusion.accuracy(matrix)), float(confusion.gmean(matrix, valid.classes))


# --- batches that do not fit in memory --------------------------------------------------------


def more_parts(arm: Data, job: TrainingJob, parts: int, epochs: int, reason: str) -> int:
    """Return in how many parts to take a batch that did not fit in `parts`, if the recipe allows.

    `epochs`: how many were done. Raises InputError otherwise, which names a batch size that fits,
    or the `reason` that torch gave where none does.
    """
    if epochs:
        problem = f"memory ran out in epoch {epochs + 1}, not in the first"
        raise InputError(f"{problem}; free some, then the same command resumes")
    if job.recipe.accumulate and job.recipe.batch // (2 * parts) >= LEAST:
        return 2 * parts
    sizes = [job.recipe.batch // 2**k for k in range(1, job.recipe.batch.bit_length())]
    size = next((size for size in sizes if size >= LEAST and batch_fits(arm, job, size)), None)
    key, where = f"train.recipes.{job.name}", resolve_machine(job.settings).device.type
    problem = f"{key}.batch {job.recipe.batch} does not fit in the memory of this machine ({where})"
    if size is None:
        remedy = f"train on smaller images ({key}.size)"
        raise InputError(f"{problem}, nor does one of 2 ({reason}); {remedy}")
    remedy = f"set it to {size}, which does, or {key}.accumulate to true"
    raise InputError(f"{problem}; {remedy}")


def estimate_memory(recipe: Recipe, size: int, classes: int) -> int:
    """Estimate the bytes that a training takes on a CPU, beside those of torch and the images.

    These are COPIES of the weights, BASE, and each module's output, kept for the backward pass: as
    much as two images leave, for each two of a batch. Measured: 0.5 to 1.0 of it (ResNet18,
    GoogLeNet and VGG16, 48 to 128 px).
    """
    outputs: list[int] = []
    with device.reproducible(1, device.CPU), torch.inference_mode():
        with device.Uninitialized():  # what is computed does not matter
            network = networks.build_network(recipe.network, classes, width=recipe.width).train()
        for module in network.modules():
            if not list(module.children()):
                module.register_forward_hook(lambda *args: outputs.append(args[-1].numel()))
        network(torch.zeros(LEAST, 3, size, size))
    weights = sum(p.numel() for p in network.parameters())
    return 4 * (COPIES * weights + sum(outputs) * recipe.batch // LEAST) + BASE


def batch_fits(arm: Data, job: TrainingJob, size: int) -> bool:
    """Return whether a step on `size` images succeeds, trying it with a network of its own."""
    try:
        state = initial_state(job, len(arm.classes))
        state.network.train()
        for images, labels in arm.take([torch.arange(min(size, len(arm.labels)))]):
            train_step(state, images, labels)
    except (RuntimeError, MemoryError) as error:
        if not device.is_out_of_memory(error):
            raise
        return False
    return True
