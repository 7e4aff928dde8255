"""Norms of gradients: of each layer, averaged over the steps, and what clipping does to them."""

import csv
import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from tests.helpers.arms import arm, settings, tensors
from toolkit.training import loop, runs, state, train
from toolkit.training.checkpoints import CheckpointSchedule
from toolkit.training.gradients import Watch, layers
from toolkit.training.params import Recipe
from toolkit.training.state import TrainingPosition

CPU = torch.device("cpu")


@pytest.fixture
def data(tmp_path):
    return arm(tmp_path / "plain", {"a": 6, "b": 3}), arm(tmp_path / "valid", {"a": 2, "b": 2})


def test_norms_are_the_means_over_the_steps():
    """The gradient of w * 3 + w * 4 is (3, 4), of length 5; of twice that 10."""
    network = nn.Sequential(nn.Linear(2, 1))
    watch = Watch.of(network)
    for factor in (1, 2):
        network.zero_grad()
        network(factor * torch.tensor([[3.0, 4.0]])).backward()
        watch.add()
    assert watch.take() == {"0": pytest.approx(7.5)}
    assert watch.take() == {"0": 0}


def test_layers_are_convolutions_and_linear_layers_in_their_order():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    assert {name: tuple(w.shape) for name, w in layers(network).items()} == {
        "0": (4, 3, 1, 1),
        "3": (2, 4),
    }


def test_a_run_keeps_them_where_the_recipe_asks_for_it(data, tmp_path):
    run = train.train_one(*data, "r", settings(gradients=True), seed=0, output=tmp_path / "run")
    with (tmp_path / "run" / runs.GRADIENTS).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 * 21  # epochs; 20 convolutions, shortcuts included, and a linear layer
    assert [row["layer"] for row in rows[:2]] == ["conv1", "layer1.0.conv1"]
    assert all(math.isfinite(float(row["norm"])) for row in rows)
    assert float(rows[0]["norm"]) == run.history[0].gradients["conv1"] > 0


def test_watching_changes_nothing_else(data, tmp_path):
    kept = []
    for gradients in (False, True):
        output = tmp_path / str(gradients)
        train.train_one(*data, "r", settings(gradients=gradients), seed=0, output=output)
        kept.append((output / runs.WEIGHTS).read_bytes())
        assert (output / runs.GRADIENTS).exists() == gradients
    assert kept[0] == kept[1]


def test_a_longer_gradient_is_clipped_to_the_norm(tmp_path):
    """The norm over all weights together, of the one batch of an epoch."""
    found = tensors(tmp_path / "arm", {"a": 6, "b": 3})

    def length(clip_norm: float | None = None) -> float:
        job = state.training_job(settings(clip_norm=clip_norm, epochs=1, batch=9), "r", 0)
        pupil = state.start(job, 2)
        loop.learn(pupil, TrainingPosition.first(CPU), found, CheckpointSchedule())
        return math.hypot(*(p.grad.norm().item() for p in pupil.network.parameters()))

    free = length()
    assert length(free / 2) == pytest.approx(free / 2, rel=1e-4)
    assert length(free * 2) == pytest.approx(free)


@pytest.mark.parametrize("wrong", [0, -1, math.inf, math.nan, "x"])
def test_a_norm_to_clip_to_is_positive(wrong):
    with pytest.raises(ValidationError, match="clip_norm"):
        Recipe(network="resnet18", epochs=1, clip_norm=wrong)


@pytest.mark.parametrize("wrong", [-0.1, 1, "x"])
def test_a_slope_lies_between_0_and_1(wrong):
    with pytest.raises(ValidationError, match="negative_slope"):
        Recipe(network="resnet18", epochs=1, negative_slope=wrong)
