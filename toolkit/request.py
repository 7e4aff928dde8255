"""What `augment` is asked for outside a project: params without pydantic, which starts slowly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from toolkit import codec
from toolkit.errors import InputError

Target = int | float | str | Mapping[str, int]


@dataclass(frozen=True)
class Arm:
    """See `data_params.Arm`."""

    policy: Any
    without: Sequence[str] = ()


@dataclass(frozen=True)
class Request:
    """The fields and defaults of `data_params.Augment`. Raises InputError that names the option."""

    target: Target = "auto"
    classes: Sequence[str] | None = None
    draw: Literal["even", "random"] = "even"
    seed: int = 0
    format: str = "png"
    arms: Mapping[str, Arm] = field(default_factory=lambda: {"augmented": Arm("homework")})

    def __post_init__(self) -> None:
        """Check what `data_params.Augment` checks of the same options."""
        if self.format not in codec.ENCODERS:
            known = " or ".join(repr(name) for name in codec.ENCODERS)
            raise InputError(f"--format must be {known}, got {self.format!r}")
        if isinstance(self.target, int | float) and self.target <= 0:
            raise InputError(f"--target must be more than 0, got {self.target}")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"--seed must be from 0 to 2**32 - 1, got {self.seed}")
