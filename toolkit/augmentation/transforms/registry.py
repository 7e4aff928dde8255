"""The toolkit's own transforms by name: how their params are sampled, and what they do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from toolkit import errors
from toolkit.augmentation.transforms import functional, sampling
from toolkit.augmentation.transforms.sampling import Params
from toolkit.errors import InputError
from toolkit.io.images import Picture


@dataclass(frozen=True)
class Argument:
    """An argument of a transform: its default, and the rule for its values, in code and words."""

    default: Any
    valid: Callable[[Any], bool]
    rule: str


@dataclass(frozen=True)
class Bound:
    """How a transform is kept within a limit (see `policy.LIMITS`).

    `narrow(value, limit)` returns values of the argument for which every draw is within the limit,
    `measure(params, size)` how much of it a draw takes for a picture of this width and height.
    """

    argument: str
    narrow: Callable[[Any, float], Any]
    measure: Callable[[Params, tuple[int, int]], float]


@dataclass(frozen=True)
class Transform:
    """A transform in two parts, so that what was drawn can be recorded and replayed.

    `sample(rng, picture, **arguments)` returns params, `apply(picture, params)` a picture of the
    same size, or the same object where nothing changes. `bounds` are by the name of a limit.
    """

    sample: Callable[..., Params]
    apply: Callable[[Picture, Params], Picture]
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    bounds: Mapping[str, Bound] = field(default_factory=dict)


def find_transform(name: str) -> Transform:
    """Return the transform of this name. Raises InputError that lists the valid names."""
    if name not in TRANSFORMS:
        raise errors.unknown_name("transform", name, TRANSFORMS)
    return TRANSFORMS[name]


def complete_arguments(
    name: str, known: Mapping[str, Argument], arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arguments of the transform or group `name`, with defaults for those left out.

    Raises InputError for an argument that is not known, or a value that breaks its rule.
    """
    for key, value in arguments.items():
        if key not in known:
            raise errors.unknown_name(f"argument of {name}", key, known)
        if not known[key].valid(value):
            raise InputError(f"{name}: {key} must be {known[key].rule}, got {value!r}")
    return {key: arguments.get(key, argument.default) for key, argument in known.items()}


def is_number(value: Any, low: float, high: float) -> bool:
    """Return whether the value is a number from low to high; true and false are not numbers."""
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def is_pair(value: Any, low: float, high: float, *, whole: bool = False) -> bool:
    """Return whether the value is [lowest, highest] within low and high."""
    kinds = int if whole else int | float
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(is_number(v, low, high) and isinstance(v, kinds) for v in value)
        and value[0] <= value[1]
    )


def _number(default: float, low: float, high: float, rule: str) -> Argument:
    return Argument(default, lambda value: is_number(value, low, high), rule)


def _pair(default: list[float], low: float, high: float, *, whole: bool = False) -> Argument:
    rule = f"[lowest, highest] within {low:g} and {high:g}"
    rule = f"whole numbers {rule}" if whole else rule
    return Argument(default, lambda value: is_pair(value, low, high, whole=whole), rule)


def _at_most(argument: str, param: str) -> Bound:
    """Return the bound of a number that is drawn from minus the argument to plus it."""
    return Bound(argument, min, lambda params, _size: abs(float(params[param])))


def _cut_away(params: Params, size: tuple[int, int]) -> float:
    """Return the fraction of the picture's area outside the box."""
    inside: float = params["width"] * params["height"] / (size[0] * size[1])
    return 1 - inside


PROBABILITY = _number(0.5, 0, 1, "a probability from 0 to 1")
SHARPNESS = Argument(
    1.25,
    lambda value: is_number(value, 0, 100) or is_pair(value, 0, 100),
    "a factor from 0 (blurred) over 1 (unchanged) to 100, or [lowest, highest]",
)
SLOPE = _number(0.1, 0, 1, "a slope from 0 to 1, pixels per pixel, in either direction")
FRACTION = _number(0.1, 0, 1, "a fraction of the side from 0 to 1, in either direction")
FACTORS = _pair([0.7, 1.3], 0, 100)

TRANSFORMS: dict[str, Transform] = {
    "identity": Transform(sampling.no_params, functional.identity),
    "horizontal_flip": Transform(
        sampling.sample_applied, functional.if_applied(functional.hflip), {"p": PROBABILITY}
    ),
    "vertical_flip": Transform(
        sampling.sample_applied, functional.if_applied(functional.vflip), {"p": PROBABILITY}
    ),
    "rotate": Transform(
        sampling.sample_angle,
        functional.rotate,
        {"degrees": _number(20, 0, 180, "degrees from 0 to 180, in either direction")},
        {"rotation": _at_most("degrees", "angle")},
    ),
    "shear_x": Transform(
        sampling.sample_slope,
        functional.shear_x,
        {"slope": SLOPE},
        {"shear": _at_most("slope", "slope")},
    ),
    "shear_y": Transform(
        sampling.sample_slope,
        functional.shear_y,
        {"slope": SLOPE},
        {"shear": _at_most("slope", "slope")},
    ),
    "translate_x": Transform(
        sampling.sample_fraction,
        functional.translate_x,
        {"fraction": FRACTION},
        {"translation": _at_most("fraction", "fraction")},
    ),
    "translate_y": Transform(
        sampling.sample_fraction,
        functional.translate_y,
        {"fraction": FRACTION},
        {"translation": _at_most("fraction", "fraction")},
    ),
    "gaussian_blur": Transform(
        sampling.sample_sigma, functional.blur, {"sigma": _pair([0.1, 2.0], 0.01, 100)}
    ),
    "pad_resize": Transform(
        sampling.fixed_pixels,
        functional.pad_resize,
        {
            "pixels": Argument(
                10, lambda v: isinstance(v, int) and is_number(v, 1, 1024), "1 to 1024 pixels"
            )
        },
    ),
    "resized_crop": Transform(
        sampling.sample_crop,
        functional.crop_resize,
        {"scale": _pair([0.8, 1.0], 1e-4, 1), "ratio": _pair([3 / 4, 4 / 3], 0.01, 100)},
        {
            "crop": Bound(
                "scale", lambda scale, cut: [max(bound, 1 - cut) for bound in scale], _cut_away
            )
        },
    ),
    "sharpness": Transform(
        sampling.sample_applied_factor,
        functional.if_applied(functional.adjust_sharpness),
        {"factor": SHARPNESS, "p": PROBABILITY},
    ),
    "brightness": Transform(
        sampling.sample_factor, functional.adjust_brightness, {"factor": FACTORS}
    ),
    "contrast": Transform(sampling.sample_factor, functional.adjust_contrast, {"factor": FACTORS}),
    "saturation": Transform(
        sampling.sample_factor, functional.adjust_saturation, {"factor": FACTORS}
    ),
    "posterize": Transform(
        sampling.sample_between("bits"),
        functional.posterize,
        {"bits": _pair([4, 8], 1, 8, whole=True)},
    ),
    "solarize": Transform(
        sampling.sample_between("threshold"),
        functional.solarize,
        {"threshold": _pair([128, 256], 0, 256, whole=True)},
    ),
    "autocontrast": Transform(
        sampling.sample_applied, functional.if_applied(functional.autocontrast), {"p": PROBABILITY}
    ),
    "equalize": Transform(sampling.no_params, functional.equalize),
}
