"""The training loop: fit one network to one arm."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_

from toolkit.errors import InputError
from toolkit.metrics import confusion
from toolkit.progress import Track, ignore, silent
from toolkit.training import dataset, device, networks
from toolkit.training.checkpoints import CheckpointSchedule, OutOfTimeError
from toolkit.training.dataset import Data
from toolkit.training.runs import Epoch
from toolkit.training.state import (
    HIGHER_IS_BETTER,
    TrainingJob,
    TrainingPosition,
    TrainingState,
    copy_weights,
    initial_state,
    resolve_machine,
)

DROPOUT_STREAM = 2  # see state.WEIGHTS_STREAM


class DivergedError(InputError):
    """The loss is no longer finite."""


@dataclass(frozen=True)
class FitResult:
    """The history, the epoch that was kept and its weights (a state dict on the CPU).

    `drawn`: the weights that a file of pretrained weights lacked. `complete`: whether all epochs
    were trained. `parts`: in how many parts a batch was taken, for lack of memory. `problem`: why
    the training could not continue after these epochs, or "".
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
    on_epoch: Callable[[Epoch], object] = ignore,
    track: Track = silent,
    schedule: CheckpointSchedule | None = None,
) -> FitResult:
    """Train `job` on `arm` and keep the weights of the best epoch on `valid` (see `is_better`).

    Weights, order and dropout depend on the job's seed and the epoch only: the same machine,
    number of threads and versions give the same weights, bit for bit, also where `schedule` saved
    and stopped the training and it was resumed. `on_epoch` gets each epoch as it ends, those of a
    checkpoint first.
    Raises InputError for data that cannot be trained on, for lack of memory, and when the loss is
    not finite in the first epoch (in later ones it is a `problem`); and as CheckpointSchedule does.
    """
    check_data(arm, valid, job)
    schedule = schedule or CheckpointSchedule()
    parts, where = 1, resolve_machine(job.settings).device
    with device.reproducible(job.settings.threads, where), schedule.listening():
        arm, valid = arm.to(where), valid.to(where)
        state, position = None, TrainingPosition.first(where)
        while True:
            try:
                state = initial_state(job, len(arm.classes), schedule.group)
                position = schedule.resume(state) or TrainingPosition.first(where)
                parts = position.parts = max(position.parts, parts)
                return _run_epochs(state, position, (arm, valid), on_epoch, track, schedule)
            except (RuntimeError, MemoryError) as error:
                if not device.is_out_of_memory(error):
                    raise
                reason = (str(error) or type(error).__name__).partition("\n")[0]
            state = None  # frees its memory
            parts = more_parts(arm, job, parts, len(position.history), reason)


def check_data(arm: Data, valid: Data, job: TrainingJob) -> None:
    """Raise InputError if `job` cannot be trained on `arm` or measured on `valid`."""
    for what, ours, theirs in (
        ("classes", list(arm.classes), list(valid.classes)),
        ("image size", arm.size, valid.size),
    ):
        if ours != theirs:
            problem = f"the {what} must be the same in both, got {ours} in the arm, {theirs} in"
            raise InputError(f"{problem} valid; make both with the same `toolkit prepare`")
    for where, data in (("the arm", arm), ("valid", valid)):
        if missing := [name for name, n in dataset.class_counts(data).items() if n == 0]:
            raise InputError(f"{where} has no image of class {missing[0]!r}; it needs at least one")
    if job.recipe.batch < 2:
        key = f"train.recipes.{job.name}.batch"
        raise InputError(f"{key} must be at least 2 (batch norm compares images), got 1")


def _run_epochs(
    state: TrainingState,
    position: TrainingPosition,
    data: tuple[Data, Data],
    on_epoch: Callable[[Epoch], object],
    track: Track,
    schedule: CheckpointSchedule,
) -> FitResult:
    epochs = state.job.recipe.epochs
    for row in position.history:
        on_epoch(row)
    remaining = range(len(position.history) + 1, epochs + 1)
    problem = ""
    try:
        for epoch in track(remaining, f"train {state.job.name}", len(remaining)):
            on_epoch(run_epoch(state, position, *data, schedule))
            if epoch < epochs:
                schedule.after_epoch(state, position)
    except OutOfTimeError:
        pass
    except DivergedError as error:
        problem = str(error)
    if position.best is None:
        raise InputError(
            problem or "the time was up before the end of the first epoch; raise --max-minutes"
        )
    return FitResult(
        history=tuple(position.history),
        best=position.best,
        weights=position.kept,
        drawn=state.drawn,
        complete=len(position.history) == epochs,
        parts=position.parts,
        problem=problem,
    )


def run_epoch(
    state: TrainingState,
    position: TrainingPosition,
    arm: Data,
    valid: Data,
    schedule: CheckpointSchedule,
) -> Epoch:
    """Train for one epoch, measure on valid and adapt the learning rate.

    Raises DivergedError for a loss that is not finite.
    """
    number, recipe = len(position.history) + 1, state.job.recipe
    rate = float(state.optimizer.param_groups[0]["lr"])
    train_loss = train_epoch(state, position, arm, schedule)
    norms = state.meter.take() if state.meter else {}
    epoch = Epoch(number, train_loss, *validate(state, valid, position.parts), rate, norms)
    if not (math.isfinite(epoch.train_loss) and math.isfinite(epoch.valid_loss)):
        losses = f"{epoch.train_loss} on train, {epoch.valid_loss} on valid"
        key = f"train.recipes.{state.job.name}.learning_rate"
        remedy = f"lower {key} (now {rate:g}) or set train.precision to float32"
        raise DivergedError(f"the loss is no longer finite in epoch {number} ({losses}); {remedy}")
    state.scheduler.step(criterion(recipe.plateau.watch, epoch))
    if position.best is None or is_better(recipe.keep, epoch, position.best):
        position.best, position.kept = epoch, copy_weights(state.network)
    position.history.append(epoch)
    position.step = 0
    position.total.zero_()
    return epoch


