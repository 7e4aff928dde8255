"""Commits taken from repositories on disk and over HTTP and git's own protocol on this machine."""

import functools
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.helpers.waiting import TIMEOUT
from toolkit.datasets import git
from toolkit.errors import InputError

EXEC = Path(
    subprocess.run(
        ["git", "--exec-path"], capture_output=True, text=True, timeout=TIMEOUT
    ).stdout.strip()
)
NAMES = ("a/1.png", "b/odd ün'\"\\i\n.png", "b/deep/er/2.txt")
LARGE = os.urandom(200_000)


def run(folder, *arguments):
    """A git command as a person would give it."""
    author = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", folder, *author, *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    return done.stdout.strip()


def contents(version):
    return {name: f"{version} $Id$ {name}\n".encode() for name in NAMES}


@pytest.fixture(scope="module")
def commits(tmp_path_factory):
    """(repository, its first commit, its last); attributes in it would change bytes if obeyed."""
    root = tmp_path_factory.mktemp("source") / "photos"
    root.mkdir()
    run(root, "init", "--quiet", "--initial-branch=main")
    (root / ".gitattributes").write_text("* ident\n*.txt text eol=crlf\ndata/a/* export-ignore\n")
    (root / "large.bin").write_bytes(LARGE)
    commits = []
    for version in ("old", "new"):
        for name, data in (contents(version) | {".hidden/x.png": b"no"}).items():
            (root / "data" / name).parent.mkdir(parents=True, exist_ok=True)
            (root / "data" / name).write_bytes(data)
        run(root, "add", "--all")
        run(root, "commit", "--quiet", "--message", version)
        commits.append(run(root, "rev-parse", "HEAD"))
    return root, *commits


@pytest.fixture(params=[True, False], ids=["filters", "plain"])
def repository(request, commits, tmp_path):
    """A bare copy of the repository, whose server may or may not leave files out."""
    copy = tmp_path / "served" / "photos.git"
    copy.parent.mkdir()
    run(tmp_path, "clone", "--quiet", "--bare", commits[0], copy)
    for name in ("allowFilter", "allowAnySHA1InWant"):
        run(copy, "config", f"uploadpack.{name}", str(request.param).lower())
    return copy


