"""Transforms of albumentations and torchvision (transforms.v2) under their own names.

A name is `albumentations.Affine` or `torchvision.RandomAffine`. The libraries draw their params
themselves, from a seed that is drawn here; what they report of them is recorded for the reader.
Each is imported only when one of its transforms is used.
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
from toolkit.augmentation.transforms.sampling import Params
from toolkit.errors import InputError
from toolkit.io import parallel, sandbox
from toolkit.io.images import Pixels

SECONDS, MEMORY = 60.0, 8_000_000_000
"""Processor time and bytes that one transform may take of one image, in a worker process."""
CONSTANT = {"shape", "interpolation", "fill", "fill_mask", "output_shape"}
"""What the libraries report though it is not drawn."""


@dataclass(frozen=True)
class Library:
    """A library whose transforms can be used.

    `transforms()` returns its classes by name, `run(transform, pixels, seed)` the image and what
    was drawn.
    """

    package: str
    transforms: Callable[[], Mapping[str, Callable[..., Any]]]
    run: Callable[[Any, Pixels, int], tuple[Any, Params]]


def is_external(name: str) -> bool:
    """Return whether the name has the form library.Name."""
    return "." in name


def complete_external(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with `p`, 1 unless given, whatever the library's default.

    Raises InputError for an unknown library, transform or argument.
    """
    valid = _argument_names(name)
    for key in arguments:
        if key not in valid:
            raise errors.unknown_name(f"argument of {name}", key, valid)
    return {"p": 1.0, **arguments} if "p" in valid else dict(arguments)


def sample_external(name: str, rng: Generator, pixels: Pixels, arguments: Params) -> Params:
    """Draw a seed for the library, and record the numbers that it draws from it.

    The library is not given the row's seed: albumentations would start the very stream that picked
    the transform, and its angles would depend on that pick.
    """
    seed = int(rng.integers(2**32))
    _, applied = _run(name, pixels, arguments, seed)
    return {"arguments": dict(arguments), "seed": seed, "sampled": applied}


def apply_external(name: str, pixels: Pixels, params: Params) -> Any:
    """Return the library's result for the recorded seed: an array of any type and shape."""
    return _run(name, pixels, params["arguments"], params["seed"])[0]


def external_versions(name: str) -> dict[str, str]:
    """Return the versions of the packages that the pixels of this transform depend on."""
    library = _library(name)[0]
    names = {"albumentations": ("albumentations", "cv2"), "torchvision": ("torch", "torchvision")}
    return {n: str(importlib.import_module(n).__version__) for n in names[library.package]}


def _run(name: str, pixels: Pixels, arguments: Params, seed: int) -> tuple[Any, Params]:
    """Return the result, and the readable part of what was drawn. Raises InputError.

    A worker that takes too long is ended; elsewhere the limits do not hold.
    """
    height, width = pixels.shape[:2]
    where = f"on an image of {width} x {height}"
    transform = build_external(name, arguments)

    def run() -> tuple[Any, Params]:
        try:
            result, applied = _library(name)[0].run(transform, pixels.copy(), seed)
        except Exception as error:  # whatever the library raises, OpenCV's own among it
            raise InputError(f"{name} fails {where}: {_shortened(error)}") from error
        return result, _readable(applied)

    if not parallel.in_worker():
        return run()
    (done,) = sandbox.finished([sandbox.contain(run, SECONDS, MEMORY, f"{name} {where}")])
    return done


def _shortened(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def build_external(name: str, arguments: Mapping[str, Any]) -> Any:
    """Return the library's transform. Raises InputError for values that the library refuses."""
    transform = _find_class(name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice such as "use Affine instead"
            return transform(**{key: _to_tuples(value) for key, value in arguments.items()})
    except Exception as error:  # whatever the library raises
        raise InputError(
            f"{name} refuses its arguments {dict(arguments)}: {_shortened(error)}"
        ) from error


def _library(name: str) -> tuple[Library, str]:
    package, _, class_name = name.partition(".")
    if package not in LIBRARIES:
        raise errors.unknown_name("library", package, LIBRARIES)
    return LIBRARIES[package], class_name


def _find_class(name: str) -> Callable[..., Any]:
    library, class_name = _library(name)
    if class_name not in library.transforms():
        raise errors.unknown_name(f"{library.package} transform", class_name, library.transforms())
    return library.transforms()[class_name]


@functools.cache
def _argument_names(name: str) -> list[str]:
    parameters = inspect.signature(_find_class(name)).parameters.values()
    return [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def _to_tuples(value: Any) -> Any:
    """Return lists of YAML and JSON as the tuples that the libraries expect."""
    return tuple(_to_tuples(part) for part in value) if isinstance(value, list | tuple) else value


def _readable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the drawn scalars and short lists of what a library reports, to six decimals."""
    readable = {key: _short(value) for key, value in values.items() if key not in CONSTANT}
    return {key: value for key, value in readable.items() if value is not None}


def _short(value: Any) -> Any:
    """Return the value as JSON has it; None where it is long, or neither number nor text."""
    if hasattr(value, "tolist"):
        value = value.tolist() if getattr(value, "ndim", 0) <= 1 else None
    if isinstance(value, Mapping):
        return _readable(value) or None
    if isinstance(value, list | tuple):
        parts = [_short(part) for part in value[:9]]
        return parts if 0 < len(parts) < 9 and None not in parts else None
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value if isinstance(value, bool | int | str) else None


# --- albumentations ---------------------------------------------------------------------------


@functools.cache
def _albumentations_classes() -> Mapping[str, Callable[..., Any]]:
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # or it asks the network at import
    library = importlib.import_module("albumentations")
    return _subclasses(library, library.BasicTransform)


def _run_albumentations(transform: Any, pixels: Pixels, seed: int) -> tuple[Any, Params]:
    # AdditiveNoise draws from OpenCV's own random state, which Compose does not seed.
    importlib.import_module("cv2").setRNGSeed(seed & 0x7FFFFFFF)
    compose = importlib.import_module("albumentations").Compose
    done = compose([transform], seed=seed, save_applied_params=True)(image=pixels)
    applied = {k: v for _, params in done["applied_transforms"] for k, v in params.items()}
    return done["image"], applied


# --- torchvision ------------------------------------------------------------------------------


@functools.cache
def _torchvision_classes() -> Mapping[str, Callable[..., Any]]:
    library = importlib.import_module("torchvision.transforms.v2")
    return _subclasses(library, library.Transform)


def _run_torchvision(transform: Any, pixels: Pixels, seed: int) -> tuple[Any, Params]:
    torch = importlib.import_module("torch")
    if parallel.in_worker():
        torch.set_num_threads(1)  # OpenMP would wait for threads that the fork did not bring along
    applied: dict[str, Any] = {}
    make_params = transform.make_params

    def recorded(inputs: list[Any]) -> dict[str, Any]:
        drawn: dict[str, Any] = make_params(inputs)
        applied.update(drawn)
        return drawn

    transform.make_params = recorded
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(seed)
        result = transform(torch.from_numpy(pixels).permute(2, 0, 1))
    return result.permute(1, 2, 0).contiguous().numpy(), applied


def _subclasses(library: Any, base: type) -> Mapping[str, Callable[..., Any]]:
    members = vars(library).items()
    return {n: k for n, k in members if inspect.isclass(k) and issubclass(k, base)}


LIBRARIES = {
    "albumentations": Library("albumentations", _albumentations_classes, _run_albumentations),
    "torchvision": Library("torchvision", _torchvision_classes, _run_torchvision),
}
