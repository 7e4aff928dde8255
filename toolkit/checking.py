"""What is wrong with an entry of a policy, and at which of its keys."""

import json
from collections.abc import Callable, Collection

from toolkit import errors, foreign
from toolkit.entries import GROUPS, LIMITS, Entry
from toolkit.errors import InputError
from toolkit.named_policies import POLICIES
from toolkit.transforms import TRANSFORMS


def fault(entry: Entry) -> tuple[list[int | str], str] | None:
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


def _transform(entry: Entry) -> None:
    if entry.transform in POLICIES:
        raise InputError(f"{entry.transform} is a policy: it takes no arguments and no entries")
    if not foreign.is_foreign(entry.transform):
        _known("transform", entry.transform, [*TRANSFORMS, *GROUPS, *POLICIES])


def _known(kind: str, name: str, valid: Collection[str]) -> None:
    if name not in valid:
        raise errors.unknown(kind, name, valid)


def _arguments(entry: Entry) -> None:
    json.dumps(entry.arguments, allow_nan=False)
    arguments = entry.completed
    if foreign.is_foreign(entry.transform):
        foreign.build(entry.transform, arguments)


def _of(entry: Entry) -> None:
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


def _limit(entry: Entry) -> None:
    for name, value in entry.limit.items():
        _known("limit", name, LIMITS)
        if not LIMITS[name].valid(value):
            raise InputError(f"{name} must be {LIMITS[name].rule}, got {value!r}")
    for leaf in entry.leaves() if entry.limit else ():
        if foreign.is_foreign(leaf.transform):
            message = f"cannot bound {leaf.transform}, which draws by itself"
            raise InputError(f"{message}; bound its own arguments")


CHECKS: dict[str, Callable[[Entry], None]] = {
    "transform": _transform,
    "arguments": _arguments,
    "of": _of,
    "limit": _limit,
}
