"""The pipeline as its users run it: real DVC, real git, one tiny project for the whole file.

The tests build on each other in the order of the file, as a person's afternoon would.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.conftest import fill

pytestmark = pytest.mark.pipeline

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}",
    "GIT_AUTHOR_NAME": "t",
    "GIT_AUTHOR_EMAIL": "t@example.invalid",
    "GIT_COMMITTER_NAME": "t",
    "GIT_COMMITTER_EMAIL": "t@example.invalid",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "DVC_NO_ANALYTICS": "1",
    "COLUMNS": "200",
}


def sh(folder: Path, *command: str, code: int = 0) -> str:
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def stages_run(output: str) -> set[str]:
    return set(re.findall(r"Running stage '([^']+)'", output)) - {"provenance"}


def is_up_to_date(folder: Path) -> bool:
    """Whether nothing but the first stage would run, which always does."""
    return sh(folder, "dvc", "status").split() == ["provenance:", "always", "changed"]


def edit(folder: Path, key: str, value: object) -> None:
    yaml = YAML()
    settings = yaml.load(folder / "params.yaml")
    *path, last = key.split(".")
    place = settings
    for part in path:
        place = place[part]
    place[last] = value
    yaml.dump(settings, folder / "params.yaml")


def save(folder: Path, message: str) -> None:
    sh(folder, "git", "add", "--all")
    sh(folder, "git", "commit", "--quiet", "--message", message)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project made by `toolkit init` from a folder of photos, run as an experiment and committed.

    Nothing was committed by hand before.
    """
    home = tmp_path_factory.mktemp("a home")  # with a space
    fill(home / "photos", {"healthy": 60, "sick": 24})
    said = sh(home, "toolkit", "init", "project", "--images", "photos")
    assert "24 sick; classes with fewer than the largest: sick" in said
    folder = home / "project"
    edit(folder, "prepare.size", 32)
    edit(folder, "prepare.split", {"fractions": {"train": 0.7, "valid": 0.15, "test": 0.15}})
    edit(folder, "train.recipes", {
        "first": {"network": "resnet18", "width": 0.125, "epochs": 2, "batch": 16},
        "second": {"network": "resnet18_plain", "width": 0.125, "epochs": 1, "batch": 16},
    })  # fmt: skip
    edit(folder, "compare.recipes", ["first", "second"])
    edit(folder, "augment.arms", {"augmented": {"policy": "homework"}})
    edit(folder, "compare.arms", ["original", "augmented"])
    edit(folder, "compare.control", None)
    edit(folder, "compare.primary.recipe", "first")
    edit(folder, "compare.seeds", [0])
    edit(folder, "train.threads", 1)
    sh(folder, "dvc", "exp", "run", "--quiet", "--set-param", "augment.target=30")  # at once
    assert "gmean" in sh(folder, "dvc", "metrics", "diff", "--all")
    save(folder, "first run")
    return folder


def test_every_artifact_is_there(project):
    keys = {f"{arm}-{r}" for arm in ("original", "augmented") for r in ("first", "second")}
    assert {p.name for p in (project / "models").iterdir() if p.is_dir()} == keys
    for key in keys:
        assert [p.name for p in (project / "models" / key).iterdir()] == ["0"]
        files = {p.name for p in (project / "reports" / "runs" / key / "0").iterdir()}
        assert {"predictions.csv", "valid_predictions.csv", "metrics.json", "mistakes"} <= files
    assert (project / "data" / "arms" / "augmented.png").is_file()
    assert "<html" in (project / "reports" / "index.html").read_text()


