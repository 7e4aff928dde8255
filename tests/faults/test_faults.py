"""Each harm a few times; hundreds of times with `python -m tests.faults --long`.

Stages that import torch take seconds to start: here with FAULTS=all, and in that command.
"""

import os

import numpy as np
import pytest

from tests.faults import harms
from tests.faults.project import STAGES, build

DATA = ("fetch", "audit", "prepare", "augment")
CHOSEN = tuple(STAGES) if os.environ.get("FAULTS") == "all" else DATA
KILLS = 5


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return build(tmp_path_factory.mktemp("faults") / "a project", CHOSEN)


@pytest.mark.parametrize("stage", CHOSEN)
def test_a_stage_that_is_killed_ends_as_one_that_is_not(project, stage):
    harms.kills(project, stage, KILLS, np.random.default_rng(0))


@pytest.mark.parametrize("stage", ["fetch", "augment"])
def test_a_full_disk_is_told_and_nothing_is_lost(project, stage):
    try:
        assert harms.full_disk(project, stage, [50]).refused == 1
    except PermissionError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("stage", ["audit", "prepare"])
def test_a_folder_that_cannot_be_written_is_told(project, stage):
    try:
        harms.read_only(project, stage)
    except PermissionError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("stage", ["prepare", "augment"])
def test_too_few_file_descriptors_are_told(project, stage):
    assert harms.no_descriptors(project, stage, [8]).refused == 1


@pytest.mark.parametrize("stage", ["audit", "prepare", "augment"])
def test_a_worker_that_the_kernel_ends_is_told_or_replaced(project, stage):
    assert harms.killed_worker(project, stage, 1).done == 1


def test_of_two_at_once_one_says_so_or_comes_second(project):
    harms.two_at_once(project, "augment", 1)
