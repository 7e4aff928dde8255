"""What networks are made of: parameters, work, and the shape of each layer's output.

Nothing is computed for it: torch's meta device has shapes and no numbers.
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
    """A convolution or linear layer, and what one image takes in it.

    output: channels, height, width; parameters: with those of its bias; flops: see Anatomy. Without
    an output it runs in training only: an auxiliary head.
    """

    name: str
    output: tuple[int, ...] | None
    parameters: int
    flops: int


@dataclass(frozen=True)
class ModelSummary:
    """A network as it answers one image: all its parameters, its FLOPs and its layers.

    `flops` are torch's count: those of convolutions and matrix products alone, a multiplication
    and its addition as two. Training takes about three times as many; auxiliary heads come on top.
    """

    parameters: int
    flops: int
    layers: tuple[Layer, ...]


def summarize_network(name: str, size: int, classes: int) -> ModelSummary:
    """Describe a network of NETWORKS for RGB images of `size` pixels in height and width.

    Raises InputError for an unknown name, and for fewer than SMALLEST pixels or two classes.
    """
    if size < SMALLEST or classes < 2:
        found = f"got {size} pixels and {classes}"
        raise InputError(f"a network needs {SMALLEST} pixels and 2 classes or more, {found}")
    with torch.device("meta"):
        network = networks.build_network(name, classes).eval()
        image = torch.empty(1, 3, size, size)
    outputs = _outputs(network)
    with FlopCounterMode(display=False) as counter:
        network(image)
    counts = counter.get_flop_counts()
    return ModelSummary(
        parameters=sum(p.numel() for p in network.parameters()),
        flops=counter.get_total_flops(),
        layers=tuple(
            Layer(
                name=layer,
                output=outputs.get(layer),
                parameters=sum(p.numel() for p in network.get_submodule(layer).parameters()),
                flops=sum(counts.get(f"{type(network).__name__}.{layer}", {}).values()),
            )
            for layer in gradients.layers(network)
        ),
    )


def _outputs(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Layer -> the shape of its output, filled in when the network runs."""
    found: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> None:
        def hook(_module: nn.Module, _given: object, output: Tensor) -> None:
            found[name] = tuple(output.shape[1:])

        network.get_submodule(name).register_forward_hook(hook)

    for name in gradients.layers(network):
        note(name)
    return found


# --- for people -------------------------------------------------------------------------------


def network_table(size: int, classes: int) -> list[list[str]]:
    """A table of all networks, a header first."""
    rows = [["network", "layers", "parameters", "MFLOPs an image"]]
    for name in networks.NETWORKS:
        found = summarize_network(name, size, classes)
        rows.append([name, str(len(found.layers)), *_sizes(found.parameters, found.flops)])
    return rows


def layer_table(found: ModelSummary) -> list[list[str]]:
    """A table of the layers of one network, a header first, their sum last."""
    rows = [["layer", "output", "parameters", "MFLOPs an image"]]
    for layer in found.layers:
        shape = " x ".join(map(str, layer.output)) if layer.output else "in training only"
        rows.append([layer.name, shape, *_sizes(layer.parameters, layer.flops)])
    norms = found.parameters - sum(layer.parameters for layer in found.layers)
    rows.append(["batch norms", "", *_sizes(norms, 0)])
    return [*rows, ["all", "", *_sizes(found.parameters, found.flops)]]


def _sizes(parameters: int, flops: int) -> list[str]:
    return [f"{parameters:,}", f"{flops / 1e6:,.1f}"]
