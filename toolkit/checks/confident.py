"""Confident learning: labels that out-of-fold predictions contradict.

Every image is judged by a classifier that saw neither it nor a duplicate of it: extremely
randomized trees (Geurts et al., 2006) on the `features` of the image and of its center, at one
size. Which labels the predictions contradict is decided by cleanlab (Northcutt et al., 2021).
Classes that are too small are left out, and nothing is reported if the classes are barely
separable.
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
from toolkit.errors import InputError, missing_package
from toolkit.io import images, inside, sandbox
from toolkit.metrics import scores
from toolkit.metrics.arrays import Floats, Labels

SIDE = 96
"""Height and width to which all images are resized, so that their size says nothing."""
MIN_IMAGES = 20
"""Distinct images that a class needs: a fold holds out a fifth, which leaves 16 to learn from."""
MIN_AUC = 0.65
"""Area under the ROC curve that the classifier must reach on the labels as they are: below it,
doubts are barely better than chance (docs/reliability.md)."""
FOLDS, TREES, MIN_LEAF = 5, 200, 2
DIGITS = 4


@dataclass(frozen=True)
class LabelIssue:
    """A label that is probably wrong.

    `index` is the image's, `predicted` the most probable class, and `confidence` the predicted
    probability of the given label.
    """

    index: int
    predicted: str
    confidence: float


@dataclass(frozen=True)
class LabelIssues:
    """Probable label errors, the least confident label first.

    `auc` is the classifier's, one class against the rest, averaged over the classes (0.5 is
    chance); None if nothing was judged. `too_small` counts the distinct images of each class that
    was left out.
    """

    issues: tuple[LabelIssue, ...]
    auc: float | None
    too_small: Mapping[str, int]


def require_cleanlab() -> ModuleType:
    """Import cleanlab's filter. Raises InputError with the command that installs it."""
    try:
        from cleanlab import filter as cleanlab_filter
    except ImportError as error:
        raise InputError(f"looking for label errors: {missing_package('cleanlab')}") from error
    return cleanlab_filter  # type: ignore[no-any-return]


def file_features(
    folder: Path,
    paths: Sequence[str],
    limits: images.ImageLimits,
    *,
    processes: int = 1,
    track: progress.Track = progress.silent,
) -> tuple[Labels, Floats]:
    """Return the indices [N] of the files that decode, and their features, float32 [N, M]."""
    results = sandbox.sandboxed_map(
        partial(_features, folder, limits),
        paths,
        processes,
        seconds=limits.seconds,
        memory=limits.memory,
    )
    numbered = enumerate(track(results, "labels", len(paths)))
    vectors = {index: vector for index, vector in numbered if isinstance(vector, np.ndarray)}
    indices = np.array([*vectors], dtype=np.int64)
    return indices, np.array([*vectors.values()], dtype=np.float32)


def _features(folder: Path, limits: images.ImageLimits, path: str) -> features.Vector | None:
    try:
        data = inside.read_inside(folder, path, limits.bytes)
        pixels = images.to_pixels(images.decode_picture(data, SIDE, limits))
    except InputError:
        return None
    center = pixels[SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4]
    return np.concatenate([features.image_features(part) for part in (pixels, center)])


def find_label_issues(
    vectors: Floats,
    labels: Sequence[str],
    groups: Labels,
    *,
    min_auc: float = MIN_AUC,
    seed: int = 0,
    workers: int = 1,
) -> LabelIssues:
    """Find probable label errors among N images with feature `vectors` [N, M].

    Files with the same number in `groups` [N] show the same image and are held out together. The
    result does not depend on the number of workers. No label is reported if the AUC is below
    `min_auc`. Raises InputError if cleanlab is not installed.
    """
    distinct = Counter(label for label, _ in set(zip(labels, groups.tolist(), strict=True)))
    too_small = {label: n for label, n in sorted(distinct.items()) if n < MIN_IMAGES}
    rows = np.array([n for n, label in enumerate(labels) if label not in too_small], dtype=np.int64)
    classes, actual = np.unique([labels[n] for n in rows], return_inverse=True)
    if len(classes) < 2:
        return LabelIssues((), None, too_small)
    probabilities = out_of_fold_probabilities(vectors[rows], actual, groups[rows], seed, workers)
    areas = [scores.roc_auc(actual, probabilities, k) for k in range(len(classes))]
    auc = round(float(np.mean(areas)), DIGITS)
    if auc < min_auc:
        return LabelIssues((), auc, too_small)
    confidence = probabilities[np.arange(len(rows)), actual].round(DIGITS)
    predicted = classes[probabilities.argmax(axis=1)]
    issues = [
        LabelIssue(int(rows[n]), str(predicted[n]), float(confidence[n]))
        for n in _wrong_labels(actual, probabilities, confidence)
    ]
    return LabelIssues(tuple(issues), auc, too_small)


def out_of_fold_probabilities(
    vectors: Floats, actual: Labels, groups: Labels, seed: int, workers: int = 1
) -> Floats:
    """Predict class probabilities [N, K] with trees that saw no image of the same group."""
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.model_selection import StratifiedGroupKFold

    folds: Any = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    probabilities = np.zeros((len(vectors), int(actual.max()) + 1))
    for train, test in folds.split(vectors, actual, groups):
        trees = ExtraTreesClassifier(
            TREES, min_samples_leaf=MIN_LEAF, class_weight="balanced", random_state=seed
        )
        trees.set_params(n_jobs=workers).fit(vectors[train], actual[train])
        trees.set_params(n_jobs=1)  # with several jobs, the order of the sum would vary
        probabilities[np.ix_(test, trees.classes_)] = trees.predict_proba(vectors[test])
    return probabilities


def _wrong_labels(actual: Labels, probabilities: Floats, confidence: Floats) -> Labels:
    """Return the rows with labels that are probably wrong, the least confident first."""
    rows = np.flatnonzero(require_cleanlab().find_label_issues(actual, probabilities, n_jobs=1))
    return np.asarray(rows[np.argsort(confidence[rows], kind="stable")])
