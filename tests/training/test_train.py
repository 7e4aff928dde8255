"""Training leaves a run: the same bytes each time, whole or not at all."""

import json
import os
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.arms import arm, load, settings
from tests.helpers.waiting import TIMEOUT
from toolkit.datasets import folders
from toolkit.errors import InputError, StoppedError
from toolkit.io import manifest, parallel
from toolkit.training import runs, steps, streaming
from toolkit.training.checkpoints import CheckpointSchedule
from toolkit.training.distributed import Group
from toolkit.training.state import training_job
from toolkit.training.train import TrainingOptions, count_jobs, share_cores, train_one, train_seeds


@pytest.fixture
def data(tmp_path):
    return arm(tmp_path / "plain", {"a": 6, "b": 3}), arm(tmp_path / "valid", {"a": 2, "b": 2})


def train(data, output: Path, *, seed=3, **options):
    return train_one(*data, "r", settings(), seed=seed, output=output, **options)


def contents(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_the_same_training_writes_the_same_bytes(data, tmp_path):
    """Also DVCLive's files: no times, nothing that depends on where and when."""
    train(data, tmp_path / "one")
    train(data, tmp_path / "elsewhere" / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "elsewhere" / "two")


def test_a_run_records_what_made_it(data, tmp_path):
    run = train(data, tmp_path / "run")
    side = json.loads((tmp_path / "run/run.json").read_text())
    assert (run.arm, run.recipe, run.seed) == ("plain", "r", 3)
    assert (run.classes, run.size) == (("a", "b"), 32)
    assert (run.device, run.precision, run.threads) == ("cpu", "float32", 1)
    assert side["settings"]["network"] == "resnet18"
    assert "size" not in side["settings"]  # the images' own
    assert run.counts == {"a": 6, "b": 3}
    assert {"toolkit", "python", "torch", "torchvision", "pillow"} <= set(side["versions"])
    assert run.best_epoch == min(run.history, key=lambda row: row.valid_loss).epoch
    assert runs.read_run(tmp_path / "run") == run


def test_history_and_dvclive_agree(data, tmp_path):
    run = train(data, tmp_path / "run")
    lines = (tmp_path / "run/history.csv").read_text().splitlines()
    head = "epoch,train_loss,valid_loss,valid_accuracy,valid_gmean,learning_rate"
    assert (lines[0], len(lines)) == (head, 3)
    live = tmp_path / "run/dvclive"
    losses = [f"{row.epoch}\t{row.valid_loss!r}" for row in run.history]
    table = (live / "plots/metrics/valid_loss.tsv").read_text().splitlines()
    assert table == ["step\tvalid_loss", *losses]
    summary = json.loads((live / "metrics.json").read_text())
    assert (summary["step"], summary["valid_gmean"]) == (2, run.history[-1].valid_gmean)


def test_an_interrupted_training_leaves_the_old_run(data, tmp_path):
    def interrupt(items, label, total=None):
        if label.startswith("train"):
            raise KeyboardInterrupt
        return items

    train(data, tmp_path / "runs/run", seed=0)
    before = contents(tmp_path / "runs")
    with pytest.raises(KeyboardInterrupt):
        train(data, tmp_path / "runs/run", seed=1, options=TrainingOptions(track=interrupt))
    assert contents(tmp_path / "runs") == before


def test_a_folder_that_is_no_run_is_not_overwritten(data, tmp_path):
    with pytest.raises(InputError, match="valid: exists and was not written"):
        train(data, data[1])
    assert manifest.read_manifest(data[1])


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    """A git repository with one commit and no DVC, as the working folder."""
    monkeypatch.chdir(tmp_path)
    for key in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{key}_NAME", "a")
        monkeypatch.setenv(f"GIT_{key}_EMAIL", "a@localhost")
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", *command], check=True, timeout=TIMEOUT)
    return tmp_path


def test_a_git_repository_is_left_alone(data, repository, monkeypatch, capfd):
    """DVCLive on its own makes a DVC repository of it, and in an experiment adds files to git."""
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "0" * 40)
    monkeypatch.setenv("DVC_ROOT", str(repository))
    train(data, Path("run"))
    index = subprocess.run(
        ["git", "ls-files"], check=True, capture_output=True, text=True, timeout=TIMEOUT
    )
    assert index.stdout == ""
    assert not Path(".dvc/config").exists()
    assert capfd.readouterr() == ("", "")


