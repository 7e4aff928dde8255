"""The training photos that a network takes for the most similar to another photo."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from toolkit.io.images import Pixels
from toolkit.io.manifest import Sample
from toolkit.progress import Track, silent
from toolkit.reporting.gallery import inline_squares
from toolkit.training import dataset, inference
from toolkit.training.dataset import LabeledFolder
from toolkit.training.runs import Run

SHOWN, BATCH = 3, 64
"""Photos of an answer, and images whose pixels are in memory at a time."""
TINY = 1e-12

PooledFeatures = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TrainingPhoto:
    """A class, the name of the file without folders, and a small picture as a data URI."""

    label: str
    file: str
    picture: str


@dataclass(frozen=True, eq=False)
class TrainingPhotos:
    """Originals that a run was trained on, and their features: a row of length 1 each, [N, C]."""

    photos: tuple[TrainingPhoto, ...]
    features: PooledFeatures

    def nearest(self, features: PooledFeatures) -> list[dict[str, Any]]:
        """Return the SHOWN photos whose features are the most similar to `features`, [C].

        `similarity` is the cosine of the angle between them, at most 1.
        """
        similarity = self.features @ _unit_length(features[None])[0]
        order = np.argsort(-similarity, kind="stable")[:SHOWN].tolist()
        return [_answer(self.photos[row], float(similarity[row])) for row in order]


def _answer(photo: TrainingPhoto, similarity: float) -> dict[str, Any]:
    return {
        "class": photo.label,
        "file": photo.file,
        "similarity": round(similarity, 4),
        "picture": photo.picture,
    }


def load_photos(
    run: Run, network: nn.Module, folder: LabeledFolder, track: Track = silent
) -> TrainingPhotos:
    """Read the originals of a folder, and compute their features with the run's network.

    Of each image some 10 KB stay in memory. Raises InputError as `dataset.load_tensors` does.
    """
    samples = [sample for sample in folder.samples if not sample.derived]
    decoded = dataset.decode_samples(folder.scaled(run.bits), samples, run.size)
    pixels = iter(track(decoded, "read the training photos", len(samples)))
    photos, features = list[TrainingPhoto](), list[PooledFeatures]()
    for part in _parts(samples):
        stacked = list(islice(pixels, len(part)))
        photos += map(_photo, part, stacked)
        pooled = inference.pooled_features(network, dataset.stack_images(stacked), run.threads)
        features.append(_unit_length(pooled))
    return TrainingPhotos(tuple(photos), np.concatenate(features))


def _parts(samples: Sequence[Sample]) -> Iterator[Sequence[Sample]]:
    return (samples[at : at + BATCH] for at in range(0, len(samples), BATCH))


def _photo(sample: Sample, pixels: Pixels) -> TrainingPhoto:
    picture = inline_squares(pixels, "").uri
    return TrainingPhoto(sample.label, PurePosixPath(sample.path).name, picture)


def _unit_length(features: PooledFeatures) -> PooledFeatures:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(lengths, TINY), dtype=np.float32)
