"""How well new images can be told from originals: a classifier two-sample test.

A classifier is trained to tell the two apart and asked about images that it has not seen; where it
does no better than chance, the new images look like originals (Lopez-Paz and Oquab, 2017). Here it
is a logistic regression on what `features` measures. It finds traces of processing such as blur,
black corners and shifted grey levels, and not whether a picture still shows what its class says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from toolkit import progress
from toolkit.datasets import features
from toolkit.errors import InputError
from toolkit.io import files, manifest
from toolkit.io.manifest import Sample
from toolkit.io.parallel import ordered_map
from toolkit.io.samples import sample_pixels
from toolkit.metrics import scores
from toolkit.metrics.arrays import Floats, Labels

FOLDS = 5
STRENGTH = 0.03
"""Inverse of the regression's L2 penalty: little, for more numbers than parents."""
FAR = 10.0
"""Standard deviations beyond which a number is cut."""
DIGITS = 4

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Separation:
    """Area under the ROC curve of new images against originals, its 95 % interval, new images.

    0.5: they cannot be told apart; 1: always.
    """

    auc: float
    low: float
    high: float
    new: int


@dataclass(frozen=True)
class Probe:
    """All new images against the originals of their classes, and those of each transform.

    `auc`, `low` and `high` are None where there is no new image, or all are of one parent.
    """

    auc: float | None
    low: float | None
    high: float | None
    originals: int
    new: int
    by_transform: Mapping[str, Separation]


