"""An exported network gives what `predict` gives, and whoever takes it needs nothing else."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import toolkit
from tests.conftest import fill
from tests.helpers.arms import arm, settings, trained
from tests.helpers.waiting import TIMEOUT
from toolkit.errors import InputError
from toolkit.io import files
from toolkit.metrics import calibration
from toolkit.pipeline.use.export import check_parity
from toolkit.training import runs
from toolkit.training.export import formats
from toolkit.training.export.network import CalibratedNetwork
from toolkit.training.train import train_one

EXAMPLE = Path(__file__).parents[2] / "examples" / "onnx_predict.py"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def exported(run):
    """Return the folder of the network as ONNX, checked on photos of another size."""
    photos = arm(run.parent / "photos", {"a": 4, "b": 3}, size=40, seed=2)
    said = []
    folder = toolkit.export(run, output=run.parent / "onnx", images=photos, say=said.append)
    assert "on 7 given images" in said[-1]
    return folder


def test_what_it_needs_is_beside_it_and_inside(run, exported):
    onnxruntime = pytest.importorskip("onnxruntime")
    about = json.loads((exported / "model.json").read_text())
    made = runs.read_run(run)
    assert about["classes"] == ["a", "b"]
    assert about["temperature"] == made.decisions.temperature
    assert about["threshold"] == made.decisions.calibrated_threshold
    assert about["file_sha256"] == files.sha256(exported / "model.onnx")
    assert about["check"]["largest_difference"] <= about["check"]["tolerance"] == 1e-4
    session = onnxruntime.InferenceSession(exported / "model.onnx")
    inside = session.get_modelmeta().custom_metadata_map
    assert {key: json.loads(text) for key, text in inside.items()}.items() <= about.items()
    assert {"size", "resize", "classes", "temperature", "positive", "threshold"} <= set(inside)


def test_the_example_predicts_what_predict_does(run, exported, tmp_path):
    photos = fill(tmp_path, {"a": 3}, size=50)
    with Image.open(photos / "a" / "000.png") as image:  # one that lies on its side
        image.save(photos / "a" / "000.png", exif=turned())
    found = toolkit.predict(run, photos)
    code = f"import sys; sys.modules['torch'] = sys.modules['toolkit'] = None; {ONLY}"
    done = subprocess.run(
        [sys.executable, "-c", code, exported / "model.onnx", *found.ids],
        check=True, capture_output=True, text=True, timeout=TIMEOUT,
    )  # fmt: skip
    rows = [line.rsplit(" ", 3) for line in done.stdout.splitlines()]
    assert [(row[0], row[1]) for row in rows] == list(zip(found.ids, found.predicted, strict=True))
    assert np.array([row[2:] for row in rows], float) == pytest.approx(found.scores, abs=1e-4)


ONLY = f"exec(compile(open({str(EXAMPLE)!r}).read(), 'example', 'exec'))"


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def test_torchscript_gives_the_same(run, tmp_path):
    folder = toolkit.export(run, format="torchscript", output=tmp_path / "script")
    about = json.loads((folder / "model.json").read_text())
    assert about["check"]["source"] == "drawn"
    assert about["check"]["largest_difference"] <= 1e-4
    assert {path.name for path in folder.iterdir()} == {"model.pt", "model.json"}


def test_a_head_on_a_frozen_backbone_is_exported_whole(tmp_path):
    images = arm(tmp_path / "arm", {"a": 4, "b": 3})
    recipe = settings(network="efficientnet_lite0", frozen=True, epochs=1, size=32)
    train_one(images, images, "r", recipe, seed=0, output=tmp_path / "run")
    folder = toolkit.export(
        tmp_path / "run", format="torchscript", output=tmp_path / "script", images=images
    )
    assert json.loads((folder / "model.json").read_text())["check"]["images"] == 7


def test_scores_near_zero_are_softened_as_predict_softens_them():
    """At a temperature of 10 the floor of scores decides most of a small probability."""
    constant = torch.nn.Linear(3, 2)
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), constant)
    torch.nn.init.zeros_(constant.weight)
    constant.bias.data = torch.tensor([80.0, 0.0])
    with torch.inference_mode():
        scores = CalibratedNetwork(network, 10.0)(torch.zeros(1, 4, 4, 3, dtype=torch.uint8))
    raw = torch.softmax(constant.bias.double(), 0).detach().numpy()[np.newaxis]
    assert scores.numpy() == pytest.approx(calibration.soften(raw, 10.0), abs=1e-6)


@pytest.mark.parametrize("wrong", [2e-4, np.nan])
def test_a_network_that_differs_is_not_written(wrong):
    expected: Any = np.array([[0.25, 0.75]])
    pixels = np.zeros((1, 4, 4, 3), np.uint8)
    with pytest.raises(InputError, match=r"differ from the run's by .*, so nothing was written"):
        check_parity(lambda _: expected + wrong, lambda _: expected, [pixels])
    assert check_parity(lambda _: expected + 9e-5, lambda _: expected, [pixels]).images == 1


def test_without_the_extra_it_says_the_line_to_type(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(InputError, match=r"onnxscript.*pip install 'imbalanced-images\[export\]'"):
        toolkit.export(run, output=tmp_path / "onnx")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_is_refused_before_the_work(run, tmp_path):
    with pytest.raises(InputError, match=r"unknown format 'onx' .did you mean 'onnx'"):
        toolkit.export(run, format="onx", output=tmp_path / "x")
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(InputError, match=r"notes\.txt: no image to check"):
        toolkit.export(
            run, format="torchscript", output=tmp_path / "x", images=tmp_path / "notes.txt"
        )
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match="was not written by the toolkit"):
        toolkit.export(run, output=tmp_path / "mine")
    assert not (tmp_path / "x").exists()


def test_the_file_names_nothing_of_this_machine(exported, run, tmp_path):
    data = (exported / "model.onnx").read_bytes()
    assert b"stack_trace" not in data
    script = toolkit.export(run, format="torchscript", output=tmp_path / "script") / "model.pt"
    assert str(Path(formats.__file__).parents[2]).encode() not in data + script.read_bytes()
