"""A sheet that shows a policy before anything is rendered: parents, and what each entry does."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from numpy.random import SeedSequence, default_rng

from toolkit.augmentation import contact_sheet
from toolkit.augmentation.contact_sheet import Tile
from toolkit.augmentation.originals import check_originals
from toolkit.augmentation.params import AugmentParams
from toolkit.augmentation.plan import compute_quotas
from toolkit.augmentation.transforms import compose
from toolkit.augmentation.transforms.parsing import PolicySpec, check_policy_classes, make_policy
from toolkit.augmentation.transforms.policy import Policy, PolicyEntry
from toolkit.datasets import folders
from toolkit.datasets.params import BY_NAME, ReadParams
from toolkit.errors import InputError
from toolkit.io import samples, sandbox
from toolkit.io.manifest import Sample
from toolkit.progress import Track, silent

LEAST, MOST, CHILDREN = 6, 24, 5
"""Fewest and most rows, and new images in each."""


def write_preview(
    path: Path,
    folder: Path,
    settings: AugmentParams,
    policy: Policy | PolicySpec,
    *,
    size: int | None = None,
    reading: ReadParams = BY_NAME,
    track: Track = silent,
) -> int:
    """Write a sheet with a row for each entry of the policy, and return the number of rows.

    The arguments are those of `render.augment_folder`. The images shown are of the classes that
    would grow, or if there are none, of all that have a policy. Raises InputError if there is no
    image to show, and as `augment_folder` does.
    """
    chosen = policy if isinstance(policy, Policy) else make_policy(policy)
    source = folders.scan(folder, track, settings=reading)
    check_originals(source, folder)
    counts = source.counts()
    labels = list(compute_quotas(counts, settings.target, settings.classes))
    check_policy_classes(chosen, source.classes, labels)
    with_policy = [n for n in source.classes if chosen.entries or n in chosen.by_class]
    shown = labels or [name for name in with_policy if counts[name]]
    if not shown:
        raise InputError(f"{folder}: holds no image of a class that has a policy")
    originals = [sample for sample in source.samples if not sample.derived]
    parents = {name: itertools.cycle([s for s in originals if s.label == name]) for name in shown}
    drawn = [
        (next(parents[name]), entry, SeedSequence([settings.seed, 0, 0, 0, at]))
        for at, (entry, name) in enumerate(_entries_and_classes(chosen, shown))
    ]
    rows = sandbox.sandboxed_map(partial(_row, folder, size), drawn, 1)
    contact_sheet.write_rows(
        path, list(sandbox.finished(rows, [parent.path for parent, *_ in drawn]))
    )
    return len(drawn)


def _entries_and_classes(policy: Policy, labels: Sequence[str]) -> list[tuple[PolicyEntry, str]]:
    """Return entries with the class on whose image they are shown: classes take turns."""
    groups: list[tuple[Policy, list[str]]] = []
    for name in labels:
        class_policy = policy.for_class(name)
        same = next((names for other, names in groups if other == class_policy), None)
        if same is None:
            groups.append((class_policy, [name]))
        else:
            same.append(name)
    turns = [(class_policy.entries, itertools.cycle(names)) for class_policy, names in groups]
    once = [(entry, turn) for entries, turn in turns for entry in entries]
    return [(entry, next(turn)) for entry, turn in (once * math.ceil(LEAST / len(once)))[:MOST]]


def _row(
    folder: Path, size: int | None, drawn: tuple[Sample, PolicyEntry, SeedSequence]
) -> list[Tile]:
    """Return the tiles of a parent and its new images."""
    parent, entry, sequence = drawn
    data = samples.sample_bytes(folder, parent)
    picture = samples.sample_picture(folder, size, parent, data)
    tiles = [contact_sheet.make_tile(picture, contact_sheet.make_caption(parent))]
    for seed in sequence.generate_state(CHILDREN).tolist():
        name, params = compose.sample_entry(entry, default_rng(seed), picture)
        child = replace(parent, parent=parent.id, transform=name, params=params)
        new = compose.apply_transform(name, picture, params)
        tiles.append(contact_sheet.make_tile(new, contact_sheet.make_caption(child)))
    return tiles
