"""Names in params.yaml decide nothing about what a shell runs and what DVC removes: real DVC."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.integration.test_pipeline import sh
from toolkit.io import files

pytestmark = pytest.mark.pipeline

SHELL = "x;touch ran;"
QUOTED = "a'b\";touch ran;\"'$(touch ran)`touch ran`"
LINES = "x\n touch ran\n"
UP, OUT = "../../precious", "../../../precious"
NAMES = {
    "an arm": ("augment.arms", {SHELL: {"policy": "homework"}}, "repro"),
    "an arm with quotes": ("augment.arms", {QUOTED: {"policy": "homework"}}, "repro"),
    "an arm of lines": ("augment.arms", {LINES: {"policy": "homework"}}, "repro"),
    "an arm that leads up": ("augment.arms", {UP: {"policy": "homework"}}, "repro"),
    "an arm that leads out": ("augment.arms", {OUT: {"policy": "homework"}}, "repro --keep-going"),
    "a compared arm": ("compare.arms", ["original", QUOTED], "repro"),
    "a recipe": ("compare.recipes", [QUOTED], "repro"),
    "a recipe that leads out": ("compare.recipes", [f"r/{OUT}"], "repro train"),
    "a seed": ("compare.seeds", [SHELL], "repro"),
    "a list of seeds": ("compare.seeds", [[SHELL]], "repro"),
    "an arm, alone": ("augment.arms", {QUOTED: {"policy": "homework"}}, "repro -s augment"),
    "lines, alone": ("augment.arms", {LINES: {"policy": "homework"}}, "repro -s augment"),
    "a recipe, alone": ("compare.recipes", [QUOTED], "repro -s train"),
    "a seed, alone": ("compare.seeds", [SHELL], "repro -s evaluate"),
}
THERE = (  # what a stage needs that runs alone
    *(f"data/prepared/{split}" for split in ("train", "valid", "test")),
    *(f"data/arms/{arm}" for arm in ("original", "duplicated", "augmented", QUOTED, LINES)),
    *(f"data/features/{QUOTED}/arms/{arm}" for arm in ("original", "duplicated", "augmented")),
    "models",
)

PROVENANCE = (
    *(f"augment/{arm}" for arm in (QUOTED, LINES)),
    f"train/{QUOTED}",
    "evaluate",
    "fetch",
)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("home") / "project"
    sh(folder.parent, "toolkit", "init", "project", "--preset", "quick")
    (folder / "params.yaml").rename(folder / "sound.yaml")
    for path in THERE:
        (folder / path).mkdir(parents=True)
    for name in PROVENANCE:
        files.write_file(folder / "provenance" / f"{name}.json", "{}")
    for place in (folder, folder.parent):
        (place / "precious").mkdir()
        (place / "precious" / "file").write_text("mine")
    return folder


@pytest.mark.parametrize("case", NAMES)
def test_a_name_is_not_run_and_removes_nothing(project, case):
    key, value, command = NAMES[case]
    yaml = YAML()
    settings = yaml.load((project / "sound.yaml").read_text())
    section, name = key.split(".")
    settings[section][name] = value
    settings["train"]["recipes"][QUOTED] = {"network": "resnet18", "epochs": 1}
    yaml.dump(settings, project / "params.yaml")
    said = sh(project, "dvc", *command.split(), code=255)
    assert not list(project.parent.rglob("ran")), said
    for place in (project, project.parent):
        assert (place / "precious" / "file").read_text() == "mine", said
    if not any(
        part in str(value) for part in (UP, r"\n", "[[")
    ):  # DVC itself, or sh, refuses those
        assert "error: params.yaml:" in said
