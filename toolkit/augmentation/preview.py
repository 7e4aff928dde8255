"""A look at a policy before anything is made: parents, and beside them what each entry does."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from numpy.random import SeedSequence, default_rng

from toolkit.augmentation import contact_sheet
from toolkit.augmentation.contact_sheet import Tile
from toolkit.augmentation.originals import check_originals
from toolkit.augmentation.params import AugmentParams
from toolkit.augmentation.plan import quotas
from toolkit.augmentation.transforms import compose
from toolkit.augmentation.transforms.parsing import PolicySpec, check_policy_classes, make_policy
from toolkit.augmentation.transforms.policy import Policy, PolicyEntry
from toolkit.datasets import folders
from toolkit.errors import InputError
from toolkit.io import samples
from toolkit.io.manifest import Sample
from toolkit.progress import Track, silent

LEAST, MOST, CHILDREN = 6, 24, 5
"""Rows at least and at most, and new images in each."""


def write_preview(
    path: Path,
    folder: Path,
    settings: AugmentParams,
    policy: Policy | PolicySpec,
    *,
    size: int | None = None,
    track: Track = silent,
) -> int:
    """Write a sheet with a row for each entry of the policy, and return the number of rows.

    The arguments are those of `render.augment_folder`. Shown are the classes that would get new
    images, or all that have a policy where there are none. Raises InputError where there is no
    image to show, and as `augment_folder` does.
    """
    chosen = policy if isinstance(policy, Policy) else make_policy(policy)
    source = folders.scan(folder, track)
    check_originals(source, folder)
    counts = source.counts()
    labels = list(quotas(counts, settings.target, settings.classes))
    check_policy_classes(chosen, source.classes, labels)
    with_policy = [n for n in source.classes if chosen.choices or n in chosen.by_class]
    shown = labels or [name for name in with_policy if counts[name]]
    if not shown:
        raise InputError(f"{folder}: holds no image of a class that has a policy")
    originals = [sample for sample in source.samples if not sample.derived]
    parents = {name: itertools.cycle([s for s in originals if s.label == name]) for name in shown}
    rows = [
        _row(folder, next(parents[name]), entry, SeedSequence([settings.seed, 0, 0, 0, at]), size)
        for at, (entry, name) in enumerate(_rows(chosen, shown))
    ]
    contact_sheet.write_rows(path, rows)
    return len(rows)


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


def _row(
    folder: Path,
    parent: Sample,
    entry: PolicyEntry,
    sequence: SeedSequence,
    size: int | None,
) -> list[Tile]:
    """The parent and some of its children."""
    data = samples.sample_bytes(folder, parent)
    picture = samples.sample_picture(folder, size, parent, data)
    row = [contact_sheet.tile(picture, contact_sheet.caption(parent))]
    for own in sequence.generate_state(CHILDREN).tolist():
        name, params = compose.sample_params(entry, default_rng(own), picture)
        child = replace(parent, parent=parent.id, transform=name, params=params)
        made = compose.change(name, picture, params)
        row.append(contact_sheet.tile(made, contact_sheet.caption(child)))
    return row