@dataclass(frozen=True, eq=False)
class _Images:
    """N images of classes that have new ones; `parents`, `classes` and `transforms` as numbers.

    An original counts as its own parent, and files of one picture as one.
    """

    new: Flags
    parents: Labels
    classes: Labels
    transforms: Labels
    names: Sequence[str]

    @property
    def folds(self) -> int:
        """Parts that are asked about one after the other: no more than parents with new images."""
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
    its copies are always asked about together, by a classifier that has seen none of them. The
    interval is a Bayesian bootstrap (Rubin, 1981) over parents, whose copies are no independent
    images, widened because the classifiers share training images (Nadeau and Bengio, 2003).
    Raises InputError for a folder without manifest, and for an image that is damaged, is not the
    manifest's, or is smaller than 8 x 8 pixels.
    """
    samples = manifest.read_manifest(folder).samples
    classes = {sample.label for sample in samples if sample.derived}
    samples = tuple(sample for sample in samples if sample.label in classes)
    images = _images(samples)
    counts = int((~images.new).sum()), int(images.new.sum())
    if images.folds < 2:
        return Probe(None, None, None, *counts, {})
    done = ordered_map(partial(_features, folder), samples, workers)
    vectors = np.stack(list(track(done, "probe", len(samples))))
    found = _separations(images, _unseen(vectors, images, seed), resamples, seed)
    whole = found.pop("")
    return Probe(whole.auc, whole.low, whole.high, *counts, found)


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


def _features(folder: Path, sample: Sample) -> features.Vector:
    try:
        return features.image_features(sample_pixels(folder, None, sample))
    except InputError as error:
        raise InputError(f"{folder / sample.path}: {error}") from error


# --- telling apart ----------------------------------------------------------------------------


def _unseen(vectors: Floats, images: _Images, seed: int) -> Floats:
    """For each image how likely it is new, says a classifier that saw neither it nor its kin."""
    from sklearn.linear_model import LogisticRegression

    folds = _folds(images, seed)
    found = np.empty(len(vectors))
    for fold in range(images.folds):
        own = folds == fold
        numbers = _standardised(vectors, ~own & ~images.new)
        model = LogisticRegression(C=STRENGTH, max_iter=5000)
        model.fit(numbers[~own], images.new[~own], sample_weight=_balanced(images, ~own))
        found[own] = model.predict_proba(numbers[own])[:, 1]
    return found


def _folds(images: _Images, seed: int) -> Labels:
    """Parts of equal size, parents with new images spread evenly over them."""
    rng = np.random.default_rng(seed)
    copied = np.unique(images.parents[images.new])
    others = np.setdiff1d(images.parents, copied)
    order = np.concatenate([rng.permutation(copied), rng.permutation(others)])
    fold = np.empty(len(order), dtype=np.int64)
    fold[order] = np.arange(len(order)) % images.folds
    return fold[images.parents]


def _standardised(vectors: Floats, known: Flags) -> Floats:
    """Distances from the known originals' mean in their standard deviations, signed and not.

    Unsigned, what is blurred and what is noisy lie on the same side of a straight border.
    """
    typical, spread = vectors[known].mean(axis=0), vectors[known].std(axis=0)
    signed = np.clip((vectors - typical) / (spread + features.TINY), -FAR, FAR)
    return np.hstack([signed, np.abs(signed)])


def _balanced(images: _Images, chosen: Flags) -> Floats:
    """Weights with mean 1 that make originals and new images of every class count the same.

    Otherwise the class, of which there may be more among the new images, gave them away.
    """
    cells = 2 * images.classes[chosen] + images.new[chosen]
    counts = np.bincount(cells)
    return np.asarray(len(cells) / (np.count_nonzero(counts) * counts[cells]))


# --- how well, and how sure -------------------------------------------------------------------


def _separations(
    images: _Images, likely: Floats, resamples: int, seed: int
) -> dict[str, Separation]:
    """By transform, and for all under ""; the mean over classes, weighted by their new images."""
    rng = np.random.default_rng(seed)
    sums: dict[str, Floats] = {}
    counts: dict[str, int] = {}
    for label in np.unique(images.classes):
        own = images.classes == label
        _, parents = np.unique(images.parents[own], return_inverse=True)
        draws = _draws(rng, parents.max() + 1, resamples)
        for name, asked in _asked(images, own).items():
            new = int((images.new[own] & asked).sum())
            area = _areas(images.new[own][asked], likely[own][asked], parents[asked], draws)
            sums[name] = sums.get(name, 0) + new * area
            counts[name] = counts.get(name, 0) + new
    return {
        name: _separation(sums[name] / counts[name], counts[name], images.folds)
        for name in sorted(sums)
    }


def _asked(images: _Images, own: Flags) -> dict[str, Flags]:
    """Of one class the originals and, by transform, its new images; all of them under ""."""
    transforms = images.transforms[own]
    here = np.unique(transforms[transforms >= 0])
    some = {images.names[k]: (transforms == k) | (transforms < 0) for k in here}
    return {"": np.ones(len(transforms), dtype=bool), **some}


def _draws(rng: np.random.Generator, parents: int, resamples: int) -> Floats:
    """Weights of parents, and last of one more; the first row is the images as they are."""
    as_they_are = np.append(np.ones(parents), 0)
    return np.vstack([as_they_are, rng.standard_exponential((resamples, parents + 1))])


def _areas(new: Flags, likely: Floats, parents: Labels, draws: Floats) -> Floats:
    """One area for each row of `draws`.

    The one more parent, whose images are as often called new as not, keeps few images that are
    told apart without a mistake from being told apart in every resample (Perks, 1947).
    """
    weights, columns = draws[:, parents], np.stack([1 - likely, likely], axis=1)
    area = scores.roc_auc(new.astype(np.int64), columns, 1, weights)
    known = np.ones(len(draws))
    for side in (new, ~new):
        total, images = weights[:, side].sum(axis=1), side.sum() / len(np.unique(parents[side]))
        known *= total / (total + images * draws[:, -1])
    return np.asarray(known * area + (1 - known) / 2)


def _separation(areas: Floats, new: int, folds: int) -> Separation:
    """Of the areas the first is that of the images themselves, the others those of resamples.

    A part is asked about once, and the others are `folds` - 1 times as large: so much wider.
    """
    wider = (1 + folds / (folds - 1)) ** 0.5
    spread = wider * (np.quantile(areas[1:], (0.025, 0.975)) - areas[0])
    low, high = np.clip(areas[0] + (min(0, spread[0]), max(0, spread[1])), 0, 1)
    auc, low, high = (round(float(number), DIGITS) for number in (areas[0], low, high))
    return Separation(auc, low, high, new)


# --- said and written -------------------------------------------------------------------------


def probe_table(found: Probe) -> list[list[str]]:
    """The separation by transform as rows of text, a header first."""
    rows = [
        [name, str(part.new), f"{part.auc:.2f}", f"{part.low:.2f} to {part.high:.2f}"]
        for name, part in found.by_transform.items()
    ]
    return [["transform", "new", "AUC", "95 % interval"], *rows]


def describe_probe(found: Probe) -> list[str]:
    """The result in sentences."""
    if found.auc is None or found.low is None:
        why = "all are copies of one original" if found.new else "there are no new images"
        return [f"nothing to tell apart: {why}"]
    told = "can" if found.low > 0.5 else "cannot"
    return [
        f"{found.new} new images {told} be told from {found.originals} originals: "
        f"AUC {found.auc:.2f} (95 % interval {found.low:.2f} to {found.high:.2f})",
        "0.5: cannot be told apart; 1: always",
    ]


def write_probe(path: Path, found: Probe) -> None:
    """Write the result as JSON; null where it is not known."""
    files.write_json(path, asdict(found))
