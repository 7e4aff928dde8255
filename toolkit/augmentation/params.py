"""The section augment of params.yaml."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from toolkit.errors import InputError
from toolkit.io import images
from toolkit.io.schema import Name, Positive, Section, Seed, Share


class EntryParams(Section):
    """One entry of a policy: a transform, how often it is drawn, and its fixed arguments.

    A group (`policy.GROUPS`) has entries of its own, `of`; `limit` bounds what is drawn
    (`policy.LIMITS`).
    """

    transform: str
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    arguments: dict[str, Any] = {}
    of: list["EntryParams"] = []
    limit: dict[str, Any] = {}


EntriesParams = str | Annotated[list[EntryParams], Field(min_length=1)]
"""A named policy, or one written out."""


class ByClass(Section):
    """A policy for each class; `otherwise` is that of the classes that are not named."""

    by_class: Annotated[dict[str, EntriesParams], Field(min_length=1)]
    otherwise: EntriesParams | None = None


class ArmParams(Section):
    """One version of the training data.

    `without`: the names of transforms that the arm leaves out of its policy.
    """

    policy: EntriesParams | ByClass
    without: list[str] = []


Target = Positive | Share | str | dict[str, Positive]


class AugmentParams(Section):
    """How many images each class ends with, who is copied, and how."""

    target: Target = "auto"
    classes: list[str] | None = None
    draw: Literal["even", "random"] = "even"
    seed: Seed = 0
    format: Literal["png", "jpeg"] = "png"
    arms: dict[Name, ArmParams] = {"augmented": ArmParams(policy="homework")}

    @model_validator(mode="after")
    def _original_is_reserved(self) -> "AugmentParams":
        if "original" in self.arms:
            raise ValueError("the arm 'original' is the prepared data itself: choose another name")
        return self


PlainTarget = int | float | str | Mapping[str, int]


@dataclass(frozen=True)
class Arm:
    """See `params.ArmParams`."""

    policy: Any
    without: Sequence[str] = ()


@dataclass(frozen=True)
class Request:
    """The fields and defaults of `AugmentParams`. Raises InputError that names the option."""

    target: PlainTarget = "auto"
    classes: Sequence[str] | None = None
    draw: Literal["even", "random"] = "even"
    seed: int = 0
    format: str = "png"
    arms: Mapping[str, Arm] = field(default_factory=lambda: {"augmented": Arm("homework")})

    def __post_init__(self) -> None:
        """Check what `params.AugmentParams` checks of the same options."""
        if self.format not in images.ENCODERS:
            known = " or ".join(repr(name) for name in images.ENCODERS)
            raise InputError(f"--format must be {known}, got {self.format!r}")
        if isinstance(self.target, int | float) and self.target <= 0:
            raise InputError(f"--target must be more than 0, got {self.target}")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"--seed must be from 0 to 2**32 - 1, got {self.seed}")
