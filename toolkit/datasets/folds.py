"""Folds: each image is tested once by what was trained on the images of the other folds."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from toolkit.errors import InputError

Folds = npt.NDArray[np.int64]
"""The fold of each image: [N]."""


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
