"""Two processes that torchrun starts train as one does, within rounding."""

import os
import subprocess
import sys

import pytest
import torch
from ruamel.yaml import YAML
from torch import nn

from tests.helpers.arms import arm, settings
from toolkit.training import dataset, runs, train
from toolkit.training.distributed import Group

RECIPE = {"network": "resnet18", "width": 0.125, "epochs": 2, "batch": 5, "learning_rate": 1e-4}


def test_every_row_goes_to_one_process():
    rows = torch.arange(10, 17)
    parts = [Group(rank, 3).local(rows).tolist() for rank in range(3)]
    assert sorted(row for part in parts for row in part) == rows.tolist()


def test_no_batch_is_smaller_than_the_group():
    sizes = [len(rows) for rows in dataset.split_batches(torch.arange(10), 4, least=3)]
    assert sizes == [4, 6]


def test_a_single_process_changes_nothing():
    network = nn.Sequential(nn.BatchNorm2d(3))
    assert Group().wrap(network) is network
    assert type(network[0]) is nn.BatchNorm2d
    assert Group().broadcast(b"x") == b"x"


@pytest.fixture
def project(tmp_path):
    """Nine and seven images: neither the last batch nor valid can be halved."""
    arm(tmp_path / "arm", {"a": 6, "b": 3})
    arm(tmp_path / "valid", {"a": 4, "b": 3}, seed=1)
    section = settings(**RECIPE).model_dump(mode="json", exclude_unset=True)
    section["checkpoint"] = {"epochs": 1}
    data = {
        "fetch": {"source": "synthetic", "counts": {"with_mask": 9, "without_mask": 9}},
        "train": section,
        "compare": {"arms": ["original"], "recipes": ["r"], "seeds": [0]},
    }
    with (tmp_path / "params.yaml").open("w") as stream:
        YAML().dump(data, stream)
    return tmp_path


def test_two_processes_train_as_one_does(project):
    """Also batch norm: over the images of both. Only the first process writes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "toolkit", "train", "--arm", "arm", "--valid", "valid", "--recipe", "r"]
    done = subprocess.run(
        [*command, "--output", "run"],
        cwd=project,
        env=os.environ | {"OMP_NUM_THREADS": "1", "TMPDIR": str(project)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("best epoch") == 1
    together = runs.read_run(project / "run")
    alone = train.train_one(
        project / "arm", project / "valid", "r", settings(**RECIPE), seed=0, output=project / "one"
    )
    assert (together.processes, alone.processes) == (2, 1)
    for ours, theirs in zip(together.history, alone.history, strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=1e-4)
        assert ours.valid_loss == pytest.approx(theirs.valid_loss, rel=1e-3)
        assert ours.valid_gmean == pytest.approx(theirs.valid_gmean)
    assert not list((project / ".toolkit").rglob("state.json"))
