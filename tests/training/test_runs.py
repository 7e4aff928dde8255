"""A run's folder is read back, or refused by the name of the file that is wrong."""

import hashlib
import json
import os
import pickle
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.helpers.arms import settings
from tests.helpers.flips import flipped
from toolkit.errors import InputError
from toolkit.io import files
from toolkit.metrics.predictions import Predictions
from toolkit.training import networks, runs
from toolkit.training.networks import NETWORKS
from toolkit.training.runs import Epoch, Run

ROWS = (
    Epoch(1, 0.7, 0.6, 0.5, 0.0, 0.001),
    Epoch(2, 0.1 + 0.2, 0.5, 1.0, 1.0, 1e-05),
)
VALID = Predictions(
    ("a", "b"), ("1", "2"), ("a", "b"), ("a", "b"), np.array([[0.7, 0.3], [0.4, 0.6]])
)


def write(folder, network="resnet18", **recipe):
    gradients = {"conv1": 0.25, "fc": 1.5} if recipe.get("gradients") else {}
    weights = runs.pack_weights(
        networks.build_network(network, 2).to(memory_format=torch.channels_last).state_dict()
    )
    run = Run(
        arm="plain",
        recipe="r",
        seed=0,
        classes=("a", "b"),
        counts={"a": 5, "b": 2},
        original_counts={"a": 5, "b": 1},
        size=32,
        settings=settings(network=network, **recipe).recipes["r"],
        device="cpu",
        precision="float32",
        threads=1,
        best_epoch=2,
        versions=runs.training_versions(),
        manifest="2" * 64,
        originals="0" * 64,
        valid="1" * 64,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        history=[replace(row, gradients=gradients) for row in ROWS],
    )
    runs.write_run(folder, run, weights, VALID)
    return run


def change_side(folder, **fields):
    """Replace fields of run.json, as in a run from a stranger."""
    side = json.loads((folder / "run.json").read_text())
    del side["sha256"]
    files.write_sealed(folder / "run.json", side | fields)


def put_table(folder, name, data: bytes):
    (folder / name).write_bytes(data)
    side = json.loads((folder / "run.json").read_text())
    change_side(folder, tables=side["tables"] | {name: hashlib.sha256(data).hexdigest()})


def put(folder, name, data: bytes):
    (folder / name).write_bytes(data)


def put_weights(folder, data: bytes):
    (folder / "weights.safetensors").write_bytes(data)
    change_side(folder, weights_sha256=hashlib.sha256(data).hexdigest())


@pytest.fixture
def folder(tmp_path):
    write(tmp_path)
    return tmp_path


def test_what_was_written_is_read(tmp_path):
    written = write(tmp_path).model_copy(update={"folder": tmp_path})
    assert written == runs.read_run(tmp_path)


@pytest.mark.parametrize("network", sorted(set(NETWORKS) - {"vgg16_bn"}))  # 513 MB
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
    monkeypatch.setattr(runs, "DISTRIBUTION", "no-such-package")
    assert runs.training_versions()["toolkit"] is None


def test_one_flipped_bit_is_noticed(folder):
    path = folder / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"weights\.safetensors: changed since it was written"):
        runs.load_run(folder)


@pytest.mark.parametrize("name", ["weights.safetensors", "run.json", *runs.TABLES])
def test_every_one_of_many_flipped_bits_is_noticed(tmp_path, name):
    """In the header, the padding and the numbers, and the first and the last one."""
    write(tmp_path, "torchvision.mobilenet_v3_small", gradients=True)
    path = tmp_path / name
    sound = path.read_bytes()
    for other in (*flipped(sound, 60 if len(sound) > 100_000 else 200), sound[:-1], sound + b"\0"):
        path.write_bytes(other)
        with pytest.raises(InputError, match=re.escape(name)):
            runs.load_run(tmp_path)


@pytest.mark.parametrize("name", ["..", ".", "a/b", "/etc", "", "x" * 300])
def test_a_class_that_is_no_name_of_a_folder_is_refused(folder, name):
    """`predict --sort-into` makes a folder of each."""
    change_side(folder, classes=["a", name])
    with pytest.raises(InputError, match=r"run\.json: not of a run of this toolkit: classes"):
        runs.read_run(folder)


def test_an_epoch_that_is_not_in_the_history_is_refused(folder):
    change_side(folder, best_epoch=9)
    with pytest.raises(InputError, match=r"run\.json: .*best_epoch must be one of the 2 in hist"):
        runs.read_run(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(folder, value):
    weights = networks.build_network("resnet18", 2).state_dict()
    weights["layer1.0.conv1.weight"][0, 0, 0, 0] = value
    put_weights(folder, runs.pack_weights(weights))
    with pytest.raises(
        InputError, match=r"layer1\.0\.conv1\.weight has numbers that are not finite"
    ):
        runs.load_run(folder)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int32])
def test_weights_of_another_type_are_refused(folder, dtype):
    weights = networks.build_network("resnet18", 2).state_dict()
    weights["fc.weight"] = weights["fc.weight"].to(dtype)
    put_weights(folder, runs.pack_weights(weights))
    with pytest.raises(InputError, match=rf"fc\.weight is {dtype}, not torch\.float32"):
        runs.load_run(folder)


def test_a_network_that_needs_larger_images_is_refused(tmp_path):
    write(tmp_path)
    recipe = settings(network="vgg16_bn").recipes["r"]
    change_side(tmp_path, size=16, settings=recipe.model_dump(mode="json"))
    with pytest.raises(
        InputError, match=r"run\.json: settings\.network vgg16_bn needs images of 32"
    ):
        runs.load_run(tmp_path)


@pytest.mark.parametrize("name", ["run.json", "history.csv"])
def test_a_pickle_under_another_name_is_refused_unopened(folder, name, tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    (put_table if name == "history.csv" else put)(folder, name, pickle.dumps(Trap()))
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
        ('{"model": "x"}', "does not end with its sha256"),
    ],
)
def test_json_of_another_program_is_refused(folder, text, problem):
    (folder / "run.json").write_text(text)
    with pytest.raises(InputError, match=rf"run\.json: .*({problem})"):
        runs.read_run(folder)


def test_an_unknown_network_is_refused(folder):
    change_side(folder, settings=settings(network="lenet").recipes["r"].model_dump(mode="json"))
    with pytest.raises(InputError, match=r"run\.json: settings\.network must be one of"):
        runs.load_run(folder)


def test_a_history_of_another_program_is_refused(folder):
    put_table(folder, "history.csv", b"epoch,loss\n1,0.5\n")
    with pytest.raises(InputError, match=r"history\.csv: not of a run of this toolkit: history"):
        runs.read_run(folder)


def test_in_a_notebook_a_run_is_one_line(folder):
    expected = "Run(arm='plain', recipe='r', seed=0, best_epoch=2, valid_gmean=1.0)"
    assert repr(runs.read_run(folder)) == expected


def test_conditions_are_what_compared_runs_should_share(tmp_path):
    one, two = write(tmp_path / "one"), write(tmp_path / "two", "resnet34")
    differing = {name for name in one.conditions if one.conditions[name] != two.conditions[name]}
    assert differing == {"settings of r"}
    names = ("device", "precision", "CPU threads", "version of torch", "version of pillow")
    assert set(names) <= set(one.conditions)
