"""Fine-tuning: a network's first weights out of a safetensors file, such as another run's."""

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor, nn

from toolkit import networks
from toolkit.errors import InputError
from toolkit.training_params import Recipe, Weights

KEY = "weights"


def load(network: nn.Module, recipe: Recipe, classes: int) -> tuple[str, ...]:
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
        for name in heads(recipe.network, classes)
        if name not in given or given[name].shape != own[name].shape
    ]
    kept = {name: value for name, value in given.items() if name not in drawn}
    _check(recipe, kept, {name: value for name, value in own.items() if name not in drawn})
    network.load_state_dict(kept, strict=False)
    return tuple(drawn)


def heads(name: str, classes: int) -> list[str]:
    """Names of the weights whose shape depends on the number of classes."""
    with torch.device("meta"):
        one, other = (networks.build(name, n).state_dict() for n in (classes, classes + 1))
    return [key for key, value in one.items() if value.shape != other[key].shape]


def _read(weights: Weights) -> dict[str, Tensor]:
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