def train_epoch(
    state: TrainingState, position: TrainingPosition, arm: Data, schedule: CheckpointSchedule
) -> float:
    """Take the remaining steps of an epoch; return its mean loss.

    The device is waited for once, at the end.
    """
    job, group, epoch = state.job, state.group, len(position.history) + 1
    take = arm.originals if job.recipe.match_steps else len(arm.labels)
    order = dataset.shuffled_rows(len(arm.labels), take, job.seed, epoch)
    batches = dataset.split_batches(order, job.recipe.batch, max(2, group.size))[position.step :]
    if not position.step:
        torch.manual_seed(
            device.derive_seed(job.seed, DROPOUT_STREAM, epoch, *([group.rank] * bool(group.rank)))
        )
    state.network.train()
    local = [group.local(rows) for rows in batches]
    for rows, (images, labels) in zip(batches, arm.take(local), strict=True):
        weight = len(labels) * group.size / len(rows)
        position.total += train_step(state, images, labels, weight, position.parts) * len(labels)
        position.step += 1
        schedule.after_step(state, position)
    return group.sum(position.total).item() / take


def train_step(
    state: TrainingState, images: Tensor, labels: Tensor, weight: float = 1, parts: int = 1
) -> Tensor:
    """Take one optimizer step on uint8 images; return their mean loss, on the device.

    `weight` scales the gradients: with several processes, this one's fraction of the batch times
    their number. With several `parts` the images go through the network one part after the other,
    and their gradients are added up.
    """
    state.optimizer.zero_grad()
    losses = []
    for some, targets in zip(images.tensor_split(parts), labels.tensor_split(parts), strict=True):
        with device.autocast(state.machine.device, state.machine.dtype):
            output = state.forward(device.normalize(some))
        value = loss(output, targets, state.job.recipe.loss_weights)
        value = value * (len(targets) / len(labels))
        torch.autograd.backward(value * weight)
        losses.append(value.detach())
    if state.meter:
        state.meter.update()
    if state.job.recipe.clip_norm:
        clip_grad_norm_(state.network.parameters(), state.job.recipe.clip_norm)
    state.optimizer.step()
    return torch.stack(losses).sum()


def loss(output: Tensor | tuple[Tensor, ...], labels: Tensor, weights: Sequence[float]) -> Tensor:
    """Return the mean cross-entropy; with auxiliary heads, its weighted sum over the heads."""
    losses = [cross_entropy(head.float(), labels) for head in networks.output_heads(output)]
    if len(losses) == 1:
        return losses[0]
    return torch.stack([w * value for w, value in zip(weights, losses, strict=True)]).sum()


def validate(state: TrainingState, valid: Data, parts: int = 1) -> tuple[float, float, float]:
    """Return loss, accuracy and G-mean on valid."""
    group, labels = state.group, valid.labels
    rows = group.local(torch.arange(len(labels)))
    batches = valid.take(torch.split(rows, max(1, state.job.recipe.batch // parts)))
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


def criterion(name: str, epoch: Epoch) -> float:
    """Return the value on valid that `plateau.watch` or `keep` names."""
    values = {
        "loss": epoch.valid_loss,
        "accuracy": epoch.valid_accuracy,
        "gmean": epoch.valid_gmean,
    }
    return values[name]


def is_better(name: str, epoch: Epoch, best: Epoch) -> bool:
    """Return whether an epoch beats the best one by this criterion, or ties with a lower loss.

    With a very rare class G-mean is 0 for many epochs: without the loss the first of them, which
    has learned nothing, would be kept.
    """
    new, old = criterion(name, epoch), criterion(name, best)
    if new == old:
        return epoch.valid_loss < best.valid_loss
    return new > old if HIGHER_IS_BETTER[name] else new < old


# --- batches that do not fit in memory --------------------------------------------------------


def more_parts(arm: Data, job: TrainingJob, parts: int, epochs: int, reason: str) -> int:
    """Return in how many parts to take a batch that did not fit in `parts`, if the recipe allows.

    `epochs`: how many were done. Raises InputError otherwise, which names a batch size that fits,
    or the `reason` that torch gave where none does.
    """
    if epochs:
        problem = f"memory ran out in epoch {epochs + 1}, not in the first"
        raise InputError(f"{problem}; free some, then the same command resumes")
    if job.recipe.accumulate and job.recipe.batch // (2 * parts) >= 2:
        return 2 * parts
    sizes = [job.recipe.batch // 2**k for k in range(1, job.recipe.batch.bit_length())]
    size = next((size for size in sizes if size >= 2 and batch_fits(arm, job, size)), None)
    key, where = f"train.recipes.{job.name}", resolve_machine(job.settings).device.type
    problem = f"{key}.batch {job.recipe.batch} does not fit in the memory of this machine ({where})"
    if size is None:
        remedy = f"train on smaller images ({key}.size)"
        raise InputError(f"{problem}, nor does one of 2 ({reason}); {remedy}")
    remedy = f"set it to {size}, which does, or {key}.accumulate to true"
    raise InputError(f"{problem}; {remedy}")


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
