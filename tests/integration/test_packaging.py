"""One version, every dependency pinned, and what is built works where it is installed."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder
from ruamel.yaml import YAML

from tests.helpers.waiting import TIMEOUT
from toolkit.errors import EXTRAS

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


FILES = {
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "toolkit").rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
}


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """A folder with the wheel and the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    for builder in (WheelBuilder, SdistBuilder):
        list(builder(str(ROOT)).build(directory=str(folder), versions=["standard"]))
    return folder


@pytest.fixture(scope="module")
def installed(dist, tmp_path_factory):
    """A folder in which the wheel is installed, without its dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--target", folder, *dist.glob("*.whl")], check=True, timeout=TIMEOUT)
    return folder


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


def test_every_extra_that_a_message_names_has_the_package_in_it():
    extras = PROJECT["optional-dependencies"]
    names = {"cv2": "albumentations", "dvc-data": "dvc"}  # what brings the module
    for module, extra in EXTRAS.items():
        package = names.get(plain(module), plain(module))
        assert package in {plain(name) for name in extras[extra]}


def test_the_data_half_is_installed_without_networks_and_dvc():
    heavy = {"torch", "torchvision", "dvc", "dvclive", "albumentations"}
    assert not heavy & {plain(name) for name in PROJECT["dependencies"]}


def test_the_wheel_holds_the_whole_package(dist):
    (wheel,) = dist.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if name.startswith("toolkit/")} == FILES
    assert {"toolkit/py.typed", "toolkit/reporting/templates/base.html.j2"} <= names


def test_the_source_distribution_holds_what_the_wheel_is_built_from(dist):
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    assert FILES | {"pyproject.toml", "README.md", "LICENSE", "docs/page.png"} <= names
    assert {name.split("/")[0] for name in names if "/" in name} == {"toolkit", "docs"}


def test_the_installed_package_uses_its_own_presets_and_templates(installed, photos, tmp_path):
    def python(*arguments):
        env = {**os.environ, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=env, check=True, capture_output=True, timeout=TIMEOUT
        )
        return done.stdout.decode()

    assert str(installed) in python("-c", "import toolkit; print(toolkit.__file__)")
    python("-m", "toolkit", "init", "project", "--preset", "quick")
    assert "cmd: toolkit fetch" in (tmp_path / "project" / "dvc.yaml").read_text()
    python("-m", "toolkit", "audit", photos, "--output", "audit.json", "--html", "audit.html")
    assert "</html>" in (tmp_path / "audit.html").read_text()
