"""What the commands that compare say at their end."""

import pytest
from typer.testing import CliRunner

from tests.evaluation.test_comparison import scored
from tests.pipeline.test_leaderboard import PARAMS
from toolkit.cli.main import app
from toolkit.pipeline.steps.evaluate import evaluate


@pytest.fixture(autouse=True)
def _in_a_project(tmp_path, monkeypatch):
    """A project of which only params.yaml and the evaluations are there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "raw").mkdir(parents=True)  # photos of someone else's, without a manifest
    (tmp_path / "params.yaml").write_text(PARAMS.replace("[0, 7, 2]", "[0]"))
    for arm, gap, prior in (("original", 2.0, -2.0), ("augmented", 3.0, 0.0)):
        evaluate(
            scored(arm, 0, gap, prior).predictions, output=tmp_path / f"reports/runs/{arm}-net/0",
            positive="b", arm=arm, recipe="net", run_seed=0, resamples=200,
        )  # fmt: skip


def test_the_last_stage_ends_with_the_table_and_the_answer_of_compare_and_the_page(tmp_path):
    compared, shown = (CliRunner().invoke(app, [name]).stdout for name in ("compare", "report"))
    table, _, said = shown.partition("\n\n")
    assert table.splitlines()[0].startswith("remedy ")
    assert [line.startswith("* ") for line in table.splitlines()].count(True) == 1
    headline, effect, *others = said.splitlines()
    assert headline == "Take augmented, the published way."
    assert "of 90 images of 'b' instead of" in effect
    assert any(line.startswith("augmented against original, net: ") for line in others)
    assert f"\n{headline}\n{effect}\n" in compared
    page = (tmp_path / "reports" / "index.html").read_text()
    assert f"<h1>{headline}</h1>" in page
    assert effect.partition(" images")[0] in page