def bridge(root, version):
    """A request handler that hands over to `git http-backend`, as a web server does."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            path, _, query = self.path.partition("?")
            length = int(self.headers.get("Content-Length", 0))
            environment = os.environ | {
                "GIT_PROJECT_ROOT": str(root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(length),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", "") if version == 2 else "",
            }
            done = subprocess.run(
                [EXEC / "git-http-backend"],
                env=environment,
                input=self.rfile.read(length),
                capture_output=True,
                timeout=TIMEOUT,
            )
            head, _, body = done.stdout.partition(b"\r\n\r\n")
            lines = [line.split(": ", 1) for line in head.decode().split("\r\n")]
            code = next((value for name, value in lines if name == "Status"), "200 OK")
            self.send_response(int(code.split()[0]))
            for name, value in lines:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            self.do_POST()

        def log_message(self, *arguments):
            pass

    return Handler


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Serve the bare repositories over a protocol; returns the URL and how to stop."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    stops = []

    def start(protocol):
        root = tmp_path / "served"
        if protocol in ("path", "file"):
            url = str(root / "photos.git") if protocol == "path" else (root / "photos.git").as_uri()
            return url, lambda: root.rename(tmp_path / "gone")
        url, stop = (_daemon if protocol == "git" else _http)(root, protocol)
        stops.append(stop)
        return f"{url}/photos.git", stop

    yield start
    for stop in stops:
        stop()


def _http(root, protocol):
    if not (EXEC / "git-http-backend").exists():
        pytest.skip("this git has no http-backend")
    server = ThreadingHTTPServer(("127.0.0.1", 0), bridge(root, int(protocol[-1])))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def stop():
        if server.socket.fileno() >= 0:
            server.shutdown()
            server.server_close()

    return f"http://127.0.0.1:{server.server_port}", stop


def _daemon(root, _protocol):
    if not (EXEC / "git-daemon").exists():
        pytest.skip("this git has no daemon")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["git", "daemon", "--export-all", "--listen=127.0.0.1", f"--port={port}"]
    process = subprocess.Popen(
        [*command, f"--base-path={root}", root],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.02)

    def stop():
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=TIMEOUT)

    return f"git://127.0.0.1:{port}", stop


def fetch_files(url, commit, work, folder="data"):
    return {str(path): data for path, data in git.fetch_tree(str(url), commit, folder, work)}


@pytest.mark.parametrize("protocol", ["path", "file", "http v2", "http v0", "git"])
def test_any_commit_over_any_protocol_and_once_only(protocol, repository, commits, serve, tmp_path):
    """An old commit, whatever the server allows; bytes as committed; then without the server."""
    url, stop = serve(protocol)
    assert fetch_files(url, commits[1], tmp_path / "work") == contents("old")
    stop()
    assert fetch_files(url, commits[1], tmp_path / "work") == contents("old")
    with pytest.raises(InputError, match="cannot be reached, or is not a git repository"):
        fetch_files(url, commits[2], tmp_path / "work")


def kept(work):
    """The one repository kept, locks aside."""
    (folder,) = [p for p in (work / "git").iterdir() if p.is_dir()]
    return folder


def test_only_the_folder_of_the_commit_is_fetched(repository, commits, serve, tmp_path, request):
    """A server that can filter does not send the large file; no server sends the other commit."""
    url, _ = serve("http v2")
    assert fetch_files(url, commits[2], tmp_path) == contents("new")
    size = sum(path.stat().st_size for path in kept(tmp_path).rglob("*") if path.is_file())
    assert url not in (kept(tmp_path) / "config").read_text()  # it may hold a password
    assert (size < len(LARGE)) == ("filters" in request.node.name)
    assert run(kept(tmp_path), "rev-list", "--count", commits[2]) == "1"


def test_a_server_that_filters_but_hands_out_no_single_files(repository, commits, serve, tmp_path):
    """Then the whole is fetched."""
    run(repository, "config", "uploadpack.allowAnySHA1InWant", "false")
    url, _ = serve("http v0")
    assert fetch_files(url, commits[2], tmp_path) == contents("new")


def test_a_server_of_plain_files(repository, commits, tmp_path, monkeypatch):
    """The "dumb" protocol knows neither depth nor filters."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    run(repository, "update-server-info")
    handler = functools.partial(QuietFiles, directory=repository)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/"
        assert fetch_files(url, commits[1], tmp_path / "work") == contents("old")
    finally:
        server.shutdown()
        server.server_close()


