"""`toolkit serve` answers as `predict` does, on this machine alone, and bears with any upload."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import toolkit
from tests.conftest import fill
from tests.fuzz import uploads
from tests.helpers.arms import arm, trained
from tests.helpers.waiting import TIMEOUT
from tests.integration.test_page import ARGUMENTS, CHROMIUM
from toolkit.errors import InputError
from toolkit.io import manifest
from toolkit.metrics.decisions import Decisions
from toolkit.pipeline import nearest, serving
from toolkit.pipeline.use.serve import serve
from toolkit.training import dataset, runs

testclient = pytest.importorskip("starlette.testclient")
HTTPException = pytest.importorskip("fastapi").HTTPException


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def places():
    return threading.Semaphore(4)


@pytest.fixture(scope="module")
def client(run, places):
    about, network = runs.load_run(run)
    trained = nearest.load_photos(about, network, dataset.open_folder(run.parent / "plain"))
    predictor = serving.Predictor(about, network, about.decisions, trained)
    app = serving.build_app(predictor, "<p>page</p>", places=places)
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


def test_the_nearest_training_photos_come_if_they_are_asked_for(client, run):
    """A training photo is the nearest to itself."""
    data = (run.parent / "plain" / "b" / "001.png").read_bytes()
    assert "nearest" not in client.post("/predict", content=data).json()
    found = client.post("/predict?nearest=true", content=data).json()["nearest"]
    assert [found[0][key] for key in ("class", "file", "similarity")] == ["b", "001.png", 1.0]
    assert len(found) == 3
    assert found[1]["similarity"] >= found[2]["similarity"]
    assert found[0]["picture"].startswith("data:image/jpeg;base64,")


def test_without_training_photos_none_are_near(run, photos):
    about, network = runs.load_run(run)
    data = (photos / "a" / "000.png").read_bytes()
    assert (
        serving.Predictor(about, network, Decisions()).predict(data, nearest=True)["nearest"] == []
    )


def test_new_images_are_not_among_the_nearest(run, tmp_path):
    folder = arm(tmp_path / "arm", {"a": 3, "b": 1})
    table = manifest.read_manifest(folder)
    first, *rest = table.samples
    rest[0] = replace(rest[0], parent=first.id, transform="flip")
    about, network = runs.load_run(run)
    opened = dataset.LabeledFolder(folder, replace(table, samples=(first, *rest)))
    found = nearest.load_photos(about, network, opened)
    assert [photo.file for photo in found.photos] == ["000.png", "002.png", "000.png"]


def test_whoever_comes_while_all_places_are_taken_is_told_to_come_back(client, places, photos):
    data = (photos / "a" / "000.png").read_bytes()
    for _ in range(4):
        places.acquire()
    try:
        answer = client.post("/predict", content=data)
    finally:
        places.release(4)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "again" in answer.json()["detail"]
    assert {client.post("/predict", content=data).status_code for _ in range(5)} == {200}


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


def test_a_photo_that_does_not_come_is_not_waited_for(monkeypatch):
    async def stream():
        yield b"x"
        await asyncio.sleep(60)

    monkeypatch.setattr(serving, "MAX_SECONDS", 0.01)
    with pytest.raises(HTTPException, match="did not come within"):
        asyncio.run(serving.read_body({}, stream()))


def test_a_name_of_a_strangers_server_is_not_answered(client):
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400


def test_openapi_has_examples_and_loads_nothing_from_elsewhere(client):
    described = client.get("/openapi.json").json()["paths"]["/predict"]["post"]
    examples = described["responses"]["200"]["content"]["application/json"]["examples"]
    assert all(example["value"]["probabilities"] for example in examples.values())
    assert "image/*" in described["requestBody"]["content"]
    assert client.get("/docs").status_code == 404


def test_a_port_that_is_taken_is_told(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"127\.0\.0\.1:{port}: cannot listen .* --port 0"):
            serve(run, port=port)


@pytest.mark.parametrize(("split", "others"), [("plain", False), ("valid", True)])
def test_an_address_that_others_reach_is_warned_of(run, split, others):
    """And images which the run was not trained on."""
    heard = []
    with socket.create_server(("", 0)) as taken:
        where = {"host": "0.0.0.0", "port": taken.getsockname()[1]}
        with pytest.raises(InputError, match="cannot listen"):
            serve(run, images=run.parent / split, **where, say=heard.append)
    told = "can send photos and sees training photos; there is no password"
    assert heard[0] == f"WARNING: whoever reaches 0.0.0.0 {told}"
    assert any("not the images that the run was trained on" in line for line in heard) == others


def test_training_images_of_other_classes_are_refused(run, tmp_path):
    with pytest.raises(InputError, match="the classes must be those of"):
        serve(run, images=arm(tmp_path / "other", {"c": 1}), port=0)


@pytest.fixture(scope="module")
def server(run):
    """A server in a process of its own: its address, and the process."""
    command = [sys.executable, "-m", "toolkit", "serve", str(run), "--port", "0"]
    command += ["--images", str(run.parent / "plain")]
    with subprocess.Popen(command, cwd=run.parent, stderr=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(TIMEOUT, process.kill)
        watchdog.start()
        found = filter(None, (re.search(r"http://127\.0\.0\.1:\d+/", s) for s in process.stderr))
        yield next(found)[0], process
        process.kill()
        watchdog.cancel()


DROP = """files => {
  const dropped = new DataTransfer();
  for (const [name, data] of files)
    dropped.items.add(new File([Uint8Array.from(data)], name, {type: "image/png"}));
  dropped.items.add(new File([new Uint8Array(20000001)], "huge.png"));
  document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: dropped, bubbles: true}));
}"""
ODD = ("\u202egnp.<b>.png", "a\nb.png", "%00&lt;.png", "\U0001f600" * 60, "..", "a/b\\c.png")


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome on the PATH")
def test_a_person_drops_photos_in_a_browser(server, photos):
    """Chosen or dropped, whatever they are called, on a wide screen and on a dark, narrow one."""
    playwright = pytest.importorskip("playwright.sync_api")
    (photos / "a" / "bad<b>.png").write_bytes(b"<html>")
    data = list((photos / "a" / "000.png").read_bytes())
    heard = []
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for scheme, width in (("light", 1280), ("dark", 390)):
            size = {"width": width, "height": 844}
            page = chromium.new_page(viewport=size, color_scheme=scheme)
            page.on("pageerror", lambda error: heard.append(str(error)))
            page.on("request", lambda request: heard.append(request.url))
            page.goto(server[0])
            page.set_input_files("#photos", sorted((photos / "a").iterdir()))
            page.get_by_text("4 of 4 done").wait_for()
            assert page.locator("#answers > li > img").count() == 3
            assert page.locator("#answers .nearest img").count() == 9
            assert "not an image" in page.locator("#answers > li", has_text="bad<b>").inner_text()
            page.evaluate(DROP, [[name, data] for name in ODD])
            page.get_by_text("11 of 11 done").wait_for()
            assert page.locator("#answers > li > img").count() == 3 + len(ODD)
            assert page.get_by_text(r"\u202egnp.<b>.png", exact=True).count() == 1
            assert "more than 20 MB" in page.locator("#answers > li", has_text="huge").inner_text()
            assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        chromium.close()
    assert all(url.startswith((server[0], "data:")) for url in heard)


def test_hostile_requests_are_answered_or_ended_and_the_next_photo_is_predicted(server, photos):
    """A thousand with `python -m tests.fuzz --part serve`."""
    address, process = server
    data = (photos / "a" / "000.png").read_bytes()
    port = int(address.rstrip("/").rpartition(":")[2])
    hostile = [uploads.broken(np.random.default_rng([1, n]), data) for n in range(60)]
    hostile = [each for each in hostile if len(each.data) < 1_000_000]
    with ThreadPoolExecutor(4) as pool:
        found = {status for status, _ in pool.map(partial(uploads.send, port), hostile)}
    refusals = {str(code) for code in uploads.REFUSALS}
    assert found <= refusals | {"200", uploads.NONE}
    assert found & refusals
    assert process.poll() is None
    assert uploads.send(port, uploads.Upload(uploads.post(data)))[0] == "200"


def test_ctrl_c_ends_it_cleanly(server, photos):
    address, process = server
    data = (photos / "a" / "000.png").read_bytes()
    with urllib.request.urlopen(f"{address}predict", data=data, timeout=TIMEOUT) as answer:
        assert json.load(answer)["predicted"] in ("a", "b")
    process.send_signal(signal.SIGINT)
    said = process.stderr.read()
    assert process.wait(TIMEOUT) == 130
    assert "Traceback" not in said
