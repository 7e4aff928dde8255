"""Gradient norms by layer: measured in training, read back from runs, and summarized."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from toolkit.errors import InputError
from toolkit.io.csv import whole_lines
from toolkit.training import networks, runs
from toolkit.training.runs import Run

Numbers = npt.NDArray[np.float64]

COLUMNS = (
    "network",
    "seeds",
    "first over last layer, epoch 1",
    "in the last epoch",
    "lowest norm",
    "highest norm",
    "train loss",
    "valid accuracy",
)


# --- in training ------------------------------------------------------------------------------


@dataclass
class GradientMeter:
    """Running sums of gradient norms: `totals` [layers] over `steps` optimizer steps."""

    weights: dict[str, Tensor]
    totals: Tensor
    steps: int = 0

    @classmethod
    def of(cls, network: nn.Module) -> "GradientMeter":
        """Create a meter for all layers of a network that is already on its device."""
        weights = layers(network)
        device = next(iter(weights.values())).device
        return cls(weights, torch.zeros(len(weights), dtype=torch.float64, device=device))

    def update(self) -> None:
        """Add the norms of the current gradients, without waiting for the device."""
        norms = [torch.linalg.vector_norm(_gradient(weight)) for weight in self.weights.values()]
        self.totals += torch.stack(norms)
        self.steps += 1

    def take(self) -> dict[str, float]:
        """Return layer -> mean norm since the last call, and start anew."""
        means = (self.totals / max(1, self.steps)).tolist()
        self.totals.zero_()
        self.steps = 0
        return dict(zip(self.weights, means, strict=True))


def layers(network: nn.Module) -> dict[str, Tensor]:
    """Return the weights of convolutions and linear layers by layer name, in network order.

    Biases and batch norms are left out: the norms are compared by the layers' depth.
    """
    kinds = (nn.Conv2d, nn.Linear)
    return {name: m.weight for name, m in network.named_modules() if isinstance(m, kinds)}


def last_convolution(network: nn.Module, size: int) -> str:
    """Return the name of the convolution that comes last before the main head's logits.

    By an evaluation on one image of `size` pixels, in which auxiliary heads do not run.
    Leaves the network in evaluation mode.
    """
    names: list[str] = []
    hooks = [
        module.register_forward_hook(lambda *_, name=name: names.append(name))
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    device = next(network.parameters()).device
    with torch.inference_mode():
        network.eval()(torch.empty(1, 3, size, size, device=device))
    for hook in hooks:
        hook.remove()
    return names[-1]


def _gradient(weight: Tensor) -> Tensor:
    return torch.zeros_like(weight) if weight.grad is None else weight.grad


# --- read back from runs ----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Trace:
    """One run by epoch.

    name: its recipe, after the arm if that is not "original"; loss on train and accuracy on valid
    [epochs]; layers: their names from the images to the logits, without the shortcuts; last: the
    index of the last convolution before the main head; norms [epochs, layers].
    """

    name: str
    seed: int
    loss: Numbers
    accuracy: Numbers
    layers: tuple[str, ...]
    last: int
    norms: Numbers


def find_traces(places: Iterable[Path]) -> list[Trace]:
    """Read the traces of runs, or of all runs in folders, sorted by name and seed.

    Raises InputError where there are no runs, or one did not keep its gradients.
    """
    traces = [read_trace(folder) for place in places for folder in runs.find_runs(place)]
    return sorted(traces, key=lambda trace: (trace.name, trace.seed))


def read_trace(folder: Path) -> Trace:
    """Read the trace of one run. Raises InputError that names the file."""
    run, path = runs.read_run(folder), folder / runs.GRADIENTS
    if not path.is_file():
        remedy = f"set train.recipes.{run.recipe}.gradients to true and train again"
        raise InputError(f"{path}: no such file; {remedy}")
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            norm_of = {
                (int(row["epoch"]), row["layer"]): float(row["norm"])
                for row in csv.DictReader(whole_lines(stream))
            }
        names = tuple(dict.fromkeys(name for _, name in norm_of if "downsample" not in name))
        norms = np.array([[norm_of[row.epoch, name] for name in names] for row in run.history])
        last = names.index(_last_convolution(folder, run))
    except (ValueError, LookupError, TypeError, csv.Error) as error:
        message = f"{path}: not the gradients of this run ({error!r}); train again"
        raise InputError(message) from error
    return Trace(
        name=run.recipe if run.arm == "original" else f"{run.arm}, {run.recipe}",
        seed=run.seed,
        loss=np.array([row.train_loss for row in run.history]),
        accuracy=np.array([row.valid_accuracy for row in run.history]),
        layers=names,
        last=last,
        norms=norms,
    )


def _last_convolution(folder: Path, run: Run) -> str:
    try:
        with torch.device("meta"):  # shapes without values
            network = networks.build_network(
                run.settings.network, len(run.classes), width=run.settings.width
            )
    except InputError as error:
        raise InputError(f"{folder / runs.SIDE}: settings.{error}") from error
    return last_convolution(network, run.size)


def group_traces(traces: Iterable[Trace]) -> dict[str, list[Trace]]:
    """Group the traces by name. Raises InputError if seeds differ in their layers or epochs."""
    groups: dict[str, list[Trace]] = {}
    for trace in traces:
        group = groups.setdefault(trace.name, [])
        if group and (group[0].layers, len(group[0].loss)) != (trace.layers, len(trace.loss)):
            problem = f"{trace.name}: seeds {group[0].seed} and {trace.seed} differ in their layers"
            raise InputError(f"{problem} or number of epochs; train them with one recipe")
        group.append(trace)
    return groups


# --- summarized -------------------------------------------------------------------------------


@dataclass(frozen=True)
class GradientSummary:
    """One network over its seeds: geometric means of norms, arithmetic means of the rest.

    `first` and `last`: the norm of the first layer over that of the last convolution, in the first
    and the last epoch, that is how many times the gradient grows on its way back to the images.
    `lowest` and `highest`: over all layers and epochs.
    """

    name: str
    seeds: int
    first: float
    last: float
    lowest: float
    highest: float
    loss: float
    accuracy: float


def mean_curves(group: Sequence[Trace]) -> tuple[Numbers, Numbers]:
    """Return the loss and the accuracy averaged over the seeds, each [epochs]."""
    losses, accuracies = ([getattr(t, name) for t in group] for name in ("loss", "accuracy"))
    return np.mean(losses, axis=0), np.mean(accuracies, axis=0)


def summarize_traces(name: str, group: Sequence[Trace]) -> GradientSummary:
    """Summarize the traces of one network."""
    norms, last = mean_norms(group), group[0].last
    return GradientSummary(
        name=name,
        seeds=len(group),
        first=float(norms[0, 0] / norms[0, last]),
        last=float(norms[-1, 0] / norms[-1, last]),
        lowest=float(np.nanmin(norms)),
        highest=float(np.nanmax(norms)),
        loss=float(np.mean([trace.loss[-1] for trace in group])),
        accuracy=float(np.mean([trace.accuracy.max() for trace in group])),
    )


def mean_norms(group: Sequence[Trace]) -> Numbers:
    """Return the geometric mean over the seeds [epochs, layers]; NaN where a norm is zero."""
    norms = np.stack([trace.norms for trace in group])
    logs = np.log(norms, where=norms > 0, out=np.full_like(norms, np.nan))
    means: Numbers = np.exp(logs.mean(axis=0))
    return means


def gradient_rows(traces: Iterable[Trace]) -> list[tuple[str, ...]]:
    """Tabulate the summaries: COLUMNS, then a row for each network."""
    summaries = [summarize_traces(name, group) for name, group in group_traces(traces).items()]
    return [COLUMNS, *map(_row, summaries)]


def _row(summary: GradientSummary) -> tuple[str, ...]:
    norms = (summary.first, summary.last, summary.lowest, summary.highest)
    numbers = (*norms, summary.loss, summary.accuracy)
    return (summary.name, str(summary.seeds), *(f"{number:.3g}" for number in numbers))
