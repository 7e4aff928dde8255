"""IMAGES may be a folder, an archive, its address, or a data set of a hub."""

import functools
import hashlib
import json
import shutil
import sys
import threading
import types
import zipfile
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath

import pytest

from tests.conftest import fill
from toolkit.datasets import hubs, local, params
from toolkit.datasets.local import lone_wrapper, open_images
from toolkit.datasets.sources import fetch_source
from toolkit.errors import InputError

COUNTS = {"a": 3, "b": 2}


def packed(folder: Path, form: str, wrapper: str) -> Path:
    fill(folder / "tree" / wrapper, COUNTS, size=8)
    (folder / "tree" / ".hidden").touch()
    return Path(shutil.make_archive(str(folder / "my photos"), form, folder / "tree"))


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))


EXPECTED = [f"{name}/{k:03d}.png" for name, count in COUNTS.items() for k in range(count)]


@pytest.fixture
def serve():
    """Start a server on this machine; returns its address."""
    servers = []

    def start(handler) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("form", ["zip", "tar", "gztar"])
@pytest.mark.parametrize("wrapper", ["", "archive (3)/Plant Leaves"])
def test_an_archive_is_unpacked_once_below_its_wrappers(tmp_path, form, wrapper):
    archive = packed(tmp_path, form, wrapper)
    said = list[str]()
    opened = open_images(archive, tmp_path / "work", say=said.append)
    assert names(opened.folder) == EXPECTED
    assert opened.folder.name == "my photos"
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert opened.source == params.Archive(
        source="archive", location=str(archive), sha256=digest, folder=wrapper
    )
    assert said == [f"{archive}: 5 files, sha256 {digest}, unpacked in {opened.folder}"]
    (opened.folder / "kept").touch()
    assert (open_images(str(archive), tmp_path / "work").folder / "kept").exists()
    fetched = fetch_source(opened.source, tmp_path / "raw", tmp_path / "work")
    assert fetched.counts() == COUNTS


def test_a_folder_stays_where_it_is_and_nothing_is_said(tmp_path):
    said = list[str]()
    opened = open_images(tmp_path, tmp_path / "work", say=said.append)
    assert (opened.folder, said) == (tmp_path, [])
    assert not list(tmp_path.iterdir())


def test_an_address_is_downloaded_and_its_hash_said(tmp_path, serve):
    packed(tmp_path, "zip", "top")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=tmp_path)
    address = f"{serve(handler)}/my%20photos.zip"
    said = list[str]()
    work = tmp_path / "work"
    opened = open_images(Path(address), work, say=said.append)  # a Path has one slash less
    assert names(opened.folder) == EXPECTED
    assert opened.source.location == address
    digest = opened.source.sha256
    assert f"my%20photos.zip: 5 files, sha256 {digest}, downloaded to " in said[0]
    assert (work / "downloads" / digest).is_file()  # where `fetch` finds it
    with pytest.raises(InputError, match=r"none\.zip: HTTP status 404"):
        open_images(f"{address.rpartition('/')[0]}/none.zip", tmp_path / "work")


def test_an_archive_from_the_network_needs_its_hash_and_one_from_here_does_not():
    params.Archive(source="archive", location="x.zip")
    with pytest.raises(ValueError, match="toolkit init --images ADDRESS` writes it"):
        params.Archive(source="archive", location="https://host.invalid/x.zip")


@pytest.mark.parametrize(
    ("files", "wrapper"),
    [
        (["a/1", "b/1"], ""),
        (["w/a/1", "w/b/1"], "w"),
        (["w/v/a/1", "w/v/b/1"], "w/v"),
        (["w/labels.csv", "w/images/1"], "w"),
        (["w/a/1", "labels.csv"], ""),
        (["a/1", "a/2"], ""),
        (["w/a/1", "w/a/2"], "w"),
        (["1.png"], ""),
        ([], ""),
    ],
)
def test_lone_wrappers(files, wrapper):
    assert lone_wrapper([PurePosixPath(name) for name in files]) == wrapper


