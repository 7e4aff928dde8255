"""The first commit of a project: only what `init` wrote, and only where git knows a name."""

import os
import subprocess
from pathlib import Path

import pytest

from toolkit.pipeline.repository import commit_files


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A repository without a commit, and a git that knows nobody."""
    for name in list(os.environ):
        if name.startswith("GIT_") or name == "EMAIL":
            monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    git(tmp_path, "init", "--quiet")
    for name in ("params.yaml", "photo.png"):
        (tmp_path / name).write_text("1")
    return tmp_path


def know_a_name(folder: Path) -> None:
    git(folder, "config", "user.name", "t")
    git(folder, "config", "user.email", "t@example.invalid")


def test_only_the_projects_files_are_committed(folder):
    know_a_name(folder)
    git(folder, "add", "photo.png")
    assert commit_files(folder, ["params.yaml", "dvc.yaml"], "Start") == []
    assert git(folder, "show", "--format=%s", "--name-only").split() == ["Start", "params.yaml"]
    assert git(folder, "status", "--porcelain") == "A  photo.png\n"
    assert commit_files(folder, ["params.yaml"], "Again") == []
    assert git(folder, "log", "--format=%s") == "Start\n"


def test_a_git_that_knows_nobody_is_told_what_to_type(folder):
    (said,) = commit_files(folder, ["params.yaml"], "Start it")
    command = said.partition(f"in {folder}: ")[2].replace("--global ", "")
    assert command.startswith('git config user.name "Your Name"')
    subprocess.run(command, shell=True, cwd=folder, check=True, capture_output=True, timeout=60)
    assert git(folder, "show", "--format=%s", "--name-only").split("\n\n") == [
        "Start it",
        "params.yaml\n",
    ]


def test_a_hook_that_refuses_stops_nothing(folder):
    know_a_name(folder)
    hook = folder / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not like this >&2\nexit 1\n")
    hook.chmod(0o755)
    (said,) = commit_files(folder, ["params.yaml"], "Start")
    assert "not like this" in said
    assert f"in {folder}: git add params.yaml; git commit -m Start" in said
