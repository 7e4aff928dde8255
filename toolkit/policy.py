"""Policies: which transforms, how often, and whether a copy equal to its parent is kept."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from toolkit import codec, errors, foreign, transforms
from toolkit.chance import Generator
from toolkit.codec import Picture, Pixels
from toolkit.errors import InputError

if TYPE_CHECKING:  # params brings pydantic, which is slow to import
    from toolkit import data_params, request
    from toolkit.data_params import Choice

Setting = str | Path | list["Choice"]
Params = Mapping[str, Any]


@dataclass(frozen=True)
class Entry:
    """A transform, how often it is drawn, and its fixed arguments (see `data_params.Choice`)."""

    transform: str
    weight: float = 1.0
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def completed(self) -> dict[str, Any]:
        """The arguments with the defaults filled in. Raises InputError for what is unknown."""
        if foreign.is_foreign(self.transform):
            return foreign.complete(self.transform, self.arguments)
        return transforms.complete(self.transform, self.arguments)


@dataclass(frozen=True)
class Policy:
    """Transforms with weights, of which each new image gets one.

    `keep_identical` false: a draw that leaves the image as it was is drawn again.
    Raises InputError for a negative weight, or when none is positive.
    """

    choices: tuple[Entry, ...]
    keep_identical: bool

    @cached_property
    def total(self) -> float:
        """The sum of the weights."""
        return sum(choice.weight for choice in self.choices)

    def __post_init__(self) -> None:
        """Check the weights."""
        weights = [choice.weight for choice in self.choices]
        if any(not 0 <= weight < float("inf") for weight in weights) or not any(weights):
            rule = "weights must be 0 or more, and one of them must be positive"
            raise InputError(f"policy: {rule}, got {weights}")


def make(setting: Setting) -> Policy:
    """A policy by its name, from a YAML file (a path, or a name that ends in .yaml), or a list.

    A file is a list of mappings with the keys transform, weight (default 1) and arguments. A
    transform is one of `transforms.TRANSFORMS`, `albumentations.NAME` or `torchvision.NAME`.
    Raises InputError for unknown names and arguments, listing the valid ones.
    """
    if isinstance(setting, str) and not setting.endswith((".yaml", ".yml")):
        if setting not in POLICIES:
            raise errors.unknown("policy", setting, POLICIES)
        return _checked(POLICIES[setting], f"policy {setting}")
    if isinstance(setting, list):
        return _checked(Policy(_entries(setting), keep_identical=False), "policy")
    choices = _load(Path(setting))
    if not choices:
        raise InputError(f"{setting}: the list is empty; a policy needs a transform")
    return _checked(Policy(choices, keep_identical=False), str(setting))


def of_arm(name: str, arm: "data_params.Arm | request.Arm") -> Policy:
    """The policy of the arm `name`, less what it leaves out.

    Raises InputError as `make` does, for a transform in `without` that the policy does not have,
    and where none is left.
    """
    policy = make(arm.policy)
    try:
        return _without(policy, arm.without)
    except InputError as error:
        raise InputError(f"augment.arms.{name}.without: {error}") from error


def _without(policy: Policy, names: Collection[str]) -> Policy:
    known = list(dict.fromkeys(choice.transform for choice in policy.choices))
    for name in names:
        if name not in known:
            raise errors.unknown("transform of this policy", name, known)
    kept = tuple(choice for choice in policy.choices if choice.transform not in names)
    if not kept:
        raise InputError(f"leaves no transform; the policy has {', '.join(known)}: keep one")
    return replace(policy, choices=kept)


def draw(policy: Policy, rng: Generator, image: Any) -> tuple[str, Params]:
    """Choose one transform by weight and draw its numbers for this picture (or array of pixels)."""
    choice = _choose(policy, rng)
    name = choice.transform
    if foreign.is_foreign(name):
        pixels = codec.to_pixels(image) if isinstance(image, Image.Image) else image
        return name, foreign.draw(name, rng, pixels, choice.completed)
    return name, transforms.find(name).draw(rng, image, **choice.completed)


def apply(name: str, pixels: Pixels, params: Params) -> Pixels:
    """`change` for arrays."""
    return codec.to_pixels(change(name, codec.to_picture(pixels), params))


def change(name: str, picture: Picture, params: Params) -> Picture:
    """Do what `draw` decided. Raises InputError when the result is not RGB of the same size."""
    if not foreign.is_foreign(name):
        return transforms.find(name).change(picture, params)
    pixels = codec.to_pixels(picture)
    result = foreign.apply(name, pixels, params)
    if result.dtype != pixels.dtype or result.shape != pixels.shape:
        expected, found = _describe(pixels), _describe(result)
        raise InputError(
            f"{name} makes {found} of {expected}: a transform must keep size, channels and type"
        )
    return codec.to_picture(result)


def versions(policy: Policy) -> dict[str, str]:
    """The foreign packages that the policy's pixels depend on, and their versions."""
    found: dict[str, str] = {}
    for choice in policy.choices:
        if foreign.is_foreign(choice.transform):
            found |= foreign.version(choice.transform)
    return found


