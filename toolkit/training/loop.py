"""Fit one network to one arm: the loop and its parts."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_

from toolkit.errors import InputError
from toolkit.metrics import confusion
from toolkit.progress import Track, silent
from toolkit.training import dataset, device, networks
from toolkit.training.checkpoints import CheckpointSchedule, OutOfTimeError
from toolkit.training.dataset import Data
from toolkit.training.device import normalize
from toolkit.training.runs import Epoch
from toolkit.training.state import (
    RISES,
    TrainingJob,
    TrainingPosition,
    TrainingState,
    machine,
    snapshot,
    start,
)


class DivergedError(InputError):
    """The loss is no longer finite."""


DROPOUT = 2  # seeds draw from a stream for each use: first weights 0, order 1


@dataclass(frozen=True)
class FitResult:
    """The history, the epoch that was kept and its weights (a state dict on the CPU).

    `drawn`: with weights given to start from, those that they did not have and that were drawn.
    `complete`: whether all epochs were trained, and not as many as there was time for.
    `parts`: in how many parts a batch was taken, for want of memory. `problem`: why the training
    could not go on after these epochs, or nothing.
    """

    history: tuple[Epoch, ...]
    best: Epoch
    weights: dict[str, Tensor]
    drawn: tuple[str, ...]
    complete: bool
    parts: int
    problem: str = ""


def fit(
    arm: Data,
    valid: Data,
    job: TrainingJob,
    on_epoch: Callable[[Epoch], object] = lambda _: None,
    track: Track = silent,
    limits: CheckpointSchedule | None = None,
) -> FitResult:
    """Train `job` on `arm` and keep the best epoch on `valid` (see `better`).

    Weights, order and dropout depend on the job's seed and the epoch only: the same machine,
    number of threads and versions give the same weights, bit for bit, also where `limits` saved
    and interrupted the training and it went on. `on_epoch` gets each epoch's numbers as soon as
    they are known, saved ones first.
    Raises InputError for data that cannot be trained on, where memory does not suffice, and when
    the loss is not finite in the first epoch (later ones end with a `problem`); and as `Limits`.
    """
    check_step(arm, valid, job)
    limits = limits or CheckpointSchedule()
    parts, where = 1, machine(job.settings).device
    with device.reproducible(job.settings.threads, where), limits.listening():
        arm, valid = arm.to(where), valid.to(where)
        pupil, state = None, TrainingPosition.first(where)
        while True:
            try:
                pupil = start(job, len(arm.classes), limits.group)
                state = limits.resume(pupil) or TrainingPosition.first(where)
                parts = state.parts = max(state.parts, parts)
                return _epochs(pupil, state, (arm, valid), on_epoch, track, limits)
            except (RuntimeError, MemoryError) as error:
                if not device.out_of_memory(error):
                    raise
                said = (str(error) or type(error).__name__).partition("\n")[0]
            pupil = None  # its memory is needed
            parts = more_parts(arm, job, parts, len(state.history), said)


def _epochs(
    pupil: TrainingState,
    state: TrainingPosition,
    data: tuple[Data, Data],
    on_epoch: Callable[[Epoch], object],
    track: Track,
    limits: CheckpointSchedule,
) -> FitResult:
    epochs = pupil.job.recipe.epochs
    for row in state.history:
        on_epoch(row)
    left = range(len(state.history) + 1, epochs + 1)
    problem = ""
    try:
        for epoch in track(left, f"train {pupil.job.name}", len(left)):
            on_epoch(step(pupil, state, *data, limits))
            if epoch < epochs:
                limits.after_epoch(pupil, state)
    except OutOfTimeError:
        pass
    except DivergedError as error:
        problem = str(error)
    if state.best is None:
        raise InputError(
            problem or "the minutes were over before the first epoch was; give --max-minutes more"
        )
    complete = len(state.history) == epochs
    history = tuple(state.history)
    return FitResult(history, state.best, state.kept, pupil.drawn, complete, state.parts, problem)


def check_step(arm: Data, valid: Data, job: TrainingJob) -> None:
    """Raise InputError if `job` cannot be trained on these data, or be judged by them."""
    for what, ours, theirs in (
        ("classes", list(arm.classes), list(valid.classes)),
        ("image size", arm.size, valid.size),
    ):
        if ours != theirs:
            found = f"the {what} must be the same in both, got {ours} in the arm, {theirs} in valid"
            raise InputError(f"{found}; make both with the same `toolkit prepare`")
    for where, data in (("the arm", arm), ("valid", valid)):
        if missing := dataset.missing_classes(data):
            raise InputError(f"{where} has no image of class {missing[0]!r}; it needs at least one")
    if job.recipe.batch < 2:
        key = f"train.recipes.{job.name}.batch"
        raise InputError(f"{key} must be at least 2 (batch norm compares images), got 1")


def step(
    pupil: TrainingState,
    state: TrainingPosition,
    arm: Data,
    valid: Data,
    limits: CheckpointSchedule,
) -> Epoch:
    """Train for one epoch, measure on valid and let the schedule see the result."""
    epoch, recipe = len(state.history) + 1, pupil.job.recipe
    rate = float(pupil.optimiser.param_groups[0]["lr"])
    loss = learn(pupil, state, arm, limits)
    seen = pupil.watch.take() if pupil.watch else {}
    row = Epoch(epoch, loss, *validate(pupil, valid, state.parts), rate, seen)
    if not (math.isfinite(row.train_loss) and math.isfinite(row.valid_loss)):
        key = f"train.recipes.{pupil.job.name}.learning_rate"
        found = f"the loss is no longer finite in epoch {epoch} ({row.train_loss} on train, "
        remedy = f"lower {key} (now {rate:g}) or set train.precision to float32"
        raise DivergedError(f"{found}{row.valid_loss} on valid); {remedy}")
    pupil.schedule.step(criterion(recipe.plateau.watch, row))
    if state.best is None or better(recipe.keep, row, state.best):
        state.best, state.kept = row, snapshot(pupil.network)
    state.history.append(row)
    state.step = 0
    state.total.zero_()
    return row


def learn(
    pupil: TrainingState, state: TrainingPosition, arm: Data, limits: CheckpointSchedule
) -> float:
    """The rest of an epoch's steps; its mean loss. The device is waited for once, at the end."""
    job, group, epoch = pupil.job, pupil.group, len(state.history) + 1
    count = len(arm.labels)
    take = arm.originals if job.recipe.match_steps else count
    order = dataset.shuffled(count, take, job.seed, epoch)
    batches = dataset.batches(order, job.recipe.batch, max(2, group.size))[state.step :]
    if not state.step:
        torch.manual_seed(
            device.derive_seed(job.seed, DROPOUT, epoch, *([group.rank] * bool(group.rank)))
        )
    pupil.network.train()
    mine = [group.mine(rows) for rows in batches]
    for rows, (images, labels) in zip(batches, arm.take(mine), strict=True):
        share = len(labels) * group.size / len(rows)
        state.total += advance(pupil, images, labels, share, state.parts) * len(labels)
        state.step += 1
        limits.after_step(pupil, state)
    return group.sum(state.total).item() / take


