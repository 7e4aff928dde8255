"""Evaluations of git revisions: real git, real DVC, a project inside a larger repository."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.helpers.waiting import TIMEOUT
from toolkit.errors import InputError
from toolkit.evaluation.results import RunKey
from toolkit.io import files
from toolkit.pipeline import revisions
from toolkit.pipeline.params import load_params

RUNS = Path("reports/runs")
ENVIRONMENT = {
    **os.environ,
    "GIT_AUTHOR_NAME": "t",
    "GIT_AUTHOR_EMAIL": "t@example.invalid",
    "GIT_COMMITTER_NAME": "t",
    "GIT_COMMITTER_EMAIL": "t@example.invalid",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "DVC_NO_ANALYTICS": "1",
}


def sh(folder: Path, *command: str) -> None:
    subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, check=True, capture_output=True, timeout=TIMEOUT
    )


def dvc(folder: Path, *arguments: str) -> None:
    sh(folder, sys.executable, "-m", "dvc", *arguments, "--quiet")


def evaluate(project: Path, key: RunKey, hits: int) -> None:
    """An evaluation in which `hits` of ten images of `a`, and all five of `b`, are found."""
    rows = [("a", "a")] * hits + [("a", "b")] * (10 - hits) + [("b", "b")] * 5
    lines = [f"{k},{actual},{predicted}" for k, (actual, predicted) in enumerate(rows)]
    folder = project / RUNS / key.place
    files.write_file(folder / "predictions.csv", "\n".join(["id,actual,predicted", *lines, ""]))
    side = {"arm": key.arm, "recipe": key.recipe, "seed": key.seed, "positive": "a"}
    numbers = {"n": 15, "accuracy": (hits + 5) / 15, "gmean": (hits / 10) ** 0.5}
    files.write_file(folder / "metrics.json", json.dumps(side | numbers))
    files.write_file(folder / "confusion_matrix.png", b"a picture")


def settle(project: Path, arms: list[str], recipes: list[str], seeds: list[int]) -> None:
    data = {
        "fetch": {"source": "facemask"},
        "augment": {"arms": {arm: {"policy": "duplicate"} for arm in arms[1:]}},
        "train": {"recipes": {name: {"network": "resnet18", "epochs": 1} for name in recipes}},
        "compare": {"arms": arms, "recipes": recipes, "seeds": seeds},
    }
    YAML().dump(data, project / "params.yaml")


def save(project: Path, name: str) -> None:
    dvc(project, "add", str(RUNS))
    sh(project, "git", "add", "--all")
    sh(project, "git", "commit", "--quiet", "--message", name)
    sh(project, "git", "tag", name)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """Tags: `first`, and `second` with another arm, without a recipe and with better numbers."""
    folder = tmp_path_factory.mktemp("repository") / "project"
    folder.mkdir()
    sh(folder.parent, "git", "init", "--quiet")
    dvc(folder, "init", "--subdir")
    settle(folder, ["original", "augmented"], ["small", "large"], [0, 1])
    for key in revisions.run_keys(load_params(folder / "params.yaml").compare):
        evaluate(folder, key, hits=6)
    save(folder, "first")
    settle(folder, ["original", "augmented", "mine"], ["small"], [0])
    for arm in ("original", "augmented", "mine"):
        evaluate(folder, RunKey(arm, "small", 0), hits=8)
    save(folder, "second")
    evaluate(folder, RunKey("original", "small", 0), hits=9)
    return folder


def test_a_revision_is_read_with_its_own_params(project):
    results = revisions.read_revision(project, "first", RUNS)
    assert [str(result.key) for result in results] == [
        "original-small-0", "original-small-1", "augmented-small-0", "augmented-small-1",
        "original-large-0", "original-large-1", "augmented-large-0", "augmented-large-1",
    ]  # fmt: skip
    assert {result.metrics["accuracy"] for result in results} == {11 / 15}
    assert len(results[0].predictions.ids) == 15
    assert results[0].positive == "a"


def test_a_revision_is_an_arm_and_what_not_all_have_is_left_out(project):
    results, left = revisions.read_revisions(project, ["first", "HEAD"], RUNS)
    assert [str(result.key) for result in results] == [
        "first-small, original-0", "first-small, original-1",
        "first-small, augmented-0", "first-small, augmented-1",
        "HEAD-small, original-0", "HEAD-small, augmented-0",
    ]  # fmt: skip
    assert left == {"first": ["large, original", "large, augmented"], "HEAD": ["small, mine"]}


def test_the_workspace_is_what_lies_there_now(project):
    results, _ = revisions.read_revisions(project, ["second", "workspace"], RUNS)
    changed = [r.metrics["gmean"] for r in results if r.recipe == "small, original"]
    assert changed == pytest.approx([0.8**0.5, 0.9**0.5])


def test_reading_changes_nothing_in_the_project(project):
    before = {p: p.read_bytes() for p in project.rglob("*") if p.is_file()}
    revisions.read_revision(project, "first", RUNS)
    assert {p for p, data in before.items() if p.read_bytes() != data} == set()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["HEAD"], "at least two different ones, got HEAD; workspace is one, too"),
        (["HEAD", "HEAD"], "at least two different ones, got HEAD, HEAD"),
        (["HEAD", "nowhere"], "unknown Git revision 'nowhere'; name a branch.*dvc exp list"),
    ],
)
def test_wrong_revisions_are_refused(project, names, message):
    with pytest.raises(InputError, match=message):
        revisions.read_revisions(project, names, RUNS)


def test_revisions_with_nothing_in_common_are_refused(project, tmp_path):
    copy = shutil.copytree(project.parent, tmp_path / "copy") / "project"
    settle(copy, ["original"], ["other"], [0])
    evaluate(copy, RunKey("original", "other", 0), hits=5)
    with pytest.raises(
        InputError, match=r"in all revisions: first has .*; workspace has other, or"
    ):
        revisions.read_revisions(copy, ["first", "workspace"], RUNS)


def test_outputs_that_are_nowhere_are_named_with_the_remedy(project, tmp_path):
    copy = shutil.copytree(project.parent, tmp_path / "copy") / "project"
    shutil.rmtree(copy / ".dvc" / "cache")
    with pytest.raises(InputError, match=r"^first:reports/runs/original-small/0.*`dvc pull`"):
        revisions.read_revision(copy, "first", RUNS)


def test_a_revision_without_params_is_named(project, tmp_path):
    copy = shutil.copytree(project.parent, tmp_path / "copy") / "project"
    sh(copy, "git", "rm", "--quiet", "--cached", "params.yaml")
    sh(copy, "git", "commit", "--quiet", "--message", "without")
    with pytest.raises(InputError, match=r"^HEAD:params.yaml: neither in git, nor"):
        revisions.read_revision(copy, "HEAD", RUNS)


def test_a_folder_without_git_or_dvc_is_refused(tmp_path):
    with pytest.raises(InputError, match="`git rev-parse` failed: not a git repository"):
        revisions.read_revision(tmp_path, "HEAD", RUNS)
    sh(tmp_path, "git", "init", "--quiet")
    with pytest.raises(InputError, match="not a DVC project; `toolkit init` makes one"):
        revisions.read_revision(tmp_path, "HEAD", RUNS)
