"""NETWORKS: networks by name, built of torchvision's modules, for images of any size."""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor, nn
from torchvision.models import GoogLeNet, ResNet, get_model
from torchvision.models.googlenet import BasicConv2d, Inception, InceptionAux
from torchvision.models.resnet import BasicBlock, Bottleneck

from toolkit.errors import InputError
from toolkit.training.params import Recipe, WeightsFile

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


def build_network(name: str, classes: int, negative_slope: float = 0.0) -> nn.Module:
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


def output_heads(output: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
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


KEY = "weights"


def load_pretrained(network: nn.Module, recipe: Recipe, classes: int) -> tuple[str, ...]:
    """Give `network`, built for `classes`, the recipe's weights, if it has any.

    Returns the names of those that the network keeps as they were drawn: the weights of its heads
    where the file has them for another number of classes, or not at all. Raises InputError that
    names the file, or the first weight that is missing, unknown or of another shape.
    """
    if recipe.weights is None:
        return ()
    given, own = _read(recipe.weights), network.state_dict()
    drawn = [
        name
        for name in is_head(recipe.network, classes)
        if name not in given or given[name].shape != own[name].shape
    ]
    kept = {name: value for name, value in given.items() if name not in drawn}
    _check(recipe, kept, {name: value for name, value in own.items() if name not in drawn})
    network.load_state_dict(kept, strict=False)
    return tuple(drawn)


def is_head(name: str, classes: int) -> list[str]:
    """Names of the weights whose shape depends on the number of classes."""
    with torch.device("meta"):
        one, other = (build_network(name, n).state_dict() for n in (classes, classes + 1))
    return [key for key, value in one.items() if value.shape != other[key].shape]


def _read(weights: WeightsFile) -> dict[str, Tensor]:
    try:
        data = Path(weights.path).read_bytes()
    except OSError as error:
        found = f"{KEY}.path: {weights.path}: cannot be read ({error.strerror})"
        raise InputError(f"{found}; the path is relative to the working folder") from error
    if (found := hashlib.sha256(data).hexdigest()) != weights.sha256:
        wrong = f"{KEY}.sha256 is not that of {weights.path}, which is {found}"
        raise InputError(f"{wrong}; correct it, if this is the file that you mean")
    try:
        return dict(safetensors.load(data))
    except SafetensorError as error:
        raise InputError(f"{KEY}.path: {weights.path}: not a safetensors file: {error}") from error


def _check(recipe: Recipe, given: dict[str, Tensor], own: dict[str, Tensor]) -> None:
    """All of the network's weights must be given, in its shapes, and no others."""
    for name in [*own, *sorted(given)]:
        ours, theirs = (tuple(w[name].shape) if name in w else "none" for w in (own, given))
        if ours != theirs:
            file = recipe.weights.path if recipe.weights else ""
            wrong = f"{KEY}.path: {file}: {name} has the shape {theirs}"
            remedy = "name a file of the same network"
            raise InputError(f"{wrong}, {recipe.network} needs {ours}; {remedy}")