def advance(
    pupil: TrainingState, images: Tensor, labels: Tensor, share: float = 1, parts: int = 1
) -> Tensor:
    """One optimiser step on uint8 images; their mean loss, on the device.

    `share`: what this process's images weigh among those of all. With several `parts` the images
    go through the network one part after the other, and their gradients are added up.
    """
    pupil.optimiser.zero_grad()
    losses = []
    for some, right in zip(images.tensor_split(parts), labels.tensor_split(parts), strict=True):
        with device.autocast(pupil.machine.device, pupil.machine.dtype):
            output = pupil.forward(normalize(some))
        value = loss(output, right, pupil.job.recipe.loss_weights) * (len(right) / len(labels))
        torch.autograd.backward(value * share)
        losses.append(value.detach())
    seen_and_clipped(pupil)
    pupil.optimiser.step()
    return torch.stack(losses).sum()


def seen_and_clipped(pupil: TrainingState) -> None:
    """What happens to gradients between backward and step: they are measured, then clipped."""
    if pupil.watch:
        pupil.watch.add()
    if pupil.job.recipe.clip_norm:
        clip_grad_norm_(pupil.network.parameters(), pupil.job.recipe.clip_norm)


def validate(pupil: TrainingState, valid: Data, parts: int = 1) -> tuple[float, float, float]:
    """Loss, accuracy and G-mean on valid."""
    group, labels = pupil.group, valid.labels
    rows = group.mine(torch.arange(len(labels)))
    batches = valid.take(torch.split(rows, max(1, pupil.job.recipe.batch // parts)))
    found = device.outputs(pupil.network, (images for images, _ in batches), pupil.machine.dtype)
    scores = found.new_zeros(len(labels), len(valid.classes))
    scores[rows.to(labels.device)] = found
    group.sum(scores)
    value = cross_entropy(scores.double(), labels).item()
    actual, predicted = labels.cpu().numpy(), scores.argmax(1).cpu().numpy()
    matrix = confusion.confusion_matrix(actual, predicted, len(valid.classes))
    return value, float(confusion.accuracy(matrix)), float(confusion.gmean(matrix, valid.classes))


def more_parts(arm: Data, job: TrainingJob, parts: int, epochs: int, said: str) -> int:
    """In how many parts to take a batch that did not fit in `parts`, if the recipe allows it.

    Raises InputError otherwise; it says which batch fits, or, where none does, what torch `said`.
    """
    if epochs:
        found = f"memory was used up in epoch {epochs + 1}, not in the first"
        raise InputError(f"{found}; end what else uses it, then the same command goes on")
    if job.recipe.accumulate and job.recipe.batch // (2 * parts) >= 2:
        return 2 * parts
    sizes = [job.recipe.batch // 2**k for k in range(1, job.recipe.batch.bit_length())]
    fitting = next((size for size in sizes if size >= 2 and batch_fits(arm, job, size)), None)
    key, here = f"train.recipes.{job.name}", machine(job.settings).device.type
    found = f"{key}.batch {job.recipe.batch} does not fit in the memory of this machine ({here})"
    if fitting is None:
        raise InputError(f"{found}, nor does one of 2 ({said}); train on smaller images")
    remedy = f"set it to {fitting}, which does, or {key}.accumulate to true"
    raise InputError(f"{found}; {remedy}")


def batch_fits(arm: Data, job: TrainingJob, size: int) -> bool:
    """Whether a step on `size` images can be taken. It is taken with a network of its own."""
    try:
        pupil = start(job, len(arm.classes))
        pupil.network.train()
        for images, labels in arm.take([torch.arange(min(size, len(arm.labels)))]):
            advance(pupil, images, labels)
    except (RuntimeError, MemoryError) as error:
        if not device.out_of_memory(error):
            raise
        return False
    return True


def loss(output: Tensor | tuple[Tensor, ...], labels: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Mean cross-entropy; of a network with auxiliary heads the weighted sum over its heads."""
    losses = [cross_entropy(head.float(), labels) for head in networks.output_heads(output)]
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
