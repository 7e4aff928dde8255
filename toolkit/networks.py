"""NETWORKS: networks by name, built of torchvision's modules, for images of any size."""

from collections.abc import Callable

from torch import Tensor, nn
from torchvision.models import GoogLeNet, ResNet
from torchvision.models.resnet import BasicBlock

from toolkit.errors import InputError

Builder = Callable[[int], nn.Module]


class PlainBlock(nn.Module):
    """torchvision's BasicBlock without the shortcut and without its 1 x 1 convolution.

    Left in place, that convolution would never get a gradient. The last batch norm starts at 1: at
    0, as in the residual block, it would let no signal through.
    """

    expansion = 1

    def __init__(
        self, inplanes: int, planes: int, stride: int = 1, *_: object, **__: object
    ) -> None:
        """Take what torchvision's ResNet passes to a block; all but three arguments are unused."""
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Images' features [N, inplanes, H, W] -> [N, planes, H / stride, W / stride]."""
        x = self.relu(self.bn1(self.conv1(x)))
        y: Tensor = self.relu(self.bn2(self.conv2(x)))
        return y


def googlenet(classes: int) -> GoogLeNet:
    """GoogLeNet (Szegedy et al., 2015) with batch norm and two auxiliary heads.

    In training it returns (logits, deeper auxiliary head, shallower one), else the logits.
    Weights are drawn from a normal distribution with deviation .01.
    """
    return GoogLeNet(classes, aux_logits=True, transform_input=False, init_weights=True)


def resnet18(classes: int) -> ResNet:
    """ResNet-18 (He et al., 2016): Kaiming-normal convolutions, batch norm 1 and 0.

    The last batch norm of each residual branch starts at zero (Goyal et al., 2017).
    """
    return ResNet(BasicBlock, [2, 2, 2, 2], classes, zero_init_residual=True)


def resnet18_plain(classes: int) -> ResNet:
    """ResNet-18's layers without the shortcuts: He et al.'s plain 18-layer network."""
    return ResNet(PlainBlock, [2, 2, 2, 2], classes)


def build(name: str, classes: int) -> nn.Module:
    """Build a network of NETWORKS. Raises InputError that lists the names if it has no `name`."""
    if name not in NETWORKS:
        raise InputError(f"network must be one of {sorted(NETWORKS)}, got {name!r}")
    return NETWORKS[name](classes)


def heads(output: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """A network's output in training as logits [N, classes] of its heads, the main one first."""
    return (output,) if isinstance(output, Tensor) else tuple(output)


NETWORKS: dict[str, Builder] = {
    "googlenet": googlenet,
    "resnet18": resnet18,
    "resnet18_plain": resnet18_plain,
}
