"""Runs are logged once, with settings, epochs and the best of them; off unless it is set."""

import hashlib

import pytest

from tests.helpers.arms import settings
from toolkit.errors import InputError
from toolkit.pipeline import trackers
from toolkit.pipeline.steps.train import train
from toolkit.training.params import TrainParams
from toolkit.training.runs import Epoch, Run

ROWS = (Epoch(1, 0.7, 0.6, 0.5, 0.0, 0.001), Epoch(2, 0.3, 0.5, 1.0, 1.0, 1e-05))


def trained(weights: bytes = b"w") -> Run:
    return Run(
        arm="plain",
        recipe="r",
        seed=4,
        classes=("a", "b"),
        counts={"a": 5, "b": 2},
        original_counts={"a": 5, "b": 1},
        size=32,
        settings=settings().recipes["r"],
        device="cpu",
        precision="float32",
        threads=1,
        best_epoch=1,
        versions={},
        manifest="2" * 64,
        originals="0" * 64,
        valid="1" * 64,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        history=ROWS,
    )


def test_nothing_is_logged_unless_it_is_set():
    assert TrainParams(recipes=settings().recipes).tracker is None
    trackers.check_tracker(None)
    trackers.track_runs([trained()], None)


def test_what_is_logged_is_what_the_run_has():
    logged = trackers.tracked_run(trained())
    assert logged.name == "plain-r/4"
    some = {"arm": "plain", "seed": 4, "threads": 1, "images.a": 5, "settings.plateau.patience": 10}
    assert some.items() <= logged.settings.items()
    assert logged.epochs == [row.numbers() for row in ROWS]
    assert logged.best == {f"best_{name}": value for name, value in ROWS[0].numbers().items()}


def test_a_run_is_known_by_its_weights():
    one, same, other = (trackers.tracked_run(trained(data)).ident for data in (b"w", b"w", b"v"))
    assert one == same != other


def test_a_tracker_that_is_not_installed_is_said_before_the_training(monkeypatch, tmp_path):
    monkeypatch.setattr(trackers, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"^train\.tracker: wandb is not installed; `pip install"):
        train(tmp_path / "nowhere", valid=tmp_path / "nowhere", tracker="wandb")


def test_a_tracker_that_fails_is_said_and_the_run_is_there(monkeypatch):
    def fail(run: trackers.TrackedRun) -> None:
        raise InputError("mlflow: no answer")

    monkeypatch.setitem(trackers.TRACKERS, "mlflow", fail)
    with pytest.raises(InputError, match=r"trained, but not logged \(mlflow: no answer\); run the"):
        trackers.track_runs([trained()], "mlflow")


@pytest.mark.filterwarnings("ignore")  # its own
def test_mlflow_has_the_run_once(monkeypatch, tmp_path):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is no dependency")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    for _ in range(2):
        trackers.track_runs([trained()], "mlflow")
    (found,) = mlflow.search_runs(output_format="list")
    assert found.data.params["settings.network"] == "resnet18"
    assert found.data.metrics["best_valid_loss"] == 0.6
    history = mlflow.MlflowClient().get_metric_history(found.info.run_id, "valid_loss")
    assert [(row.step, row.value) for row in history] == [(1, 0.6), (2, 0.5)]


@pytest.mark.filterwarnings("ignore")  # its own
def test_weights_and_biases_takes_the_run_offline(monkeypatch, tmp_path):
    pytest.importorskip("wandb", reason="wandb is no dependency")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    trackers.track_runs([trained()], "wandb")
    ident = trackers.tracked_run(trained()).ident
    assert list(tmp_path.glob(f"wandb/offline-run-*-{ident}/*.wandb"))