BAD = {
    "ftp://host.invalid/x.zip": "must be a folder, a zip or tar",
    "hf://models/x": "must be a folder, a zip or tar",
    "kaggle://owner": "must be a folder, a zip or tar",
}


@pytest.mark.parametrize("text", BAD)
def test_other_addresses_are_refused_with_those_that_are_known(tmp_path, text):
    with pytest.raises(InputError, match=BAD[text]):
        open_images(text, tmp_path / "work")


def test_what_is_no_archive_is_told_by_its_content_and_leaves_nothing(tmp_path):
    (tmp_path / "x.zip").write_text("<html>")
    with pytest.raises(InputError, match=r"x\.zip: neither zip nor tar \(a web page\)"):
        open_images(tmp_path / "x.zip", tmp_path / "work")
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("a/1.png", "x")
        archive.writestr("../out", "x")
    with pytest.raises(InputError, match=r"leads out"):
        open_images(tmp_path / "bad.zip", tmp_path / "work")
    assert not list((tmp_path / "work").glob("unpacked/*/*"))


def test_an_archive_that_does_not_fit_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    archive = packed(tmp_path, "zip", "")
    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(InputError, match=r"take 0\.0 GB, and 0\.0 GB are free there; make room"):
        open_images(archive, tmp_path / "work")


# --- hubs -------------------------------------------------------------------------------------

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """What huggingface_hub asks of a hub, for one data set in the folder `root`."""

    root = Path()

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].strip("/")
        prefix = f"datasets/me/set/resolve/{COMMIT}/"
        if path.startswith("api/datasets/me/set"):
            files = sorted(p for p in self.root.rglob("*") if p.is_file())
            siblings = [{"rfilename": p.relative_to(self.root).as_posix()} for p in files]
            if "/tree/" in path:
                listed = [
                    {
                        "type": "file",
                        "path": p.relative_to(self.root).as_posix(),
                        "size": p.stat().st_size,
                        "oid": "0" * 40,
                    }
                    for p in files
                ]
                self._send(json.dumps(listed).encode())
                return
            about = {"id": "me/set", "sha": COMMIT, "siblings": siblings, "private": False}
            self._send(json.dumps(about).encode())
        elif path.startswith(prefix):
            self._send((self.root / path.removeprefix(prefix)).read_bytes())
        else:
            self.send_error(404, "no such data set")

    def _send(self, data: bytes):
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)


def test_a_data_set_of_hugging_face_is_pinned_by_its_commit(tmp_path, serve, monkeypatch):
    pytest.importorskip("huggingface_hub", reason="the extra huggingface is not installed")
    fill(tmp_path / "hub" / "data", COUNTS, size=8)
    (tmp_path / "hub" / "README.md").write_text("about")
    address = serve(type("OurHub", (Hub,), {"root": tmp_path / "hub"}))
    monkeypatch.setenv("HF_ENDPOINT", address)
    opened = open_images("hf://datasets/me/set/data", tmp_path / "work")
    assert names(opened.folder) == EXPECTED
    assert opened.source == params.Huggingface(
        source="huggingface", name="me/set", revision=COMMIT, folder="data"
    )
    fetched = fetch_source(opened.source, tmp_path / "raw", tmp_path / "work2")
    assert fetched.counts() == COUNTS
    with pytest.raises(InputError, match=r"hf://datasets/me/other: cannot be downloaded"):
        open_images("hf://datasets/me/other", tmp_path / "work")


def test_what_a_hub_raises_is_told_without_its_number(tmp_path):
    with pytest.raises(
        InputError, match=r"hf://x: cannot be downloaded \(No such file or directory"
    ):
        hubs._asked((tmp_path / "missing").read_bytes, "hf://x", "")


def test_a_data_set_of_tables_is_refused_before_it_is_downloaded(tmp_path, serve, monkeypatch):
    pytest.importorskip("huggingface_hub", reason="the extra huggingface is not installed")
    (tmp_path / "hub" / "data").mkdir(parents=True)
    (tmp_path / "hub" / "data" / "0.parquet").touch()
    monkeypatch.setenv("HF_ENDPOINT", serve(type("OurHub", (Hub,), {"root": tmp_path / "hub"})))
    with pytest.raises(InputError, match=r"no image files, only 1 \.parquet; .*docs/data.md"):
        open_images("hf://datasets/me/set", tmp_path / "work")
    assert not (tmp_path / "work" / "hub").exists()


