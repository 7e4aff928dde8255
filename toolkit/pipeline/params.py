"""params.yaml as typed, validated settings; unknown keys are refused."""

from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import ValidationError, model_validator

from toolkit.augmentation.params import AugmentParams
from toolkit.checks.params import AuditParams
from toolkit.datasets.params import ByFolds, FetchParams, PrepareParams
from toolkit.errors import DISTRIBUTION, InputError
from toolkit.io import schema, yaml
from toolkit.io.schema import Section
from toolkit.metrics.params import CompareParams, EvaluateParams
from toolkit.training.params import TrainParams


class Params(Section):
    """The whole file. `version` pins the installed toolkit in a folder without its source."""

    version: str | None = None
    fetch: FetchParams
    audit: AuditParams = AuditParams()
    prepare: PrepareParams = PrepareParams()
    augment: AugmentParams = AugmentParams()
    train: TrainParams
    evaluate: EvaluateParams = EvaluateParams()
    compare: CompareParams

    @property
    def published(self) -> list[str]:
        """The arms whose new images are made as published: by the policy `homework`, all of it."""
        arms = self.augment.arms.items()
        return [name for name, arm in arms if arm.policy == "homework" and not arm.without]

    @model_validator(mode="after")
    def _names_are_defined(self) -> "Params":
        arms = ["original", *self.augment.arms]
        for key, names, known in (
            ("compare.arms", self.compare.arms, arms),
            ("compare.recipes", self.compare.recipes, list(self.train.recipes)),
            ("compare.baseline", [self.compare.baseline], self.compare.arms),
            ("compare.control", filter(None, [self.compare.control]), self.compare.arms),
            *self._primary_names(),
        ):
            for name in names:
                if name not in known:
                    raise ValueError(f"{key} must name some of {known}, got {name!r}")
        return self

    @model_validator(mode="after")
    def _seeds_are_a_look(self) -> "Params":
        looks, seeds = self.compare.looks, len(self.compare.seeds)
        if looks and seeds not in looks:
            raise ValueError(
                f"compare.seeds must be as many as one of compare.looks {looks}, got {seeds}; name "
                "so many seeds, or remove compare.looks before anything is looked at"
            )
        return self

    @model_validator(mode="after")
    def _folds_are_used(self) -> "Params":
        split, seeds = self.prepare.split, self.compare.seeds
        if not isinstance(split, ByFolds):
            return self
        if missing := {*range(split.repeats)} - {seed % split.repeats for seed in seeds}:
            raise ValueError(
                f"compare.seeds {seeds} leave division {min(missing)} of prepare.split.repeats "
                f"{split.repeats} unused (a seed takes the one that is left of it by division); "
                f"name the seeds {[*range(split.repeats)]}, or lower prepare.split.repeats"
            )
        return self

    def _primary_names(self) -> list[tuple[str, list[str], list[str]]]:
        """Return the keys of compare.primary, their values, and what these may be."""
        compare = self.compare
        if (primary := compare.primary) is None:
            return []
        against = list(filter(None, [compare.baseline, compare.control]))
        others = [arm for arm in compare.arms if arm not in (compare.baseline, primary.against)]
        return [
            ("compare.primary.recipe", [primary.recipe], compare.recipes),
            ("compare.primary.against", [primary.against], against),
            ("compare.primary.arm", [primary.arm], others),
        ]


def installed_version() -> str:
    """Return the installed version of the toolkit."""
    return metadata.version(DISTRIBUTION)


def read_settings(path: Path) -> Params:
    """Read a project's params.yaml. Raises InputError if it is missing or of another version."""
    settings = load_params(path)
    check_version(settings)
    return settings


def check_version(settings: Params) -> None:
    """Refuse a params.yaml that was written for another version of the toolkit."""
    installed = installed_version()
    if settings.version not in (None, installed):
        raise InputError(
            f"params.yaml: version is {settings.version}, but toolkit {installed} is installed; "
            f"install that version, or set version to {installed} (what it changes runs again)"
        )


def load_params(path: Path) -> Params:
    """Read and check params.yaml. Raises InputError that names the file, the line and the key."""
    data = yaml.read_yaml(path, "run this in a project's folder; `toolkit init` makes one")
    if not isinstance(data, dict):
        raise InputError(f"{path}: must be a mapping of sections, got {type(data).__name__}")
    return _checked(data, lambda error: yaml.locate_key(path, schema.locate_error(error, data)))


def parse_params(data: dict[str, Any], origin: str = "params.yaml") -> Params:
    """Check a mapping. Raises InputError that begins with `origin` and the key."""
    return _checked(data, lambda _: origin)


def _checked(data: dict[str, Any], origin: Callable[[ValidationError], str]) -> Params:
    try:
        return Params.model_validate(data)
    except ValidationError as error:
        raise InputError(f"{origin(error)}: {schema.describe_errors(error, data)}") from error
