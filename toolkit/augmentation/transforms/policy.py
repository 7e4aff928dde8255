"""What a policy is made of: entries, groups of them, weights, and limits of what is drawn."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from numpy.random import Generator

from toolkit.augmentation.transforms import external, registry
from toolkit.augmentation.transforms.registry import Argument, is_number, is_pair
from toolkit.errors import InputError


def _is_count(value: Any) -> bool:
    whole = is_number(value, 1, MOST_STEPS) and isinstance(value, int)
    return whole or is_pair(value, 1, MOST_STEPS, whole=True)


MOST_STEPS = 10
COUNTED = f"a whole number from 1 to {MOST_STEPS}, or [lowest, highest]"

GROUPS: dict[str, Mapping[str, Argument]] = {
    "one_of": {},
    "sequence": {},
    "some_of": {
        "count": Argument(2, _is_count, COUNTED),
        "replace": Argument(False, lambda value: isinstance(value, bool), "true or false"),
    },
    "mix": {
        "chains": Argument(3, _is_count, COUNTED),
        "depth": Argument([1, 3], _is_count, COUNTED),
    },
}
"""What stands in an entry in the place of a transform when it has entries of its own."""

LIMITS: dict[str, Argument] = {
    "rotation": Argument(None, lambda v: is_number(v, 0, 180), "degrees from 0 to 180"),
    "shear": Argument(None, lambda v: is_number(v, 0, 1), "a slope from 0 to 1"),
    "translation": Argument(None, lambda v: is_number(v, 0, 1), "a share of the side, 0 to 1"),
    "crop": Argument(None, lambda v: is_number(v, 0, 1), "the share of the area cut away, 0 to 1"),
}
"""What an entry's `limit` may bound: the most that all its steps together do, either way."""


@dataclass(frozen=True)
class PolicyEntry:
    """A transform or a group, how often it is drawn, and its fixed arguments.

    `of`: the entries of a group. `limit`: see LIMITS.
    """

    transform: str
    weight: float = 1.0
    arguments: Mapping[str, Any] = field(default_factory=dict)
    of: tuple["PolicyEntry", ...] = ()
    limit: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def completed(self) -> dict[str, Any]:
        """The arguments with the defaults filled in. Raises InputError for what is unknown."""
        if self.transform in GROUPS:
            return registry.fill(self.transform, GROUPS[self.transform], self.arguments)
        if external.is_foreign(self.transform):
            return external.complete_external(self.transform, self.arguments)
        return registry.complete_arguments(self.transform, self.arguments)

    def leaves(self) -> Iterator["PolicyEntry"]:
        """The entries with a transform that are in this one, or this one."""
        if not self.of:
            yield self
        for part in self.of:
            yield from part.leaves()


@dataclass(frozen=True)
class Policy:
    """Entries with weights, of which each new image gets one.

    `keep_identical` false: a draw that leaves the image as it was is drawn again. `by_class`: the
    policies of single classes; the entries are for the others, and may be none then.
    Raises InputError for a negative weight, or when none is positive.
    """

    choices: tuple[PolicyEntry, ...]
    keep_identical: bool
    by_class: Mapping[str, "Policy"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the weights."""
        weights = [choice.weight for choice in self.choices]
        empty = not weights and bool(self.by_class)
        if any(not 0 <= weight < float("inf") for weight in weights) or not (any(weights) or empty):
            rule = "weights must be 0 or more, and one of them must be positive"
            raise InputError(f"policy: {rule}, got {weights}")

    @cached_property
    def total(self) -> float:
        """The sum of the weights."""
        return sum(choice.weight for choice in self.choices)

    def of(self, label: str) -> "Policy":
        """The policy of a class. Raises InputError where there is none."""
        found = self.by_class.get(label, self)
        if not found.choices:
            named = ", ".join(self.by_class)
            raise InputError(
                f"the policy has nothing for class {label!r}, only for {named}: name it under "
                f"by_class, or say under otherwise what the others get"
            )
        return found

    def leaves(self) -> Iterator[PolicyEntry]:
        """All entries with a transform, in their order."""
        for policy in (self, *self.by_class.values()):
            for choice in policy.choices:
                yield from choice.leaves()

    def names(self) -> list[str]:
        """The transforms, each once."""
        return list(dict.fromkeys(leaf.transform for leaf in self.leaves()))


def pick_entry(entries: Sequence[PolicyEntry], total: float, rng: Generator) -> PolicyEntry:
    """One of them, by weight; `total` is the sum of the weights."""
    point = rng.random() * total
    for entry in entries:
        if point < entry.weight:
            return entry
        point -= entry.weight
    return next(entry for entry in reversed(entries) if entry.weight > 0)


def narrow(entry: PolicyEntry, outer: Mapping[str, float] | None = None) -> PolicyEntry:
    """The entry with arguments of which no draw alone is beyond its limit, or the `outer` one."""
    limit = dict(outer or {})
    for name, most in entry.limit.items():
        limit[name] = min(most, limit.get(name, most))
    if entry.of:
        return replace(entry, of=tuple(narrow(part, limit) for part in entry.of))
    if external.is_foreign(entry.transform):
        return entry
    bounds = registry.find_transform(entry.transform).bounds
    arguments = dict(entry.arguments)
    for name in limit.keys() & bounds.keys():
        argument = bounds[name].argument
        arguments[argument] = bounds[name].narrow(entry.completed[argument], limit[name])
    return replace(entry, arguments=arguments)
