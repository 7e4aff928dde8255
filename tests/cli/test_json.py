"""What --json prints: JSON alone on stdout, with the keys of docs/schemas."""

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.conftest import fill
from tests.evaluation.test_comparison import scored
from tests.helpers.schemas import checked_json
from toolkit.cli.main import app
from toolkit.evaluation.comparison import compare_results
from toolkit.pipeline.steps.leaderboard import Leaderboard


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def printed(*words):
    """Return what a command printed, by its schema, and what it said beside that."""
    done = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert done.stdout, done.exception
    return checked_json(str(words[0]), done.stdout), done


def table(path, *, scores=True, seed=0):
    """Write predictions of 30 images, a fifth of them wrong."""
    rng = np.random.default_rng(seed)
    rows = [f"image,actual,predicted{',score_a,score_b' if scores else ''}"]
    for number in range(30):
        actual = "a" if number < 20 else "b"
        predicted = actual if rng.random() < 0.8 else "ab"[actual == "a"]
        b = round(rng.uniform(0.5, 1), 4) if predicted == "b" else round(rng.uniform(0, 0.5), 4)
        cells = f",{1 - b:.4f},{b}" if scores else ""
        rows.append(f"{number}.png,{actual},{predicted}{cells}")
    path.write_text("\n".join([*rows, ""]))
    return path


def test_an_audit_has_all_findings(tmp_path):
    photos = fill(tmp_path / "photos", {"a": 4, "b": 2})
    (photos / "a" / "copy.png").write_bytes((photos / "a" / "000.png").read_bytes())
    (photos / "b" / "page.jpg").write_text("<!doctype html>")
    content, done = printed("audit", photos, "--workers", "1")
    assert content["images"] == 7
    assert content["unusable"] == {"a": 0, "b": 1}
    assert {"not_an_image", "exact_duplicates"} <= {of["check"] for of in content["findings"]}
    assert content["failed"] == []
    assert str(photos) in done.stderr


def test_checks_that_are_set_to_fail_are_named_and_the_exit_code_is_1(tmp_path, monkeypatch):
    photos = fill(tmp_path / "photos", {"a": 8, "b": 2})
    monkeypatch.setattr("toolkit.cli.options.read_section", lambda *_: FAILING.get(_[0], {}))
    content, done = printed("audit", photos, "--workers", "1")
    assert content["failed"] == ["imbalance"]
    assert (done.exit_code, "audit.imbalance" in str(done.exception)) == (1, True)


FAILING = {"audit": {"imbalance": "fail"}}


def test_an_evaluation_has_its_metrics_and_intervals(tmp_path):
    content, done = printed("evaluate", table(tmp_path / "mine.csv"), "--positive", "b", "-o", "e")
    (run,) = content["runs"]
    assert (run["name"], run["classes"]) == ("mine", ["a", "b"])
    low, high = run["intervals"]["gmean"]
    assert low <= run["metrics"]["gmean"] <= high
    assert "metrics.json" in done.stderr


def test_perfect_predictions_say_why_intervals_end_at_their_values(tmp_path):
    rows = "".join(f"{number}.png,{'ab'[number % 2]},{'ab'[number % 2]}\n" for number in range(30))
    (tmp_path / "all.csv").write_text(f"image,actual,predicted\n{rows}")
    content, _ = printed("evaluate", tmp_path / "all.csv", "-o", "e")
    assert (
        "ends at its own value does so because metrics end there: 1."
        in content["runs"][0]["notes"][-1]
    )


def test_a_leaderboard_has_the_comparison_and_the_seconds(monkeypatch):
    runs = [scored(arm, seed, 3.0) for arm in ("original", "augmented") for seed in range(2)]
    found = Leaderboard(compare_results(runs, resamples=200), {("net", "original"): 2.5})
    monkeypatch.setattr("toolkit.pipeline.steps.leaderboard.leaderboard", lambda **_: found)
    done = CliRunner().invoke(app, ["leaderboard", "--json"])
    rows = checked_json("compare", done.stdout)["leaderboard"]
    assert {(row["arm"], row["seconds"]) for row in rows} == {
        ("original", 2.5),
        ("augmented", None),
    }


@pytest.mark.parametrize("scores", [True, False])
def test_a_comparison_has_estimates_contrasts_and_the_leaderboard(tmp_path, scores):
    tables = [
        f"{arm}={table(tmp_path / f'{arm}{seed}.csv', scores=scores, seed=seed + ord(arm))}"
        for arm in "xy"
        for seed in (0, 1)
    ]
    content, _ = printed("compare", *tables, "--positive", "b")
    assert [(row["arm"], row["seeds"]) for row in content["estimates"]] == [
        ("x", [0, 1]),
        ("y", [0, 1]),
    ]
    (contrast,) = content["contrasts"]
    assert (contrast["arm"], contrast["against"], contrast["role"]) == ("y", "x", "primary")
    assert content["primary"] == {"recipe": "predictions", "arm": "y", "against": "x"}
    assert contrast["metric"] == ("threshold_gmean" if scores else "gmean")
    assert len(content["leaderboard"]) == (3 if scores else 2)


def test_what_is_unknown_is_null_and_not_nan(tmp_path):
    (tmp_path / "none.csv").write_text("id,actual,predicted\n1,a,b\n2,a,b\n3,b,a\n4,b,a\n")
    (tmp_path / "all.csv").write_text("id,actual,predicted\n1,a,a\n2,a,a\n3,b,b\n4,b,b\n")
    content, _ = printed("compare", "none.csv", "all.csv")
    (contrast,) = content["contrasts"]
    assert contrast["detectable"] is None


def test_json_and_markdown_are_two_answers(tmp_path):
    done = CliRunner().invoke(app, ["compare", "x.csv", "--json", "--markdown"])
    assert done.exit_code == 2
    assert "--markdown or --json" in done.stderr
