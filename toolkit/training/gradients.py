"""How trainings went, read back from their runs: loss, accuracy, and each layer's gradients."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from toolkit.errors import InputError
from toolkit.training import runs

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Trace:
    """One run by epoch.

    name: its recipe, before it the arm; seed; loss on train and accuracy on valid [epochs]; layers:
    their names from the images to the logits, shortcuts left out; norms [epochs, layers].
    """

    name: str
    seed: int
    loss: Numbers
    accuracy: Numbers
    layers: tuple[str, ...]
    norms: Numbers


def find_traces(places: Iterable[Path]) -> list[Trace]:
    """The traces of runs, or of all runs in folders, in the order of their paths.

    Raises InputError where there are none, or where a run was not asked to keep its gradients.
    """
    folders = [run for place in places for run in _runs(place)]
    found = [read_trace(folder) for folder in folders]
    return sorted(found, key=lambda trace: (trace.name, trace.seed))


def _runs(place: Path) -> list[Path]:
    if (place / runs.SIDE).is_file():
        return [place]
    found = sorted(path.parent for path in place.glob(f"*/{runs.SIDE}"))
    if not found:
        raise InputError(f"{place}: no runs in it; name folders that `toolkit train` wrote")
    return found


def read_trace(folder: Path) -> Trace:
    """The trace of one run. Raises InputError that names the file."""
    run, path = runs.read_run(folder), folder / runs.GRADIENTS
    if not path.is_file():
        remedy = f"set train.recipes.{run.recipe}.gradients to true and train again"
        raise InputError(f"{path}: no such file; {remedy}")
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            cells = {
                (int(r["epoch"]), r["layer"]): float(r["norm"]) for r in csv.DictReader(stream)
            }
        layers = tuple(dict.fromkeys(layer for _, layer in cells if "downsample" not in layer))
        epochs = [row.epoch for row in run.history]
        norms = np.array([[cells[epoch, layer] for layer in layers] for epoch in epochs])
    except (ValueError, LookupError, TypeError, csv.Error) as error:
        message = f"{path}: not the gradients of this run ({error!r}); train again"
        raise InputError(message) from error
    return Trace(
        name=run.recipe if run.arm == "original" else f"{run.arm}, {run.recipe}",
        seed=run.seed,
        loss=np.array([row.train_loss for row in run.history]),
        accuracy=np.array([row.valid_accuracy for row in run.history]),
        layers=layers,
        norms=norms,
    )


# --- what they say ------------------------------------------------------------------------------


@dataclass(frozen=True)
class GradientSummary:
    """Means over the seeds of one network: norms geometrically, at the first and last epoch.

    `first` and `last`: norm of the first layer over that of the last convolution, that is how many
    times the gradient has grown on its way back to the images. `lowest` and `highest`: of all
    layers and epochs.
    """

    name: str
    seeds: int
    first: float
    last: float
    lowest: float
    highest: float
    loss: float
    accuracy: float


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


def grouped(traces: Iterable[Trace]) -> dict[str, list[Trace]]:
    """The traces of each name. Raises InputError if seeds differ in their layers or epochs."""
    found: dict[str, list[Trace]] = {}
    for trace in traces:
        others = found.setdefault(trace.name, [])
        if others and (others[0].layers, len(others[0].loss)) != (trace.layers, len(trace.loss)):
            wrong = f"{trace.name}, seeds {others[0].seed} and {trace.seed}: not the same network"
            raise InputError(f"{wrong} and number of epochs; train them with one recipe")
        others.append(trace)
    return found


def mean_norms(group: list[Trace]) -> Numbers:
    """Geometric mean over the seeds [epochs, layers]; NaN where a norm is zero."""
    norms = np.stack([trace.norms for trace in group])
    logs = np.log(norms, where=norms > 0, out=np.full_like(norms, np.nan))
    means: Numbers = np.exp(logs.mean(axis=0))
    return means


def summarize_traces(name: str, group: list[Trace]) -> GradientSummary:
    """The numbers of one network; the last layer is the last convolution, before the logits."""
    norms = mean_norms(group)
    return GradientSummary(
        name=name,
        seeds=len(group),
        first=float(norms[0, 0] / norms[0, -2]),
        last=float(norms[-1, 0] / norms[-1, -2]),
        lowest=float(np.nanmin(norms)),
        highest=float(np.nanmax(norms)),
        loss=float(np.mean([trace.loss[-1] for trace in group])),
        accuracy=float(np.mean([trace.accuracy.max() for trace in group])),
    )


def gradient_rows(traces: Iterable[Trace]) -> list[tuple[str, ...]]:
    """COLUMNS, and a row a network."""
    found = [summarize_traces(name, group) for name, group in grouped(traces).items()]
    return [COLUMNS, *(_row(one) for one in found)]


def _row(one: GradientSummary) -> tuple[str, ...]:
    numbers = (one.first, one.last, one.lowest, one.highest, one.loss, one.accuracy)
    return (one.name, str(one.seeds), *(f"{number:.3g}" for number in numbers))


@dataclass
class Watch:
    """Gradients' norms of an epoch so far: `totals` [layers] over `steps` optimiser steps."""

    weights: dict[str, Tensor]
    totals: Tensor
    steps: int = 0

    @classmethod
    def of(cls, network: nn.Module) -> "Watch":
        """A watch on all layers of a network that is on its device already."""
        weights = layers(network)
        device = next(iter(weights.values())).device
        return cls(weights, torch.zeros(len(weights), dtype=torch.float64, device=device))

    def add(self) -> None:
        """Count the gradients of one backward pass. The device is not waited for."""
        norms = [torch.linalg.vector_norm(_gradient(p)) for p in self.weights.values()]
        self.totals += torch.stack(norms)
        self.steps += 1

    def take(self) -> dict[str, float]:
        """Layer -> mean norm since the last call; starts anew."""
        means = (self.totals / max(1, self.steps)).tolist()
        self.totals.zero_()
        self.steps = 0
        return dict(zip(self.weights, means, strict=True))


def layers(network: nn.Module) -> dict[str, Tensor]:
    """The weights of the convolutions and linear layers by the layer's name, in its order.

    Biases and batch norms are left out: a layer's depth is what the norms are to be compared by.
    """
    kinds = (nn.Conv2d, nn.Linear)
    return {name: m.weight for name, m in network.named_modules() if isinstance(m, kinds)}


def _gradient(weight: Tensor) -> Tensor:
    return torch.zeros_like(weight) if weight.grad is None else weight.grad
