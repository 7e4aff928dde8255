"""Fine-tuning: all weights but a head of other classes come from the file, or it is refused."""

import hashlib

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.helpers.arms import arm, settings, tensors
from toolkit.errors import InputError
from toolkit.training import networks, runs, state, train


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Weights of a resnet18 for two classes."""
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    torch.manual_seed(9)
    save_file(networks.build_network("resnet18", 2).state_dict(), path)
    return path


def given(path, **recipe):
    weights = {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    return state.training_job(settings(weights=weights, **recipe), "r", 0)


def test_the_same_classes_take_all_weights(file):
    pupil = state.start(given(file), 2)
    own, theirs = pupil.network.state_dict(), load_file(file)
    assert pupil.drawn == ()
    assert all(torch.equal(own[name], theirs[name]) for name in theirs)


def test_other_classes_get_a_head_drawn_from_the_seed(file):
    pupil = state.start(given(file), 3)
    own, theirs = pupil.network.state_dict(), load_file(file)
    fresh = state.start(state.training_job(settings(), "r", 0), 3).network.state_dict()
    assert pupil.drawn == ("fc.weight", "fc.bias")
    assert torch.equal(own["fc.weight"], fresh["fc.weight"])
    assert all(torch.equal(own[n], theirs[n]) for n in theirs if n not in pupil.drawn)


def test_all_heads_of_googlenet_are_heads():
    assert networks.is_head("googlenet", 2) == [
        f"{head}.{kind}" for head in ("aux1.fc2", "aux2.fc2", "fc") for kind in ("weight", "bias")
    ]


def test_weights_of_another_network_are_refused_by_name(file):
    with pytest.raises(InputError, match=r"w\.safetensors: layer1\.2\.conv1\.weight .* none"):
        state.start(given(file, network="resnet34"), 2)
    with pytest.raises(InputError, match=r"layer2\.0\.downsample\.0\.weight has .* needs none"):
        state.start(given(file, network="resnet18_plain"), 2)


def test_another_shape_is_refused_with_both(file, tmp_path):
    weights = load_file(file) | {"conv1.weight": torch.zeros(64, 1, 7, 7)}
    save_file(weights, tmp_path / "grey.safetensors")
    wrong = r"train\.recipes\.r\.weights\.path: .*grey\.safetensors: conv1\.weight has the shape "
    wrong += r"\(64, 1, 7, 7\), resnet18 needs \(64, 3, 7, 7\)"
    with pytest.raises(InputError, match=wrong):
        state.start(given(tmp_path / "grey.safetensors"), 2)


def test_another_file_than_the_one_meant_is_refused(file, tmp_path):
    job = given(file)
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(
        InputError, match=r"weights\.sha256 is not that of .*, which is [0-9a-f]{64}"
    ):
        state.start(job, 2)
    file.unlink()
    with pytest.raises(InputError, match=r"cannot be read .*relative to the working folder"):
        state.start(job, 2)
    (tmp_path / "text").write_text("weights")
    with pytest.raises(InputError, match="text: not a safetensors file"):
        state.start(given(tmp_path / "text"), 2)


def test_a_run_is_fine_tuned_from_another(tmp_path):
    """From two classes to three: it says what was drawn, and is read back with its network."""
    valid = arm(tmp_path / "valid", {"a": 2, "b": 2})
    train.train_one(valid, valid, "r", settings(epochs=1), seed=0, output=tmp_path / "first")
    three = arm(tmp_path / "three", {"a": 2, "b": 2, "c": 2})
    tuned = given(tmp_path / "first" / runs.WEIGHTS, epochs=1, negative_slope=0.1).settings
    train.train_one(three, three, "r", tuned, seed=0, output=tmp_path / "second")
    run, network = runs.restore(tmp_path / "second")
    assert run.drawn == ("fc.weight", "fc.bias")
    data = tensors(tmp_path / "again", {"a": 2, "b": 2, "c": 2})
    assert network(data.images.float()).shape == (6, 3)
