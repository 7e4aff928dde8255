"""The section `augment` of params.yaml, and what is asked for outside a project."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from toolkit.io.schema import Fraction, Name, Positive, PositiveNumber, Section, Seed


class EntryParams(Section):
    """One entry of a policy: a transform or a group, its weight, and its fixed arguments.

    A group (`policy.GROUPS`) has entries of its own, `of`. `limit` bounds what is drawn
    (`policy.LIMITS`).
    """

    transform: str
    weight: PositiveNumber = 1.0
    arguments: dict[str, Any] = {}
    of: list["EntryParams"] = []
    limit: dict[str, Any] = {}


PolicyParams = str | Annotated[list[EntryParams], Field(min_length=1)]
"""The name of a policy, or its entries."""


class ByClass(Section):
    """A policy for each class; `otherwise` is the policy of the classes not listed."""

    by_class: Annotated[dict[str, PolicyParams], Field(min_length=1)]
    otherwise: PolicyParams | None = None


class ArmParams(Section):
    """One version of the training data.

    `without`: the names of transforms that the arm leaves out of its policy.
    """

    policy: PolicyParams | ByClass
    without: list[str] = []


def _check_number(value: Any) -> Any:
    if isinstance(value, int | float) and not (0 < value <= 1 or (value > 1 and value % 1 == 0)):
        raise PydanticCustomError(
            "target", "a whole number of 1 or more, or a ratio between 0 and 1"
        )
    return value


Target = Annotated[Positive | Fraction | str | dict[str, Positive], BeforeValidator(_check_number)]
"""The number of images that a class ends with, or how to compute it: see `plan.quotas`."""


class AugmentParams(Section):
    """How many images each class ends with, which originals are copied, and how."""

    target: Target = "auto"
    classes: list[str] | None = None
    draw: Literal["even", "random"] = "even"
    seed: Seed = 0
    format: Literal["png", "jpeg"] = "png"
    limit: PositiveNumber = 10_000
    """Megabytes of new images; what would take more needs `--yes`."""
    arms: dict[Name, ArmParams] = {"augmented": ArmParams(policy="homework")}

    @model_validator(mode="after")
    def _original_is_reserved(self) -> "AugmentParams":
        if "original" in self.arms:
            raise ValueError("the arm 'original' is the prepared data itself: choose another name")
        return self
