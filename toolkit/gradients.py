"""The norm of each layer's gradient through training: what vanishes or explodes can be seen."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


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
