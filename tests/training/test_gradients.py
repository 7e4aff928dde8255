"""Gradient norms: measured in training, clipped, read back from runs and tabulated."""

import csv
import math
import shutil

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from typer.testing import CliRunner

from tests.helpers.arms import arm, settings, tensors
from toolkit.cli.main import app
from toolkit.errors import InputError
from toolkit.training import loop, runs
from toolkit.training.checkpoints import CheckpointSchedule
from toolkit.training.gradients import (
    GradientMeter,
    find_traces,
    gradient_rows,
    last_convolution,
    layers,
)
from toolkit.training.networks import NETWORKS, build_network
from toolkit.training.params import Recipe, TrainParams
from toolkit.training.state import TrainingPosition, initial_state, training_job
from toolkit.training.train import train_one

CPU = torch.device("cpu")


# --- in training ------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path):
    return arm(tmp_path / "plain", {"a": 6, "b": 3}), arm(tmp_path / "valid", {"a": 2, "b": 2})


def test_norms_are_means_over_the_steps():
    """The gradient of w * 3 + w * 4 is (3, 4), of length 5; of twice that 10."""
    network = nn.Sequential(nn.Linear(2, 1))
    meter = GradientMeter.of(network)
    for factor in (1, 2):
        network.zero_grad()
        network(factor * torch.tensor([[3.0, 4.0]])).backward()
        meter.update()
    assert meter.take() == {"0": pytest.approx(7.5)}
    assert meter.take() == {"0": 0}


def test_layers_are_convolutions_and_linear_layers_in_order():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    assert {name: tuple(w.shape) for name, w in layers(network).items()} == {
        "0": (4, 3, 1, 1),
        "3": (2, 4),
    }


LAST = {
    "googlenet": "inception5b.branch4.1.conv",
    "vgg16_bn": "features.40",
    "torchvision.efficientnet_b0": "features.8.0",
    "torchvision.mobilenet_v3_small": "features.12.0",
}


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_the_last_convolution_makes_the_features_before_the_pooling(name):
    """No linear layer, and none of an auxiliary head: its gradient there is that of the pooling."""
    torch.manual_seed(0)
    network = build_network(name, 2).eval()
    last = network.get_submodule(last_convolution(network, 32))
    assert isinstance(last, nn.Conv2d)
    assert name not in LAST or last is network.get_submodule(LAST[name])
    after = {}
    last.register_forward_hook(lambda *_: after.clear())
    for key, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and module is not last:
            module.register_forward_hook(lambda module, *_, key=key: after.update({key: module}))
    network(torch.rand(1, 3, 32, 32))
    assert after
    assert all(isinstance(module, nn.Linear) for module in after.values())


def test_a_run_keeps_norms_where_the_recipe_asks_for_them(data, tmp_path):
    run = train_one(*data, "r", settings(gradients=True), seed=0, output=tmp_path / "run")
    with (tmp_path / "run" / runs.GRADIENTS).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 * 21  # epochs; 20 convolutions, shortcuts included, and a linear layer
    assert [row["layer"] for row in rows[:2]] == ["conv1", "layer1.0.conv1"]
    assert all(math.isfinite(float(row["norm"])) for row in rows)
    assert float(rows[0]["norm"]) == run.history[0].gradients["conv1"] > 0


def test_measuring_changes_nothing_else(data, tmp_path):
    weights = []
    for gradients in (False, True):
        output = tmp_path / str(gradients)
        train_one(*data, "r", settings(gradients=gradients), seed=0, output=output)
        weights.append((output / runs.WEIGHTS).read_bytes())
        assert (output / runs.GRADIENTS).exists() == gradients
    assert weights[0] == weights[1]


def test_a_longer_gradient_is_clipped_to_the_norm(tmp_path):
    """The norm over all weights together, of the only batch of an epoch."""
    images = tensors(tmp_path / "arm", {"a": 6, "b": 3})

    def length(clip_norm: float | None = None) -> float:
        job = training_job(settings(clip_norm=clip_norm, epochs=1, batch=9), "r", 0)
        state = initial_state(job, 2)
        loop.train_epoch(state, TrainingPosition.first(CPU), images, CheckpointSchedule())
        return math.hypot(*(p.grad.norm().item() for p in state.network.parameters()))

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


# --- read back --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """One run of resnet18 and one of its plain twin."""
    folder = tmp_path_factory.mktemp("models")
    data = arm(folder / "data" / "original", {"a": 6, "b": 3})
    for name in ("resnet18", "resnet18_plain"):
        recipe = settings(network=name, gradients=True).recipes["r"]
        params = TrainParams(device="cpu", threads=1, precision="float32", recipes={name: recipe})
        train_one(data, data, name, params, seed=0, output=folder / "models" / name)
    return folder / "models"


def test_traces_hold_what_the_runs_kept(models):
    traces = find_traces([models])
    run = runs.read_run(models / "resnet18")
    assert [trace.name for trace in traces] == ["resnet18", "resnet18_plain"]
    assert [len(trace.layers) for trace in traces] == [18, 18]
    assert traces[0].loss.tolist() == [row.train_loss for row in run.history]
    assert (traces[0].norms[:, 0] > 0).all()
    assert [row[:2] for row in gradient_rows(traces)[1:]] == [
        ("resnet18", "1"),
        ("resnet18_plain", "1"),
    ]


def test_the_ratio_is_that_of_the_last_convolution(data, tmp_path):
    """Of a network with two linear layers at its end."""
    recipe = settings(network="torchvision.mobilenet_v3_small", gradients=True, epochs=1)
    train_one(*data, "r", recipe, seed=0, output=tmp_path / "run")
    (trace,) = find_traces([tmp_path / "run"])
    ratio = trace.norms[0, 0] / trace.norms[0, trace.layers.index("features.12.0")]
    assert gradient_rows([trace])[1][2] == f"{ratio:.3g}"


def test_the_picture_is_the_same_bytes_each_time(models, tmp_path):
    for name in ("one.png", "two.png"):
        command = ["gradients", str(models), "--output", str(tmp_path / name)]
        assert CliRunner().invoke(app, command).exit_code == 0
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_a_run_without_gradients_is_refused_with_the_key(models, tmp_path):
    run = runs.read_run(models / "resnet18")
    plain = run.settings.model_copy(update={"gradients": False})
    weights = (models / "resnet18" / runs.WEIGHTS).read_bytes()
    without = run.model_copy(update={"settings": plain})
    runs.write_run(tmp_path / "plain", without, weights, runs.read_valid(run))
    with pytest.raises(InputError, match=r"set train\.recipes\.resnet18\.gradients to true"):
        find_traces([tmp_path / "plain"])
    with pytest.raises(InputError, match="no runs in it"):
        find_traces([tmp_path / "empty"])


def test_gradients_that_are_lost_are_to_be_restored(models, tmp_path):
    shutil.copytree(models / "resnet18", tmp_path / "run")
    (tmp_path / "run" / runs.GRADIENTS).unlink()
    with pytest.raises(InputError, match=r"gradients\.csv: no such file; .*dvc checkout"):
        find_traces([tmp_path / "run"])
