"""Policies from what a user writes: a name, a list, policies by class, or a file."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from toolkit import errors
from toolkit.augmentation.params import ArmParams, ByClass, EntryParams
from toolkit.augmentation.transforms import external, saved
from toolkit.augmentation.transforms.policy import (
    GROUPS,
    LIMITS,
    MOST_APPLIED,
    Policy,
    PolicyEntry,
    narrow_entry,
)
from toolkit.augmentation.transforms.presets import POLICIES
from toolkit.augmentation.transforms.registry import TRANSFORMS
from toolkit.errors import InputError
from toolkit.io import schema

PolicySpec = str | Path | list[EntryParams] | ByClass
"""A policy as it is written: see `make_policy`."""

Keys = list[int | str]
"""The keys that lead to a place in a policy, such as [2, "of", 0, "arguments"]."""

Fail = Callable[[Keys, str], InputError]
"""What makes an error of the keys to a mistake, and a message."""

SUFFIXES = (".yaml", ".yml", ".json")


def make_policy(spec: PolicySpec, key: str = "policy") -> Policy:
    """Return a policy by its name, from a file (a path, or a name in SUFFIXES), or as written.

    A written policy is a list of `params.EntryParams`, or a `params.ByClass`; so is a file, unless
    albumentations saved it: see `saved.convert_saved`. Their
    transforms are from `registry.TRANSFORMS`, `policy.GROUPS` and POLICIES, or have names such as
    `albumentations.Affine` and `torchvision.RandomAffine`.
    Raises InputError for names that are unknown and values that do not fit, with their key, which
    begins with `key`, or with the file and line.
    """
    if isinstance(spec, str) and not spec.endswith(SUFFIXES):
        return _make_part(spec, [], lambda _keys, message: InputError(message))
    if isinstance(spec, str | Path):
        return _read_policy(Path(spec))
    return _make_written(spec, lambda keys, message: InputError(f"{_dotted(key, keys)}: {message}"))


def make_arm_policy(name: str, arm: ArmParams) -> Policy:
    """Return the policy of the arm `name`, without the transforms that it leaves out.

    Raises InputError as `make_policy` does, for a transform in `without` that the policy lacks, and
    if no transform remains.
    """
    policy = make_policy(arm.policy, f"augment.arms.{name}.policy")
    try:
        return _leave_out(policy, arm.without) if arm.without else policy
    except InputError as error:
        raise InputError(f"augment.arms.{name}.without: {error}") from error


def check_policy_classes(policy: Policy, known: Collection[str], growing: Iterable[str]) -> None:
    """Raise InputError for a policy of an unknown class, or a growing class without a policy."""
    for name in policy.by_class:
        if name not in known:
            raise errors.unknown_name("class in by_class of the policy", name, known)
    for name in growing:
        policy.for_class(name)


def policy_versions(policy: Policy) -> dict[str, str]:
    """Return the versions of the external packages that the policy's pixels depend on."""
    versions: dict[str, str] = {}
    for leaf in policy.leaves():
        if external.is_external(leaf.transform):
            versions |= external.external_versions(leaf.transform)
    return versions


# --- without some transforms ------------------------------------------------------------------


def _leave_out(policy: Policy, names: Collection[str]) -> Policy:
    known = policy.names()
    for name in names:
        if name not in known:
            raise errors.unknown_name("transform of this policy", name, known)
    by_class = {label: _remaining(part, names) for label, part in policy.by_class.items()}
    return replace(_remaining(policy, names) if policy.entries else policy, by_class=by_class)


def _remaining(policy: Policy, names: Collection[str]) -> Policy:
    entries = tuple(filter(None, (_remaining_entry(entry, names) for entry in policy.entries)))
    if not entries:
        listed = ", ".join(policy.names())
        raise InputError(f"leaves no transform; the policy has {listed}: keep one")
    for entry in entries:
        if mistake := _find_mistake(entry):
            raise InputError(mistake[1])
    return replace(policy, entries=entries)


def _remaining_entry(entry: PolicyEntry, names: Collection[str]) -> PolicyEntry | None:
    """Return the entry without these transforms; None if nothing of it remains."""
    if not entry.of:
        return None if entry.transform in names else entry
    parts = tuple(filter(None, (_remaining_entry(part, names) for part in entry.of)))
    return replace(entry, of=parts) if parts else None


# --- from what was written --------------------------------------------------------------------


def _read_policy(path: Path) -> Policy:
    from toolkit.io import yaml  # slow to import

    data = yaml.read_yaml(path, "a policy file is a YAML list, or what albumentations saved")
    if saved.is_saved(data):
        return _read_saved(path, data)
    kind: Any = ByClass if isinstance(data, dict) else list[EntryParams]
    try:
        written = TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        place = yaml.locate_key(path, schema.locate_error(error, data))
        raise InputError(f"{place}: {schema.describe_errors(error, data)}") from error
    if not written:
        raise InputError(f"{path}: the list is empty; a policy needs a transform")

    def fail(keys: Keys, message: str) -> InputError:
        return InputError(f"{yaml.locate_key(path, keys)}: {_dotted('', keys)}: {message}")

    return _make_written(written, fail)