class QuietFiles(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def test_the_whole_commit_without_hidden_files(repository, commits, tmp_path):
    contained = fetch_files(repository, commits[2], tmp_path, folder="")
    below = {f"data/{name}": data for name, data in contents("new").items()}
    assert contained == below | {"large.bin": LARGE}


@pytest.mark.parametrize("protocol", ["http v2", "http v0", "path"])
def test_an_unknown_commit(protocol, repository, serve, tmp_path):
    url, _ = serve(protocol)
    with pytest.raises(InputError, match=f"photos.git: has no commit {'1' * 40}; check"):
        fetch_files(url, "1" * 40, tmp_path)
    assert not any(path.is_dir() for path in (tmp_path / "git").iterdir())


def test_the_id_of_a_tree_is_no_commit(repository, tmp_path):
    tree = run(repository, "rev-parse", "HEAD^{tree}")
    with pytest.raises(InputError, match=r"has no commit|cannot fetch commit"):
        fetch_files(repository, tree, tmp_path)


@pytest.mark.parametrize("folder", ["dataset", "data/a/1.png", "data\nx"])
def test_a_missing_folder_is_told_with_those_that_are_there(folder, repository, commits, tmp_path):
    with pytest.raises(InputError, match=r"has no folder .*; its folders are data$"):
        fetch_files(repository, commits[2], tmp_path, folder)
    with pytest.raises(InputError, match=r"fetch.folder: .* leads out"):
        fetch_files(repository, commits[2], tmp_path, "../data")


def test_what_is_no_repository(commits, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(InputError, match=r"missing: cannot be reached, or is not a git repository"):
        fetch_files(tmp_path / "missing", commits[2], tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(InputError, match=r"http://127.0.0.1:.*onnect.*check fetch.url") as caught:
        fetch_files(f"http://me:secret@127.0.0.1:{port}/x", commits[2], tmp_path)
    assert "secret" not in str(caught.value)


def test_a_server_that_never_answers_is_left(commits, tmp_path, monkeypatch):
    monkeypatch.setattr(git, "DEADLINE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"git://127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(InputError, match=r"/x: git took longer than 0.5 seconds"):
            fetch_files(url, commits[2], tmp_path)


def test_without_git(commits, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="git: not found on this machine; install it"):
        fetch_files(commits[0], commits[2], tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack=touch x",
        "ext::sh -c touch% x",
        "::x",
        "ftp://h/x",
        "ssh://-oProxyCommand=x/y",
        "ssh://u@-oProxyCommand=x/y",
        "u@-oProxyCommand=x:y",
    ],
)
def test_addresses_that_run_something_are_refused(url, tmp_path):
    with pytest.raises(InputError, match=r"fetch.url must be"):
        fetch_files(url, "1" * 40, tmp_path)
    assert not (tmp_path / "git").exists()


def test_addresses_that_are_accepted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for url in ("https://h/x", "ssh://git@h/x", "git@h:x/y.git", "git://h/x", "file:///x"):
        assert git.resolve_url(url) == url
    assert git.resolve_url("x/y") == str(tmp_path / "x" / "y")


def test_settings_of_the_user_do_not_matter(repository, commits, tmp_path, monkeypatch):
    """A rewritten URL, a folder of hooks, and variables that a git hook would have set."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "reference-transaction"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
        (hooks / name).chmod(0o755)
    (tmp_path / ".gitconfig").write_text(
        f'[url "https://host.invalid/"]\ninsteadOf = {tmp_path}\n[core]\nhooksPath = {hooks}\n'
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    assert fetch_files(repository, commits[2], tmp_path / "work") == contents("new")
    assert not (tmp_path / "ran").exists()


def test_links_are_files_with_their_target_and_submodules_nothing(tmp_path):
    root = tmp_path / "links"
    root.mkdir()
    run(root, "init", "--quiet")
    (root / "a").mkdir()
    (root / "a" / "link.png").symlink_to("/etc/passwd")
    run(root, "add", "--all")
    run(root, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},a/module")
    run(root, "commit", "--quiet", "--message", "links")
    contained = fetch_files(root, run(root, "rev-parse", "HEAD"), tmp_path, "")
    assert contained == {"a/link.png": b"/etc/passwd"}


def test_a_damaged_copy_is_noticed(repository, commits, tmp_path):
    """One object replaced by another: git itself reads it without complaint."""
    fetch_files(repository, commits[2], tmp_path)
    folder = kept(tmp_path)
    for pack in list((folder / "objects" / "pack").glob("*.pack")):
        moved = pack.rename(tmp_path / pack.name)
        pack.with_suffix(".idx").unlink()
        with moved.open("rb") as stream:
            subprocess.run(
                ["git", "-C", folder, "unpack-objects", "-q"],
                stdin=stream,
                check=True,
                timeout=TIMEOUT,
            )
    first, second = (
        hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        for data in list(contents("new").values())[:2]
    )
    loose = [folder / "objects" / name[:2] / name[2:] for name in (first, second)]
    loose[0].chmod(0o644)
    shutil.copy(loose[1], loose[0])
    with pytest.raises(InputError, match="damaged; remove it and fetch again"):
        fetch_files(repository, commits[2], tmp_path)
    loose[0].unlink()  # what is gone is fetched again, where the server is there
    assert fetch_files(repository, commits[2], tmp_path) == contents("new")
    loose[1].unlink()
    repository.rename(tmp_path / "gone")
    with pytest.raises(InputError, match="damaged; remove it and fetch again"):
        fetch_files(repository, commits[2], tmp_path)
