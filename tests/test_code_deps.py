"""dvc.yaml lists for each stage the modules that its results depend on, no more and no fewer.

After a change of imports: `python tests/test_code_deps.py` writes dvc.yaml anew.
"""

import ast
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "toolkit"
ROOTS = {  # what the stage's command calls; the command itself only passes things on
    "fetch": ["sources"],
    "audit": ["scanning", "audit", "specimens"],
    "prepare": ["scanning", "prepare"],
    "original": ["render"],
    "augment": ["render", "contact_sheet"],
    "train": ["training"],
    "probe": ["probe"],
    "evaluate": ["inference", "evaluation"],
    "compare": ["report"],
    "report": ["report"],
}


def imported(module: str) -> set[str]:
    """Modules of the package that `module` imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "toolkit":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("toolkit."):
            found.add(node.module.split(".")[1])
    return {name for name in found if (PACKAGE / f"{name}.py").is_file()}


def closure(modules: list[str]) -> set[str]:
    todo, done = list(modules), set()
    while todo:
        module = todo.pop()
        if module not in done:
            done.add(module)
            todo += imported(module)
    return done


def stages(path: Path) -> dict:
    return YAML(typ="safe").load(path)["stages"]


def code(stage: dict) -> list[str]:
    return [dep for dep in stage.get("deps", []) if dep.startswith("toolkit/")]


def expected(stage: str) -> list[str]:
    templates = ["toolkit/templates"] if "report" in ROOTS[stage] else []
    return sorted([f"toolkit/{name}.py" for name in closure(ROOTS[stage])] + templates)


def pipeline() -> dict:
    """The pipeline of this repository: that of a new project, with the code for the version."""
    data = YAML().load(PACKAGE / "presets" / "pipeline.yaml")
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
    assert (ROOT / "params.yaml").read_bytes() == (PACKAGE / "presets/quick.yaml").read_bytes()


def test_the_committed_plot_template_is_the_packages():
    ours, theirs = ROOT / ".dvc/plots/arms.json", PACKAGE / "presets/arms.json"
    assert ours.read_bytes() == theirs.read_bytes()


if __name__ == "__main__":
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 100
    yaml.dump(pipeline(), ROOT / "dvc.yaml")
