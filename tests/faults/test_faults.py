"""Each fault a few times; `python -m tests.faults --long` injects hundreds.

Stages that import torch take seconds to start, and are tested with FAULTS=all only.
"""

import os
import signal
import subprocess
import uuid

import numpy as np
import pytest

from tests.faults import injections
from tests.faults.project import MARK, STAGES, Project, build, command, finish
from tests.helpers.waiting import TIMEOUT, wait_until

DATA = ("fetch", "audit", "prepare", "augment")
TESTED = tuple(STAGES) if os.environ.get("FAULTS") == "all" else DATA
KILLS = 3


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return build(tmp_path_factory.mktemp("faults") / "a project", [*TESTED, "provenance"])


@pytest.mark.parametrize("stage", TESTED)
def test_a_killed_stage_ends_as_one_that_is_not(project, stage):
    injections.kills(project, stage, KILLS, np.random.default_rng(0))


@pytest.mark.parametrize("stage", ["fetch", "augment"])
def test_a_full_disk_is_reported_and_nothing_is_lost(project, stage):
    try:
        assert injections.full_disk(project, stage, [50]).refused == 1
    except PermissionError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("stage", ["audit", "prepare"])
def test_a_read_only_folder_is_reported(project, stage):
    try:
        injections.read_only(project, stage)
    except PermissionError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("stage", ["prepare", "augment"])
def test_too_few_file_descriptors_are_reported(project, stage):
    assert injections.no_descriptors(project, stage, [8]).refused == 1


@pytest.mark.parametrize("stage", ["audit", "prepare", "augment"])
def test_a_killed_worker_is_reported_or_replaced(project, stage):
    assert injections.killed_worker(project, stage, 1).done == 1


@pytest.mark.parametrize("name", [*DATA, "policies", "provenance", "init"])
def test_a_signal_ends_a_command_with_one_message(project, name):
    injections.signals(project, name, 1, np.random.default_rng(0))


def test_of_two_runs_at_once_one_is_refused_or_waits(project):
    injections.two_at_once(project, "augment", 1)


@pytest.mark.pipeline
def test_a_signal_ends_a_sweep_with_dvc_and_its_stage(tmp_path):
    project = Project(tmp_path, {}, {}, {}, {}, {**os.environ, MARK: uuid.uuid4().hex})
    assert project.run(command("init . --preset quick")).code == 0
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    for words in (
        ["add", "--all"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm1"],
    ):
        subprocess.run(["git", *words], cwd=tmp_path, check=True, timeout=TIMEOUT)
    process = project.start(command("sweep --target 60"))
    log = tmp_path / ".toolkit" / "sweep" / "sweep-60.log"
    wait_until(lambda: log.is_file() and "Running stage" in log.read_text(), process)
    process.send_signal(signal.SIGTERM)
    result = finish(process)
    assert (result.code, project.running()) == (128 + signal.SIGTERM, []), result.stderr
    assert result.stderr.splitlines()[-1].startswith("stopped by SIGTERM")
