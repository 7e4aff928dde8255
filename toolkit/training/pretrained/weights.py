"""State dicts on disk: safetensors, or what `torch.save` wrote, read without running any code."""

import hashlib
import io
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor

from toolkit.errors import InputError
from toolkit.io import inside

MAX_WEIGHTS = 8_000_000_000  # bytes of a file of weights
WRAPPERS = ("state_dict", "model")
"""Keys under which training scripts save the state dict beside other things."""


def read_weights(path: Path, key: str, sha256: str | None = None) -> Mapping[str, Tensor]:
    """Read a state dict, weights by name.

    A file named .pt, .pth or .bin is PyTorch's, any other is safetensors. Of a dict that has one
    under WRAPPERS, that is taken. Raises InputError that begins with `key` and names the file, also
    for one that has not this `sha256` or holds more than tensors.
    """
    try:
        data = inside.read_file(path, MAX_WEIGHTS)
    except InputError as error:
        problem = f"{key}: {path}: {error}"
        raise InputError(f"{problem}; the path is relative to the working folder") from error
    if sha256 is not None and (digest := hashlib.sha256(data).hexdigest()) != sha256:
        problem = f"{key.removesuffix('path')}sha256 is not that of {path}, which is {digest}"
        raise InputError(f"{problem}; correct it, if this is the right file")
    stored = _unpickled if path.suffix in {".pt", ".pth", ".bin"} else _safetensors
    return stored(data, f"{key}: {path}")


def _safetensors(data: bytes, where: str) -> Mapping[str, Tensor]:
    try:
        return dict(safetensors.load(data))
    except SafetensorError as error:
        raise InputError(f"{where}: not a safetensors file: {error}") from error


def _unpickled(data: bytes, where: str) -> Mapping[str, Tensor]:
    remedy = "save its state dict with torch.save(network.state_dict(), path)"
    try:
        stored = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError) as error:
        problem = "not weights alone" if isinstance(error, pickle.UnpicklingError) else "damaged"
        raise InputError(f"{where}: {problem}, and no code of it is run; {remedy}") from error
    for name in WRAPPERS:
        if isinstance(stored, dict) and isinstance(stored.get(name), dict):
            stored = stored[name]
    if not isinstance(stored, dict) or not all(isinstance(of, Tensor) for of in stored.values()):
        raise InputError(f"{where}: holds no state dict, tensors by name; {remedy}")
    return stored
