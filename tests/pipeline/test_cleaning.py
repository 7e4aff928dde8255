"""Abandoned checkpoints are found by age, said, and removed, unless a training is using them."""

import os
import time

import pytest
from typer.testing import CliRunner

from tests.helpers.arms import arm, settings
from toolkit.cli.main import app
from toolkit.io import files
from toolkit.pipeline import cleaning, paths
from toolkit.pipeline.steps.train import train_all
from toolkit.training.train import TrainingOptions


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Three checkpoints of 1 MB, untouched for 1, 10 and 40 days."""
    monkeypatch.chdir(tmp_path)
    for days in (1, 10, 40):
        folder = paths.CHECKPOINTS / f"{days:016x}"
        files.write_file(folder / "state.json", b"{}")
        files.write_file(folder / "0.safetensors", bytes(1_000_000))
        then = time.time() - days * cleaning.DAY
        for path in (*folder.iterdir(), folder):
            os.utime(path, (then, then))
    return tmp_path


def left():
    return sorted(int(folder.name, 16) for folder in paths.CHECKPOINTS.glob("[!.]*/"))


def clean(*options):
    done = CliRunner().invoke(app, ["clean", *options])
    assert done.exit_code == 0, done.output
    return done.output


def test_all_checkpoints_are_removed_and_said(project):
    output = clean()
    assert left() == []
    assert "000000000000000a: 1.0 MB, 10 days old" in output
    assert "3.0 MB were removed" in output


def test_unpacked_archives_are_removed_too(project):
    files.write_file(paths.UNPACKED / "0123" / "photos" / "a" / "1.png", bytes(500_000))
    assert "0123: 0.5 MB, 0 days old" in clean()
    assert not list(paths.UNPACKED.iterdir())


def test_only_those_untouched_for_so_long(project):
    assert "2.0 MB were removed" in clean("--days", "7")
    assert left() == [1]


def test_a_dry_run_removes_nothing(project):
    assert "3.0 MB would be removed" in clean("--dry-run")
    assert left() == [1, 10, 40]


def test_one_that_a_training_is_using_stays(project, monkeypatch):
    monkeypatch.setattr(files, "ATTEMPTS", 1)
    with files.exclusive(paths.CHECKPOINTS / f"{10:016x}"):
        output = clean()
    assert left() == [10]
    assert "000000000000000a: 1.0 MB, 10 days old: kept, for another process is using it" in output
    assert "2.0 MB were removed" in output


def test_without_checkpoints_nothing_is_removed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert clean().strip() == "0.0 MB were removed"


def test_a_training_removes_those_of_others_after_a_month(project):
    lines = []
    data = arm(project / "arm", {"a": 2, "b": 2})
    options = TrainingOptions(paths.CHECKPOINTS, say=lines.append)
    recipe = settings(epochs=1)
    train_all(data, data, "r", recipe, {0: project / "run"}, options)
    assert len(left()) == 3  # and the note that this one is finished
    assert 40 not in left()
    assert [line for line in lines if "0028: removed, not touched for 40 days" in line]
