"""Networks that are trained are cross-fitted in folds, as frozen ones are."""

import signal
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

import toolkit as tk
from tests.helpers import arms
from tests.training.test_checkpoints import STEP, contents, out_of_time, params, stop_after
from toolkit.datasets.folds import training_rows
from toolkit.errors import InputError, StoppedError
from toolkit.training import checkpoints, dataset, runs, state
from toolkit.training.checkpoints import Store
from toolkit.training.crossfit import trained
from toolkit.training.crossfit.trained import cross_fit_trained
from toolkit.training.runs import Epoch
from toolkit.training.state import FitResult
from toolkit.training.train import TrainingOptions, train_seeds

RECIPE = {"epochs": 2, "batch": 32, "size": 16}
"""Of one step an epoch, and so of six steps a run in two folds."""


def train(place, output, options=None):
    settings, outputs = params(STEP, **RECIPE), {0: output / "0"}
    return train_seeds(
        place / "new", place / "none", "r", settings, outputs=outputs, options=options
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Images in folds, an arm with new images, and a run, `place`/models/0."""
    place = tmp_path_factory.mktemp("crossfit")
    photos = arms.arm(place / "photos", {"a": 9, "b": 6}, size=16)
    (photos / "manifest.csv").unlink()
    (photos / "manifest.json").unlink()
    tk.prepare(photos, place / "data", size=16, split={"folds": 2, "repeats": 2})
    tk.augment(place / "data" / "train", place / "new", only_new=True)
    train(place, place / "models")
    return place


@pytest.fixture(scope="module")
def run(place):
    return runs.read_run(place / "models" / "0")


def fit(folder, data) -> dict[int, dict[str, Tensor]]:
    """The weights of the folds' networks in the second division."""
    job, weights = state.training_job(arms.settings(**RECIPE | {"epochs": 1}), "r", 0), {}

    def save(fold, of_fold):
        weights[fold] = dict(of_fold)
        return ""

    cross_fit_trained(data, folder, 1, job, save)
    return weights


def test_each_image_is_scored_by_the_network_that_is_trained_without_its_fold(place, run):
    held_out, folder = runs.read_valid(run), dataset.open_folder(place / "new")
    originals = [row for row, sample in enumerate(folder.samples) if not sample.derived]
    assert held_out.ids == tuple(folder.samples[row].id for row in originals)
    assert held_out.folds.tolist() == [folder.samples[row].folds[0] for row in originals]
    assert run.counts == {"a": 9, "b": 9}
    assert run.decisions.threshold is not None
    data, job = arms.load(place / "new", 16), state.training_job(params(**RECIPE), "r", 0)
    for fold in range(2):
        weights = runs.load_fold(run, fold).state_dict()
        scores = trained.score_rows(data, np.array(originals), weights, job)
        own = held_out.folds == fold
        np.testing.assert_allclose(held_out.scores[own], scores[own], atol=1e-6)


def test_what_an_image_is_decides_nothing_that_scores_it(place):
    """Other pixels of one fold, its new images too: only the other networks are others."""
    folder, data = dataset.open_folder(place / "new"), arms.load(place / "new", 16)
    changed = data.images.clone()
    changed[[sample.folds[1] == 1 for sample in folder.samples]] = 77
    before, after = fit(folder, data), fit(folder, replace(data, images=changed))
    same = [all(before[n][k].equal(after[n][k]) for k in before[n]) for n in range(2)]
    assert same == [False, True]


def test_a_leak_is_refused(place, monkeypatch):
    def leaking(table, division, fold):
        return np.arange(len(table.samples))

    monkeypatch.setattr(trained, "training_rows", leaking)
    with pytest.raises(ValueError, match="fold 0 is trained on what it is tested on"):
        fit(dataset.open_folder(place / "new"), arms.load(place / "new", 16))


def test_each_training_starts_from_random_weights_of_its_own(run):
    networks = [runs.load_fold(run, 0), runs.load_fold(run, 1), runs.load_run(run.folder)[1]]
    firsts = {one.state_dict()["conv1.weight"].numpy().tobytes() for one in networks}
    assert len(firsts) == 3


def test_stopped_and_out_of_time_it_ends_with_the_same_bytes_and_trains_no_fold_again(
    place, run, tmp_path, monkeypatch
):
    how, asked, seen = TrainingOptions(tmp_path / "saved", max_minutes=30), [], []
    real = trained.fit_rows

    def counting(data, rows, *arguments, **more):
        asked.append(len(rows))
        return real(data, rows, *arguments, **more)

    monkeypatch.setattr(trained, "fit_rows", counting)
    with monkeypatch.context() as patch:
        stop_after(1, patch, lambda _: signal.raise_signal(signal.SIGTERM))
        with pytest.raises(StoppedError, match="the same command resumes"):
            train(place, tmp_path, how)  # in the first fold
    with monkeypatch.context() as patch:
        stop_after(3, patch, out_of_time)
        (stopped,) = train(place, tmp_path, how)  # in the second epoch of the second fold
    assert not stopped.complete
    assert len(runs.read_valid(stopped).ids) == 15
    asked.clear()
    train(place, tmp_path, replace(how, on_epoch=seen.append))
    assert contents(tmp_path / "0") == contents(run.folder)
    assert asked == [len(training_rows(dataset.open_folder(place / "new").table, 0, 1))]
    saved = {path.name for path in (tmp_path / "saved").rglob("*.json")}
    assert not saved & {checkpoints.SIDE, checkpoints.ENDED}
    assert [(one.epoch, one.epochs) for one in seen] == [(n, 6) for n in range(1, 7)]
    assert {one.where for one in seen} == {"same images"}


def test_the_time_that_is_left_is_shared_by_the_trainings_that_are():
    schedule = checkpoints.CheckpointSchedule(max_minutes=8000, started=time.monotonic() - 120_000)
    assert schedule.part("1", 3).max_minutes == pytest.approx(4000, rel=0.01)


def test_what_a_fold_ended_with_is_kept_and_refused_by_name_if_it_is_damaged(tmp_path):
    epochs = tuple(Epoch(n, 0.5, 0.4, 1.0, 1.0, 0.1) for n in (1, 2))
    result = FitResult(epochs, epochs[0], {"a": torch.ones(3)}, ("fc",), complete=True, parts=2)
    store = Store(tmp_path, "0" * 64).part("0")
    assert store.ended() is None
    store.end(result)
    kept = store.ended()
    assert kept.weights["a"].equal(result.weights["a"])
    assert replace(kept, weights=result.weights) == result
    with pytest.raises(InputError, match="it is of another training"):
        replace(store, key="1" * 64).ended()
    (tensors,) = store.folder.glob("*.safetensors")
    tensors.write_bytes(tensors.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match=r"ended\.json: not a usable checkpoint .* --restart"):
        store.ended()


def test_they_are_tested_compared_and_taken_away_like_others(place, run, tmp_path):
    output, test = tmp_path / "results", place / "data" / "test"
    measured = tk.evaluate(run, test=test, output=output, positive="b", resamples=200)
    assert "the other folds" in " ".join(measured.notes)
    compared = tk.compare([output], baseline="new", resamples=200)
    assert compared.test_images == {"a": 9, "b": 6}
    assert not compared.learning
    assert not compared.warnings
    assert tk.predict(run, place / "photos").predicted
    tk.push(run, output=tmp_path / "card", evaluation=output)
    assert runs.load_fold(runs.read_run(tmp_path / "card"), 1)
    assert "cross-fitted in 2 folds" in (tmp_path / "card" / "README.md").read_text()
