"""A frozen network with a fitted head is a run like any other."""

import signal

import numpy as np
import pytest

import toolkit as tk
from tests.helpers import arms
from toolkit.errors import StoppedError
from toolkit.training import dataset, runs
from toolkit.training.pretrained import backbones, features


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("frozen")
    counts = {"a": 12, "b": 5}
    return [arms.arm(place / name, counts, seed=seed) for seed, name in enumerate(("arm", "valid"))]


def train(folders, output, **more):
    recipe = {"network": "efficientnet_lite0", "frozen": True, "epochs": 3, "size": 32}
    how = {"threads": 1, "precision": "float32"} | more
    return tk.train(
        folders[0], valid=folders[1], recipes={"r": recipe}, recipe="r", output=output, **how
    )


def test_all_but_the_last_layer_are_imagenets(folders, tmp_path):
    run = train(folders, tmp_path / "run")
    _, network = runs.load_run(run.folder)
    ours, published = network.state_dict(), backbones.lite0_weights()
    assert all(ours[name].equal(value) for name, value in published.items() if "fc." not in name)
    assert ours["fc.weight"].shape == (2, 1280)
    assert len(run.history) == 3


def test_predictions_are_those_of_the_head_on_the_features(folders, tmp_path):
    run = train(folders, tmp_path / "run")
    _, network = runs.load_run(run.folder)
    folder = dataset.open_folder(folders[1])
    values = features.embed_folder(folder, backbones.load_backbone(), tmp_path / "c", size=32)
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    logits = values @ weights["fc.weight"].T + weights["fc.bias"]
    expected = np.exp(logits[:, 1]) / np.exp(logits).sum(axis=1)
    scores = tk.predict(run, folders[1], raw=True).required_scores("a test")
    np.testing.assert_allclose(scores[:, 1], expected, atol=1e-3)


def test_the_same_images_give_the_same_bytes_whatever_the_seed(folders, tmp_path):
    one, other = (
        train(folders, tmp_path / str(seed), seed=seed).folder / runs.WEIGHTS for seed in (0, 7)
    )
    assert one.read_bytes() == other.read_bytes()


def test_the_recommended_recipe_trains_on_plain_folders(folders, tmp_path):
    run = tk.train(folders[0], valid=folders[1], output=tmp_path / "run", threads=1)
    assert run.settings.frozen
    assert run.size == 192
    assert run.complete


def test_a_signal_stops_it_before_the_next_batch_and_leaves_nothing(folders, tmp_path):
    def track(items, label, total=None):
        if label == "embed":
            signal.raise_signal(signal.SIGTERM)
        return items

    with pytest.raises(StoppedError, match="the same command starts again") as caught:
        train(folders, tmp_path / "run", track=track)
    assert caught.value.number == signal.SIGTERM
    assert not list(tmp_path.iterdir())
