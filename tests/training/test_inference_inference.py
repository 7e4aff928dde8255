"""A run's network applied to images."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.arms import arm, settings
from toolkit.errors import InputError
from toolkit.io import manifest
from toolkit.io.images import read_image
from toolkit.metrics import mistakes
from toolkit.metrics.mistakes import HardExample
from toolkit.training import dataset, inference, runs
from toolkit.training.inference import Guess
from toolkit.training.train import train_one


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run, with its valid split beside it."""
    root = tmp_path_factory.mktemp("run")
    train, valid = arm(root / "plain", {"a": 6, "b": 3}), arm(root / "valid", {"a": 3, "b": 2})
    train_one(train, valid, "r", settings(), seed=0, output=root / "run")
    return root / "run"


@pytest.fixture
def test_split(tmp_path):
    return arm(tmp_path / "test", {"a": 4, "b": 5}, seed=2)


def test_one_row_an_image_in_the_manifests_order(run, test_split):
    found, table = inference.predict_folder(run, test_split), manifest.read_manifest(test_split)
    assert found.ids == tuple(sample.id for sample in table.samples)
    assert found.actual == tuple(sample.label for sample in table.samples)
    assert set(found.predicted) <= {"a", "b"}


def test_scores_are_probabilities_and_decide(run, test_split):
    found = inference.predict_folder(run, test_split)
    assert (found.scores.dtype, found.scores.shape) == (np.float64, (9, 2))
    assert np.allclose(found.scores.sum(axis=1), 1, rtol=0, atol=1e-15)
    assert found.predicted == tuple("ab"[row.argmax()] for row in found.scores)


def test_twice_the_same_bits(run, test_split):
    first, second = (inference.predict_folder(run, test_split).scores for _ in range(2))
    assert np.array_equal(first, second)


def test_on_valid_it_gives_the_kept_epochs_loss(run):
    """What the history says of the best epoch, computed here from scores on disk."""
    found = inference.predict_folder(run, run.parent / "valid")
    rows = [found.scores[k]["ab".index(name)] for k, name in enumerate(found.actual)]
    kept = runs.read_run(run)
    expected = kept.history[kept.best_epoch - 1].valid_loss
    assert -np.log(rows).mean() == pytest.approx(expected, rel=1e-6)


def test_other_classes_are_refused(run, tmp_path):
    other = arm(tmp_path / "other", {"a": 1, "c": 1})
    with pytest.raises(
        InputError, match=r"other: the classes must be .*\['a', 'b'\], got \['a', 'c'"
    ):
        inference.predict_folder(run, other)


def test_another_image_size_is_refused(run, tmp_path):
    other = arm(tmp_path / "other", {"a": 1, "b": 1}, size=48)
    with pytest.raises(InputError, match=r"other: the image size must be .*32, got 48"):
        inference.predict_folder(run, other)


def test_an_explanation_is_of_the_chosen_images_in_their_order(run, test_split):
    choices = mistakes.choose_examples(inference.predict_folder(run, test_split), "b")
    found, table = (
        inference.explain_examples(run, test_split, choices),
        manifest.read_manifest(test_split),
    )
    assert tuple(item.example for item in found) == choices
    for item in found:
        assert item.path == table.by_id[item.example.id].path
        assert np.array_equal(item.photo, read_image(test_split / item.path))
        assert (item.heatmap.dtype, item.heatmap.shape) == (np.float32, (32, 32))


def test_an_explanation_is_of_the_choices_label(run, test_split):
    """The map of each class, against the one computed from the network itself."""
    sample = manifest.read_manifest(test_split).samples[0]
    choices = [HardExample("mistake", sample.id, "a", "b", label, 0.5) for label in "ab"]
    found = inference.explain_examples(run, test_split, choices)
    images = dataset.stack([read_image(test_split / sample.path)] * 2)
    expected = inference.heatmaps(runs.restore(run)[1], images, [0, 1])
    assert np.array_equal([item.heatmap for item in found], expected)


def test_nothing_chosen_nothing_explained(run, test_split):
    assert inference.explain_examples(run, test_split, ()) == ()


def test_files_get_the_scores_that_the_manifest_gives(run, test_split):
    paths = [test_split / sample.path for sample in manifest.read_manifest(test_split).samples]
    guesses, known = inference.predict_files(run, paths), inference.predict_folder(run, test_split)
    assert [guess.path for guess in guesses] == paths
    assert tuple(guess.predicted for guess in guesses) == known.predicted
    assert np.array_equal([guess.scores for guess in guesses], known.scores)


def test_files_of_any_size_and_format(run, tmp_path):
    Image.new("L", (100, 40), 200).save(tmp_path / "grey.jpg")
    (guess,) = inference.predict_files(run, [tmp_path / "grey.jpg"])
    assert guess.predicted in ("a", "b")
    assert math.fsum(guess.scores) == pytest.approx(1)


def test_an_unreadable_file_does_not_stop_the_others(run, test_split, tmp_path):
    (tmp_path / "bad.png").write_text("<!DOCTYPE html>")
    good = test_split / "a/000.png"
    paths = [tmp_path / "bad.png", good, tmp_path / "none.png"]
    bad, fine, none = inference.predict_files(run, paths)
    assert "bad.png: not an image" in bad.problem
    assert "No such file" in none.problem
    assert (bad.predicted, bad.scores) == ("", ())
    assert fine.problem == ""
    assert fine.predicted


def test_table_has_a_row_a_readable_file():
    good = Guess(Path("x, y.png"), "a", (0.75, 0.25))
    text = inference.guesses_csv(("a", "b"), [Guess(Path("z.png"), problem="no image"), good])
    assert text == 'path,predicted,score_a,score_b\n"x, y.png",a,0.75,0.25\n'


def test_no_files_no_guesses(run):
    assert inference.predict_files(run, []) == []
