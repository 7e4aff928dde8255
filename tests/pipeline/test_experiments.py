"""DVC experiments with real DVC and git; instead of training, a stage makes predictions up."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.helpers.waiting import TIMEOUT
from toolkit.errors import InputError
from toolkit.pipeline import experiments
from toolkit.pipeline.experiments import Experiment

pytestmark = pytest.mark.pipeline

RUNS = Path("reports/runs")
ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "t",
    "GIT_AUTHOR_EMAIL": "t@example.invalid",
    "GIT_COMMITTER_NAME": "t",
    "GIT_COMMITTER_EMAIL": "t@example.invalid",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "DVC_NO_ANALYTICS": "1",
    "COLUMNS": "200",
}
STAGE = """
import json, sys
from pathlib import Path
from ruamel.yaml import YAML

augment = YAML(typ="safe").load(Path("params.yaml"))["augment"]
without = augment["arms"]["augmented"].get("without", [])
if augment["target"] == 13:
    sys.exit("error: 13 brings no luck")
for arm in ("original", "augmented"):
    hits = 5 if arm == "original" else augment["target"] - len(without)
    rows = [f"{k},a,{'a' if k < hits else 'b'}" for k in range(10)] + ["10,b,b", "11,b,b"]
    folder = Path("reports/runs") / f"{arm}-small" / "0"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "predictions.csv").write_text("\\n".join(["id,actual,predicted", *rows, ""]))
    side = {"arm": arm, "recipe": "small", "seed": 0, "positive": "a", "n": 12}
    numbers = {"accuracy": (hits + 2) / 12, "gmean": (hits / 10) ** 0.5}
    (folder / "metrics.json").write_text(json.dumps(side | numbers))
