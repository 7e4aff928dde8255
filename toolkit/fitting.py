"""Fit one network to one arm: the loop and its parts."""

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_

from toolkit import compute, dataset, metrics, networks, ordering, trainee
from toolkit.dataset import Tensors
from toolkit.errors import InputError
from toolkit.limits import Limits, OutOfTimeError
from toolkit.progress import Track, silent
from toolkit.runs import Epoch
from toolkit.trainee import Job, State, Trainee

DROPOUT = 2  # seeds draw from a stream for each use: first weights 0, order 1


@dataclass(frozen=True)
class Fitted:
    """The history, the epoch that was kept and its weights (a state dict on the CPU).

    `drawn`: with weights given to start from, those that they did not have and that were drawn.
    `complete`: whether all epochs were trained, and not as many as there was time for.
    """

    history: tuple[Epoch, ...]
    best: Epoch
    weights: dict[str, Tensor]
    drawn: tuple[str, ...]
    complete: bool


def fit(
    arm: Tensors,
    valid: Tensors,
    job: Job,
    on_epoch: Callable[[Epoch], object] = lambda _: None,
    track: Track = silent,
    limits: Limits | None = None,
) -> Fitted:
    """Train `job` on `arm` and keep the best epoch on `valid` (see `better`).

    Weights, order and dropout depend on the job's seed and the epoch only: the same machine,
    number of threads and versions give the same weights, bit for bit, also where `limits` saved
    and interrupted the training and it went on. Both sets stay on the device as uint8. `on_epoch`
    gets each epoch's numbers as soon as they are known, saved ones first.
    Raises InputError for data that cannot be trained on, and when the loss is not finite; and as
    `Limits` does.
    """
    check(arm, valid, job)
    limits = limits or Limits()
    epochs, where = job.recipe.epochs, trainee.machine(job.settings).device
    with compute.reproducible(job.settings.threads, where), limits.listening():
        pupil = trainee.start(job, len(arm.classes))
        state = limits.resume(pupil) or State.first(where)
        arm, valid = arm.to(where), valid.to(where)
        for row in state.history:
            on_epoch(row)
        left = range(len(state.history) + 1, epochs + 1)
        with contextlib.suppress(OutOfTimeError):
            for epoch in track(left, f"train {job.name}", len(left)):
                on_epoch(step(pupil, state, arm, valid, limits))
                if epoch < epochs:
                    limits.after_epoch(pupil, state)
    if state.best is None:
        raise InputError(
            "the minutes were over before the first epoch was; give --max-minutes more"
        )
    complete = len(state.history) == epochs
    return Fitted(tuple(state.history), state.best, state.kept, pupil.drawn, complete)


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


def step(pupil: Trainee, state: State, arm: Tensors, valid: Tensors, limits: Limits) -> Epoch:
    """Train for one epoch, measure on valid and let the schedule see the result."""
    epoch, recipe = len(state.history) + 1, pupil.job.recipe
    rate = float(pupil.optimiser.param_groups[0]["lr"])
    loss = learn(pupil, state, arm, limits)
    seen = pupil.watch.take() if pupil.watch else {}
    row = Epoch(epoch, loss, *measure(pupil, valid), rate, seen)
    if not (math.isfinite(row.train_loss) and math.isfinite(row.valid_loss)):
        key = f"train.recipes.{pupil.job.name}.learning_rate"
        found = f"the loss is no longer finite in epoch {epoch} ({row.train_loss} on train, "
        remedy = f"lower {key} (now {rate:g}) or set train.precision to float32"
        raise InputError(f"{found}{row.valid_loss} on valid); {remedy}")
    pupil.schedule.step(criterion(recipe.plateau.watch, row))
    if state.best is None or better(recipe.keep, row, state.best):
        state.best, state.kept = row, trainee.snapshot(pupil.network)
    state.history.append(row)
    state.step = 0
    state.total.zero_()
    return row


def learn(pupil: Trainee, state: State, arm: Tensors, limits: Limits) -> float:
    """The rest of an epoch's steps; its mean loss. The device is waited for once, at the end."""
    job, epoch, where = pupil.job, len(state.history) + 1, pupil.machine.device
    take = arm.originals if job.recipe.match_steps else len(arm.ids)
    order = ordering.shuffled(len(arm.ids), take, job.seed, epoch).to(where)
    if not state.step:
        torch.manual_seed(compute.seed(job.seed, DROPOUT, epoch))
    pupil.network.train()
    for rows in ordering.batches(order, job.recipe.batch)[state.step :]:
        state.total += advance(pupil, arm.images[rows], arm.labels[rows]) * len(rows)
        state.step += 1
        limits.after_step(pupil, state)
    return state.total.item() / take


def advance(pupil: Trainee, images: Tensor, labels: Tensor) -> Tensor:
    """One optimiser step on uint8 images; their mean loss, on the device."""
    with compute.autocast(pupil.machine.device, pupil.machine.dtype):
        output = pupil.network(dataset.normalise(images))
    value = loss(output, labels, pupil.job.recipe.loss_weights)
    pupil.optimiser.zero_grad()
    torch.autograd.backward(value)
    seen_and_clipped(pupil)
    pupil.optimiser.step()
    return value.detach()


def seen_and_clipped(pupil: Trainee) -> None:
    """What happens to gradients between backward and step: they are measured, then clipped."""
    if pupil.watch:
        pupil.watch.add()
    if pupil.job.recipe.clip_norm:
        clip_grad_norm_(pupil.network.parameters(), pupil.job.recipe.clip_norm)


def measure(pupil: Trainee, valid: Tensors) -> tuple[float, float, float]:
    """Loss, accuracy and G-mean on valid."""
    recipe, dtype = pupil.job.recipe, pupil.machine.dtype
    scores = compute.logits(pupil.network, valid.images, recipe.batch, dtype)
    value = cross_entropy(scores.double(), valid.labels).item()
    actual, predicted = valid.labels.cpu().numpy(), scores.argmax(1).cpu().numpy()
    matrix = metrics.confusion_matrix(actual, predicted, len(valid.classes))
    return value, float(metrics.accuracy(matrix)), float(metrics.gmean(matrix, valid.classes))


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
    return new > old if trainee.RISES[name] else new < old
