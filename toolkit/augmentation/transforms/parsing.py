"""Policies as they are asked for: by name, as a list, by class, or from a file."""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.random import Generator
from pydantic import TypeAdapter, ValidationError

from toolkit import errors
from toolkit.augmentation.params import ArmParams, ByClass, EntryParams
from toolkit.augmentation.transforms import compose, external
from toolkit.augmentation.transforms.policy import (
    GROUPS,
    LIMITS,
    Policy,
    PolicyEntry,
    narrow,
    pick_entry,
)
from toolkit.augmentation.transforms.presets import POLICIES
from toolkit.augmentation.transforms.registry import TRANSFORMS
from toolkit.errors import InputError
from toolkit.io import schema, yaml

PolicySpec = str | Path | list[EntryParams] | ByClass
"""A policy as it is asked for: see `make_policy`."""

Where = list[int | str]
Fail = Callable[[Where, str], InputError]
SUFFIXES = (".yaml", ".yml")


def make_policy(setting: PolicySpec, key: str = "policy") -> Policy:
    """A policy by its name, from a YAML file (a path or a name in .yaml), or written out.

    Written out it is a list of `params.EntryParams`, or a `params.ByClass`; so is a file. A
    transform is one of `registry.TRANSFORMS`, `policy.GROUPS` or POLICIES, or
    `albumentations.NAME` or `torchvision.NAME`.
    Raises InputError for what is unknown or does not fit: names the key, which begins with `key`,
    or the file and line.
    """
    if isinstance(setting, str) and not setting.endswith(SUFFIXES):
        return _part(setting, [], _failure)
    if isinstance(setting, str | Path):
        return _load(Path(setting))
    return _built(setting, lambda where, message: InputError(f"{_dotted(key, where)}: {message}"))


def of_arm(name: str, arm: ArmParams) -> Policy:
    """The policy of the arm `name`, less what it leaves out.

    Raises InputError as `make` does, for a transform in `without` that the policy does not have,
    and where none is left.
    """
    policy = make_policy(arm.policy, f"augment.arms.{name}.policy")
    try:
        return _without(policy, arm.without) if arm.without else policy
    except InputError as error:
        raise InputError(f"augment.arms.{name}.without: {error}") from error


def draw_params(policy: Policy, rng: Generator, image: Any) -> compose.Drawn:
    """Choose one entry by weight and draw its numbers for this picture (or array of pixels)."""
    return compose.sample_params(pick_entry(policy.choices, policy.total, rng), rng, image)


def check_policy_classes(policy: Policy, known: Collection[str], grown: Iterable[str]) -> None:
    """Raise InputError for a policy of a class that is not known, or none of one that grows."""
    for name in policy.by_class:
        if name not in known:
            raise errors.unknown_name("class in by_class of the policy", name, known)
    for name in grown:
        policy.of(name)


def policy_versions(policy: Policy) -> dict[str, str]:
    """The foreign packages that the policy's pixels depend on, and their versions."""
    found: dict[str, str] = {}
    for leaf in policy.leaves():
        if external.is_foreign(leaf.transform):
            found |= external.external_versions(leaf.transform)
    return found


# --- less some transforms ---------------------------------------------------------------------


def _without(policy: Policy, names: Collection[str]) -> Policy:
    known = policy.names()
    for name in names:
        if name not in known:
            raise errors.unknown_name("transform of this policy", name, known)
    less = {label: _less(part, names) for label, part in policy.by_class.items()}
    return replace(_less(policy, names) if policy.choices else policy, by_class=less)


def _less(policy: Policy, names: Collection[str]) -> Policy:
    kept = tuple(filter(None, (_left(choice, names) for choice in policy.choices)))
    if not kept:
        found = ", ".join(policy.names())
        raise InputError(f"leaves no transform; the policy has {found}: keep one")

    for entry in kept:
        if problem := fault(entry):
            raise InputError(problem[1])
    return replace(policy, choices=kept)


def _left(entry: PolicyEntry, names: Collection[str]) -> PolicyEntry | None:
    """The entry without these transforms; None where nothing is left of it."""
    if not entry.of:
        return None if entry.transform in names else entry
    parts = tuple(filter(None, (_left(part, names) for part in entry.of)))
    return replace(entry, of=parts) if parts else None


# --- from what was written --------------------------------------------------------------------


def _load(path: Path) -> Policy:
    data = yaml.read_yaml(path, "a policy file is a YAML list")
    kind: Any = ByClass if isinstance(data, dict) else list[EntryParams]
    try:
        setting = TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        where = yaml.locate_key(path, schema.locate_error(error, data))
        raise InputError(f"{where}: {schema.describe_errors(error, data)}") from error
    if not setting:
        raise InputError(f"{path}: the list is empty; a policy needs a transform")

    def fail(where: Where, message: str) -> InputError:
        return InputError(f"{yaml.locate_key(path, where)}: {_dotted('', where)}: {message}")

    return _built(setting, fail)