"""
PARAMS = {
    "fetch": {"source": "facemask"},
    "augment": {
        "target": 8,
        "arms": {"augmented": {"policy": [{"transform": t} for t in ("rotate", "sharpness")]}},
    },
    "train": {"recipes": {"small": {"network": "resnet18", "epochs": 1}}},
    "compare": {"arms": ["original", "augmented"], "recipes": ["small"], "seeds": [0]},
}
PIPELINE = {
    "stages": {
        "provenance": {
            "cmd": "toolkit provenance",
            "always_changed": True,
            "outs": [{"provenance": {"cache": False, "persist": True}}],
        },
        "compare": {
            "cmd": "python stage.py",
            "deps": ["stage.py", "provenance/augment/augmented.json"],
            "outs": ["reports/runs"],
        },
    }
}


def sh(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def toolkit(folder: Path, *arguments: str) -> str:
    return sh(folder, sys.executable, "-m", "toolkit", *arguments)


def settle(folder: Path, **augment: object) -> None:
    YAML().dump(PARAMS | {"augment": PARAMS["augment"] | augment}, folder / "params.yaml")


@pytest.fixture(scope="module", autouse=True)
def _people():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("a project")
    (folder / "stage.py").write_text(STAGE)
    settle(folder)
    YAML().dump(PIPELINE, folder / "dvc.yaml")
    sh(folder, "git", "init", "--quiet")
    sh(folder, sys.executable, "-m", "dvc", "init", "--quiet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        sh(folder, sys.executable, "-m", "dvc", "repro", "--quiet")
    sh(folder, "git", "add", "--all")
    sh(folder, "git", "commit", "--quiet", "--message", "start")
    return folder


def run(project: Path, experiment: Experiment) -> None:
    experiments.run_experiment(project, experiment, "compare", project / ".dvc" / "tmp" / "log")


def gmeans(project: Path, experiment: Experiment) -> dict[str, float]:
    results = experiments.read_evaluations(project, experiment, RUNS)
    return {result.arm: round(result.metrics["gmean"] ** 2, 6) for result in results}


def test_an_experiment_has_its_own_params_and_leaves_the_workspace(project):
    nine = Experiment("nine", {"augment.target": 9})
    experiments.check_repository(project)
    assert not experiments.is_done(project, nine)
    run(project, nine)
    assert experiments.is_done(project, nine)
    assert gmeans(project, nine) == {"original": 0.5, "augmented": 0.9}
    assert sh(project, "git", "status", "--porcelain") == ""


def test_what_was_done_from_other_params_or_files_is_not_done(project):
    nine = Experiment("nine", {"augment.target": 9})
    assert not experiments.is_done(project, Experiment("nine", {"augment.target": 7}))
    settle(project, seed=1)
    assert not experiments.is_done(project, nine)
    settle(project, target=6)  # what the experiment changes does not matter
    assert experiments.is_done(project, nine)
    (project / "stage.py").write_text(STAGE + "# changed\n")
    assert not experiments.is_done(project, nine)
    sh(project, "git", "checkout", "--quiet", ".")
    assert experiments.is_done(project, nine)


def test_an_experiment_takes_changes_of_the_workspace_along_and_the_place_of_another(project):
    nine = Experiment("nine", {})
    settle(project, target=7)
    run(project, nine)
    assert gmeans(project, nine)["augmented"] == 0.7
    assert "target: 7" in (project / "params.yaml").read_text()
    sh(project, "git", "checkout", "--quiet", ".")


def test_a_failure_is_told_with_its_reason_and_keeps_nothing(project):
    thirteen = Experiment("thirteen", {"augment.target": 13})
    with pytest.raises(InputError, match=r"`dvc exp run .*13 compare` failed: 13 brings no luck;"):
        run(project, thirteen)
    assert not experiments.is_done(project, thirteen)


def test_sweeping_targets_writes_a_table_and_a_picture(project):
    output = toolkit(project, "sweep", "--target", "8,5")
    assert [line.split()[:4] for line in output.splitlines()[1:4]] == [
        ["small", "original", "1", "0.707"],
        ["small", "augmented", "5", "1"],
        ["small", "augmented", "8", "1"],
    ]
    table = (project / "reports" / "sweep" / "target.csv").read_text().splitlines()
    assert table[1].startswith("original,small,,1,0.707107,")
    assert table[3].startswith("augmented,small,8,1,0.894427,")
    assert (project / "reports" / "sweep" / "target.png").read_bytes().startswith(b"\x89PNG")


def test_a_second_sweep_runs_what_is_new(project):
    command = [sys.executable, "-m", "toolkit", "sweep", "--target", "5,8"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.stderr.splitlines()[:2] == ["sweep-5: was done before", "sweep-8: was done before"]


def test_leaving_transforms_out_one_by_one(project):
    output = toolkit(project, "sweep", "--leave-one-out", "augmented", "--prefix", "less")
    assert [line.split()[:4] for line in output.splitlines()[1:3]] == [
        ["small", "rotate", "0.894", "0.837"],
        ["small", "sharpness", "0.894", "0.837"],
    ]
    less = Experiment(
        "less-augmented-without-rotate", {"augment.arms.augmented.without": ["rotate"]}
    )
    assert experiments.is_done(project, less)
    assert (project / "reports" / "sweep" / "without-augmented.csv").is_file()


def test_experiments_are_revisions_to_compare(project):
    output = toolkit(project, "compare", "--rev", "sweep-5", "sweep-8")
    row = next(line for line in output.splitlines() if line.startswith("small, augmented  sweep-8"))
    assert "+0.187" in row  # sqrt 0.8 - sqrt 0.5


def test_what_is_not_committed_cannot_be_an_experiment(tmp_path):
    with pytest.raises(InputError, match="not a git repository"):
        experiments.check_repository(tmp_path)
    sh(tmp_path, "git", "init", "--quiet")
    for name in experiments.COMMITTED:
        (tmp_path / name).write_text(json.dumps({}))
    sh(tmp_path, "git", "add", "dvc.yaml", "params.yaml")
    with pytest.raises(InputError, match=r"dvc.lock: not in git, .* `dvc repro`, then `git add"):
        experiments.check_repository(tmp_path)
    sh(tmp_path, "git", "add", "dvc.lock")
    with pytest.raises(InputError, match="git has no commit yet"):
        experiments.check_repository(tmp_path)