def test_nothing_is_sent_to_a_studio(data, repository, monkeypatch):
    sent = []
    monkeypatch.setenv("DVC_STUDIO_TOKEN", "secret")
    monkeypatch.setenv("DVC_STUDIO_REPO_URL", "https://example.invalid/a/b")
    monkeypatch.setattr("dvclive.studio.post_live_metrics", lambda *_, **__: sent.append(1))
    train(data, Path("run"))
    assert sent == []


def test_unknown_recipe_writes_nothing(data, tmp_path):
    with pytest.raises(InputError, match=r"recipe must be one of train\.recipes, \['r'\]"):
        train_one(*data, "x", settings(), seed=0, output=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def train_several(data, folder, options=None, jobs=1, *, seeds=(3, 4, 5), how="auto", **recipe):
    outputs = {seed: folder / f"run-{seed}" for seed in seeds}
    params = settings(epochs=1, **recipe)
    params = params.model_copy(update={"jobs": jobs, "data": how})
    return train_seeds(*data, "r", params, outputs=outputs, options=options)


@pytest.mark.parametrize("how", ["memory", "files"])
def test_runs_are_the_same_however_many_are_trained_at_once(data, tmp_path, how):
    """Also in a process that has trained before, and also if one is trained alone."""
    (alone,) = train_several(data, tmp_path / "alone", how=how, seeds=(4,))
    for jobs in (1, 2):
        reported = []
        options = TrainingOptions(on_epoch=reported.append)
        trained = train_several(data, tmp_path / str(jobs), options, jobs, how=how)
        assert [run.seed for run in trained] == [3, 4, 5]
        assert sorted((epoch.seed, epoch.epoch) for epoch in reported) == [(3, 1), (4, 1), (5, 1)]
        assert runs.read_run(tmp_path / str(jobs) / "run-3") == trained[0]
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
    assert contents(tmp_path / "1" / "run-4") == contents(alone.folder)


def test_threads_of_a_run_work_beside_those_of_others(data, tmp_path):
    """After a training with threads in this very process, whose threads a fork leaves behind."""
    params = settings(epochs=1).model_copy(update={"threads": 2, "jobs": 2})
    train_one(*data, "r", params, seed=3, output=tmp_path / "alone")
    outputs = {seed: tmp_path / f"run-{seed}" for seed in (3, 4)}
    train_seeds(*data, "r", params, outputs=outputs)
    assert contents(tmp_path / "run-3") == contents(tmp_path / "alone")


def test_cores_threads_and_memory_bound_how_many_run_at_once(data, monkeypatch):
    def count(free: int = 1 << 40, todo: int = 9, **params: object) -> int:
        monkeypatch.setattr(streaming, "available_memory", lambda: free)
        job = training_job(settings(batch=64).model_copy(update=params), "r", 0)
        return count_jobs(job, todo, load(data[0]), Group())

    monkeypatch.setattr(parallel, "cores", lambda: 4)
    assert [count(), count(todo=3), count(threads=2), count(threads=8)] == [5, 3, 3, 1]
    each = steps.estimate_memory(settings(batch=64).recipes["r"], 32, 2)
    assert [count(free=round(2.5 * each / streaming.MEMORY_FRACTION)), count(free=1)] == [2, 1]
    assert [count(jobs=6), count(jobs=6, todo=2)] == [6, 2]
    torchrun = Group(0, 2)
    assert count_jobs(training_job(settings(), "r", 0), 9, load(data[0]), torchrun) == 1


@pytest.mark.parametrize(
    ("cores", "todo", "expected"),
    [(2, 5, 3), (2, 4, 2), (2, 3, 3), (1, 5, 1), (8, 9, 9), (8, 16, 8), (2, 1, 1)],
)
def test_as_many_run_at_once_as_leave_no_core_idle_at_the_end(cores, todo, expected):
    assert share_cores(todo, cores, todo) == expected
    assert share_cores(1, cores, todo) == 1


def test_seeds_that_are_done_are_kept_and_others_go_on(data, tmp_path, monkeypatch):
    """Ctrl-C in the second seed: the same command does not train the first again."""
    options, real = TrainingOptions(tmp_path / "saved"), CheckpointSchedule.after_step
    trained, lines = [], []

    def after_step(self, state, position):
        trained.append(state.job.seed)
        if trained[-1] == 4:
            signal.raise_signal(signal.SIGINT)
        real(self, state, position)

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointSchedule, "after_step", after_step)
        with pytest.raises(StoppedError, match="the same command resumes from there"):
            train_several(data, tmp_path, options)
    done = contents(tmp_path / "run-3")
    again = replace(options, say=lines.append, on_epoch=lambda epoch: trained.append(epoch.seed))
    trained.clear()
    seeds = train_several(data, tmp_path, again)
    assert (trained, [run.seed for run in seeds]) == ([4, 5], [3, 4, 5])
    assert contents(tmp_path / "run-3") == done
    assert ["run-3: kept, the same training left it; --restart trains" in x for x in lines] == [
        True
    ]
    train_several(data, tmp_path, again, seeds=(3, 4, 5, 6))
    assert trained == [4, 5, 6]
    notes = [json.loads(note.read_text()) for note in tmp_path.glob("saved/*/finished.json")]
    assert sorted("seconds" in note for note in notes) == [False, True, True, True]  # one resumed


