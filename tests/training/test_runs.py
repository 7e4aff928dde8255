"""A run's folder is read back, or refused by the name of the file that is wrong."""

import hashlib
import importlib.metadata
import json
import os
import pickle

import numpy as np
import pytest
import torch

from tests.helpers.arms import settings
from toolkit.errors import InputError
from toolkit.training import networks, runs
from toolkit.training.networks import NETWORKS
from toolkit.training.runs import Epoch, Run

ROWS = (Epoch(1, 0.7, 0.6, 0.5, 0.0, 0.001), Epoch(2, 0.1 + 0.2, 0.5, 1.0, 1.0, 1e-05))


def write(folder, network="resnet18"):
    weights = runs.pack_weights(
        networks.build_network(network, 2).to(memory_format=torch.channels_last).state_dict()
    )
    run = Run(
        arm="plain",
        recipe="r",
        seed=0,
        classes=("a", "b"),
        counts={"a": 5, "b": 2},
        size=32,
        settings=settings(network=network).recipes["r"],
        device="cpu",
        precision="float32",
        threads=1,
        best_epoch=2,
        versions=runs.training_versions(),
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        history=ROWS,
    )
    runs.write_run(folder, run, weights)
    return run


def put_weights(folder, data: bytes):
    """Replace the weights and adapt run.json, as in a run from a stranger."""
    side = json.loads((folder / "run.json").read_text())
    side["weights_sha256"] = hashlib.sha256(data).hexdigest()
    (folder / "run.json").write_text(json.dumps(side))
    (folder / "weights.safetensors").write_bytes(data)


@pytest.fixture
def folder(tmp_path):
    write(tmp_path)
    return tmp_path


def test_what_was_written_is_read(tmp_path):
    written = write(tmp_path).model_copy(update={"folder": tmp_path})
    assert written == runs.read_run(tmp_path)


@pytest.mark.parametrize("network", sorted(NETWORKS))
def test_every_network_is_loaded_with_its_weights(tmp_path, network):
    torch.manual_seed(0)
    write(tmp_path, network)
    torch.manual_seed(0)
    original = networks.build_network(network, 2).eval()
    _, restored = runs.load_run(tmp_path)
    x = torch.rand(1, 3, 32, 32)
    assert not restored.training
    assert torch.allclose(restored(x), original(x), atol=1e-5)


def test_versions_without_an_installed_package(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", missing)
    assert runs.training_versions()["toolkit"] == "not installed"


def test_one_flipped_bit_is_noticed(folder):
    path = folder / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"weights\.safetensors: changed since it was written"):
        runs.load_run(folder)


def test_every_one_of_many_flipped_bits_is_noticed(tmp_path):
    """In the header, the padding and the numbers, and the first and the last one."""
    write(tmp_path, "torchvision.mobilenet_v3_small")
    path = tmp_path / "weights.safetensors"
    sound = path.read_bytes()
    bits = np.random.default_rng(0).integers(0, 8 * len(sound), 60).tolist()
    for bit in (0, 8 * len(sound) - 1, 64, 8 * 200, *bits):
        data = bytearray(sound)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"weights\.safetensors: changed since it was written"):
            runs.load_run(tmp_path)
    for other in (sound[:-1], sound + b"\0", b""):
        path.write_bytes(other)
        with pytest.raises(InputError, match=r"weights\.safetensors: changed since it was written"):
            runs.load_run(tmp_path)


@pytest.mark.parametrize("name", ["run.json", "history.csv"])
def test_a_pickle_under_another_name_is_refused_unopened(folder, name, tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    (folder / name).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match=r"not (of )?a run of this toolkit"):
        runs.load_run(folder)
    assert not (tmp_path / "sprung").exists()


def test_a_pickle_is_refused_unopened(folder, tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    put_weights(folder, pickle.dumps(Trap()))
    with pytest.raises(InputError, match=r"weights\.safetensors: not the weights of a resnet18"):
        runs.load_run(folder)
    assert not (tmp_path / "sprung").exists()


def test_weights_of_another_network_are_refused(folder):
    put_weights(folder, runs.pack_weights(networks.build_network("googlenet", 2).state_dict()))
    with pytest.raises(InputError, match=r"not the weights of a resnet18: .*train again"):
        runs.load_run(folder)


@pytest.mark.parametrize("name", ["run.json", "history.csv", "weights.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"{name}: no such file"):
        runs.load_run(folder)


@pytest.mark.parametrize("name", ["run.json", "history.csv", "weights.safetensors"])
def test_a_pipe_in_place_of_a_file_is_named(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(InputError, match=f"{name}: not a regular file"):
        runs.load_run(folder)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("not json", "not a run of this toolkit"),
        ("[]", "not a run of this toolkit"),
        ('{"model": "x"}', "model: Extra inputs|arm: Field required"),
    ],
)
def test_json_of_another_program_is_refused(folder, text, problem):
    (folder / "run.json").write_text(text)
    with pytest.raises(InputError, match=rf"run\.json: .*({problem})"):
        runs.read_run(folder)


def test_an_unknown_network_is_refused(folder):
    side = (folder / "run.json").read_text().replace('"resnet18"', '"lenet"')
    (folder / "run.json").write_text(side)
    with pytest.raises(InputError, match=r"run\.json: settings\.network must be one of"):
        runs.load_run(folder)


def test_a_history_of_another_program_is_refused(folder):
    (folder / "history.csv").write_text("epoch,loss\n1,0.5\n")
    with pytest.raises(InputError, match=r"history\.csv: not of a run of this toolkit: history"):
        runs.read_run(folder)


def test_in_a_notebook_a_run_is_one_line(folder):
    expected = "Run(arm='plain', recipe='r', seed=0, best_epoch=2, valid_gmean=1.0)"
    assert repr(runs.read_run(folder)) == expected