def test_a_data_set_of_kaggle_is_pinned_by_its_version(tmp_path, monkeypatch):
    """Kaggle's package, as it was recorded: it downloads into .../versions/<number>."""
    asked = []

    def dataset_download(handle: str) -> str:
        asked.append(handle)
        place = tmp_path / "cache" / "versions" / "7"
        fill(place, COUNTS, size=8)
        return str(place)

    fake = types.SimpleNamespace(dataset_download=dataset_download)
    monkeypatch.setitem(sys.modules, "kagglehub", fake)
    monkeypatch.setenv("KAGGLEHUB_CACHE", "")
    opened = open_images("kaggle://me/set", tmp_path / "work")
    assert names(opened.folder) == EXPECTED
    assert opened.source == params.Kaggle(source="kaggle", name="me/set", version=7)
    assert open_images("https://www.kaggle.com/datasets/me/set", tmp_path / "work") == opened
    assert asked[:2] == ["me/set", "me/set/versions/7"]


@pytest.mark.parametrize(
    ("text", "extra"), [("hf://datasets/x", "huggingface"), ("kaggle://a/b", "kaggle")]
)
def test_without_the_extra_one_message_says_what_to_type(tmp_path, monkeypatch, text, extra):
    for package in ("huggingface_hub", "kagglehub"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"pip install 'imbalanced-images\[{extra}\]'$"):
        open_images(text, tmp_path / "work")


def test_a_set_of_archives_is_read_from_them(tmp_path):
    for name in ("train", "test"):
        shutil.make_archive(str(tmp_path / "data" / name), "zip", fill(tmp_path / name, COUNTS))
        shutil.rmtree(tmp_path / name)
    files = {str(path) for path, _ in hubs._read(tmp_path, "", "hf://datasets/x")}
    assert {"data/train/a/000.png", "data/test/b/001.png"} <= files
    files = {str(path) for path, _ in hubs._read(tmp_path, "data/test.zip", "hf://datasets/x")}
    assert files == set(EXPECTED)


def test_a_set_without_images_says_what_it_holds(tmp_path):
    (tmp_path / "train.parquet").touch()
    with pytest.raises(InputError, match=r"holds no image files, only 1 \.parquet; choose"):
        list(hubs._read(tmp_path, "", "hf://datasets/x"))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("hf://datasets/beans", ("beans", None, None)),
        ("hf://datasets/me/set@v1.0/data/train", ("me/set", "v1.0", "data/train")),
        ("hf://datasets/beans@main/data/", ("beans", "main", "data")),
        ("https://huggingface.co/datasets/me/set/tree/main", ("me/set", None, None)),
    ],
)
def test_addresses_of_hugging_face(text, parts):
    match = local.HUGGING_FACE.fullmatch(local._address(text))
    assert (match["name"], match["at"], match["folder"]) == parts


def test_a_folder_of_links_is_copied_with_what_they_lead_to(tmp_path):
    (tmp_path / "blobs").mkdir()
    (tmp_path / "in" / "a").mkdir(parents=True)
    for name in ("1", "2"):
        (tmp_path / "blobs" / name).write_bytes(name.encode())
        (tmp_path / "in" / "a" / name).symlink_to(f"../../blobs/{name}")
    (tmp_path / "in" / "a" / "3").symlink_to("../../none")
    said = list[str]()
    for contents in (b"1", b"changed"):
        (tmp_path / "blobs" / "1").write_bytes(contents)
        opened = local.open_images(
            tmp_path / "in", tmp_path, say=said.append, links=str(tmp_path / "blobs")
        )
        assert (opened.folder / "a" / "1").read_bytes() == contents
        assert not any(path.is_symlink() for path in opened.folder.rglob("*"))
    assert opened.source.follow_links == str(tmp_path / "blobs")
    assert said[0].startswith("1 file is not used, of 3: a symbolic link that leads nowhere (1)")