@pytest.mark.parametrize("change", ["recipe", "weights", "restart", "gone", "both damaged"])
def test_a_run_that_is_not_whole_is_the_copy_that_was_kept_or_trained_again(data, tmp_path, change):
    trained = []
    options = TrainingOptions(tmp_path / "saved", on_epoch=lambda epoch: trained.append(epoch.seed))
    train_several(data, tmp_path, options, seeds=(3,))
    before = contents(tmp_path / "run-3")
    places = {"weights": ["run-3"], "both damaged": ["run-3", "saved"]}.get(change, [])
    for weights in (path for place in places for path in (tmp_path / place).rglob(runs.WEIGHTS)):
        weights.write_bytes(b"x")
    if change == "gone":
        shutil.rmtree(tmp_path / "run-3")
    recipe = {"learning_rate": 0.01} if change == "recipe" else {}
    train_several(
        data, tmp_path, replace(options, restart=change == "restart"), seeds=(3,), **recipe
    )
    assert trained == ([3] if change in ("weights", "gone") else [3, 3])
    assert (contents(tmp_path / "run-3") == before) == (change != "recipe")


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_signal_in_the_last_validation_stops_once_the_run_is_written(
    data, tmp_path, monkeypatch, jobs
):
    options, real = TrainingOptions(tmp_path / "saved"), steps.validate

    def validate(*arguments):
        os.kill(parent, signal.SIGINT)
        return real(*arguments)

    parent = os.getpid()
    with monkeypatch.context() as patch:
        patch.setattr(steps, "validate", validate)
        with pytest.raises(StoppedError, match=r"stopped.*; .*the same command"):
            train_several(data, tmp_path, options, jobs)
    done = sorted(path.name for path in tmp_path.glob("run-*"))
    assert done in (["run-3"], ["run-3", "run-4"], ["run-4"])
    trained = []
    train_several(
        data, tmp_path, replace(options, on_epoch=lambda epoch: trained.append(epoch.seed)), jobs
    )
    assert len(trained) == 3 - len(done)


def test_a_seed_whose_loss_diverges_does_not_keep_the_others_from_training(data, tmp_path):
    wild = settings(learning_rate=100, batch=9, epochs=5)
    outputs = {seed: tmp_path / f"run-{seed}" for seed in (0, 1)}
    with pytest.raises(InputError, match="run-0 keeps epoch 1"):
        train_seeds(*data, "r", wild, outputs=outputs)
    assert runs.read_run(tmp_path / "run-1").seed == 1


