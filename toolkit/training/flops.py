"""Parameters and FLOPs of the networks, layer by layer.

Nothing is computed: on torch's meta device tensors have shapes and no values.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from toolkit.errors import InputError
from toolkit.training import gradients, networks

SMALLEST = 16  # pixels


@dataclass(frozen=True)
class Layer:
    """A convolution or linear layer, with its cost for one image.

    output: channels, height, width, or None for a layer of an auxiliary head, which runs in
    training only; parameters: weights and biases; flops: see ModelSummary.
    """

    name: str
    output: tuple[int, ...] | None
    parameters: int
    flops: int


@dataclass(frozen=True)
class ModelSummary:
    """A network's parameters, its FLOPs for one image in evaluation, and its layers.

    FLOPs are torch's count: those of convolutions and matrix products, a multiplication and its
    addition as two. Training takes about three times as many, and auxiliary heads come on top.
    """

    parameters: int
    flops: int
    layers: tuple[Layer, ...]


def summarize_network(name: str, size: int, classes: int) -> ModelSummary:
    """Summarize a network of NETWORKS for RGB images of `size` x `size` pixels.

    Raises InputError for an unknown name, and for fewer than SMALLEST pixels or two classes.
    """
    if size < SMALLEST or classes < 2:
        message = f"a network needs {SMALLEST} pixels and 2 classes or more"
        raise InputError(f"{message}, got {size} pixels and {classes}")
    with torch.device("meta"):
        network = networks.build_network(name, classes).eval()
        image = torch.empty(1, 3, size, size)
    outputs = _record_outputs(network)
    with FlopCounterMode(display=False) as counter:
        network(image)
    counts = counter.get_flop_counts()
    return ModelSummary(
        parameters=_parameters(network),
        flops=counter.get_total_flops(),
        layers=tuple(
            Layer(
                name=layer,
                output=outputs.get(layer),
                parameters=_parameters(network.get_submodule(layer)),
                flops=sum(counts.get(f"{type(network).__name__}.{layer}", {}).values()),
            )
            for layer in gradients.layers(network)
        ),
    )


def _parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _record_outputs(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return layer -> shape of its output, which is filled in when the network runs."""
    shapes: dict[str, tuple[int, ...]] = {}

    def record(name: str) -> None:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            shapes[name] = tuple(output.shape[1:])

        network.get_submodule(name).register_forward_hook(hook)

    for name in gradients.layers(network):
        record(name)
    return shapes


def network_table(size: int, classes: int) -> list[list[str]]:
    """Tabulate all networks, below a header."""
    rows = [["network", "layers", "parameters", "MFLOPs an image"]]
    for name in networks.NETWORKS:
        summary = summarize_network(name, size, classes)
        costs = _costs(summary.parameters, summary.flops)
        rows.append([name, str(len(summary.layers)), *costs])
    return rows


def layer_table(summary: ModelSummary) -> list[list[str]]:
    """Tabulate the layers of one network, below a header and above their sum."""
    rows = [["layer", "output", "parameters", "MFLOPs an image"]]
    for layer in summary.layers:
        shape = " x ".join(map(str, layer.output)) if layer.output else "in training only"
        rows.append([layer.name, shape, *_costs(layer.parameters, layer.flops)])
    norms = summary.parameters - sum(layer.parameters for layer in summary.layers)
    rows.append(["batch norms", "", *_costs(norms, 0)])
    return [*rows, ["all", "", *_costs(summary.parameters, summary.flops)]]


def _costs(parameters: int, flops: int) -> list[str]:
    return [f"{parameters:,}", f"{flops / 1e6:,.1f}"]
