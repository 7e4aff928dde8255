"""dvc.yaml lists for each stage the rooms that its results depend on, no more and no fewer.

After a change of imports: `python -m tests.integration.test_dvc_yaml` writes dvc.yaml anew.
"""

import ast
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "toolkit"
PRESETS = PACKAGE / "pipeline" / "presets"
ROOTS = {  # what the stage's command calls; the command itself only passes things on
    "fetch": ["datasets.sources"],
    "audit": ["datasets.folders", "checks.audit", "checks.thumbnails"],
    "prepare": ["datasets.folders", "datasets.prepare"],
    "original": ["augmentation.render"],
    "augment": ["augmentation.render", "augmentation.contact_sheet"],
    "train": ["training.train"],
    "probe": ["evaluation.probe"],
    "evaluate": ["training.inference", "reporting.evaluation"],
    "compare": ["reporting.comparison"],
    "report": ["reporting.comparison"],
}


def source(module: str) -> Path:
    return PACKAGE / f"{module.replace('.', '/')}.py"


def imported(module: str) -> set[str]:
    """Modules of the package that `module` imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(source(module).read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("toolkit."):
            room = node.module.removeprefix("toolkit.")
            names |= {room, *(f"{room}.{alias.name}" for alias in node.names)}
    return {name for name in names if source(name).is_file()}


def rooms(modules: list[str]) -> set[str]:
    """The rooms of these modules and of all that they import; errors and progress hold words."""
    todo, done = list(modules), set()
    while todo:
        module = todo.pop()
        if module not in done:
            done.add(module)
            todo += imported(module)
    return {module.split(".")[0] for module in done} - {"errors", "progress"}


def stages(path: Path) -> dict:
    return YAML(typ="safe").load(path)["stages"]


def code(stage: dict) -> list[str]:
    return [dep for dep in stage.get("deps", []) if dep.startswith("toolkit/")]


def expected(stage: str) -> list[str]:
    return sorted(f"toolkit/{room}" for room in rooms(ROOTS[stage]))


def pipeline() -> dict:
    """The pipeline of this repository: that of a new project, with the code for the version."""
    data = YAML().load(PRESETS / "pipeline.yaml")
    for name, stage in data["stages"].items():
        stage["params"].remove("version")
        if not stage["params"]:
            del stage["params"]
        deps = [*stage.get("deps", []), *expected(name)]
        stage.pop("deps", None)
        stage.insert(list(stage).index("outs"), "deps", deps)
    return data


@pytest.mark.parametrize("stage", ROOTS)
def test_code_deps_are_the_imports(stage):
    assert code(stages(ROOT / "dvc.yaml")[stage]) == expected(stage)


def test_the_rest_is_what_a_new_project_gets():
    assert set(stages(ROOT / "dvc.yaml")) == set(ROOTS)
    assert YAML(typ="safe").load(ROOT / "dvc.yaml") == pipeline()


def test_the_committed_params_are_the_preset_quick():
    assert (ROOT / "params.yaml").read_bytes() == (PRESETS / "quick.yaml").read_bytes()


def test_the_committed_plot_template_is_the_packages():
    ours, theirs = ROOT / ".dvc/plots/arms.json", PRESETS / "arms.json"
    assert ours.read_bytes() == theirs.read_bytes()


if __name__ == "__main__":
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 100
    yaml.dump(pipeline(), ROOT / "dvc.yaml")
