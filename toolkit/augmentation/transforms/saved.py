"""Pipelines that albumentations saved (`A.save`, JSON or YAML), as entries of a policy.

They are read as data: no class is imported by the name that stands in the file.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from toolkit.augmentation.params import EntryParams
from toolkit.errors import InputError

Node = Mapping[str, Any]
NAME = "__class_fullname__"
PACKAGE = "albumentations"
FOR_TRAINING = (
    "Normalize", "ToFloat", "FromFloat", "ToTensorV2", "ToTensor3D",
)  # fmt: skip
"""What makes numbers of pixels: that is done in training, and a picture stays one."""
RESIZING = ("Resize", "LongestMaxSize", "SmallestMaxSize")
"""What gives all images one size, which `prepare.size` and `--size` do."""
IDENTITY = EntryParams(transform="identity")


def is_saved(data: object) -> bool:
    """Return whether a file's content has the form of what `A.save` writes."""
    return isinstance(data, Mapping) and "transform" in data and set(data) <= {
        "__version__", "transform",
    }  # fmt: skip


def convert_saved(data: Node) -> tuple[list[EntryParams], tuple[str, ...]]:
    """Return the pipeline as the entries of a policy, and what is different here, in sentences.

    Raises InputError that names the transform, for one that is not of albumentations or has no
    counterpart, and for values that `A.save` does not write.
    """
    notes = list[str]()
    entry = _convert(data["transform"], notes)
    if entry is None:
        raise InputError(f"it changes no picture: {'; '.join(notes) or 'it is empty'}")
    return [entry], tuple(dict.fromkeys(notes))


def _convert(node: object, notes: list[str], *, forced: bool = False) -> EntryParams | None:
    """Return an entry; None for what is left out. `forced`: it is applied whatever its p is."""
    node = _checked(node)
    name = _class_name(node[NAME])
    p = 1.0 if forced else _probability(name, node)
    if name in FOR_TRAINING:
        notes.append(f"{name} is left out: training does that")
        return None
    if name in RESIZING:
        notes.append(f"{name} is left out: prepare.size or --size says how large images are")
        return None
    if name in GROUPS:
        entry = GROUPS[name](name, node, p, notes)
        return None if entry is None else _maybe(entry, p)
    if "transforms" in node:
        known = ", ".join(GROUPS)
        raise InputError(f"{name}: a group with no counterpart here; {known} have one")
    arguments = {key: value for key, value in node.items() if key not in (NAME, "p")}
    if name in OWN:
        transform, kept, has_p = OWN[name]
        own = {key: arguments[key] for key in kept if key in arguments}
        if has_p:
            return EntryParams(transform=transform, arguments={**own, "p": p})
        return _maybe(EntryParams(transform=transform, arguments=own), p)
    return EntryParams(transform=f"{PACKAGE}.{name}", arguments={**arguments, "p": p})


def _checked(node: object) -> Node:
    """Return the mapping that a transform must be."""
    if not isinstance(node, Mapping) or not isinstance(node.get(NAME), str):
        raise InputError(f"each transform must be a mapping with {NAME}, got {str(node)[:80]!r}")
    if not all(isinstance(key, str) for key in node):
        raise InputError(f"the keys of a transform must be text, got {str([*node])[:80]}")
    return node


def _class_name(full: str) -> str:
    """Return the last part of a name such as albumentations.core.composition.Compose."""
    package, dot, _ = full.partition(".")
    if dot and package != PACKAGE:
        raise InputError(
            f"{full[:80]!r} is not a transform of albumentations; only these are read from a file"
        )
    return full.rpartition(".")[2]


def _probability(name: str, node: Node) -> float:
    p = node.get("p", 1.0)
    if isinstance(p, bool) or not isinstance(p, int | float) or not 0 <= p <= 1:
        raise InputError(f"{name}: p must be a probability from 0 to 1, got {str(p)[:80]!r}")
    return float(p)


def _maybe(entry: EntryParams, p: float) -> EntryParams:
    """Return an entry that is applied with probability p."""
    if p == 1:
        return entry
    if p == 0:
        return IDENTITY
    of = [_weighted(entry, p), _weighted(IDENTITY, 1 - p)]
    return EntryParams(transform="one_of", of=of)


def _weighted(entry: EntryParams, weight: float) -> EntryParams:
    return entry.model_copy(update={"weight": weight})


def _parts(name: str, node: Node) -> list[Any]:
    parts = node.get("transforms")
    if not isinstance(parts, list):
        raise InputError(f"{name}: transforms must be a list, got {str(parts)[:80]!r}")
    return parts


def _group(name: str, of: Iterable[EntryParams | None], **arguments: Any) -> EntryParams | None:
    parts = [part for part in of if part is not None]
    if len(parts) < 2 and not arguments:
        return _weighted(parts[0], 1.0) if parts else None
    return EntryParams(transform=name, arguments=arguments, of=parts) if parts else None


def _sequence(name: str, node: Node, _p: float, notes: list[str]) -> EntryParams | None:
    return _group("sequence", [_convert(part, notes) for part in _parts(name, node)])


def _one_of(name: str, node: Node, _p: float, notes: list[str]) -> EntryParams | None:
    """Return a choice by the probabilities of the parts, of which the chosen one is applied."""
    parts = []
    for part in _parts(name, node):
        entry = _convert(part, notes, forced=True)
        weight = _probability(name, part)
        if weight > 0:
            parts.append(_weighted(entry or IDENTITY, weight))
    return _group("one_of", parts)


def _one_or_other(name: str, node: Node, p: float, notes: list[str]) -> EntryParams | None:
    """Return a choice of the first with probability p, which is no probability of the group."""
    first, *others = [_convert(part, notes, forced=True) for part in _parts(name, node)] or [None]
    pairs = [(first or IDENTITY, p), (others[-1] if others else IDENTITY, 1 - p)]
    return _group("one_of", [_weighted(part or IDENTITY, q) for part, q in pairs if q > 0])


def _some_of(name: str, node: Node, _p: float, notes: list[str]) -> EntryParams | None:
    """Return a choice of n parts, each of which then is applied with its own probability."""
    parts = [_convert(part, notes) or IDENTITY for part in _parts(name, node)]
    count, replace = node.get("n", 1), node.get("replace", False)
    if isinstance(count, bool) or not isinstance(count, int) or not isinstance(replace, bool):
        raise InputError(f"{name}: n must be a whole number, and replace true or false")
    count = count if replace else min(count, len(parts))
    if name == "SomeOf" and count > 1:
        if count == len(parts) and not replace:
            return _group("sequence", parts)
        notes.append("SomeOf applies what it chooses in the order of the choice, not of the list")
    return _group("some_of", parts, count=count, replace=replace)


GROUPS: dict[str, Callable[[str, Node, float, list[str]], EntryParams | None]] = {
    "Compose": _sequence,
    "ReplayCompose": _sequence,
    "Sequential": _sequence,
    "OneOf": _one_of,
    "OneOrOther": _one_or_other,
    "SomeOf": _some_of,
    "RandomOrder": _some_of,
}
"""The groups of albumentations that have a counterpart in `policy.GROUPS`."""

OWN: dict[str, tuple[str, tuple[str, ...], bool]] = {
    "HorizontalFlip": ("horizontal_flip", (), True),
    "VerticalFlip": ("vertical_flip", (), True),
    "RandomResizedCrop": ("resized_crop", ("scale", "ratio"), False),  # its size is not ours
    "NoOp": ("identity", (), False),
}
"""Transforms that are the toolkit's own: its name for them, arguments that stay, has it a p."""
