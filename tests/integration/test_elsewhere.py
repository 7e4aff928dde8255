"""The data half where what only Linux has is missing, as on Windows: the same bytes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import fill
from tests.helpers.elsewhere.half import do_data_half
from tests.helpers.waiting import TIMEOUT
from toolkit.metrics.predictions import Predictions, write_predictions

ROOT = Path(__file__).parents[2]
POOR = ROOT / "tests" / "helpers" / "elsewhere"


def tree(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A dozen photos of 16 px, and the predictions of two runs."""
    top = tmp_path_factory.mktemp("half")
    fill(top / "photos", {"common": 8, "rare": 4}, size=16)
    labels = ("common", "rare") * 6
    for name, seed in (("original", 0), ("augmented", 1)):
        scores = np.random.default_rng(seed).random(12)
        predicted = tuple("rare" if score > 0.5 else "common" for score in scores)
        ids, table = tuple(map(str, range(12))), np.stack([1 - scores, scores], axis=1)
        runs = Predictions(("common", "rare"), ids, labels, predicted, table)
        (top / "runs").mkdir(exist_ok=True)
        write_predictions(top / "runs" / f"{name}.csv", runs)
    do_data_half(top / "photos", top / "runs", top / "linux")
    return top


def test_the_data_half_gives_the_same_bytes_where_linux_is_missing(place):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (POOR, ROOT)))}
    command = [sys.executable, POOR / "half.py", place / "photos", place / "runs", place / "poor"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, cwd=place, timeout=TIMEOUT
    )
    assert done.returncode == 0, done.stderr
    linux, poor = tree(place / "linux"), tree(place / "poor")
    assert "numbers.txt" in linux
    assert linux == poor
