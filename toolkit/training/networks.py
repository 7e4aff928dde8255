"""Networks by name, built from torchvision's modules, for RGB images of any size.

NETWORKS, at the end, lists them; `load_pretrained` starts one from given weights.
"""

import itertools
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from toolkit.errors import InputError
from toolkit.training.device import without_compiler
from toolkit.training.params import Recipe
from toolkit.training.pretrained.efficientnet import EfficientNetLite0
from toolkit.training.pretrained.weights import read_weights

with without_compiler():
    from torchvision.models import GoogLeNet, ResNet, get_model
    from torchvision.models.googlenet import BasicConv2d, Inception, InceptionAux
    from torchvision.models.resnet import BasicBlock, Bottleneck

Builder = Callable[[int], nn.Module]
"""Number of classes -> network."""


def build_network(
    name: str, classes: int, negative_slope: float = 0.0, width: float = 1
) -> nn.Module:
    """Build a network of NETWORKS; a `negative_slope` turns each ReLU into a LeakyReLU.

    `width` is one of `params.WIDTHS` (see `narrow`). Raises InputError for an unknown name, for a
    slope where the network has no ReLU, and for a width where it is no GoogLeNet or ResNet.
    """
    check_network(name)
    network = NETWORKS[name](classes)
    if width != 1:
        if not isinstance(network, GoogLeNet | ResNet):
            raise InputError(f"width must be 1: {name} is no GoogLeNet or ResNet, got {width:g}")
        narrow(network, width, classes)
    if negative_slope and not replace_relus(network, negative_slope):
        raise InputError(f"negative_slope must be 0: {name} has no ReLU, got {negative_slope:g}")
    return network


def check_network(name: str, size: int | None = None) -> None:
    """Raise InputError for an unknown name, and for images of fewer pixels than the network takes.

    `size` is their height and width.
    """
    if name not in NETWORKS:
        raise InputError(f"network must be one of {sorted(NETWORKS)}, got {name!r}")
    if size is not None and size < SMALLEST.get(name, 1):
        raise InputError(f"network {name} needs images of {SMALLEST[name]} px or more, got {size}")


def replace_relus(network: nn.Module, negative_slope: float) -> int:
    """Replace each ReLU with a LeakyReLU in place; return how many there were.

    Initial weights stay as they are: batch norm removes the gain in scale.
    """
    count = 0
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.ReLU):
                setattr(parent, name, nn.LeakyReLU(negative_slope, child.inplace))
                count += 1
    return count


@torch.no_grad()
def narrow(network: nn.Module, width: float, classes: int) -> None:
    """Keep the first `width` of each layer's channels, in place; not of the image's and logits.

    Weights keep the size that they would have in a narrow network from the start: the deviation of
    initial weights goes with one over the root of the number of inputs.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.in_channels = _narrowed(layer.in_channels, width, kept=3)
            layer.out_channels = _narrowed(layer.out_channels, width)
            weight = layer.weight[: layer.out_channels, : layer.in_channels]
            layer.weight = _scaled(weight, width**-0.5)
        elif isinstance(layer, nn.Linear):
            layer.in_features = _narrowed(layer.in_features, width)
            layer.out_features = _narrowed(layer.out_features, width, kept=classes)
            weight = layer.weight[: layer.out_features, : layer.in_features]
            layer.weight = _scaled(weight, width**-0.5)
            layer.bias = nn.Parameter(_copied(layer.bias[: layer.out_features]))
        elif isinstance(layer, nn.BatchNorm2d):
            layer.num_features = count = _narrowed(layer.num_features, width)
            layer.weight, layer.bias = (
                nn.Parameter(_copied(values[:count])) for values in (layer.weight, layer.bias)
            )
            for name in ("running_mean", "running_var"):
                setattr(layer, name, _copied(layer.get_buffer(name)[:count]))


def _scaled(weight: Tensor, factor: float) -> nn.Parameter:
    return nn.Parameter(_copied(weight) if weight.is_meta else weight * factor)


def _copied(values: Tensor) -> Tensor:
    """Return a copy that holds no more memory than it needs.

    Without values none are copied: any such work would import torch's compiler or sympy, 1 to 2 s.
    """
    return torch.empty(values.shape, device="meta") if values.is_meta else values.clone()


def _narrowed(channels: int, width: float, kept: int = 0) -> int:
    """Return so much of the channels, all numbers of which are multiples of eight."""
    return channels if channels == kept else int(channels * width)


def output_heads(output: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return a network's output in training as logits [N, classes] of each head, main one first."""
    return (output,) if isinstance(output, Tensor) else tuple(output)


