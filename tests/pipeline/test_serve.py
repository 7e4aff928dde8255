"""`toolkit serve` answers as `predict` does, on this machine alone, and bears with any upload."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import toolkit
from tests.conftest import fill
from tests.helpers.arms import trained
from tests.helpers.waiting import TIMEOUT
from tests.integration.test_page import ARGUMENTS, CHROMIUM
from toolkit.errors import InputError
from toolkit.metrics.decisions import Decisions
from toolkit.pipeline import serving
from toolkit.pipeline.steps.serve import serve
from toolkit.training import runs

testclient = pytest.importorskip("starlette.testclient")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def client(run):
    about, network = runs.load_run(run)
    app = serving.build_app(serving.Predictor(about, network, about.decisions), "<p>page</p>")
    return testclient.TestClient(app, base_url="http://127.0.0.1")


@pytest.fixture
def photos(tmp_path):
    return fill(tmp_path / "photos", {"a": 3}, size=40)


def test_many_at_once_get_what_predict_gives(client, run, photos):
    found = toolkit.predict(run, photos)
    paths = sorted((photos / "a").iterdir()) * 4
    with ThreadPoolExecutor(4) as pool:
        answers = [
            *pool.map(lambda path: client.post("/predict", content=path.read_bytes()), paths)
        ]
    given = [answer.json() for answer in answers]
    assert [each["predicted"] for each in given] == [*found.predicted] * 4
    scores = [list(each["probabilities"].values()) for each in given]
    assert np.array(scores) == pytest.approx(np.tile(found.scores, (4, 1)), abs=1e-6)


def test_the_heatmap_comes_if_it_is_asked_for(client, photos):
    data = (photos / "a" / "000.png").read_bytes()
    assert "heatmap" not in client.post("/predict", content=data).json()
    found = client.post("/predict?heatmap=true", content=data).json()
    assert found["heatmap"].startswith("data:image/jpeg;base64,")


def test_without_a_threshold_the_likeliest_class_is_predicted(run, photos):
    about, network = runs.load_run(run)
    found = serving.Predictor(about, network, Decisions()).predict(
        (photos / "a" / "000.png").read_bytes()
    )
    assert found["predicted"] == max(found["probabilities"], key=found["probabilities"].get)


@pytest.mark.parametrize(
    "data", [b"", b"<script>", b"\x89PNG\r\n\x1a\n" + b"\0" * 99, b"\xff\xd8\xff" * 9, b"GIF89a"]
)
def test_what_is_no_image_is_told_why(client, data):
    answer = client.post("/predict", content=data)
    assert answer.status_code == 422
    assert "image" in answer.json()["detail"]


def test_an_upload_that_is_too_large_is_cut_off(client, monkeypatch):
    monkeypatch.setattr(serving, "MAX_BYTES", 1000)
    assert client.post("/predict", content=b"x" * 1001).status_code == 413
    assert client.post("/predict", content=iter([b"x" * 600] * 2)).status_code == 413


def test_a_name_of_a_strangers_server_is_not_answered(client):
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400


def test_openapi_has_examples_and_loads_nothing_from_elsewhere(client):
    described = client.get("/openapi.json").json()["paths"]["/predict"]["post"]
    assert described["responses"]["200"]["content"]["application/json"]["example"]["probabilities"]
    assert "image/*" in described["requestBody"]["content"]
    assert client.get("/docs").status_code == 404


def test_a_port_that_is_taken_is_told(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"127\.0\.0\.1:{port}: cannot listen .* --port 0"):
            serve(run, port=port)


@pytest.fixture(scope="module")
def server(run):
    """A server in a process of its own: its address, and the process."""
    command = [sys.executable, "-m", "toolkit", "serve", str(run), "--port", "0"]
    with subprocess.Popen(command, cwd=run.parent, stderr=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(TIMEOUT, process.kill)
        watchdog.start()
        line = process.stderr.readline()
        yield re.search(r"http://127\.0\.0\.1:\d+/", line)[0], process
        process.kill()
        watchdog.cancel()


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome on the PATH")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_person_drops_photos_in_a_browser(server, photos, scheme):
    playwright = pytest.importorskip("playwright.sync_api")
    (photos / "a" / "bad<b>.png").write_bytes(b"<html>")
    heard = []
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = chromium.new_page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda request: heard.append(request.url))
        page.goto(server[0])
        page.set_input_files("#photos", sorted((photos / "a").iterdir()))
        page.get_by_text("4 of 4 done").wait_for()
        assert page.locator("#answers img").count() == 3
        assert "not an image" in page.locator("#answers li", has_text="bad<b>").inner_text()
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
        chromium.close()
    assert all(url.startswith((server[0], "data:")) for url in heard)


def test_ctrl_c_ends_it_cleanly(server, photos):
    address, process = server
    data = (photos / "a" / "000.png").read_bytes()
    with urllib.request.urlopen(f"{address}predict", data=data, timeout=TIMEOUT) as answer:
        assert json.load(answer)["predicted"] in ("a", "b")
    process.send_signal(signal.SIGINT)
    said = process.stderr.read()
    assert process.wait(TIMEOUT) == 130
    assert "Traceback" not in said
