"""Labels that the pictures speak against: confident learning on predictions for unseen images.

Every image is judged by a classifier that saw neither it nor another file of the same picture:
extremely randomised trees (Geurts et al., 2006) on what `features` measures of the image and of its
middle, at one size. Which labels that contradicts, cleanlab says (Northcutt et al., 2021). Nothing
is learned from classes too small to judge, nor said where classes are hardly told apart.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from toolkit import progress
from toolkit.datasets import features
from toolkit.errors import InputError
from toolkit.io import images, sandbox
from toolkit.metrics import scores
from toolkit.metrics.scores import Floats, Labels

SIDE = 96
"""Pixels a side at which all images are measured, so that their size does not give them away."""
FEWEST = 20
"""Pictures that a class must have: the folds take a fifth of them, so 16 to learn from."""
LEAST = 0.65
"""Area under the ROC curve, of the labels as they are, that the classifier must reach before it
may doubt one: with less, doubts are hardly better than chance (docs/reliability.md)."""
FOLDS, TREES, LEAF = 5, 200, 2
"""Parts that are judged in turn, trees of a classifier, and images at the end of their branches."""
DIGITS = 4
INSTALL = "looking for label errors needs cleanlab: pip install 'cleanlab>=2.9'"


@dataclass(frozen=True)
class LabelIssue:
    """A label that is probably wrong.

    `number` is the image's, `looks` the class that its picture looks most like, and `confidence`
    the probability of the label that it has, as the classifier sees it.
    """

    number: int
    looks: str
    confidence: float


@dataclass(frozen=True)
class LabelIssues:
    """Doubts, the least confident label first.

    `auc` is how well the classifier tells a class from the others, the mean over classes (0.5:
    not at all, 1: always), None where nothing was judged; `few` the pictures of each class that is
    too small and was left out.
    """

    doubts: tuple[LabelIssue, ...]
    auc: float | None
    few: Mapping[str, int]


def require() -> ModuleType:
    """Cleanlab's filter. Raises InputError with the command that installs it."""
    try:
        from cleanlab import filter as found
    except ImportError as error:
        raise InputError(INSTALL) from error
    return found  # type: ignore[no-any-return]


def measure_files(
    folder: Path,
    paths: Sequence[str],
    limits: images.ImageLimits,
    *,
    processes: int = 1,
    track: progress.Track = progress.silent,
) -> tuple[Labels, Floats]:
    """Which of the files decode, by their place in `paths`, and their features, float32 [N, M]."""
    found = sandbox.sandboxed_map(
        partial(_measured, folder, limits),
        paths,
        processes,
        seconds=limits.seconds,
        memory=limits.memory,
    )
    shown = enumerate(track(found, "labels", len(paths)))
    known = {place: vector for place, vector in shown if isinstance(vector, np.ndarray)}
    return np.array([*known], dtype=np.int64), np.array([*known.values()], dtype=np.float32)


def _measured(folder: Path, limits: images.ImageLimits, path: str) -> features.Vector | None:
    try:
        data = images.read_bounded(folder / path, limits)
        pixels = images.to_pixels(images.decode_picture(data, SIDE, limits))
    except InputError:
        return None
    middle = pixels[SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4]
    return np.concatenate([features.image_features(part) for part in (pixels, middle)])


def find_label_issues(
    vectors: Floats,
    labels: Sequence[str],
    pictures: Labels,
    *,
    least: float = LEAST,
    seed: int = 0,
    workers: int = 1,
) -> LabelIssues:
    """Judge N images by their `vectors` [N, M], their labels, and the picture that each shows.

    Files with the same number in `pictures` [N] are always judged together. The number of workers
    does not change the answer. With an AUC under `least` no label is doubted. Raises InputError
    where cleanlab is not installed.
    """
    different = Counter(label for label, _ in set(zip(labels, pictures.tolist(), strict=True)))
    few = {label: n for label, n in sorted(different.items()) if n < FEWEST}
    rows = np.array([n for n, label in enumerate(labels) if label not in few], dtype=np.int64)
    classes, given = np.unique([labels[n] for n in rows], return_inverse=True)
    if len(classes) < 2:
        return LabelIssues((), None, few)
    likely = unseen(vectors[rows], given, pictures[rows], seed, workers)
    areas = [scores.roc_auc(given, likely, k) for k in range(len(classes))]
    auc = round(float(np.mean(areas)), DIGITS)
    own = likely[np.arange(len(rows)), given].round(DIGITS)
    wrong = _wrong(given, likely, own) if auc >= least else np.zeros(0, dtype=np.int64)
    return LabelIssues(
        tuple(
            LabelIssue(int(rows[n]), str(classes[likely[n].argmax()]), float(own[n])) for n in wrong
        ),
        auc,
        few,
    )


def unseen(vectors: Floats, given: Labels, pictures: Labels, seed: int, workers: int = 1) -> Floats:
    """Probability of each class for each image [N, K], by trees that never saw its picture."""
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.model_selection import StratifiedGroupKFold

    folds: Any = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    likely = np.zeros((len(vectors), int(given.max()) + 1))
    for learned, asked in folds.split(vectors, given, pictures):
        trees = ExtraTreesClassifier(
            TREES, min_samples_leaf=LEAF, class_weight="balanced", random_state=seed
        )
        trees.set_params(n_jobs=workers).fit(vectors[learned], given[learned])
        trees.set_params(n_jobs=1)  # of several, the order of the sum would be left to chance
        likely[np.ix_(asked, trees.classes_)] = trees.predict_proba(vectors[asked])
    return likely


def _wrong(given: Labels, likely: Floats, own: Floats) -> Labels:
    """Rows with labels that are probably wrong, the least confident first."""
    rows = np.flatnonzero(require().find_label_issues(given, likely, n_jobs=1))
    return np.asarray(rows[np.argsort(own[rows], kind="stable")])
