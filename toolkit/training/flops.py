"""Parameters and FLOPs of the networks, layer by layer.

Nothing is computed: on torch's meta device tensors have shapes and no values.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from toolkit.io.schema import Positive, check
from toolkit.training import gradients, networks
from toolkit.training.params import ImageSide


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

    Raises InputError for an unknown name, for fewer than two classes, and for a size that no recipe
    may have, or that is too small for the network.
    """
    check(ImageSide, size, "size")
    check(Annotated[Positive, Field(ge=2)], classes, "classes")
    networks.check_network(name, size)
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
    """Tabulate all networks that take images of this size, below a header."""
    rows = [["network", "layers", "parameters", "MFLOPs an image"]]
    for name in networks.NETWORKS:
        if networks.SMALLEST.get(name, 1) > size:
            continue
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