# --- ResNet, with and without shortcuts -------------------------------------------------------


class PlainBlock(BasicBlock):  # type: ignore[misc]
    """torchvision's BasicBlock without the shortcut and without its 1 x 1 convolution.

    Left in place, that convolution would never get a gradient. The last batch norm starts at 1: at
    0, as in the residual block, it would block the signal.
    """

    def __init__(
        self, inplanes: int, planes: int, stride: int = 1, *_: object, **__: object
    ) -> None:
        """Accept what torchvision's ResNet passes to a block, and use the first three arguments."""
        super().__init__(inplanes, planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map features [N, inplanes, H, W] to [N, planes, H / stride, W / stride]."""
        x = self.relu(self.bn1(self.conv1(x)))
        y: Tensor = self.relu(self.bn2(self.conv2(x)))
        return y


class PlainBottleneck(Bottleneck):  # type: ignore[misc]
    """torchvision's Bottleneck, ResNet-50's block of three convolutions, without its shortcut."""

    def __init__(
        self, inplanes: int, planes: int, stride: int = 1, *_: object, **__: object
    ) -> None:
        """Accept what torchvision's ResNet passes to a block, and use the first three arguments."""
        super().__init__(inplanes, planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map features [N, inplanes, H, W] to [N, 4 * planes, H / stride, W / stride]."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        y: Tensor = self.relu(self.bn3(self.conv3(x)))
        return y


def resnet(block: type[nn.Module], depths: list[int], classes: int) -> ResNet:
    """ResNet (He et al., 2016) of `block`: Kaiming-normal convolutions, batch norms at 1 and 0.

    The last batch norm of each residual branch starts at zero (Goyal et al., 2017).
    """
    return ResNet(block, depths, classes, zero_init_residual=block in {BasicBlock, Bottleneck})


# --- GoogLeNet --------------------------------------------------------------------------------


class ConvBlock(BasicConv2d):  # type: ignore[misc]
    """torchvision's BasicConv2d with the ReLU as a module, for `replace_relus` to find."""

    def __init__(self, in_channels: int, out_channels: int, **options: Any) -> None:
        """Pass `options` on to the convolution."""
        super().__init__(in_channels, out_channels, **options)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map features [N, in_channels, H, W] to [N, out_channels, ...]."""
        y: Tensor = self.relu(self.bn(self.conv(x)))
        return y


class AuxiliaryHead(InceptionAux):  # type: ignore[misc]
    """torchvision's auxiliary head with the ReLU as a module."""

    def __init__(self, in_channels: int, classes: int, dropout: float) -> None:
        """Build a head for features of `in_channels` channels; `dropout` is a probability."""
        super().__init__(in_channels, classes, ConvBlock, dropout)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map features [N, in_channels, H, W] to logits [N, classes]."""
        x = self.conv(nn.functional.adaptive_avg_pool2d(x, (4, 4)))
        x = self.dropout(self.relu(self.fc1(torch.flatten(x, 1))))
        y: Tensor = self.fc2(x)
        return y


def googlenet(classes: int) -> GoogLeNet:
    """GoogLeNet (Szegedy et al., 2015) with batch norm and two auxiliary heads.

    In training it returns (logits, deeper auxiliary head, shallower one), else the logits. Initial
    weights are normal with standard deviation 0.01.
    """
    blocks = [ConvBlock, partial(Inception, conv_block=ConvBlock), AuxiliaryHead]
    return GoogLeNet(
        classes, aux_logits=True, transform_input=False, init_weights=True, blocks=blocks
    )


def fuse_norms(network: nn.Module) -> nn.Module:
    """Merge each batch norm into the convolution before it, in place: a third less time.

    Both must be neighbors in a Sequential of a network in evaluation mode.
    """
    for parent in network.modules():
        children = list(parent.named_children()) if isinstance(parent, nn.Sequential) else []
        for (one, conv), (other, norm) in itertools.pairwise(children):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, one, fuse_conv_bn_eval(conv, norm))
                setattr(parent, other, nn.Identity())
    return network


# --- pretrained weights -----------------------------------------------------------------------


def load_pretrained(network: nn.Module, recipe: Recipe, classes: int) -> tuple[str, ...]:
    """Load the recipe's weights, if it names any, into `network`, which was built for `classes`.

    Returns the names of the weights that keep their initial values: those of the heads, where the
    file lacks them or has them for another number of classes. Raises InputError that names the
    file, or the first weight that is missing, unknown or of another shape.
    """
    if recipe.weights is None:
        return ()
    path, sha256 = recipe.weights.path, recipe.weights.sha256
    loaded = read_weights(Path(path), "weights.path", sha256)
    initial = network.state_dict()
    check_finite(f"weights.path: {recipe.weights.path}", loaded)
    drawn = [
        name
        for name in head_weights(recipe.network, classes)
        if name not in loaded or loaded[name].shape != initial[name].shape
    ]
    taken = {name: value for name, value in loaded.items() if name not in drawn}
    needed = {name: value for name, value in initial.items() if name not in drawn}
    _check_shapes(recipe.weights.path, recipe.network, taken, needed)
    network.load_state_dict(taken, strict=False)
    return tuple(drawn)


def head_weights(name: str, classes: int) -> list[str]:
    """Name the weights whose shape depends on the number of classes."""
    with torch.device("meta"):
        one, other = (build_network(name, n).state_dict() for n in (classes, classes + 1))
    return [key for key, value in one.items() if value.shape != other[key].shape]


def check_finite(path: Path | str, weights: Mapping[str, Tensor]) -> None:
    """Raise InputError that names the file, and the first weight that is infinite or NaN."""
    for name, value in weights.items():
        if not value.isfinite().all():
            raise InputError(f"{path}: {name} has numbers that are not finite; use other weights")


def _check_shapes(
    path: str, network: str, taken: Mapping[str, Tensor], needed: Mapping[str, Tensor]
) -> None:
    """Raise InputError unless the file has all weights needed, in their shapes, and no others."""
    for name in [*needed, *sorted(taken)]:
        expected, found = (
            tuple(weights[name].shape) if name in weights else "none" for weights in (needed, taken)
        )
        if expected != found:
            problem = f"weights.path: {path}: {name} has the shape {found}"
            remedy = "name a file of the same network"
            raise InputError(f"{problem}, {network} needs {expected}; {remedy}")


# --- the networks -----------------------------------------------------------------------------


def _torchvision(name: str, classes: int) -> nn.Module:
    """Build a model of torchvision by its name there, with torchvision's initial weights."""
    network: nn.Module = get_model(name, weights=None, num_classes=classes)
    return network


SMALLEST = {"googlenet": 16, "vgg16_bn": 32}
"""Height and width, in pixels, of the smallest images that a network takes; 1 for the others."""

NETWORKS: dict[str, Builder] = {
    "efficientnet_lite0": EfficientNetLite0,
    "googlenet": googlenet,
    "resnet18": partial(resnet, BasicBlock, [2, 2, 2, 2]),
    "resnet18_plain": partial(resnet, PlainBlock, [2, 2, 2, 2]),
    "resnet34": partial(resnet, BasicBlock, [3, 4, 6, 3]),
    "resnet34_plain": partial(resnet, PlainBlock, [3, 4, 6, 3]),
    "resnet50": partial(resnet, Bottleneck, [3, 4, 6, 3]),
    "resnet50_plain": partial(resnet, PlainBottleneck, [3, 4, 6, 3]),
    "vgg16_bn": partial(_torchvision, "vgg16_bn"),
    "torchvision.efficientnet_b0": partial(_torchvision, "efficientnet_b0"),
    "torchvision.mobilenet_v3_small": partial(_torchvision, "mobilenet_v3_small"),
}
