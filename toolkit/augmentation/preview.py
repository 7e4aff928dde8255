"""A look at a policy before anything is made: parents, and beside them what each entry does."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from toolkit.augmentation import contact_sheet
from toolkit.augmentation.contact_sheet import Tile
from toolkit.augmentation.transforms import compose
from toolkit.augmentation.transforms.policy import Policy, PolicyEntry
from toolkit.errors import InputError
from toolkit.io import samples
from toolkit.io.manifest import Manifest, Sample

LEAST, MOST, CHILDREN = 6, 24, 5
"""Rows at least and at most, and new images in each."""


def write_preview(
    path: Path,
    folder: Path,
    source: Manifest,
    labels: Sequence[str],
    policy: Policy,
    *,
    seed: int,
    size: int | None = None,
) -> int:
    """Write a sheet with a row for each entry of the policy; gives the number of rows.

    `source` is the manifest of the originals in `folder`, `labels` the classes that would grow
    (none of them: all with a policy are shown), `size` as for `render.augment_folder`.
    Raises InputError where there is no image to show, and as drawing and decoding do.
    """
    known = [n for n in source.classes if policy.choices or n in policy.by_class]
    shown = list(labels) or [name for name in known if source.counts()[name]]
    if not shown:
        raise InputError(f"{folder}: holds no image of a class that has a policy")
    rows = _rows(policy, shown)
    parents = {name: _parents(source, name) for name in shown}
    made = [
        _row(folder, next(parents[name]), entry, np.random.SeedSequence([seed, 0, 0, 0, at]), size)
        for at, (entry, name) in enumerate(rows)
    ]
    contact_sheet.write_rows(path, made)
    return len(made)


def _rows(policy: Policy, labels: Sequence[str]) -> list[tuple[PolicyEntry, str]]:
    """Entries and the class whose image they are shown on: classes take turns."""
    of: list[tuple[Policy, list[str]]] = []
    for name in labels:
        own = policy.of(name)
        known = next((names for other, names in of if other == own), None)
        if known is None:
            of.append((own, [name]))
        else:
            known.append(name)
    turns = [(own.choices, itertools.cycle(names)) for own, names in of]
    once = [(entry, turn) for choices, turn in turns for entry in choices]
    return [(entry, next(turn)) for entry, turn in (once * math.ceil(LEAST / len(once)))[:MOST]]


def _parents(source: Manifest, label: str) -> Iterator[Sample]:
    found = [sample for sample in source.samples if sample.label == label and not sample.derived]
    if not found:
        raise InputError(f"class {label!r} has no image to show")
    return itertools.cycle(found)


def _row(
    folder: Path,
    parent: Sample,
    entry: PolicyEntry,
    sequence: np.random.SeedSequence,
    size: int | None,
) -> list[Tile]:
    """The parent and some of its children."""
    data = samples.sample_bytes(folder, parent)
    picture = samples.sample_picture(folder, size, parent, data)
    row = [contact_sheet.tile(picture, contact_sheet.caption(parent))]
    for own in sequence.generate_state(CHILDREN).tolist():
        name, params = compose.sample_params(entry, np.random.default_rng(own), picture)
        child = replace(parent, parent=parent.id, transform=name, params=params)
        made = compose.change(name, picture, params)
        row.append(contact_sheet.tile(made, contact_sheet.caption(child)))
    return row
