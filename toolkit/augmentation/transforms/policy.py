"""Policies: entries with weights, groups of entries, and limits of what is drawn."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from numpy.random import Generator

from toolkit.augmentation.transforms import external, registry
from toolkit.augmentation.transforms.registry import Argument, is_number, is_pair
from toolkit.errors import InputError

MOST_STEPS = 10
MOST_APPLIED = 1000
"""Transforms that groups within groups may apply to one image."""
COUNT_RULE = f"a whole number from 1 to {MOST_STEPS}, or [lowest, highest]"


def _is_count(value: Any) -> bool:
    whole = is_number(value, 1, MOST_STEPS) and isinstance(value, int)
    return whole or is_pair(value, 1, MOST_STEPS, whole=True)


GROUPS: dict[str, Mapping[str, Argument]] = {
    "one_of": {},
    "sequence": {},
    "some_of": {
        "count": Argument(2, _is_count, COUNT_RULE),
        "replace": Argument(False, lambda value: isinstance(value, bool), "true or false"),
    },
    "mix": {
        "chains": Argument(3, _is_count, COUNT_RULE),
        "depth": Argument([1, 3], _is_count, COUNT_RULE),
    },
}
"""The names that an entry with entries of its own has in place of a transform's."""

LIMITS: dict[str, Argument] = {
    "rotation": Argument(None, lambda v: is_number(v, 0, 180), "degrees from 0 to 180"),
    "shear": Argument(None, lambda v: is_number(v, 0, 1), "a slope from 0 to 1"),
    "translation": Argument(None, lambda v: is_number(v, 0, 1), "a fraction of the side, 0 to 1"),
    "crop": Argument(None, lambda v: is_number(v, 0, 1), "a fraction of the area, 0 to 1"),
}
"""What an entry's `limit` may bound: the most that all its steps do together, in any direction."""


@dataclass(frozen=True)
class PolicyEntry:
    """A transform or a group, its weight, and its fixed arguments.

    `of`: the entries of a group. `limit`: see LIMITS.
    """

    transform: str
    weight: float = 1.0
    arguments: Mapping[str, Any] = field(default_factory=dict)
    of: tuple["PolicyEntry", ...] = ()
    limit: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def full_arguments(self) -> dict[str, Any]:
        """The arguments with defaults for those left out. Raises InputError for unknown names."""
        name = self.transform
        if external.is_external(name):
            return external.complete_external(name, self.arguments)
        known = GROUPS[name] if name in GROUPS else registry.find_transform(name).arguments
        return registry.complete_arguments(name, known, self.arguments)

    def leaves(self) -> Iterator["PolicyEntry"]:
        """Yield the entries in this one that have a transform; this one if it is not a group."""
        if not self.of:
            yield self
        for part in self.of:
            yield from part.leaves()

    def most_steps(self) -> int:
        """Return how many transforms may be applied to one image."""
        if not self.of:
            return 1
        parts = [part.most_steps() for part in self.of]
        counts = [self.full_arguments.get(name, 1) for name in ("count", "chains", "depth")]
        repeated = math.prod(count if isinstance(count, int) else count[1] for count in counts)
        return sum(parts) if self.transform == "sequence" else repeated * max(parts)


@dataclass(frozen=True)
class Policy:
    """Entries with weights, one of which is picked for each new image.

    `keep_identical` false: an image that came out unchanged is drawn again. `by_class`: policies of
    single classes; `entries` are for the other classes, and may be empty then. `notes`: what its
    file says and is not done, in sentences.
    Raises InputError for a negative weight, or if none is positive.
    """

    entries: tuple[PolicyEntry, ...]
    keep_identical: bool
    by_class: Mapping[str, "Policy"] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the weights."""
        weights = [entry.weight for entry in self.entries]
        allowed = any(weights) or (not weights and self.by_class)
        if any(not 0 <= weight < float("inf") for weight in weights) or not allowed:
            rule = "weights must be 0 or more, and one of them must be positive"
            raise InputError(f"policy: {rule}, got {weights}")

    @cached_property
    def total(self) -> float:
        """The sum of the weights."""
        return sum(entry.weight for entry in self.entries)

    def for_class(self, label: str) -> "Policy":
        """Return the policy of a class. Raises InputError where there is none."""
        policy = self.by_class.get(label, self)
        if not policy.entries:
            named = ", ".join(self.by_class)
            raise InputError(
                f"the policy has nothing for class {label!r}, only for {named}: name it under "
                f"by_class, or say under otherwise what the others get"
            )
        return policy

    def leaves(self) -> Iterator[PolicyEntry]:
        """Yield all entries that have a transform, in order."""
        for policy in (self, *self.by_class.values()):
            for entry in policy.entries:
                yield from entry.leaves()

    def names(self) -> list[str]:
        """Return the transforms, each once."""
        return list(dict.fromkeys(leaf.transform for leaf in self.leaves()))


def pick_entry(entries: Sequence[PolicyEntry], total: float, rng: Generator) -> PolicyEntry:
    """Pick an entry by weight; `total` is the sum of the weights."""
    point = rng.random() * total
    for entry in entries:
        if point < entry.weight:
            return entry
        point -= entry.weight
    return next(entry for entry in reversed(entries) if entry.weight > 0)


def narrow_entry(entry: PolicyEntry, outer: Mapping[str, float] | None = None) -> PolicyEntry:
    """Narrow the arguments, so that no single draw exceeds the entry's limit or the `outer` one."""
    limit = dict(outer or {})
    for name, most in entry.limit.items():
        limit[name] = min(most, limit.get(name, most))
    if entry.of:
        return replace(entry, of=tuple(narrow_entry(part, limit) for part in entry.of))
    if external.is_external(entry.transform):
        return entry
    bounds = registry.find_transform(entry.transform).bounds
    arguments = dict(entry.arguments)
    for name in limit.keys() & bounds.keys():
        argument = bounds[name].argument
        arguments[argument] = bounds[name].narrow(entry.full_arguments[argument], limit[name])
    return replace(entry, arguments=arguments)
