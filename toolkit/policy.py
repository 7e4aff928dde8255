"""Policies as they are asked for: by name, as a list, by class, or from a file."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from toolkit import composites, entries, errors, foreign
from toolkit.chance import Generator
from toolkit.entries import Entry, Policy
from toolkit.errors import InputError
from toolkit.named_policies import POLICIES

if TYPE_CHECKING:  # params brings pydantic, which is slow to import
    from toolkit import data_params, request
    from toolkit.data_params import ByClass, Choice

Setting: TypeAlias = "str | Path | list[Choice] | ByClass"
Where = list[int | str]
Fail = Callable[[Where, str], InputError]
SUFFIXES = (".yaml", ".yml")


def make(setting: Setting, key: str = "policy") -> Policy:
    """A policy by its name, from a YAML file (a path or a name in .yaml), or written out.

    Written out it is a list of `data_params.Choice`, or a `data_params.ByClass`; so is a file. A
    transform is one of `transforms.TRANSFORMS`, `entries.GROUPS` or POLICIES, or
    `albumentations.NAME` or `torchvision.NAME`.
    Raises InputError for what is unknown or does not fit: names the key, which begins with `key`,
    or the file and line.
    """
    if isinstance(setting, str) and not setting.endswith(SUFFIXES):
        return _part(setting, [], _failure)
    if isinstance(setting, str | Path):
        return _load(Path(setting))
    return _built(setting, lambda where, message: InputError(f"{_dotted(key, where)}: {message}"))


def of_arm(name: str, arm: "data_params.Arm | request.Arm") -> Policy:
    """The policy of the arm `name`, less what it leaves out.

    Raises InputError as `make` does, for a transform in `without` that the policy does not have,
    and where none is left.
    """
    policy = make(arm.policy, f"augment.arms.{name}.policy")
    try:
        return _without(policy, arm.without) if arm.without else policy
    except InputError as error:
        raise InputError(f"augment.arms.{name}.without: {error}") from error


def draw(policy: Policy, rng: Generator, image: Any) -> composites.Drawn:
    """Choose one entry by weight and draw its numbers for this picture (or array of pixels)."""
    return composites.draw(entries.pick(policy.choices, policy.total, rng), rng, image)


def check_classes(policy: Policy, known: Collection[str], grown: Iterable[str]) -> None:
    """Raise InputError for a policy of a class that is not known, or none of one that grows."""
    for name in policy.by_class:
        if name not in known:
            raise errors.unknown("class in by_class of the policy", name, known)
    for name in grown:
        policy.of(name)


def versions(policy: Policy) -> dict[str, str]:
    """The foreign packages that the policy's pixels depend on, and their versions."""
    found: dict[str, str] = {}
    for leaf in policy.leaves():
        if foreign.is_foreign(leaf.transform):
            found |= foreign.version(leaf.transform)
    return found


# --- less some transforms ---------------------------------------------------------------------


def _without(policy: Policy, names: Collection[str]) -> Policy:
    known = policy.names()
    for name in names:
        if name not in known:
            raise errors.unknown("transform of this policy", name, known)
    less = {label: _less(part, names) for label, part in policy.by_class.items()}
    return replace(_less(policy, names) if policy.choices else policy, by_class=less)


def _less(policy: Policy, names: Collection[str]) -> Policy:
    kept = tuple(filter(None, (_left(choice, names) for choice in policy.choices)))
    if not kept:
        found = ", ".join(policy.names())
        raise InputError(f"leaves no transform; the policy has {found}: keep one")
    from toolkit import checking

    for entry in kept:
        if problem := checking.fault(entry):
            raise InputError(problem[1])
    return replace(policy, choices=kept)


def _left(entry: Entry, names: Collection[str]) -> Entry | None:
    """The entry without these transforms; None where nothing is left of it."""
    if not entry.of:
        return None if entry.transform in names else entry
    parts = tuple(filter(None, (_left(part, names) for part in entry.of)))
    return replace(entry, of=parts) if parts else None


# --- from what was written --------------------------------------------------------------------


def _load(path: Path) -> Policy:
    from pydantic import TypeAdapter, ValidationError

    from toolkit import validation, yaml_files
    from toolkit.data_params import ByClass, Choice

    data = yaml_files.read(path, "a policy file is a YAML list")
    kind: Any = ByClass if isinstance(data, dict) else list[Choice]
    try:
        setting = TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        where = yaml_files.place(path, validation.located(error, data))
        raise InputError(f"{where}: {validation.describe(error, data)}") from error
    if not setting:
        raise InputError(f"{path}: the list is empty; a policy needs a transform")

    def fail(where: Where, message: str) -> InputError:
        return InputError(f"{yaml_files.place(path, where)}: {_dotted('', where)}: {message}")

    return _built(setting, fail)


def _failure(_where: Where, message: str) -> InputError:
    return InputError(message)


def _built(setting: "list[Choice] | ByClass", fail: Fail) -> Policy:
    if isinstance(setting, list):
        return _part(setting, [], fail)
    by_class = {
        name: _part(part, ["by_class", name], fail) for name, part in setting.by_class.items()
    }
    if setting.otherwise is None:
        return Policy((), keep_identical=False, by_class=by_class)
    return replace(_part(setting.otherwise, ["otherwise"], fail), by_class=by_class)


def _part(setting: "str | list[Choice]", where: Where, fail: Fail) -> Policy:
    """A named policy, or the one that a list is."""
    if isinstance(setting, str):
        if setting not in POLICIES:
            raise fail(where, str(errors.unknown("policy", setting, POLICIES)))
        return POLICIES[setting]
    from toolkit import checking  # a named policy needs no check

    choices = tuple(map(_entry, setting))
    for number, choice in enumerate(choices):
        if problem := checking.fault(choice):
            raise fail([*where, number, *problem[0]], problem[1])
    return Policy(tuple(map(entries.narrowed, choices)), keep_identical=False)


def _entry(choice: "Choice") -> Entry:
    """An entry as written. One that names a policy is one of that policy's."""
    if choice.transform in POLICIES and not (choice.of or choice.arguments):
        of = POLICIES[choice.transform].choices
        return Entry("one_of", choice.weight, of=of, limit=choice.limit)
    of = tuple(map(_entry, choice.of))
    return Entry(choice.transform, choice.weight, choice.arguments, of, choice.limit)


def _dotted(key: str, where: Sequence[int | str]) -> str:
    """A key as in `policy[2].of[0].arguments`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in where)
    return f"{key}{''.join(parts)}".removeprefix(".")
