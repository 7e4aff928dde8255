"""params.yaml as typed, validated settings; unknown keys are refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError, model_validator

from toolkit import validation, yaml_files
from toolkit.data_params import Audit, Augment, Fetch, Prepare
from toolkit.errors import InputError
from toolkit.section import Section
from toolkit.training_params import Compare, Evaluate, Train


class Params(Section):
    """The whole file. `version` pins the installed toolkit in a folder without its source."""

    version: str | None = None
    fetch: Fetch
    audit: Audit = Audit()
    prepare: Prepare = Prepare()
    augment: Augment = Augment()
    train: Train
    evaluate: Evaluate = Evaluate()
    compare: Compare

    @model_validator(mode="after")
    def _names_are_defined(self) -> "Params":
        arms = ["original", *self.augment.arms]
        for key, names, known in (
            ("compare.arms", self.compare.arms, arms),
            ("compare.recipes", self.compare.recipes, list(self.train.recipes)),
            ("compare.baseline", [self.compare.baseline], self.compare.arms),
            ("compare.control", filter(None, [self.compare.control]), self.compare.arms),
        ):
            for name in names:
                if name not in known:
                    raise ValueError(f"{key} must name some of {known}, got {name!r}")
        return self


def load(path: Path) -> Params:
    """Read and check params.yaml. Raises InputError that names the file, the line and the key."""
    data = yaml_files.read(path, "`toolkit init` writes one")
    if not isinstance(data, dict):
        raise InputError(f"{path}: must be a mapping of sections, got {type(data).__name__}")
    return _checked(data, lambda error: yaml_files.place(path, validation.located(error, data)))


def parse(data: dict[str, Any], origin: str = "params.yaml") -> Params:
    """Check a mapping. Raises InputError that begins with `origin` and the key."""
    return _checked(data, lambda _: origin)


def _checked(data: dict[str, Any], origin: Callable[[ValidationError], str]) -> Params:
    try:
        return Params.model_validate(data)
    except ValidationError as error:
        raise InputError(f"{origin(error)}: {validation.describe(error, data)}") from error


S = TypeVar("S", bound=Section)


def override(section: S, given: dict[str, Any]) -> S:
    """A section with some keys replaced. Raises InputError that names the option."""
    try:
        return type(section).model_validate(section.model_dump() | given)
    except ValidationError as error:
        raise InputError(f"--{validation.describe(error, given)}") from error
