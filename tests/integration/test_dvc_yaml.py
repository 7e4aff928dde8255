"""The pipeline of this repository is the one that `toolkit init` writes."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRESETS = ROOT / "toolkit" / "pipeline" / "presets"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("dvc.yaml", "pipeline.yaml"),
        ("params.yaml", "quick.yaml"),
        (".dvc/plots/arms.json", "arms.json"),
        (".dvc/plots/matrices.json", "matrices.json"),
    ],
)
def test_the_committed_file_is_the_packages(ours, theirs):
    assert (ROOT / ours).read_bytes() == (PRESETS / theirs).read_bytes()
