"""What is trained: a job, the machine it runs on, and a network with what changes it."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import ReduceLROnPlateau

from toolkit.errors import InputError
from toolkit.training import networks
from toolkit.training.device import derive_seed, resolve_device, resolve_precision
from toolkit.training.distributed import Group
from toolkit.training.gradients import Watch
from toolkit.training.params import Recipe, TrainParams
from toolkit.training.runs import Epoch

INITIAL = 0  # see fitting: each use of a seed draws from a stream of its own
ALONE = Group()
RISES = {"loss": False, "accuracy": True, "gmean": True}


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
    """A network in training, with what changes it; `watch` measures its gradients, if asked to.

    `drawn`: with weights given to start from, those that they did not have and that were drawn.
    `group`: the processes that train it together; `forward` is called in place of the network.
    """

    job: TrainingJob
    machine: Machine
    network: nn.Module
    optimiser: Adam
    schedule: ReduceLROnPlateau
    watch: Watch | None
    drawn: tuple[str, ...]
    group: Group
    forward: nn.Module


@dataclass
class TrainingPosition:
    """How far a training is.

    `history`: the epochs that are done; `best`: the one to keep, `kept` its weights on the CPU.
    Of the epoch after these, `step` optimiser steps are done, and `total` (a float64 on the device)
    is the sum of their images' losses. `parts`: in how many parts a batch is taken.
    """

    total: Tensor
    history: list[Epoch] = field(default_factory=list)
    best: Epoch | None = None
    kept: dict[str, Tensor] = field(default_factory=dict)
    step: int = 0
    parts: int = 1

    @classmethod
    def first(cls, where: torch.device) -> "TrainingPosition":
        """That of a training not yet begun."""
        return cls(torch.zeros((), dtype=torch.float64, device=where))


def training_job(settings: TrainParams, name: str, seed: int) -> TrainingJob:
    """The recipe `name` of the section `train`, with a seed. Raises InputError if there is none."""
    if name not in settings.recipes:
        known = sorted(settings.recipes)
        raise InputError(f"recipe must be one of train.recipes, {known}, got {name!r}")
    return TrainingJob(name, settings.recipes[name], settings, seed)


def machine(settings: TrainParams) -> Machine:
    """The device and precision that the settings mean on this machine."""
    device = resolve_device(settings.device)
    return Machine(device, resolve_precision(settings.precision, device))


def start(job: TrainingJob, classes: int, group: Group = ALONE) -> TrainingState:
    """The network with its first weights, Adam and the plateau schedule."""
    used, recipe, plateau = machine(job.settings), job.recipe, job.recipe.plateau
    torch.manual_seed(derive_seed(job.seed, INITIAL))
    try:
        network = networks.build_network(recipe.network, classes, recipe.negative_slope)
        drawn = networks.load_pretrained(network, recipe, classes)
    except InputError as error:
        raise InputError(f"train.recipes.{job.name}.{error}") from error
    network = network.to(used.device).to(memory_format=torch.channels_last)
    forward = group.prepared(network)
    optimiser = Adam(network.parameters(), recipe.learning_rate, fused=True)
    schedule = ReduceLROnPlateau(
        optimiser,
        mode="max" if RISES[plateau.watch] else "min",
        factor=plateau.factor,
        patience=plateau.patience,
        min_lr=plateau.floor,
    )
    watch = Watch.of(network) if recipe.gradients else None
    return TrainingState(job, used, network, optimiser, schedule, watch, drawn, group, forward)


def snapshot(network: nn.Module) -> dict[str, Tensor]:
    """A copy of the weights and batch norm's averages, on the CPU."""
    return {
        name: value.detach().to("cpu", copy=True) for name, value in network.state_dict().items()
    }
