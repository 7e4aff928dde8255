"""Tiny arms to train on: smooth noise, brighter from class to class, with a manifest."""

import hashlib
from pathlib import Path

import numpy as np

from toolkit.io import files, images, manifest
from toolkit.io.manifest import Manifest, Sample
from toolkit.training import dataset
from toolkit.training.dataset import Tensors
from toolkit.training.params import Recipe, TrainParams
from toolkit.training.train import train_one

NARROW = {"network": "resnet18", "width": 0.125}


def arm(folder: Path, counts: dict[str, int], *, size: int = 32, seed: int = 0) -> Path:
    """Write <class>/<number>.png of `size` pixels and the manifest."""
    rng = np.random.default_rng(seed)
    samples = []
    for shade, (label, n) in enumerate(sorted(counts.items())):
        for k in range(n):
            coarse = rng.integers(80 * shade, 80 * shade + 96, (4, 4, 3)).astype(np.uint8)
            data = images.encode_png(images.resize(coarse, size))
            files.write_file(folder / label / f"{k:03d}.png", data)
            samples.append(Sample(hashlib.sha256(data).hexdigest(), f"{label}/{k:03d}.png", label))
    manifest.write_manifest(folder, Manifest(tuple(sorted(counts)), tuple(samples)))
    return folder


def load(folder: Path, size: int = 32) -> Tensors:
    """Load the images of a folder at `size` pixels."""
    return dataset.load_tensors(dataset.open_folder(folder), size)


def tensors(folder: Path, counts: dict[str, int], *, size: int = 32, seed: int = 0) -> Tensors:
    """Write an arm and load it."""
    return load(arm(folder, counts, size=size, seed=seed), size)


def trained(root: Path, **recipe: object) -> Path:
    """Write an arm, and a valid split beside it, and train on them; return the run's folder."""
    plain, valid = arm(root / "plain", {"a": 6, "b": 3}), arm(root / "valid", {"a": 3, "b": 2})
    train_one(plain, valid, "r", settings(**recipe), seed=0, output=root / "run")
    return root / "run"


def settings(**recipe: object) -> TrainParams:
    """Return a recipe `r`, two epochs of a narrow resnet18 in batches of four, on one thread."""
    options = ({} if "network" in recipe else NARROW) | {"epochs": 2, "batch": 4} | recipe
    return TrainParams(
        device="cpu", threads=1, precision="float32", recipes={"r": Recipe.model_validate(options)}
    )
