"""Training leaves a run: the same bytes each time, whole or not at all."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.arms import arm, settings
from toolkit.datasets import folders
from toolkit.errors import InputError
from toolkit.io import manifest
from toolkit.training import runs
from toolkit.training.train import TrainingOptions, train_one, train_seeds


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
        subprocess.run(["git", *command], check=True)
    return tmp_path


def test_a_git_repository_is_left_alone(data, repository, monkeypatch, capfd):
    """DVCLive on its own makes a DVC repository of it, and in an experiment adds files to git."""
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "0" * 40)
    monkeypatch.setenv("DVC_ROOT", str(repository))
    train(data, Path("run"))
    index = subprocess.run(["git", "ls-files"], check=True, capture_output=True, text=True)
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


def test_several_seeds_in_one_process_leave_the_same_runs(data, tmp_path):
    outputs = {seed: tmp_path / f"run-{seed}" for seed in (3, 4)}
    trained = train_seeds(*data, "r", settings(), outputs=outputs)
    assert [run.seed for run in trained] == [3, 4]
    train(data, tmp_path / "alone", seed=4)
    assert contents(tmp_path / "run-4") == contents(tmp_path / "alone")


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
    assert ["resized to 48 x 48 pixels" in line for line in lines] == [True]
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
    assert (run.size, run.settings.size, lines) == (32, 32, [])
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
    assert len(list((tmp_path / "saved").iterdir())) == 1
    shutil.copy(photos[0] / "a" / "0.png", photos[0] / "a" / "copy.png")
    with pytest.raises(InputError, match="the time was up"):
        train(photos, tmp_path / "run", options=options)
    assert len(list((tmp_path / "saved").iterdir())) == 2
    train(photos, tmp_path / "run", options=TrainingOptions(tmp_path / "saved"))
    assert len(list((tmp_path / "saved").iterdir())) == 1
