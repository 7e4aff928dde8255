"""Dockerfile, devcontainer.json and environment.yml: what can be seen without building them."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
INSTRUCTIONS = {
    "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "RUN", "USER", "WORKDIR",
}  # fmt: skip
FILES = ("Dockerfile", ".dockerignore", ".devcontainer/devcontainer.json", "environment.yml")
HADOLINT = shutil.which("hadolint")


def instructions():
    """Return the instructions of the Dockerfile with their arguments."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#"))
    joined = text.replace("\\\n", "").splitlines()
    return [tuple(line.split(maxsplit=1)) for line in joined if line.strip()]


def of(name):
    return [argument for instruction, argument in instructions() if instruction == name]


def test_the_dockerfile_has_known_instructions_and_its_base_is_an_argument():
    assert {instruction for instruction, _ in instructions()} == INSTRUCTIONS
    assert instructions()[0] == ("ARG", "BASE=python:3.11-slim")
    assert of("FROM") == ["${BASE} AS base", "base AS toolkit"]
    assert all(isinstance(json.loads(line), list) for line in of("ENTRYPOINT") + of("CMD"))


def test_its_commands_are_shell():
    for line in of("RUN"):
        subprocess.run(["sh", "-n"], input=line.encode(), check=True, timeout=30)


def test_it_copies_what_there_is_and_what_is_not_ignored():
    *_, ours = (ROOT / ".dockerignore").read_text().partition("*\n")
    kept = {line[1:] for line in ours.splitlines() if line.startswith("!")}
    copied = {name for line in of("COPY") for name in line.split()[:-1]}
    assert copied == kept
    assert all((ROOT / name).exists() for name in copied)


def test_what_it_installs_by_default_is_an_extra():
    (extra,) = [line.partition("=")[2] for line in of("ARG") if line.startswith("EXTRAS=")]
    assert extra in EXTRAS


@pytest.mark.skipif(HADOLINT is None, reason="no hadolint on the PATH")
def test_hadolint_finds_nothing():
    subprocess.run([HADOLINT, "Dockerfile"], cwd=ROOT, check=True, timeout=60)


def test_the_devcontainer_builds_a_stage_of_it_and_makes_what_the_makefile_makes():
    described = json.loads((ROOT / FILES[2]).read_text())
    build = described["build"]
    assert (ROOT / ".devcontainer" / build["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert (ROOT / ".devcontainer" / build["context"]).resolve() == ROOT
    assert build["target"] in [line.rpartition(" AS ")[2] for line in of("FROM")]
    make, target = described["postCreateCommand"].split()
    assert make == "make"
    assert re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_conda_environment_has_python_and_extras_of_this_project():
    described = YAML(typ="safe").load(ROOT / "environment.yml")
    *packages, of_pip = described["dependencies"]
    assert packages == ["python=3.11", "git", "pip"]
    constraint, ours = of_pip["pip"]
    assert constraint == "--constraint constraints.txt"
    names = re.fullmatch(r"\.\[([\w,]+)\]", ours)[1].split(",")
    assert set(names) <= set(EXTRAS)


@pytest.mark.parametrize("name", FILES)
def test_no_server_is_named(name):
    """An image, a channel and an extension are names, and the reader's tools know from where."""
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert not re.search(r"\b[\w-]+\.(?:io|com|org|net|dev|ai)\b", text)
