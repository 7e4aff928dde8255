"""Tiny folders of images, drawn from a seed."""

import os
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from toolkit.io import images

# Tests share the cores with one another: a thread that waits for work sleeps, it does not spin.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

hypothesis.settings.register_profile("toolkit", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("toolkit")


def noise(rng: np.random.Generator, size: int = 32) -> images.Pixels:
    """A smooth random picture: 4 x 4 colors, enlarged."""
    coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return images.resize(coarse, size)


def fill(folder: Path, counts: dict[str, int], *, size: int = 32, seed: int = 0) -> Path:
    """Write <class>/<number>.png for the counts; a key may be split/class."""
    rng = np.random.default_rng(seed)
    for name, n in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for k in range(n):
            (folder / name / f"{k:03d}.png").write_bytes(images.encode_png(noise(rng, size)))
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three classes with 12, 8 and 6 pictures of 32 px."""
    return fill(tmp_path / "photos", {"a": 12, "b": 8, "c": 6})
