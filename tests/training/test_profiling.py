"""A training under torch's profiler."""

from tests.helpers.arms import arm, settings
from toolkit.training import profiling
from toolkit.training.train import train_one


def test_a_profile_shows_where_the_time_went(tmp_path):
    data = arm(tmp_path / "data", {"a": 5, "b": 3})
    recipe = settings()
    with profiling.profiled(tmp_path / "profile"):
        train_one(data, data, "r", recipe, seed=0, output=tmp_path / "run")
    assert "up to 16 steps" in profiling.describe_profile(tmp_path / "profile")
    assert "convolution" in (tmp_path / "profile" / profiling.TABLE).read_text()
    assert (tmp_path / "profile" / profiling.TRACE).stat().st_size > 1000


def test_without_steps_there_is_no_profile(tmp_path):
    with profiling.profiled(tmp_path / "profile"):
        pass
    assert "nothing: " in profiling.describe_profile(tmp_path / "profile")
    assert not (tmp_path / "profile").exists()
