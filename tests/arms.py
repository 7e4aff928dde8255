"""Tiny arms to train on: smooth noise, brighter from class to class, with a manifest."""

import hashlib
from pathlib import Path

import numpy as np

from toolkit import codec, dataset, files, manifest
from toolkit.dataset import Tensors
from toolkit.manifest import Manifest, Sample
from toolkit.training_params import Recipe, Train


def arm(folder: Path, counts: dict[str, int], *, size: int = 32, seed: int = 0) -> Path:
    """Write <class>/<number>.png and the manifest."""
    rng = np.random.default_rng(seed)
    samples = []
    for shade, (label, n) in enumerate(sorted(counts.items())):
        for k in range(n):
            coarse = rng.integers(80 * shade, 80 * shade + 96, (4, 4, 3)).astype(np.uint8)
            data = codec.encode_png(codec.resize(coarse, size))
            files.write(folder / label / f"{k:03d}.png", data)
            samples.append(Sample(hashlib.sha256(data).hexdigest(), f"{label}/{k:03d}.png", label))
    manifest.write(folder, Manifest(tuple(sorted(counts)), tuple(samples)))
    return folder


def tensors(folder: Path, counts: dict[str, int], *, size: int = 32, seed: int = 0) -> Tensors:
    """The same, loaded."""
    return dataset.load(arm(folder, counts, size=size, seed=seed))


def settings(**recipe: object) -> Train:
    """One recipe, `r`: two epochs of resnet18 in batches of four, on one thread."""
    given = {"network": "resnet18", "epochs": 2, "batch": 4} | recipe
    return Train(
        device="cpu", threads=1, precision="float32", recipes={"r": Recipe.model_validate(given)}
    )
