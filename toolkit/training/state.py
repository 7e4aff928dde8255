"""The state of a training: the job, the network with its optimizer, and how far it has come."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import ReduceLROnPlateau

from toolkit.errors import InputError
from toolkit.training import networks
from toolkit.training.device import derive_seed, guard_gradients, resolve_device, resolve_precision
from toolkit.training.distributed import ALONE, Group
from toolkit.training.gradients import GradientMeter
from toolkit.training.params import Recipe, TrainParams
from toolkit.training.runs import Epoch

WEIGHTS_STREAM = 0
"""A run's seed gives a stream of random numbers for each use: weights 0, order 1, dropout 2."""

HIGHER_IS_BETTER = {"loss": False, "accuracy": True, "gmean": True}
"""Of the criteria, which are measured on valid."""


@dataclass(frozen=True)
class TrainingJob:
    """What is trained, apart from the data. `name` is the recipe's."""

    name: str
    recipe: Recipe
    settings: TrainParams
    seed: int


@dataclass(frozen=True)
class Machine:
    """Where a job runs and in which precision."""

    device: torch.device
    dtype: torch.dtype


@dataclass(frozen=True)
class TrainingState:
    """A network in training and what updates it.

    `meter` measures gradients, if the recipe asks for it; `drawn` names the weights that a file of
    pretrained weights lacked; `group` is the processes that train together, and `forward` the
    module that they call in place of the network.
    """

    job: TrainingJob
    machine: Machine
    network: nn.Module
    optimizer: Adam
    scheduler: ReduceLROnPlateau
    meter: GradientMeter | None
    drawn: tuple[str, ...]
    group: Group
    forward: nn.Module


@dataclass
class TrainingPosition:
    """How far a training has come.

    `history`: the epochs done; `best`: the one to keep, `kept` its weights on the CPU. Of the next
    epoch `step` optimizer steps are done, and `total` (a float64 on the device) is the sum of their
    images' losses. `parts`: in how many parts a batch is taken.
    """

    total: Tensor
    history: list[Epoch] = field(default_factory=list)
    best: Epoch | None = None
    kept: dict[str, Tensor] = field(default_factory=dict)
    step: int = 0
    parts: int = 1

    @classmethod
    def first(cls, device: torch.device) -> "TrainingPosition":
        """Return the position before the first step."""
        return cls(torch.zeros((), dtype=torch.float64, device=device))


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


def training_job(settings: TrainParams, name: str, seed: int) -> TrainingJob:
    """Return the job for a recipe of the section `train`. Raises as `check_recipe` does."""
    check_recipe(settings, name)
    return TrainingJob(name, settings.recipes[name], settings, seed)


def check_recipe(settings: TrainParams, name: str, size: int | None = None) -> None:
    """Raise InputError for a recipe that does not exist, or that names no network for this size."""
    if name not in settings.recipes:
        names = sorted(settings.recipes)
        raise InputError(f"recipe must be one of train.recipes, {names}, got {name!r}")
    if settings.recipes[name].frozen:  # its name says where weights are, which takes time to see
        return
    try:
        networks.check_network(settings.recipes[name].network, size)
    except InputError as error:
        raise InputError(f"train.recipes.{name}.{error}") from error


def resolve_machine(settings: TrainParams) -> Machine:
    """Return the device and precision that the settings mean on this machine."""
    device = resolve_device(settings.device)
    return Machine(device, resolve_precision(settings.precision, device))


def initial_state(job: TrainingJob, classes: int, group: Group = ALONE) -> TrainingState:
    """Build the network with its initial weights, Adam and the plateau schedule.

    Raises InputError that names the key of the recipe, as `build_network` and `load_pretrained` do.
    """
    machine, recipe, plateau = resolve_machine(job.settings), job.recipe, job.recipe.plateau
    torch.manual_seed(derive_seed(job.seed, WEIGHTS_STREAM))
    try:
        network = networks.build_network(
            recipe.network, classes, recipe.negative_slope, recipe.width
        )
        drawn = networks.load_pretrained(network, recipe, classes)
    except InputError as error:
        raise InputError(f"train.recipes.{job.name}.{error}") from error
    network = network.to(machine.device).to(memory_format=torch.channels_last)
    guard_gradients(network)
    forward = group.wrap(network)
    optimizer = Adam(network.parameters(), recipe.learning_rate, fused=True)
    scheduler = ReduceLROnPlateau(
        optimizer,
        mode="max" if HIGHER_IS_BETTER[plateau.watch] else "min",
        factor=plateau.factor,
        patience=plateau.patience,
        min_lr=plateau.floor,
    )
    meter = GradientMeter.of(network) if recipe.gradients else None
    return TrainingState(job, machine, network, optimizer, scheduler, meter, drawn, group, forward)


def copy_weights(network: nn.Module) -> dict[str, Tensor]:
    """Copy the weights and batch norm's averages to the CPU."""
    return {
        name: value.detach().to("cpu", copy=True) for name, value in network.state_dict().items()
    }
