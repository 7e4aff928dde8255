"""Fit one network to one arm in memory: the loop and its parts."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from torch.optim import Adam
from torch.optim.lr_scheduler import ReduceLROnPlateau

from toolkit import compute, dataset, metrics, networks, pretrained
from toolkit.dataset import Tensors
from toolkit.errors import InputError
from toolkit.gradients import Watch
from toolkit.params import Recipe, Train
from toolkit.progress import Track, silent
from toolkit.runs import Epoch

INITIAL, SHUFFLE, DROPOUT = range(3)  # what a seed is for: each use draws from its own stream
RISES = {"loss": False, "accuracy": True, "gmean": True}


@dataclass(frozen=True)
class Job:
    """What is trained, apart from the data. `name` is the recipe's."""

    name: str
    recipe: Recipe
    settings: Train
    seed: int


@dataclass(frozen=True)
class Fitted:
    """The history, the epoch that was kept and its weights (a state dict on the CPU).

    `drawn`: with weights given to start from, those that they did not have and that were drawn.
    """

    history: tuple[Epoch, ...]
    best: Epoch
    weights: dict[str, Tensor]
    drawn: tuple[str, ...] = ()


@dataclass(frozen=True)
class Machine:
    """Where a job runs and in which precision."""

    device: torch.device
    dtype: torch.dtype


@dataclass(frozen=True)
class Trainee:
    """A network in training, with what changes it; `watch` measures its gradients, if asked to."""

    job: Job
    machine: Machine
    network: nn.Module
    optimiser: Adam
    schedule: ReduceLROnPlateau
    watch: Watch | None
    drawn: tuple[str, ...]


def job(settings: Train, name: str, seed: int) -> Job:
    """The recipe `name` of the section `train`, with a seed. Raises InputError if there is none."""
    if name not in settings.recipes:
        known = sorted(settings.recipes)
        raise InputError(f"recipe must be one of train.recipes, {known}, got {name!r}")
    return Job(name, settings.recipes[name], settings, seed)


def machine(settings: Train) -> Machine:
    """The device and precision that the settings mean on this machine."""
    device = compute.device(settings.device)
    return Machine(device, compute.precision(settings.precision, device))


def fit(
    arm: Tensors,
    valid: Tensors,
    job: Job,
    on_epoch: Callable[[Epoch], object] = lambda _: None,
    track: Track = silent,
) -> Fitted:
    """Train `job` on `arm` and keep the best epoch on `valid` (see `better`).

    Weights, order and dropout depend on the job's seed and the epoch only: the same machine,
    number of threads and versions give the same weights, bit for bit. Both sets stay on the
    device as uint8. `on_epoch` gets each epoch's numbers as soon as they are known.
    Raises InputError for data that cannot be trained on, and when the loss is not finite.
    """
    check(arm, valid, job)
    recipe, where = job.recipe, machine(job.settings).device
    history: list[Epoch] = []
    best, kept = None, {}
    with compute.reproducible(job.settings.threads, where):
        trainee = start(job, len(arm.classes))
        arm, valid = arm.to(where), valid.to(where)
        for epoch in track(range(1, recipe.epochs + 1), f"train {job.name}", recipe.epochs):
            row = step(trainee, arm, valid, epoch)
            if best is None or better(recipe.keep, row, best):
                best, kept = row, snapshot(trainee.network)
            history.append(row)
            on_epoch(row)
    assert best is not None  # noqa: S101  (a recipe has at least one epoch)
    return Fitted(tuple(history), best, kept, trainee.drawn)


def check(arm: Tensors, valid: Tensors, job: Job) -> None:
    """Raise InputError if `job` cannot be trained on these data, or be judged by them."""
    for what, ours, theirs in (
        ("classes", list(arm.classes), list(valid.classes)),
        ("image size", arm.size, valid.size),
    ):
        if ours != theirs:
            found = f"the {what} must be the same in both, got {ours} in the arm, {theirs} in valid"
            raise InputError(f"{found}; make both with the same `toolkit prepare`")
    for where, data in (("the arm", arm), ("valid", valid)):
        if missing := dataset.absent(data):
            raise InputError(f"{where} has no image of class {missing[0]!r}; it needs at least one")
    if job.recipe.batch < 2:
        key = f"train.recipes.{job.name}.batch"
        raise InputError(f"{key} must be at least 2 (batch norm compares images), got 1")


def start(job: Job, classes: int) -> Trainee:
    """The network with its first weights, Adam and the plateau schedule."""
    used, recipe, plateau = machine(job.settings), job.recipe, job.recipe.plateau
    torch.manual_seed(compute.seed(job.seed, INITIAL))
    try:
        network = networks.build(recipe.network, classes, recipe.negative_slope)
        drawn = pretrained.load(network, recipe, classes)
    except InputError as error:
        raise InputError(f"train.recipes.{job.name}.{error}") from error
    network = network.to(used.device).to(memory_format=torch.channels_last)
    optimiser = Adam(network.parameters(), recipe.learning_rate, fused=True)
    schedule = ReduceLROnPlateau(
        optimiser,
        mode="max" if RISES[plateau.watch] else "min",
        factor=plateau.factor,
        patience=plateau.patience,
        min_lr=plateau.floor,
    )
    watch = Watch.of(network) if recipe.gradients else None
    return Trainee(job, used, network, optimiser, schedule, watch, drawn)


