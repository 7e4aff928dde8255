"""Runs that kept their gradients, read back, set side by side and drawn; and what is told."""

import pytest

from tests.arms import arm, settings
from toolkit import profiling, runs, trace_plots, traces, training
from toolkit.errors import InputError
from toolkit.narration import Narrator, clock
from toolkit.progress import Milestone
from toolkit.training_params import Train


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """One run of resnet18 and of its plain twin, trained under a profiler."""
    folder = tmp_path_factory.mktemp("models")
    data = arm(folder / "data" / "original", {"a": 6, "b": 3})
    for name in ("resnet18", "resnet18_plain"):
        recipe = settings(network=name, gradients=True).recipes["r"]
        how = Train(device="cpu", threads=1, precision="float32", recipes={name: recipe})
        with profiling.profiled(folder / "profile"):
            training.train(data, data, name, how, seed=0, output=folder / "models" / name)
    return folder / "models"


def test_traces_say_what_the_runs_kept(models):
    found = traces.find([models])
    run = runs.read(models / "resnet18")
    assert [trace.name for trace in found] == ["resnet18", "resnet18_plain"]
    assert [len(trace.layers) for trace in found] == [18, 18]
    assert found[0].loss.tolist() == [row.train_loss for row in run.history]
    assert (found[0].norms[:, 0] > 0).all()
    assert [row[:2] for row in traces.rows(found)[1:]] == [
        ("resnet18", "1"),
        ("resnet18_plain", "1"),
    ]


def test_the_picture_is_the_same_bytes_each_time(models):
    found = traces.find([models])
    assert trace_plots.picture(found) == trace_plots.picture(found)


def test_a_run_without_gradients_is_refused_with_the_key(models, tmp_path):
    (models / "resnet18" / runs.GRADIENTS).rename(tmp_path / "kept")
    with pytest.raises(InputError, match=r"set train\.recipes\.resnet18\.gradients to true"):
        traces.find([models])
    with pytest.raises(InputError, match="no runs in it"):
        traces.find([tmp_path])


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