def _choose(policy: Policy, rng: Generator) -> Entry:
    point = rng.random() * policy.total
    for choice in policy.choices:
        if point < choice.weight:
            return choice
        point -= choice.weight
    return next(choice for choice in reversed(policy.choices) if choice.weight > 0)


def _checked(policy: Policy, origin: str) -> Policy:
    for number, choice in enumerate(policy.choices):
        try:
            _check(choice)
        except (InputError, TypeError, ValueError) as error:
            raise InputError(f"{origin}: [{number}]: {error}") from error
    return policy


def _check(choice: Entry) -> None:
    json.dumps(choice.arguments, allow_nan=False)
    arguments = choice.completed
    if foreign.is_foreign(choice.transform):
        foreign.build(choice.transform, arguments)


def _entries(choices: "Iterable[Choice]") -> tuple[Entry, ...]:
    return tuple(Entry(c.transform, c.weight, c.arguments) for c in choices)


def _load(path: Path) -> tuple[Entry, ...]:
    from pydantic import TypeAdapter, ValidationError

    from toolkit import validation, yaml_files
    from toolkit.data_params import Choice

    data = yaml_files.read(path, "a policy file is a YAML list")
    try:
        return _entries(TypeAdapter(list[Choice]).validate_python(data))
    except ValidationError as error:
        where = yaml_files.place(path, validation.located(error, data))
        raise InputError(f"{where}: {validation.describe(error, data)}") from error


def _describe(pixels: Any) -> str:
    return f"{pixels.dtype} {' x '.join(str(n) for n in pixels.shape)}"


def _entry(transform: str, weight: float = 1.0, **arguments: Any) -> Entry:
    return Entry(transform, weight, arguments)


POLICIES: dict[str, Policy] = {
    # As published: about 16 % of the copies are equal to their parents, and are kept.
    "homework": Policy(
        (
            _entry("horizontal_flip", 0.7, p=0.7),
            _entry("rotate", 0.7, degrees=20),
            _entry("gaussian_blur", 0.3, sigma=[0.1, 2.0]),
            _entry("pad_resize", 0.5, pixels=10),
            _entry("resized_crop", 0.6, scale=[0.8, 1.0]),
            _entry("sharpness", 0.2, factor=1.25, p=0.5),
            _entry("sharpness", 0.2, factor=0.75, p=0.5),
            _entry("autocontrast", 0.3, p=0.5),
        ),
        keep_identical=True,
    ),
    # Plain copies: the arm that tells the effect of new pictures from that of mere repetition.
    "duplicate": Policy((_entry("identity"),), keep_identical=True),
    # Small changes of position, light and grain, after which a photo still shows the same thing.
    # OpenCV's Affine gives other bytes on CPUs without AVX2 (before 2013) than on those with it.
    "affine_photo": Policy(
        (
            _entry(
                "albumentations.Affine",
                4,
                scale=[0.9, 1.1],
                translate_percent=[-0.06, 0.06],
                rotate=[-12, 12],
                shear=[-5, 5],
                border_mode=4,  # cv2.BORDER_REFLECT_101: no black corners
            ),
            _entry("albumentations.HorizontalFlip", 1),
            _entry(
                "albumentations.RandomBrightnessContrast",
                2,
                brightness_limit=[-0.2, 0.2],
                contrast_limit=[-0.2, 0.2],
            ),
            _entry("albumentations.RandomGamma", 1, gamma_limit=[75, 130]),
            _entry("albumentations.GaussNoise", 1, std_range=[0.02, 0.06]),
            _entry("gaussian_blur", 1, sigma=[0.5, 1.5]),
        ),
        keep_identical=False,
    ),
}
