"""The pipeline of this repository is the one that `toolkit init` writes."""

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
PRESETS = ROOT / "toolkit" / "pipeline" / "presets"
PIPELINE = YAML(typ="safe").load(PRESETS / "pipeline.yaml")


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


def test_in_every_curve_the_arm_is_a_color_the_recipe_a_frame_and_the_seed_a_thin_line():
    template = json.loads((PRESETS / "arms.json").read_text())
    shown = template["spec"]["encoding"]
    assert (shown["color"]["field"], template["facet"]["field"]) == ("arm", "recipe")
    assert (shown["detail"]["field"], template["spec"]["mark"]["strokeWidth"]) == ("seed", 1)
    *lines, matrices = [plot for plots in PIPELINE["plots"] for plot in plots.values()]
    assert {plot["template"] for plot in lines} == {"arms"}
    assert matrices["template"] == "matrices"


def test_the_bounds_are_no_metric():
    stage = PIPELINE["stages"]["compare"]
    assert [*stage["metrics"][0]] == ["reports/summary.json"]
    assert "reports/intervals.json" in stage["outs"]
