"""One version, every dependency pinned, and the promised files in their places."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def plain(name: str) -> str:
    return re.split(r"[<>=!~ \[]", name)[0].lower().replace("_", "-").replace(".", "-")


def test_one_version_of_one_day():
    citation = YAML(typ="safe").load(ROOT / "CITATION.cff")
    version, day = citation["version"], citation["date-released"]
    assert version == PROJECT["version"] == metadata.version("imbalanced-images")
    released = re.findall(r"^## \[(\d.*)\] - (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert released[0] == (version, str(day))


def test_every_dependency_is_pinned():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {plain(line) for line in lines if not line.startswith("#")}
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    assert {plain(name) for group in groups for name in group} <= pinned | {PROJECT["name"]}


def test_the_readme_names_what_is_there():
    text = (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / target).exists(), target