def _read_saved(path: Path, data: Mapping[str, Any]) -> Policy:
    try:
        entries, notes = saved.convert_saved(data)
        policy = _make_part(entries, [], lambda _keys, message: InputError(message))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return replace(policy, notes=tuple(f"{path}: {note}" for note in notes))


def _make_written(written: list[EntryParams] | ByClass, fail: Fail) -> Policy:
    if isinstance(written, list):
        return _make_part(written, [], fail)
    by_class = {
        name: _make_part(part, ["by_class", name], fail) for name, part in written.by_class.items()
    }
    if written.otherwise is None:
        return Policy((), keep_identical=False, by_class=by_class)
    return replace(_make_part(written.otherwise, ["otherwise"], fail), by_class=by_class)


def _make_part(part: str | list[EntryParams], keys: Keys, fail: Fail) -> Policy:
    """Return a policy by its name, or of these entries."""
    if isinstance(part, str):
        if part not in POLICIES:
            raise fail(keys, str(errors.unknown_name("policy", part, POLICIES)))
        return POLICIES[part]
    entries = tuple(map(_make_entry, part))
    for number, entry in enumerate(entries):
        if mistake := _find_mistake(entry):
            raise fail([*keys, number, *mistake[0]], mistake[1])
    return Policy(tuple(map(narrow_entry, entries)), keep_identical=False)


def _make_entry(params: EntryParams) -> PolicyEntry:
    """Return the entry; one that names a policy picks one of that policy's entries."""
    if params.transform in POLICIES and not (params.of or params.arguments):
        of = POLICIES[params.transform].entries
        return PolicyEntry("one_of", params.weight, of=of, limit=params.limit)
    of = tuple(map(_make_entry, params.of))
    return PolicyEntry(params.transform, params.weight, params.arguments, of, params.limit)


def _dotted(key: str, keys: Sequence[int | str]) -> str:
    """Return a key such as `policy[2].of[0].arguments`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in keys)
    return f"{key}{''.join(parts)}".removeprefix(".")


# --- mistakes ---------------------------------------------------------------------------------


def _find_mistake(entry: PolicyEntry) -> tuple[Keys, str] | None:
    """Return the keys that lead to a mistake, and a message; None if there is none."""
    for key, check in CHECKS.items():
        try:
            check(entry)
        except (InputError, TypeError, ValueError) as error:
            return [key], str(error)
    for number, part in enumerate(entry.of):
        if mistake := _find_mistake(part):
            return ["of", number, *mistake[0]], mistake[1]
    if (steps := entry.most_steps()) > MOST_APPLIED:
        most = f"up to {steps:,} transforms may be applied to one image"
        return ["of"], f"{most}, at most {MOST_APPLIED:,} are; lower count, chains or depth"
    return None


def _check_transform(entry: PolicyEntry) -> None:
    if entry.transform in POLICIES:
        raise InputError(f"{entry.transform} is a policy: it takes no arguments and no entries")
    if not external.is_external(entry.transform):
        _check_known("transform", entry.transform, [*TRANSFORMS, *GROUPS, *POLICIES])


def _check_known(kind: str, name: str, valid: Collection[str]) -> None:
    if name not in valid:
        raise errors.unknown_name(kind, name, valid)


def _check_arguments(entry: PolicyEntry) -> None:
    json.dumps(entry.arguments, allow_nan=False)
    arguments = entry.full_arguments
    if external.is_external(entry.transform):
        external.build_external(entry.transform, arguments)


def _check_of(entry: PolicyEntry) -> None:
    if entry.transform not in GROUPS:
        if entry.of:
            known = ", ".join(GROUPS)
            raise InputError(f"{entry.transform} is made of no others; only {known} are")
        return
    if not entry.of:
        raise InputError(f"{entry.transform} needs the list of entries that it is made of")
    if entry.transform == "sequence" and any(part.weight != 1 for part in entry.of):
        raise InputError("a sequence applies all of its entries: leave out their weights")
    if entry.transform == "some_of" and not entry.full_arguments["replace"]:
        count = entry.full_arguments["count"]
        most = count if isinstance(count, int) else count[1]
        if most > len(entry.of):
            raise InputError(
                f"some_of cannot choose {most} of {len(entry.of)} entries; lower count, or set "
                f"replace: true"
            )


def _check_limit(entry: PolicyEntry) -> None:
    for name, value in entry.limit.items():
        _check_known("limit", name, LIMITS)
        if not LIMITS[name].valid(value):
            raise InputError(f"{name} must be {LIMITS[name].rule}, got {value!r}")
    for leaf in entry.leaves() if entry.limit else ():
        if external.is_external(leaf.transform):
            message = f"cannot bound {leaf.transform}, which draws by itself"
            raise InputError(f"{message}; bound its own arguments")


CHECKS: dict[str, Callable[[PolicyEntry], None]] = {
    "transform": _check_transform,
    "arguments": _check_arguments,
    "of": _check_of,
    "limit": _check_limit,
}