def test_the_rare_class_reaches_the_target_with_its_history(project):
    with (project / "data" / "arms" / "augmented" / "manifest.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    sick = [row for row in rows if row["label"] == "sick"]
    assert len(sick) == 30
    ids = {row["id"] for row in rows if not row["parent"]}
    children = [row for row in sick if row["parent"]]
    assert all(row["parent"] in ids and row["transform"] and row["params"] for row in children)


def test_the_second_run_does_nothing(project):
    assert stages_run(sh(project, "dvc", "repro")) == set()
    assert is_up_to_date(project)
    assert sh(project, "git", "status", "--porcelain") == ""


def test_the_summary_is_scalars_only(project):
    def leaves(node):
        return [x for v in node.values() for x in leaves(v)] if isinstance(node, dict) else [node]

    summary = json.loads((project / "reports" / "summary.json").read_text())
    assert all(isinstance(leaf, int | float | str) for leaf in leaves(summary))
    assert summary["first"]["augmented"]["verdict"] == "not yet known"  # one seed: it cannot tell


def test_another_target_runs_what_depends_on_it_and_nothing_else(project):
    before = (project / "data/arms/augmented/manifest.csv").read_text().splitlines()
    said = sh(project, "dvc", "exp", "run", "--name", "more", "--set-param", "augment.target=36")
    arm = {f"train@augmented-{recipe}" for recipe in ("first", "second")}
    assert stages_run(said) == {
        "augment@augmented", "probe@augmented", "embed", *arm, "evaluate", "compare", "report",
    }  # fmt: skip
    after = (project / "data/arms/augmented/manifest.csv").read_text().splitlines()
    assert after[: len(before)] == before  # the longer plan begins with the shorter one


def test_an_experiment_is_shown_with_its_target(project):
    shown = sh(project, "dvc", "exp", "show", "--csv", "--drop", "[.]py")
    header, *rows = csv.reader(shown.splitlines())
    targets = {row[header.index("Experiment")]: row[header.index("augment.target")] for row in rows}
    assert targets["more"] == "36"


def test_metrics_and_params_differ_readably(project):
    assert "gmean" in sh(project, "dvc", "metrics", "diff", "--all")
    assert re.search(r"augment.target\s+30\s+36", sh(project, "dvc", "params", "diff"))


def test_plots_show_the_arms_in_one_picture(project):
    said = sh(project, "dvc", "plots", "show", "G-mean on valid, by epoch", "--show-vega")
    runs = {row["run"] for row in json.loads(said)["data"]["values"]}
    assert {"original-first-0", "augmented-first-0"} <= runs
    said = sh(project, "dvc", "plots", "show", "ROC on test", "--show-vega")
    assert {row["run"] for row in json.loads(said)["data"]["values"]} == runs
    sh(project, "dvc", "plots", "show")
    page = (project / "dvc_plots" / "index.html").read_text()
    assert "Confusion matrices on test, all seeds" in page


def test_changing_it_back_trains_nothing(project):
    edit(project, "augment.target", 30)
    said = sh(project, "dvc", "repro")
    assert not {name for name in stages_run(said) if name.startswith(("train", "augment"))}
    assert "is cached - skipping run" in said
    assert sh(project, "git", "status", "--porcelain") == ""


def test_a_sweep_to_what_a_class_has_makes_no_image_and_is_a_point_like_the_others(project):
    edit(project, "compare.recipes", ["first"])  # the other one takes as long again
    sick = len(list((project / "data" / "prepared" / "train" / "sick").iterdir()))
    sh(project, "toolkit", "sweep", "--target", str(sick))
    with (project / "reports" / "sweep" / "target.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["recipe"], row["target"]) for row in rows] == [("first", ""), ("first", str(sick))]
    sh(project, "git", "checkout", "--quiet", ".")
    assert sh(project, "git", "status", "--porcelain") == ""


def test_one_recipes_learning_rate_trains_that_recipe_only(project):
    edit(project, "train.recipes.second.learning_rate", 0.002)
    said = sh(project, "dvc", "repro", "train@original-first", "train@original-second")
    assert stages_run(said) == {"train@original-second"}
    sh(project, "git", "checkout", "--quiet", ".")
    sh(project, "dvc", "checkout")


def test_another_seed_trains_that_one_only(project):
    before = (project / "models/original-first/0/weights.safetensors").read_bytes()
    edit(project, "compare.seeds", [0, 1])
    said = sh(project, "dvc", "repro", "train@original-first")
    assert stages_run(said) == {"train@original-first"}
    said += sh(project, "dvc", "repro", "--single-item", "evaluate")
    assert "of 5 are as they were evaluated before" in said
    assert said.count("/0: kept, the same training left it") == 1
    assert (project / "models/original-first/0/weights.safetensors").read_bytes() == before
    assert (project / "reports/runs/original-first/1/metrics.json").is_file()
    sh(project, "git", "checkout", "--quiet", ".")
    sh(project, "dvc", "checkout")
    assert not (project / "models/original-first/1").exists()


def test_the_bare_command_writes_the_stages_bytes(project):
    arm = project / "data" / "arms" / "augmented"
    before = {p.relative_to(arm): p.read_bytes() for p in arm.rglob("*") if p.is_file()}
    assert "recorded" not in sh(project, "toolkit", "augment", "--target", "30")
    after = {p.relative_to(arm): p.read_bytes() for p in arm.rglob("*") if p.is_file()}
    assert after == before
    assert is_up_to_date(project)


def test_the_bare_command_says_how_to_record_another_target(project):
    said = sh(project, "toolkit", "augment", "--target", "32")
    assert "dvc exp run -S augment.target=32" in said
    sh(project, "dvc", "checkout", "--force")


def test_push_and_pull_restore_every_artifact_in_a_fresh_clone(project, tmp_path):
    sh(project, "dvc", "remote", "add", "--default", "store", str(tmp_path / "store"))
    save(project, "a remote")
    sh(project, "dvc", "push")
    sh(tmp_path, "git", "clone", "--quiet", str(project), "clone")
    sh(tmp_path / "clone", "dvc", "pull")
    assert is_up_to_date(tmp_path / "clone")
    ours, theirs = (f / "models" / "original-first" / "0" / "weights.safetensors"
                    for f in (project, tmp_path / "clone"))  # fmt: skip
    assert ours.read_bytes() == theirs.read_bytes()


def test_training_again_from_nothing_gives_the_same_bytes(project):
    """Same params, same machine: every output hash in dvc.lock stays."""
    before = (project / "dvc.lock").read_text()
    last = "train@augmented-first"  # with all that it depends on
    ran = stages_run(sh(project, "dvc", "repro", "--force", "--no-run-cache", last))
    assert {"fetch", "augment@augmented", last} <= ran
    assert (project / "dvc.lock").read_text() == before


def test_a_mistake_stops_the_stage_with_one_message(project):
    edit(project, "train.recipes.first.network", "resnet19")
    said = sh(project, "dvc", "repro", code=255)
    assert "train.recipes.first.network must be one of" in said
    assert "Traceback" not in said
    sh(project, "git", "checkout", "--quiet", ".")


def test_the_committed_data_hashes_are_those_of_this_machine(tmp_path):
    """dvc.lock was written on another machine; weights may differ here, data may not."""
    for name in ("dvc.yaml", "dvc.lock", "params.yaml", ".dvcignore", "toolkit"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    sh(tmp_path, "git", "init", "--quiet")
    sh(tmp_path, "dvc", "init", "--quiet")
    sh(tmp_path, "dvc", "repro", "--force", "augment", "original")
    ours, theirs = (YAML(typ="safe").load(f / "dvc.lock")["stages"] for f in (tmp_path, ROOT))
    for stage in ("fetch", "audit", "prepare", "original", "augment@augmented"):
        assert ours[stage]["outs"] == theirs[stage]["outs"], stage
