"""What is pushed is a run with its card, and nothing that does not belong to it."""

import base64
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import toolkit
from tests.helpers.arms import arm, trained
from toolkit.cli.main import app
from toolkit.errors import InputError
from toolkit.pipeline.use.push import push
from toolkit.training import runs

SECRET = "hf_" + "s3cret" * 5


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A run in models/, its evaluation and an export of it, where a project has them."""
    place = tmp_path_factory.mktemp("project")
    (place / "models").mkdir()
    trained(place / "models", width=0.125)
    test = arm(place / "test", {"a": 5, "b": 4}, seed=3)
    run = place / "models" / "run"
    toolkit.evaluate(
        run, test=test, output=place / "reports" / "runs" / "run", positive="b", resamples=200
    )
    folder = place / "exported" / "run-onnx"
    toolkit.export(run, format="torchscript", output=folder)
    return place


@pytest.fixture
def run(project, monkeypatch):
    monkeypatch.chdir(project)
    return project / "models" / "run"


def test_what_is_written_is_a_run_again(run, tmp_path):
    said = []
    place = push(run, output=tmp_path / "card", license="mit", say=said.append)
    folder = tmp_path / "card"
    assert place == str(folder)
    assert said == ["the card has no audit; name one by --audit"]
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "config.json", "model.safetensors.index.json", "model.pt", "model.json",
        "run.json", "weights.safetensors", "history.csv", "valid_predictions.csv",
    }  # fmt: skip
    again = toolkit.predict(folder, run.parents[1] / "test")
    expected = toolkit.predict(run, run.parents[1] / "test")
    assert again.predicted == expected.predicted
    assert np.array_equal(again.scores, expected.scores)
    config = json.loads((folder / "config.json").read_text())
    decided = runs.read_run(run).decisions
    assert (config["temperature"], config["positive"]) == (decided.temperature, "b")
    assert config["threshold"] == decided.calibrated_threshold
    card = (folder / "README.md").read_text()
    assert runs.read_run(run).manifest in card
    assert "On 9 test images, held out" in card
    assert str(run.parents[1]) not in card
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"].values()) == {"weights.safetensors"}
    assert "fc.weight" in index["weight_map"]


def test_other_decisions_are_in_the_command_and_need_another_export(run, tmp_path):
    with pytest.raises(InputError, match=r"run-onnx/model\.json: .* other decisions.*export"):
        push(run, output=tmp_path / "card", threshold="0.9")
    assert not (tmp_path / "card").exists()
    elsewhere = shutil.copytree(run, tmp_path / "elsewhere")  # where nothing is found by itself
    said = []
    push(elsewhere, output=tmp_path / "card", threshold=0.9, fetch=FETCH, say=said.append)
    assert len(said) == 2
    card = (tmp_path / "card" / "README.md").read_text()
    assert "toolkit predict FOLDER photos --positive b --threshold 0.9" in card
    assert "(as given;" in card
    assert "- The images: MIT" in card
    assert "commit 7e500749401bad4bb338790fbdb89b58e41ef2d9" in card
    assert "not evaluated" in card


FETCH = {"source": "facemask"}


def test_an_evaluation_of_another_network_is_refused(run, tmp_path):
    folder = shutil.copytree(run.parents[1] / "reports" / "runs" / "run", tmp_path / "other")
    metrics = json.loads((folder / "metrics.json").read_text())
    del metrics["sha256"], metrics["tables"]
    (folder / "metrics.json").write_text(json.dumps(metrics))
    valid = (folder / "valid_predictions.csv").read_text().splitlines(keepends=True)
    (folder / "valid_predictions.csv").write_text("".join(valid[:-1]))
    with pytest.raises(InputError, match=r"not an evaluation of this run; evaluate .*run again"):
        push(run, output=tmp_path / "x", evaluation=folder)
    with pytest.raises(InputError, match=r"nowhere: no such folder.*name one that"):
        push(run, output=tmp_path / "x", evaluation=tmp_path / "nowhere")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "nowhere to write to: give hf://owner/name, or a folder by --output"),
        ({"address": "hf://datasets/me/masks"}, "must be hf://owner/name, the address of a model"),
        ({"address": "me/masks"}, "me/masks: must be hf://owner/name"),
        ({"output": "x", "license": "My License"}, "--license must be an identifier of the hub"),
    ],
)
def test_what_cannot_be_pushed_is_refused_before_the_work(run, options, message):
    with pytest.raises(InputError, match=message):
        push(run, **options)


def test_without_the_extra_it_says_the_line_to_type(run, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'imbalanced-images\[huggingface\]'"):
        push(run, "hf://me/masks")


# --- a hub on this machine --------------------------------------------------------------------


THERE = ("model.onnx", "LICENSE")
"""What the repository holds before."""


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's protocol as an upload of small files takes."""

    server: Any

    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers["Authorization"], data))
        if self.server.refuses:
            self.answer(self.server.refuses, {"error": "no"})
        elif "/preupload/" in self.path:
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(data)["files"]
            ]
            self.answer(200, {"files": files})
        else:
            url = f"http://{self.headers['Host']}/me/masks"
            self.answer(200, {"url": url, "commitUrl": f"{url}/commit/0", "commitOid": "0" * 40})

    def do_GET(self):
        if self.server.refuses:
            return self.answer(self.server.refuses, {"error": "no"})
        listed = [{"type": "file", "path": of, "size": 1, "oid": "1"} for of in THERE]
        return self.answer(200, listed if "/tree/" in self.path else {})

    def answer(self, code, content):
        data = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch):
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY", True)
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.asked, server.refuses = [], 0
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_TOKEN", SECRET)
    yield server
    server.shutdown()
    server.server_close()


def test_a_run_is_uploaded_in_one_commit_for_its_owner_alone(run, hub):
    done = CliRunner().invoke(app, ["push", str(run), "hf://me/masks", "--license", "mit"])
    assert done.exit_code == 0, done.exception
    assert done.stdout.strip().endswith("/me/masks")
    made, commit = hub.asked[0], hub.asked[-1]
    assert json.loads(made[2])["visibility"] == "private"
    lines = [json.loads(line) for line in commit[2].splitlines()]
    files = {of["value"]["path"]: of["value"] for of in lines if of["key"] == "file"}
    assert {"README.md", "config.json", "weights.safetensors", "run.json"} <= set(files)
    card = base64.b64decode(files["README.md"]["content"]).decode()
    assert "license: mit" in card
    assert "hf download me/masks --local-dir masks" in card
    assert [of["value"]["path"] for of in lines if of["key"] == "deletedFile"] == ["model.onnx"]
    assert {token for _, token, _ in hub.asked} == {f"Bearer {SECRET}"}
    assert SECRET.encode() not in b"".join(base64.b64decode(of["content"]) for of in files.values())
    assert SECRET not in done.output


def test_what_the_hub_refuses_is_one_message_without_the_token(run, hub):
    hub.refuses = 403
    with pytest.raises(InputError, match=r"hf://me/masks: cannot be uploaded .*403.*hf auth login"):
        push(run, "hf://me/masks")
    with pytest.raises(InputError) as refused:
        push(run, "hf://me/masks", public=True)
    assert json.loads(hub.asked[-1][2])["visibility"] == "public"
    assert SECRET not in str(refused.value)
