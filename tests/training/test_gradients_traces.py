"""Runs that kept their gradients, read back, set side by side and drawn; and what is told."""

import pytest
from typer.testing import CliRunner

from tests.helpers.arms import arm, settings
from toolkit.cli.console import Narrator, clock
from toolkit.cli.main import app
from toolkit.errors import InputError
from toolkit.progress import Milestone
from toolkit.training import profiling, runs, train
from toolkit.training.gradients import find_traces, gradient_rows
from toolkit.training.params import TrainParams


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """One run of resnet18 and of its plain twin, trained under a profiler."""
    folder = tmp_path_factory.mktemp("models")
    data = arm(folder / "data" / "original", {"a": 6, "b": 3})
    for name in ("resnet18", "resnet18_plain"):
        recipe = settings(network=name, gradients=True).recipes["r"]
        how = TrainParams(device="cpu", threads=1, precision="float32", recipes={name: recipe})
        with profiling.profiled(folder / "profile"):
            train.train_one(data, data, name, how, seed=0, output=folder / "models" / name)
    return folder / "models"


def test_traces_say_what_the_runs_kept(models):
    found = find_traces([models])
    run = runs.read_run(models / "resnet18")
    assert [trace.name for trace in found] == ["resnet18", "resnet18_plain"]
    assert [len(trace.layers) for trace in found] == [18, 18]
    assert found[0].loss.tolist() == [row.train_loss for row in run.history]
    assert (found[0].norms[:, 0] > 0).all()
    assert [row[:2] for row in gradient_rows(found)[1:]] == [
        ("resnet18", "1"),
        ("resnet18_plain", "1"),
    ]


def test_the_picture_is_the_same_bytes_each_time(models, tmp_path):
    for name in ("one.png", "two.png"):
        command = ["gradients", str(models), "--output", str(tmp_path / name)]
        assert CliRunner().invoke(app, command).exit_code == 0
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_a_run_without_gradients_is_refused_with_the_key(models, tmp_path):
    (models / "resnet18" / runs.GRADIENTS).rename(tmp_path / "kept")
    with pytest.raises(InputError, match=r"set train\.recipes\.resnet18\.gradients to true"):
        find_traces([models])
    with pytest.raises(InputError, match="no runs in it"):
        find_traces([tmp_path])


def test_a_profile_tells_where_the_time_went(models):
    table = (models.parent / "profile" / profiling.TABLE).read_text()
    assert "convolution" in table
    assert (models.parent / "profile" / profiling.TRACE).stat().st_size > 1000


def test_a_log_has_a_line_every_half_minute():
    times, lines = iter(range(0, 1000, 20)), []
    narrator = Narrator(lines.append, now=lambda: next(times))
    for epoch in narrator.track(range(1, 6), "train"):
        narrator.told(Milestone(epoch, 5, 400, 0.5, 0.25, 0.75))
    assert lines == [
        f"epoch {n}/5, {left} left: loss 0.500, valid 0.250, G-mean 0.750, 20 images/s"
        for n, left in ((2, "1:00"), (4, "0:20"))
    ]
    assert clock(3723) == "1:02:03"