def _failure(_where: Where, message: str) -> InputError:
    return InputError(message)


def _built(setting: list[EntryParams] | ByClass, fail: Fail) -> Policy:
    if isinstance(setting, list):
        return _part(setting, [], fail)
    by_class = {
        name: _part(part, ["by_class", name], fail) for name, part in setting.by_class.items()
    }
    if setting.otherwise is None:
        return Policy((), keep_identical=False, by_class=by_class)
    return replace(_part(setting.otherwise, ["otherwise"], fail), by_class=by_class)


def _part(setting: str | list[EntryParams], where: Where, fail: Fail) -> Policy:
    """A named policy, or the one that a list is."""
    if isinstance(setting, str):
        if setting not in POLICIES:
            raise fail(where, str(errors.unknown_name("policy", setting, POLICIES)))
        return POLICIES[setting]

    choices = tuple(map(_entry, setting))
    for number, choice in enumerate(choices):
        if problem := fault(choice):
            raise fail([*where, number, *problem[0]], problem[1])
    return Policy(tuple(map(narrow, choices)), keep_identical=False)


def _entry(choice: EntryParams) -> PolicyEntry:
    """An entry as written. One that names a policy is one of that policy's."""
    if choice.transform in POLICIES and not (choice.of or choice.arguments):
        of = POLICIES[choice.transform].choices
        return PolicyEntry("one_of", choice.weight, of=of, limit=choice.limit)
    of = tuple(map(_entry, choice.of))
    return PolicyEntry(choice.transform, choice.weight, choice.arguments, of, choice.limit)


def _dotted(key: str, where: Sequence[int | str]) -> str:
    """A key as in `policy[2].of[0].arguments`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in where)
    return f"{key}{''.join(parts)}".removeprefix(".")


def fault(entry: PolicyEntry) -> tuple[list[int | str], str] | None:
    """The keys that lead to what is wrong, and a message; None where all is well."""
    for key, check in CHECKS.items():
        try:
            check(entry)
        except (InputError, TypeError, ValueError) as error:
            return [key], str(error)
    for number, part in enumerate(entry.of):
        if found := fault(part):
            return ["of", number, *found[0]], found[1]
    return None


def _transform(entry: PolicyEntry) -> None:
    if entry.transform in POLICIES:
        raise InputError(f"{entry.transform} is a policy: it takes no arguments and no entries")
    if not external.is_foreign(entry.transform):
        _known("transform", entry.transform, [*TRANSFORMS, *GROUPS, *POLICIES])


def _known(kind: str, name: str, valid: Collection[str]) -> None:
    if name not in valid:
        raise errors.unknown_name(kind, name, valid)


def _arguments(entry: PolicyEntry) -> None:
    json.dumps(entry.arguments, allow_nan=False)
    arguments = entry.completed
    if external.is_foreign(entry.transform):
        external.build_external(entry.transform, arguments)


def _of(entry: PolicyEntry) -> None:
    if entry.transform not in GROUPS:
        if entry.of:
            known = ", ".join(GROUPS)
            raise InputError(f"{entry.transform} is made of no others; only {known} are")
        return
    if not entry.of:
        raise InputError(f"{entry.transform} needs the list of entries that it is made of")
    if entry.transform == "sequence" and any(part.weight != 1 for part in entry.of):
        raise InputError("a sequence does all of its entries: leave out their weights")
    if entry.transform == "some_of" and not entry.completed["replace"]:
        count = entry.completed["count"]
        most = count if isinstance(count, int) else count[1]
        if most > len(entry.of):
            found = f"cannot choose {most} of {len(entry.of)} entries"
            raise InputError(f"some_of {found}; lower count, or set replace: true")


def _limit(entry: PolicyEntry) -> None:
    for name, value in entry.limit.items():
        _known("limit", name, LIMITS)
        if not LIMITS[name].valid(value):
            raise InputError(f"{name} must be {LIMITS[name].rule}, got {value!r}")
    for leaf in entry.leaves() if entry.limit else ():
        if external.is_foreign(leaf.transform):
            message = f"cannot bound {leaf.transform}, which draws by itself"
            raise InputError(f"{message}; bound its own arguments")


CHECKS: dict[str, Callable[[PolicyEntry], None]] = {
    "transform": _transform,
    "arguments": _arguments,
    "of": _of,
    "limit": _limit,
}
