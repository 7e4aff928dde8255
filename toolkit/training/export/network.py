"""A network with all that `predict` does around it: from pixels to calibrated probabilities."""

import math

import torch
from torch import Tensor, nn

from toolkit.metrics import calibration
from toolkit.training import device


class CalibratedNetwork(nn.Module):
    """Maps RGB images, uint8 [N, size, size, 3], to probabilities, float32 [N, classes]."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        """Take a run's network, and the temperature that its scores are softened by."""
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, images: Tensor) -> Tensor:
        """Normalize the pixels, and soften the scores as `calibration.soften` does."""
        logits = self.network(device.normalize(images.permute(0, 3, 1, 2)))
        logs = torch.log_softmax(logits, dim=1).clamp(min=math.log(calibration.FLOOR))
        return torch.softmax(logs / self.temperature, dim=1)
