"""Probe: how well a classifier can tell new images from originals.

A classifier two-sample test (Lopez-Paz and Oquab, 2017): a classifier is trained to tell the two
apart and scores images that it has not seen; where it does no better than chance, new images look
like originals. The classifier is a logistic regression on `datasets.features`. It finds traces of
processing such as blur, black corners and shifted gray levels. It does not find whether an image
still shows what its class says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from toolkit import progress
from toolkit.datasets import features
from toolkit.io import files, manifest
from toolkit.io.images import decode
from toolkit.io.manifest import Sample
from toolkit.io.notebook import html_table
from toolkit.io.samples import map_samples
from toolkit.metrics import scores
from toolkit.metrics.arrays import Flags, Floats, Labels
from toolkit.metrics.significance import TAILS

FOLDS = 5
STRENGTH = 0.03
"""Inverse of the regression's L2 penalty: small, as there are more features than parents."""
FAR = 10.0
"""Standard deviations at which a feature is clipped."""
DIGITS = 4


@dataclass(frozen=True)
class Separation:
    """ROC AUC of new images against originals, with its 95% interval, and how many are new.

    0.5: they cannot be told apart; 1: always.
    """

    auc: float
    low: float
    high: float
    new: int


@dataclass(frozen=True)
class Probe:
    """Separation of all new images from the originals of their classes, and by transform.

    `auc`, `low` and `high` are None if there are no new images, or all are of one parent.
    """

    auc: float | None
    low: float | None
    high: float | None
    originals: int
    new: int
    by_transform: Mapping[str, Separation]

    def __repr__(self) -> str:
        auc = "no AUC"
        if self.auc is not None:
            auc = f"AUC {self.auc:.2f} ({self.low:.2f} to {self.high:.2f})"
        return f"Probe({auc}, {self.new} new images, {self.originals} originals)"

    def _repr_html_(self) -> str:
        return html_table(probe_table(self), repr(self))


@dataclass(frozen=True, eq=False)
class _Images:
    """N images of the classes that have new ones, as arrays [N].

    `parents`, `classes` and `transforms` are numbers, the latter positions in `names` or -1 for an
    original. An original is its own parent, and files of one picture have one parent.
    """

    new: Flags
    parents: Labels
    classes: Labels
    transforms: Labels
    names: Sequence[str]

    @property
    def folds(self) -> int:
        """Number of folds: no more than parents with new images."""
        return min(FOLDS, len(np.unique(self.parents[self.new])))


def probe_arm(
    folder: Path,
    *,
    resamples: int = 2000,
    seed: int = 0,
    workers: int = 1,
    track: progress.Track = progress.silent,
) -> Probe:
    """Probe the arm in `folder`, which `augment` wrote.

    Only classes with new images count, and images are told apart within their class. A parent and
    its copies are in the same fold, so that the classifier that scores them has seen none of them.
    The interval is a Bayesian bootstrap (Rubin, 1981) over parents, as copies of one parent are not
    independent, widened because the classifiers share training images (Nadeau and Bengio, 2003).
    Raises InputError for a folder without a manifest, and for an image that is damaged, differs
    from the manifest, or is smaller than 8 x 8 pixels.
    """
    samples = manifest.read_manifest(folder).samples
    classes = {sample.label for sample in samples if sample.derived}
    samples = tuple(sample for sample in samples if sample.label in classes)
    images = _images(samples)
    counts = int((~images.new).sum()), int(images.new.sum())
    if images.folds < 2:
        return Probe(None, None, None, *counts, {})
    rows = map_samples(folder, samples, _features, workers)
    vectors = np.stack(list(track(rows, "probe", len(samples))))
    separations = _separations(images, _predict(vectors, images, seed), resamples, seed)
    whole = separations.pop("")
    return Probe(whole.auc, whole.low, whole.high, *counts, separations)


def _images(samples: Sequence[Sample]) -> _Images:
    names = sorted({sample.transform for sample in samples if sample.derived})
    return _Images(
        np.array([sample.derived for sample in samples], dtype=bool),
        _numbered([sample.group or sample.parent or sample.id for sample in samples]),
        _numbered([sample.label for sample in samples]),
        np.array([names.index(s.transform) if s.derived else -1 for s in samples], dtype=np.int64),
        names,
    )


def _numbered(names: Sequence[str]) -> Labels:
    position = {name: index for index, name in enumerate(dict.fromkeys(names))}
    return np.array([position[name] for name in names], dtype=np.int64)


def _features(data: bytes) -> features.Vector:
    return features.image_features(decode(data))


# --- the classifier ---------------------------------------------------------------------------


