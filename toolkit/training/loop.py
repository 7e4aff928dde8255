"""The training loop: fit one network to one arm."""

import math
from collections.abc import Callable

import torch

from toolkit.errors import InputError
from toolkit.progress import Track, ignore, silent
from toolkit.training import dataset, device, steps
from toolkit.training.checkpoints import CheckpointSchedule, OutOfTimeError
from toolkit.training.dataset import Data
from toolkit.training.runs import Epoch
from toolkit.training.state import (
    HIGHER_IS_BETTER,
    FitResult,
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
    and stopped the training and it was resumed. Where the first epoch does not fit in memory, it
    begins again with batches in more parts. `on_epoch` gets each epoch as it ends, those of a
    checkpoint first.
    Raises InputError for data that cannot be trained on, for lack of memory, and when the loss is
    not finite in the first epoch (in later ones it is a `problem`); and as CheckpointSchedule does.
    """
    check_data(arm, valid, job)
    schedule = schedule or CheckpointSchedule()
    parts, where = 1, resolve_machine(job.settings).device
    with device.reproducible(job.settings.threads, where):
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
            parts = steps.more_parts(arm, job, parts, len(position.history), reason)
            schedule.restart()


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
            problem
            or "the time was up before the end of the first epoch; raise --max-minutes"
            + (", or run the same command again, which resumes" if schedule.store else "")
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
    epoch = Epoch(number, train_loss, *steps.validate(state, valid, position.parts), rate, norms)
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
    taken = zip(batches, local, arm.take(local), strict=True)
    for rows, rows_here, (images, labels) in taken:
        weight = len(labels) * group.size / len(rows)
        own = None if arm.weights is None else arm.weights[rows_here.to(arm.weights.device)]
        mean_loss = steps.train_step(state, images, labels, weight, position.parts, own)
        position.total += mean_loss * len(labels)
        position.step += 1
        schedule.after_step(state, position)
    return group.sum(position.total).item() / take


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
