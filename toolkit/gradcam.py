"""Grad-CAM: where in an image a network finds a class."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from toolkit import compute
from toolkit.dataset import normalise

BATCH = 16


def heatmaps(
    network: nn.Module, images: Tensor, classes: npt.ArrayLike, threads: int = 1
) -> npt.NDArray[np.float32]:
    """What in each image speaks for a class: float32 [N, H, W], 0 to 1.

    `images` are uint8 [N, 3, H, W] on the CPU, `classes` int [N]. Selvaraju and others, 2017: the
    last features before `network.avgpool` are added up, each weighted by the mean gradient of the
    class's logit; what is below zero is dropped. The map is as coarse as those features (4 x 4 for
    128 px), enlarged bilinearly, and divided by its own maximum; where nothing speaks for the
    class it is all zero. Leaves the network in evaluation mode.
    """
    network.eval()
    wanted = torch.as_tensor(np.asarray(classes, dtype=np.int64))
    batches = zip(torch.split(images, BATCH), torch.split(wanted, BATCH), strict=True)
    with compute.reproducible(threads, images.device):
        maps = [_maps(network, normalise(part), labels) for part, labels in batches]
    return torch.cat(maps).numpy()


def _maps(network: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    features, logits = _forward(network, images)
    chosen = logits.gather(1, classes[:, None]).sum()
    (gradient,) = torch.autograd.grad(chosen, features)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    coarse = (weights * features.detach()).sum(dim=1, keepdim=True).relu()
    maps = interpolate(coarse, images.shape[2:], mode="bilinear", align_corners=False)[:, 0]
    highest = maps.amax(dim=(1, 2), keepdim=True)
    return torch.where(highest > 0, maps / highest, maps)


def _forward(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """The features that the pooling gets, and the logits with a graph that begins at them."""
    kept: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        torch.set_grad_enabled(True)  # from here on only: the layers below need no graph
        kept.append(inputs[0].requires_grad_())
        return (kept[0],)

    hook = network.get_submodule("avgpool").register_forward_pre_hook(keep)
    try:
        with torch.no_grad():
            logits = network(images)
    finally:
        hook.remove()
    return kept[0], logits
