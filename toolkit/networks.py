"""NETWORKS: networks by name, built of torchvision's modules, for images of any size."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import GoogLeNet, ResNet, get_model
from torchvision.models.googlenet import BasicConv2d, Inception, InceptionAux
from torchvision.models.resnet import BasicBlock, Bottleneck

from toolkit.errors import InputError

Builder = Callable[[int], nn.Module]


# --- ResNet, with and without shortcuts -------------------------------------------------------


class PlainBlock(BasicBlock):  # type: ignore[misc]
    """torchvision's BasicBlock without the shortcut and without its 1 x 1 convolution.

    Left in place, that convolution would never get a gradient. The last batch norm starts at 1: at
    0, as in the residual block, it would let no signal through.
    """

    def __init__(
        self, inplanes: int, planes: int, stride: int = 1, *_: object, **__: object
    ) -> None:
        """Take what torchvision's ResNet passes to a block; all but three arguments are unused."""
        super().__init__(inplanes, planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Images' features [N, inplanes, H, W] -> [N, planes, H / stride, W / stride]."""
        x = self.relu(self.bn1(self.conv1(x)))
        y: Tensor = self.relu(self.bn2(self.conv2(x)))
        return y


class PlainBottleneck(Bottleneck):  # type: ignore[misc]
    """The same of torchvision's Bottleneck, the block of three convolutions of ResNet-50."""

    def __init__(
        self, inplanes: int, planes: int, stride: int = 1, *_: object, **__: object
    ) -> None:
        """Take what torchvision's ResNet passes to a block; all but three arguments are unused."""
        super().__init__(inplanes, planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Images' features [N, inplanes, H, W] -> [N, 4 * planes, H / stride, W / stride]."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        y: Tensor = self.relu(self.bn3(self.conv3(x)))
        return y


def resnet(block: type[nn.Module], depths: list[int], classes: int) -> ResNet:
    """ResNet (He et al., 2016) of `block`: Kaiming-normal convolutions, batch norm 1 and 0.

    The last batch norm of each residual branch starts at zero (Goyal et al., 2017).
    """
    return ResNet(block, depths, classes, zero_init_residual=block in {BasicBlock, Bottleneck})


# --- GoogLeNet --------------------------------------------------------------------------------


class ConvBlock(BasicConv2d):  # type: ignore[misc]
    """torchvision's convolution, batch norm and ReLU, with the ReLU as a module: see `leaky`."""

    def __init__(self, in_channels: int, out_channels: int, **options: Any) -> None:
        """`options` are those of the convolution."""
        super().__init__(in_channels, out_channels, **options)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Features [N, in_channels, H, W] -> [N, out_channels, ...]."""
        y: Tensor = self.relu(self.bn(self.conv(x)))
        return y


class AuxiliaryHead(InceptionAux):  # type: ignore[misc]
    """torchvision's auxiliary head, with the ReLU as a module."""

    def __init__(self, in_channels: int, classes: int, dropout: float) -> None:
        """A head on features of `in_channels` channels; `dropout` is a share."""
        super().__init__(in_channels, classes, ConvBlock, dropout)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Features [N, in_channels, H, W] -> logits [N, classes]."""
        x = self.conv(nn.functional.adaptive_avg_pool2d(x, (4, 4)))
        x = self.dropout(self.relu(self.fc1(torch.flatten(x, 1))))
        y: Tensor = self.fc2(x)
        return y


def googlenet(classes: int) -> GoogLeNet:
    """GoogLeNet (Szegedy et al., 2015) with batch norm and two auxiliary heads.

    In training it returns (logits, deeper auxiliary head, shallower one), else the logits.
    Weights are drawn from a normal distribution with deviation .01.
    """
    blocks = [ConvBlock, partial(Inception, conv_block=ConvBlock), AuxiliaryHead]
    return GoogLeNet(
        classes, aux_logits=True, transform_input=False, init_weights=True, blocks=blocks
    )


# --- any of them ------------------------------------------------------------------------------


def published(name: str, classes: int) -> nn.Module:
    """A model of torchvision by its name there, with torchvision's own first weights."""
    network: nn.Module = get_model(name, weights=None, num_classes=classes)
    return network


def build(name: str, classes: int, negative_slope: float = 0.0) -> nn.Module:
    """Build a network of NETWORKS; with a `negative_slope` each ReLU becomes a LeakyReLU.

    Raises InputError that lists the names if it has no `name`, or if the network has no ReLU.
    """
    if name not in NETWORKS:
        raise InputError(f"network must be one of {sorted(NETWORKS)}, got {name!r}")
    network = NETWORKS[name](classes)
    if negative_slope and not leaky(network, negative_slope):
        raise InputError(f"negative_slope must be 0: {name} has no ReLU, got {negative_slope:g}")
    return network


def leaky(network: nn.Module, negative_slope: float) -> int:
    """Put a LeakyReLU in place of each ReLU; how many there were.

    First weights stay as they are: batch norm takes out the scale that they would gain.
    """
    found = 0
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.ReLU):
                setattr(parent, name, nn.LeakyReLU(negative_slope, child.inplace))
                found += 1
    return found


def heads(output: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """A network's output in training as logits [N, classes] of its heads, the main one first."""
    return (output,) if isinstance(output, Tensor) else tuple(output)


NETWORKS: dict[str, Builder] = {
    "googlenet": googlenet,
    "resnet18": partial(resnet, BasicBlock, [2, 2, 2, 2]),
    "resnet18_plain": partial(resnet, PlainBlock, [2, 2, 2, 2]),
    "resnet34": partial(resnet, BasicBlock, [3, 4, 6, 3]),
    "resnet34_plain": partial(resnet, PlainBlock, [3, 4, 6, 3]),
    "resnet50": partial(resnet, Bottleneck, [3, 4, 6, 3]),
    "resnet50_plain": partial(resnet, PlainBottleneck, [3, 4, 6, 3]),
    "vgg16_bn": partial(published, "vgg16_bn"),
    "torchvision.efficientnet_b0": partial(published, "efficientnet_b0"),
    "torchvision.mobilenet_v3_small": partial(published, "mobilenet_v3_small"),
}