def step(trainee: Trainee, arm: Tensors, valid: Tensors, epoch: int) -> Epoch:
    """Train for one epoch, measure on valid and let the schedule see the result."""
    rate = float(trainee.optimiser.param_groups[0]["lr"])
    loss = learn(trainee, arm, epoch)
    seen = trainee.watch.take() if trainee.watch else {}
    row = Epoch(epoch, loss, *measure(trainee, valid), rate, seen)
    if not (math.isfinite(row.train_loss) and math.isfinite(row.valid_loss)):
        key = f"train.recipes.{trainee.job.name}.learning_rate"
        found = f"the loss is no longer finite in epoch {epoch} ({row.train_loss} on train, "
        remedy = f"lower {key} (now {rate:g}) or set train.precision to float32"
        raise InputError(f"{found}{row.valid_loss} on valid); {remedy}")
    trainee.schedule.step(criterion(trainee.job.recipe.plateau.watch, row))
    return row


def learn(trainee: Trainee, arm: Tensors, epoch: int) -> float:
    """One epoch of optimiser steps; the mean loss. The device is waited for once, at the end."""
    job, network, where = trainee.job, trainee.network, trainee.machine.device
    torch.manual_seed(compute.seed(job.seed, DROPOUT, epoch))
    take = arm.originals if job.recipe.match_steps else len(arm.ids)
    order = shuffled(len(arm.ids), take, job.seed, epoch).to(where)
    total = torch.zeros((), dtype=torch.float64, device=where)
    network.train()
    for rows in batches(order, job.recipe.batch):
        with compute.autocast(where, trainee.machine.dtype):
            output = network(dataset.normalise(arm.images[rows]))
        value = loss(output, arm.labels[rows], job.recipe.loss_weights)
        trainee.optimiser.zero_grad()
        torch.autograd.backward(value)
        seen_and_clipped(trainee)
        trainee.optimiser.step()
        total += value.detach() * len(rows)
    return total.item() / take


def seen_and_clipped(trainee: Trainee) -> None:
    """What happens to gradients between backward and step: they are measured, then clipped."""
    if trainee.watch:
        trainee.watch.add()
    if trainee.job.recipe.clip_norm:
        clip_grad_norm_(trainee.network.parameters(), trainee.job.recipe.clip_norm)


def measure(trainee: Trainee, valid: Tensors) -> tuple[float, float, float]:
    """Loss, accuracy and G-mean on valid."""
    recipe, dtype = trainee.job.recipe, trainee.machine.dtype
    scores = compute.logits(trainee.network, valid.images, recipe.batch, dtype)
    value = cross_entropy(scores.double(), valid.labels).item()
    actual, predicted = valid.labels.cpu().numpy(), scores.argmax(1).cpu().numpy()
    matrix = metrics.confusion_matrix(actual, predicted, len(valid.classes))
    return value, float(metrics.accuracy(matrix)), float(metrics.gmean(matrix, valid.classes))


# --- its parts --------------------------------------------------------------------------------


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


def batches(order: Tensor, size: int) -> list[Tensor]:
    """Split in parts of `size`; a last part of one joins the part before it, for batch norm."""
    parts = list(torch.split(order, size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def loss(output: Tensor | tuple[Tensor, ...], labels: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Mean cross-entropy; of a network with auxiliary heads the weighted sum over its heads."""
    losses = [cross_entropy(head.float(), labels) for head in networks.heads(output)]
    if len(losses) == 1:
        return losses[0]
    return torch.stack([w * one for w, one in zip(weights, losses, strict=True)]).sum()


def criterion(name: str, row: Epoch) -> float:
    """What `plateau.watch` and `keep` name: a number measured on valid."""
    return {"loss": row.valid_loss, "accuracy": row.valid_accuracy, "gmean": row.valid_gmean}[name]


def better(name: str, row: Epoch, best: Epoch) -> bool:
    """Whether `row` beats `best` by this criterion, or is its equal with less loss.

    With a very rare class G-mean is 0 for many epochs: without the loss the first one, which has
    learnt nothing, would be kept.
    """
    new, old = criterion(name, row), criterion(name, best)
    if new == old:
        return row.valid_loss < best.valid_loss
    return new > old if RISES[name] else new < old


def snapshot(network: nn.Module) -> dict[str, Tensor]:
    """A copy of the weights and batch norm's averages, on the CPU."""
    return {
        name: value.detach().to("cpu", copy=True) for name, value in network.state_dict().items()
    }
