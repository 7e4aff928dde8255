"""Folders of images in which no check finds anything, and their audit."""

from pathlib import Path

import numpy as np

from tests.conftest import noise
from toolkit.checks import audit, findings, params
from toolkit.datasets import folders
from toolkit.io import images


def picture(rng: np.random.Generator, size: int = 48) -> images.Pixels:
    """Draw smooth colors with the grain of a photo."""
    grain = rng.normal(0, 20, (size, size, 1))
    return np.clip(noise(rng, size) * 0.8 + 25 + grain, 0, 255).astype(np.uint8)


def fill(folder: Path, counts: dict[str, int], *, size: int = 48, seed: int = 0) -> Path:
    """Write <class>/<number>.png for the counts; a key may be split/class."""
    rng = np.random.default_rng(seed)
    for name, n in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for k in range(n):
            data = images.encode_png(picture(rng, size))
            (folder / name / f"{k:03d}.png").write_bytes(data)
    return folder


def put(path: Path, data: bytes) -> None:
    """Write a file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def run(folder: Path, processes: int = 1, **settings) -> findings.Audit:
    """Audit a folder, with the work file beside it."""
    chosen, work = params.AuditParams.model_validate(settings), folder.parent / "work"
    return audit.run_checks(folders.scan(folder), folder, chosen, work, processes=processes)


def flagged(result: findings.Audit) -> dict[str, list[str]]:
    """Return the flagged files of each check that has findings."""
    return {
        name: sorted({path for finding in result.findings_of(name) for path in finding.paths})
        for name in result.checks
        if result.findings_of(name)
    }