def test_the_best_epoch_before_a_diverged_loss_is_kept(data, tmp_path):
    wild = settings(learning_rate=100, batch=9, epochs=5)
    with pytest.raises(InputError, match=r"finite in epoch 2 .*lower train\..*run keeps epoch 1"):
        train_one(*data, "r", wild, seed=0, output=tmp_path / "run")
    run = runs.read_run(tmp_path / "run")
    assert (run.complete, run.best_epoch, len(run.history)) == (False, 1, 1)
    assert "no longer finite" in run.problem


# --- plain folders ----------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path):
    """Folders <class>/file of many sizes without a manifest."""
    shapes = [(40, 60), (64, 48), (50, 50), (90, 70)]
    for seed, split in enumerate(("train", "valid")):
        rng = np.random.default_rng(seed)
        for shade, label in enumerate("ab"):
            folder = tmp_path / split / label
            folder.mkdir(parents=True)
            for number, (width, height) in enumerate(shapes):
                pixels = rng.integers(100 * shade, 100 * shade + 99, (height, width, 3))
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    return tmp_path / "train", tmp_path / "valid"


def test_plain_folders_of_many_sizes_are_trained_on(photos, tmp_path):
    """The shorter sides are 40, 48, 50 and 70: the median is rounded to 48."""
    lines = []
    run = train(photos, tmp_path / "run", options=TrainingOptions(say=lines.append))
    assert (run.arm, run.size, run.counts) == ("train", 48, {"a": 4, "b": 4})
    assert ["resized to 48 x 48 pixels" in line for line in lines] == [False, False, True]
    assert (tmp_path / "run" / "run.json").read_text().count('"size"') == 1


def test_images_from_files_give_the_same_run(photos, tmp_path):
    for how in ("memory", "files"):
        params = settings(epochs=1).model_copy(update={"data": how})
        train_one(*photos, "r", params, seed=0, output=tmp_path / how)
    assert contents(tmp_path / "memory") == contents(tmp_path / "files")


@pytest.mark.parametrize("how", ["memory", "files"])
def test_the_recipes_size_is_taken(photos, tmp_path, how):
    params = settings(epochs=1, size=32).model_copy(update={"data": how})
    lines = []
    run = train_one(
        *photos,
        "r",
        params,
        seed=0,
        output=tmp_path / "run",
        options=TrainingOptions(say=lines.append),
    )
    assert (run.size, run.settings.size) == (32, 32)
    assert [line.endswith(": 2 classes (a, b), 8 images") for line in lines] == [True, True]
    assert runs.read_run(tmp_path / "run") == run


def test_a_manifest_changes_nothing(photos, tmp_path):
    train(photos, tmp_path / "plain", seed=0)
    for folder in photos:
        manifest.write_manifest(folder, folders.scan(folder))
    train(photos, tmp_path / "listed", seed=0)
    assert contents(tmp_path / "plain") == contents(tmp_path / "listed")


def test_an_interrupted_training_of_plain_folders_resumes(photos, tmp_path):
    """Its checkpoint is found again by the images; one more image is another training."""
    options = TrainingOptions(tmp_path / "saved", max_minutes=0)
    with pytest.raises(InputError, match="the time was up"):
        train(photos, tmp_path / "run", options=options)
    assert len(list((tmp_path / "saved").glob("*/state.json"))) == 1
    shutil.copy(photos[0] / "a" / "0.png", photos[0] / "a" / "copy.png")
    with pytest.raises(InputError, match="the time was up"):
        train(photos, tmp_path / "run", options=options)
    assert len(list((tmp_path / "saved").glob("*/state.json"))) == 2
    train(photos, tmp_path / "run", options=TrainingOptions(tmp_path / "saved"))
    assert len(list((tmp_path / "saved").glob("*/state.json"))) == 1
