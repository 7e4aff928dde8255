"""Transforms of albumentations and torchvision (transforms.v2) under their own names.

A name is `albumentations.Affine` or `torchvision.RandomAffine`. The libraries draw inside, so what
is drawn here is the seed that they are given; what they tell of their own draws is recorded for
the reader. Both are imported only when one of their names is asked for.
"""

import functools
import importlib
import inspect
import math
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.random import Generator

from toolkit import errors
from toolkit.errors import InputError
from toolkit.io.images import Pixels

Params = Mapping[str, Any]

# What the libraries raise for arguments or images that do not suit a transform.
REFUSALS = (
    TypeError, ValueError, LookupError, AttributeError, RuntimeError, AssertionError,
    ArithmeticError, ImportError,
)  # fmt: skip

CONSTANT = {"shape", "interpolation", "fill", "fill_mask", "output_shape"}  # told, but not drawn


@dataclass(frozen=True)
class Library:
    """`kinds()` gives transforms by name, `run(built, pixels, seed)` the image and the draws."""

    package: str
    kinds: Callable[[], Mapping[str, Callable[..., Any]]]
    run: Callable[[Any, Pixels, int], tuple[Any, Params]]


def is_foreign(name: str) -> bool:
    """Whether the name has the form library.Name."""
    return "." in name


def complete_external(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as they will be used: `p` is 1 unless given, whatever the library's default.

    Raises InputError for an unknown library, transform or argument.
    """
    valid = _arguments(name)
    for key in arguments:
        if key not in valid:
            raise errors.unknown_name(f"argument of {name}", key, valid)
    return {"p": 1.0, **arguments} if "p" in valid else dict(arguments)


def sample_external(name: str, rng: Generator, pixels: Pixels, arguments: Params) -> Params:
    """Draw a seed for the library, and record the numbers that it drew from it.

    The library gets a number of its own instead of the row's seed: albumentations would start the
    very same stream that chose the transform, and its angles would depend on that choice.
    """
    seed = int(rng.integers(2**32))
    _, applied = _run(name, pixels, arguments, seed)
    return {"arguments": dict(arguments), "seed": seed, "applied": _plain(applied)}


def apply_external(name: str, pixels: Pixels, params: Params) -> Any:
    """The library's result for what `draw` recorded: an array of whatever type and shape it has."""
    return _run(name, pixels, params["arguments"], params["seed"])[0]


def external_versions(name: str) -> dict[str, str]:
    """The versions that the pixels of this transform depend on, by package."""
    library = _library(name)[0]
    names = {"albumentations": ("albumentations", "cv2"), "torchvision": ("torch", "torchvision")}
    return {n: str(importlib.import_module(n).__version__) for n in names[library.package]}


def _run(name: str, pixels: Pixels, arguments: Params, seed: int) -> tuple[Any, Params]:
    built = build_external(name, arguments)
    try:
        return _library(name)[0].run(built, pixels.copy(), seed)
    except REFUSALS as error:
        height, width = pixels.shape[:2]
        raise InputError(
            f"{name} fails on an image of {width} x {height}: {_line(error)}"
        ) from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def build_external(name: str, arguments: Mapping[str, Any]) -> Any:
    """The library's own transform. Raises InputError for values that the library refuses."""
    kind = _kind(name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice such as "use Affine instead"
            return kind(**{key: _tuples(value) for key, value in arguments.items()})
    except REFUSALS as error:
        raise InputError(
            f"{name} refuses its arguments {dict(arguments)}: {_line(error)}"
        ) from error


def _library(name: str) -> tuple[Library, str]:
    package, _, kind = name.partition(".")
    if package not in LIBRARIES:
        raise errors.unknown_name("library", package, LIBRARIES)
    return LIBRARIES[package], kind


def _kind(name: str) -> Callable[..., Any]:
    library, kind = _library(name)
    if kind not in library.kinds():
        raise errors.unknown_name(f"{library.package} transform", kind, library.kinds())
    return library.kinds()[kind]


@functools.cache
def _arguments(name: str) -> list[str]:
    parameters = inspect.signature(_kind(name)).parameters.values()
    return [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def _tuples(value: Any) -> Any:
    """Lists of YAML and JSON as the tuples that the libraries expect."""
    return tuple(_tuples(part) for part in value) if isinstance(value, list | tuple) else value


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Of what a library tells, the drawn scalars and short lists, to six decimals."""
    plain = {key: _short(value) for key, value in values.items() if key not in CONSTANT}
    return {key: value for key, value in plain.items() if value is not None}


def _short(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist() if getattr(value, "ndim", 0) <= 1 else None
    if isinstance(value, Mapping):
        return _plain(value) or None
    if isinstance(value, list | tuple):
        parts = [_short(part) for part in value[:9]]
        return parts if 0 < len(parts) < 9 and None not in parts else None
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value if isinstance(value, bool | int | str) else None


# --- albumentations ---------------------------------------------------------------------------


@functools.cache
def _albumentations_kinds() -> Mapping[str, Callable[..., Any]]:
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # or it asks the network at import
    library = importlib.import_module("albumentations")
    return _subclasses(library, library.BasicTransform)


def _run_albumentations(built: Any, pixels: Pixels, seed: int) -> tuple[Any, Params]:
    # AdditiveNoise draws from OpenCV's own random state, which Compose does not seed.
    importlib.import_module("cv2").setRNGSeed(seed & 0x7FFFFFFF)
    compose = importlib.import_module("albumentations").Compose
    done = compose([built], seed=seed, save_applied_params=True)(image=pixels)
    applied = {k: v for _, params in done["applied_transforms"] for k, v in params.items()}
    return done["image"], applied


# --- torchvision ------------------------------------------------------------------------------


@functools.cache
def _torchvision_kinds() -> Mapping[str, Callable[..., Any]]:
    library = importlib.import_module("torchvision.transforms.v2")
    return _subclasses(library, library.Transform)


def _run_torchvision(built: Any, pixels: Pixels, seed: int) -> tuple[Any, Params]:
    torch = importlib.import_module("torch")
    applied: dict[str, Any] = {}
    make_params = built.make_params

    def recorded(inputs: list[Any]) -> dict[str, Any]:
        drawn: dict[str, Any] = make_params(inputs)
        applied.update(drawn)
        return drawn

    built.make_params = recorded
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(seed)
        result = built(torch.from_numpy(pixels).permute(2, 0, 1))
    return result.permute(1, 2, 0).contiguous().numpy(), applied


def _subclasses(library: Any, base: type) -> Mapping[str, Callable[..., Any]]:
    members = vars(library).items()
    return {n: k for n, k in members if inspect.isclass(k) and issubclass(k, base)}


LIBRARIES = {
    "albumentations": Library("albumentations", _albumentations_kinds, _run_albumentations),
    "torchvision": Library("torchvision", _torchvision_kinds, _run_torchvision),
}