def _predict(vectors: Floats, images: _Images, seed: int) -> Floats:
    """Return the probability that each image is new [N], by cross-validation."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # scikit-learn's own dependency

    folds = _folds(images, seed)
    probabilities = np.empty(len(vectors))
    for fold in range(images.folds):
        held_out = folds == fold
        inputs = _standardized(vectors, ~held_out & ~images.new)
        model = LogisticRegression(C=STRENGTH, max_iter=5000)
        weights = _balanced(images, ~held_out)
        with threadpool_limits(1):  # products so small are slower with more
            model.fit(inputs[~held_out], images.new[~held_out], sample_weight=weights)
        probabilities[held_out] = model.predict_proba(inputs[held_out])[:, 1]
    return probabilities


def _folds(images: _Images, seed: int) -> Labels:
    """Return the fold of each image [N]: equal in size and in parents that have new images."""
    rng = np.random.default_rng(seed)
    copied = np.unique(images.parents[images.new])
    others = np.setdiff1d(images.parents, copied)
    order = np.concatenate([rng.permutation(copied), rng.permutation(others)])
    fold = np.empty(len(order), dtype=np.int64)
    fold[order] = np.arange(len(order)) % images.folds
    return fold[images.parents]


def _standardized(vectors: Floats, originals: Flags) -> Floats:
    """Return the features in standard deviations of the originals, signed and unsigned, [N, 2 F].

    Unsigned, blurred and noisy images lie on the same side of a linear boundary.
    """
    mean, std = vectors[originals].mean(axis=0), vectors[originals].std(axis=0)
    signed = np.clip((vectors - mean) / (std + features.TINY), -FAR, FAR)
    return np.hstack([signed, np.abs(signed)])


def _balanced(images: _Images, chosen: Flags) -> Floats:
    """Return weights with mean 1 that balance originals and new images of every class.

    Otherwise the class alone, of which there may be more new images, would give them away.
    """
    cells = 2 * images.classes[chosen] + images.new[chosen]
    counts = np.bincount(cells)
    return np.asarray(len(cells) / (np.count_nonzero(counts) * counts[cells]))


# --- the separation ---------------------------------------------------------------------------


def _separations(
    images: _Images, probabilities: Floats, resamples: int, seed: int
) -> dict[str, Separation]:
    """Return the separation by transform, and of all new images under "".

    Each is the mean over the classes, weighted by their new images.
    """
    rng = np.random.default_rng(seed)
    sums: dict[str, Floats] = {}
    counts: dict[str, int] = {}
    for label in np.unique(images.classes):
        members = images.classes == label
        _, parents = np.unique(images.parents[members], return_inverse=True)
        weights = _weights(rng, parents.max() + 1, resamples)
        for name, subset in _subsets(images, members).items():
            new = images.new[members][subset]
            areas = _areas(new, probabilities[members][subset], parents[subset], weights)
            sums[name] = sums.get(name, 0) + new.sum() * areas
            counts[name] = counts.get(name, 0) + int(new.sum())
    return {
        name: _separation(sums[name] / counts[name], counts[name], images.folds)
        for name in sorted(sums)
    }


def _subsets(images: _Images, members: Flags) -> dict[str, Flags]:
    """Return a class's originals with the new images of each transform, and all under ""."""
    transforms = images.transforms[members]
    occurring = np.unique(transforms[transforms >= 0])
    some = {images.names[k]: (transforms == k) | (transforms < 0) for k in occurring}
    return {"": np.ones(len(transforms), dtype=bool), **some}


def _weights(rng: np.random.Generator, parents: int, resamples: int) -> Floats:
    """Draw weights of the parents and of one extra parent; the first row is not resampled."""
    unchanged = np.append(np.ones(parents), 0)
    return np.vstack([unchanged, rng.standard_exponential((resamples, parents + 1))])


def _areas(new: Flags, probabilities: Floats, parents: Labels, drawn: Floats) -> Floats:
    """Return the area under the ROC curve for each row of `drawn`.

    The extra parent, whose images are predicted as new half of the time, keeps few images that are
    separated perfectly from being so in every resample (Perks, 1947).
    """
    weights, columns = drawn[:, parents], np.stack([1 - probabilities, probabilities], axis=1)
    area = scores.roc_auc(new.astype(np.int64), columns, 1, weights)
    known = np.ones(len(drawn))
    for side in (new, ~new):
        total, images = weights[:, side].sum(axis=1), side.sum() / len(np.unique(parents[side]))
        known *= total / (total + images * drawn[:, -1])
    return np.asarray(known * area + (1 - known) / 2)


def _separation(areas: Floats, new: int, folds: int) -> Separation:
    """Summarize the areas, of which the first is not resampled.

    A fold is tested once and the training folds are `folds` - 1 times as large, hence the widening.
    """
    widening = (1 + folds / (folds - 1)) ** 0.5
    spread = widening * (np.quantile(areas[1:], TAILS) - areas[0])
    low, high = np.clip(areas[0] + (min(0, spread[0]), max(0, spread[1])), 0, 1)
    auc, low, high = (round(float(number), DIGITS) for number in (areas[0], low, high))
    return Separation(auc, low, high, new)


# --- as text and JSON -------------------------------------------------------------------------


def probe_table(probe: Probe) -> list[list[str]]:
    """Return the separation by transform as rows of text, header first."""
    rows = [
        [name, str(part.new), f"{part.auc:.2f}", f"{part.low:.2f} to {part.high:.2f}"]
        for name, part in probe.by_transform.items()
    ]
    return [["transform", "new", "AUC", "95% interval"], *rows]


def describe_probe(probe: Probe) -> list[str]:
    """Return the result in sentences."""
    if probe.auc is None or probe.low is None:
        why = "all are copies of one original" if probe.new else "there are no new images"
        return [f"nothing to tell apart: {why}"]
    verb = "can" if probe.low > 0.5 else "cannot"
    return [
        f"{probe.new} new images {verb} be told from {probe.originals} originals: "
        f"AUC {probe.auc:.2f} (95% interval {probe.low:.2f} to {probe.high:.2f})",
        "0.5: cannot be told apart; 1: always",
    ]


def write_probe(path: Path, probe: Probe) -> None:
    """Write the result as JSON; unknown numbers are null."""
    files.write_sealed(path, asdict(probe))
