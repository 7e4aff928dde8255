"""Folds: each image is tested once by what was trained on the images of the other folds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from toolkit.errors import InputError
from toolkit.io.manifest import Manifest, Sample

NEW = "new_images"
"""Key of the notes of an arm: how many new images of each class are trained on, with all images
("all") and in each division without each fold ("folds")."""

Folds = npt.NDArray[np.int64]
"""The fold of each image: [N]."""

Numbers = npt.NDArray[np.integer[Any]]


def assign_folds(
    labels: Sequence[str], groups: Sequence[str], folds: int, rng: np.random.Generator
) -> Folds:
    """Return the fold of each image, 0 .. folds - 1: stratified by class, groups whole.

    Raises InputError for a class with fewer groups than folds: some fold would have none of it.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    for name in sorted(set(labels)):
        count = len({group for group, label in zip(groups, labels, strict=True) if label == name})
        if count < folds:
            raise InputError(
                f"class {name!r} has {count} different images, too few for {folds} folds; add "
                "images, or take as many folds as it has images"
            )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=int(rng.integers(2**31)))
    assigned = np.empty(len(labels), dtype=np.int64)
    for fold, (_, test) in enumerate(splitter.split(np.empty(len(labels)), labels, groups)):
        assigned[test] = fold
    return assigned


def divide_samples(
    samples: Sequence[Sample], folds: int, repeats: int, rng: np.random.Generator
) -> list[Sample]:
    """Return the samples with their folds in each of the `repeats` (see `assign_folds`)."""
    labels, groups = [s.label for s in samples], [s.group or s.id for s in samples]
    divisions = [assign_folds(labels, groups, folds, rng).tolist() for _ in range(repeats)]
    return [
        replace(sample, folds=drawn)
        for sample, drawn in zip(samples, zip(*divisions, strict=True), strict=True)
    ]


def training_rows(table: Manifest, division: int, fold: int | None) -> npt.NDArray[np.int64]:
    """Return the rows of an arm that are trained on without a fold; None: without leaving any out.

    These are the originals of the other folds, and of their new images the first ones, as many as
    the arm's notes say. Raises InputError for notes that say nothing on the fold.
    """
    left, rows = Counter(_new_counts(table, division, fold)), []
    for row, sample in enumerate(table.samples):
        if fold is not None and sample.folds[division] == fold:
            continue
        if sample.derived:
            if not left[sample.label]:
                continue
            left[sample.label] -= 1
        rows.append(row)
    return np.array(rows, dtype=np.int64)


def check_apart(folds: Numbers, rows: Numbers, fold: int) -> None:
    """Raise ValueError for `rows` to train on that are of the very fold that is tested: a leak.

    `folds` [N] are those of all rows, new images among them.
    """
    if (folds[rows] == fold).any():
        raise ValueError(f"fold {fold} is trained on what it is tested on")


def _new_counts(table: Manifest, division: int, fold: int | None) -> dict[str, int]:
    if not any(sample.derived for sample in table.samples):
        return {}
    try:
        noted = table.notes[NEW]
        counts = noted["all"] if fold is None else noted["folds"][division][fold]
        return {name: int(number) for name, number in counts.items()}
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"the manifest's notes do not say how many new images fold {fold} trains on; make the "
            "arm again with `toolkit augment`"
        ) from error
