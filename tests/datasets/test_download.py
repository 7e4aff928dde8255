"""Downloads from a real server on this machine, well-behaved and not."""

import hashlib
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from toolkit.datasets import download
from toolkit.errors import InputError

DATA = bytes(range(256)) * 400
SUM = hashlib.sha256(DATA).hexdigest()


def whole(request):
    """DATA, from where the Range header says."""
    start = int(request.headers.get("Range", "bytes=0-")[6:-1])
    if start >= len(DATA):
        return request.send_error(416)
    request.send_response(206 if start else 200)
    if start:
        request.send_header("Content-Range", f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")
    return send(request, DATA[start:], len(DATA) - start)


def send(request, body, length):
    if length is not None:
        request.send_header("Content-Length", str(length))
    request.end_headers()
    request.wfile.write(body)


def ok(body, length=None):
    """`body`, said to be `length` bytes long; no Range support."""

    def answer(request):
        request.send_response(200)
        send(request, body, length)

    return answer


def status(code, **headers):
    def answer(request):
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name, value)
        send(request, b"", 0)

    return answer


def stall(request):
    ok(DATA[:1000], len(DATA))(request)
    request.wfile.flush()
    time.sleep(1)


def drip(request):
    ok(b"", len(DATA))(request)
    for byte in DATA[:40]:
        request.wfile.write(bytes([byte]))
        request.wfile.flush()
        time.sleep(0.05)


def drip_headers(request):
    request.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
    for _ in range(40):
        request.wfile.write(b"x")
        request.wfile.flush()
        time.sleep(0.05)


@pytest.fixture
def serve(monkeypatch):
    """Start a server that gives the n-th request the n-th answer; the last one serves for good."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "BACKOFF", (0.01, 0.01))
    servers = []

    def start(*answers):
        seen = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                seen.append((self.path, self.headers))
                answers[min(len(seen), len(answers)) - 1](self)

            def log_message(self, *arguments):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.handle_error = lambda *_: None  # we hang up on some answers
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/images.zip", seen

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def remaining(work):
    """The files that a download left, without its lock."""
    return sorted(p.name for p in (work / "downloads").iterdir() if not p.name.endswith(".lock"))


def test_a_second_run_asks_for_nothing(serve, tmp_path):
    url, seen = serve(whole)
    for _ in range(2):
        assert download.download(url, SUM, tmp_path).read_bytes() == DATA
    assert remaining(tmp_path) == [SUM]
    assert len(seen) == 1


def test_a_cut_download_continues_where_it_stopped(serve, tmp_path):
    url, seen = serve(ok(DATA[:1000], len(DATA)), whole)
    assert download.download(url, SUM, tmp_path).read_bytes() == DATA
    assert [headers["Range"] for _, headers in seen] == [None, "bytes=1000-"]


def test_a_later_run_resumes_too(serve, tmp_path):
    url, seen = serve(ok(DATA[:1000], len(DATA)), status(500), status(500), status(500), whole)
    with pytest.raises(InputError, match=r"HTTP status 500.*run again to resume"):
        download.download(url, SUM, tmp_path)
    assert remaining(tmp_path) == [f"{SUM}.part"]
    assert download.download(url, SUM, tmp_path).read_bytes() == DATA
    assert seen[-1][1]["Range"] == "bytes=1000-"


def test_a_server_without_ranges_is_read_from_the_start(serve, tmp_path):
    url, _ = serve(ok(DATA[:1000], len(DATA)), ok(DATA, len(DATA)))
    assert download.download(url, SUM, tmp_path).read_bytes() == DATA


@pytest.mark.parametrize("old", [b"of another file", bytes(len(DATA)), bytes(len(DATA) + 5)])
def test_a_wrong_beginning_is_discarded(old, serve, tmp_path):
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / f"{SUM}.part").write_bytes(old)
    url, _ = serve(whole)
    assert download.download(url, SUM, tmp_path).read_bytes() == DATA


@pytest.mark.parametrize("name", [SUM, f"{SUM}.part"])
def test_a_complete_file_is_used_and_a_damaged_one_is_not(name, serve, tmp_path):
    url, seen = serve(whole)
    kept = tmp_path / "downloads" / name
    kept.parent.mkdir()
    kept.write_bytes(DATA)
    assert download.download(url, SUM, tmp_path).read_bytes() == DATA
    assert not seen
    (tmp_path / "downloads" / SUM).write_bytes(b"x" + DATA[1:])
    assert download.download(url, SUM, tmp_path).read_bytes() == DATA
    assert len(seen) == 1


def test_a_range_that_was_not_requested_is_refused(serve, tmp_path):
    url, _ = serve(
        ok(DATA[:1000], len(DATA)), status(206, **{"Content-Range": "bytes 7-9/10"}), whole
    )
    assert download.download(url, SUM, tmp_path).read_bytes() == DATA


def other_range(request):
    """Half of DATA from its start; of what follows, another range than asked for."""
    asked = request.headers.get("Range")
    request.send_response(206 if asked else 200)
    if asked:
        request.send_header("Content-Range", f"bytes 5-{len(DATA) + 4}/{2 * len(DATA)}")
    send(request, DATA[:1000], len(DATA))


def test_a_server_that_always_sends_another_range_is_left(serve, tmp_path):
    url, seen = serve(other_range)
    with pytest.raises(InputError, match="cannot be downloaded"):
        download.download(url, SUM, tmp_path)
    assert len(seen) <= 2 * (1 + len(download.BACKOFF))


def test_failures_are_counted_over_the_whole_download(serve, tmp_path):
    """Each answer gets one byte further."""

    def byte(request):
        start = int(request.headers.get("Range", "bytes=0-")[6:-1])
        request.send_response(206)
        request.send_header("Content-Range", f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")
        send(request, DATA[start : start + 1], len(DATA) - start)

    url, seen = serve(byte)
    with pytest.raises(InputError, match=r"ended after 30 of 102,400 bytes.*run again to resume"):
        download.download(url, SUM, tmp_path)
    assert len(seen) == download.FAILURES


def test_the_deadline_is_that_of_the_whole_download(serve, tmp_path, monkeypatch):
    """Also if what was there before turns out to be of another file."""
    monkeypatch.setattr(download, "DEADLINE", 1.5)

    def slow(request):
        time.sleep(1)
        whole(request)

    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / f"{SUM}.part").write_bytes(bytes(100))
    url, _ = serve(slow)
    with pytest.raises(InputError, match=r"took longer than 1\.5 seconds"):
        download.download(url, SUM, tmp_path)


def test_a_wrong_sum_names_both_and_leaves_nothing(serve, tmp_path):
    url, _ = serve(whole)
    with pytest.raises(InputError, match=f"images.zip: sha256 must be {'0' * 64}, found {SUM}"):
        download.download(url, "0" * 64, tmp_path)
    assert remaining(tmp_path) == []


def test_a_web_page_is_recognized(serve, tmp_path):
    url, _ = serve(ok(b"\n<!DOCTYPE html><html>Please log in</html>"))
    with pytest.raises(InputError, match="it is a web page, not an archive"):
        download.download(url, SUM, tmp_path)


def test_a_body_without_length_that_ends_early_has_another_sum(serve, tmp_path):
    url, _ = serve(ok(DATA[:1000]))
    with pytest.raises(InputError, match=r"sha256 must be .* \(1,000 bytes\)"):
        download.download(url, SUM, tmp_path)


def test_permanent_statuses_end_at_once_and_transient_ones_are_retried(serve, tmp_path):
    url, seen = serve(status(404))
    with pytest.raises(InputError, match=r"images.zip: HTTP status 404 Not Found; check"):
        download.download(url, SUM, tmp_path)
    assert len(seen) == 1
    url, seen = serve(status(503), whole)
    assert download.download(url, SUM, tmp_path).is_file()
    url, seen = serve(status(500))
    with pytest.raises(InputError, match="HTTP status 500"):
        download.download(url, "0" * 64, tmp_path)
    assert len(seen) == 1 + len(download.BACKOFF)


def test_a_server_that_stalls_or_drips_is_left(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "STALL", 0.3)
    url, _ = serve(stall)
    with pytest.raises(InputError, match=r"no answer for 0.3 seconds"):
        download.download(url, SUM, tmp_path)
    monkeypatch.setattr(download, "DEADLINE", 0.4)
    for dripping in (drip, drip_headers):
        url, _ = serve(dripping)
        with pytest.raises(InputError, match=r"images.zip: took longer than 0.4 seconds"):
            download.download(url, SUM, tmp_path / "other")


@pytest.mark.usefixtures("serve")
def test_a_host_that_cannot_be_reached(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(InputError, match=r"x.zip: cannot be downloaded \(.*refused"):
        download.download(f"http://127.0.0.1:{port}/x.zip", SUM, tmp_path)
    with pytest.raises(InputError, match=r"http://host.invalid/x.zip: cannot be downloaded"):
        download.download("http://host.invalid/x.zip", SUM, tmp_path)
    assert remaining(tmp_path) == []


@pytest.mark.parametrize("url", ["http://[x/a.zip", "http://host:port/a.zip"])
@pytest.mark.usefixtures("serve")
def test_an_address_that_cannot_be_used(url, tmp_path):
    with pytest.raises(InputError, match="not a usable address"):
        download.download(url, SUM, tmp_path)


def test_redirects_are_followed_but_not_to_other_schemes_nor_for_ever(serve, tmp_path):
    target, _ = serve(whole)
    url, _ = serve(status(302, Location=target))
    assert download.download(url, SUM, tmp_path).read_bytes() == DATA
    for location in ("ftp://host/x", "file:///etc/passwd", ""):
        url, _ = serve(status(301, Location=location))
        with pytest.raises(InputError, match=r"redirected to .* only http or https is followed"):
            download.download(url, "0" * 64, tmp_path)
    url, _ = serve(status(307, Location="/again"))
    with pytest.raises(InputError, match="too many redirects"):
        download.download(url, "0" * 64, tmp_path)


def test_redirects_never_leave_https():
    with pytest.raises(InputError, match="only https is followed"):
        download._redirected("https://host/a", "http://host/a")


def test_credentials_are_sent_to_their_host_and_never_shown(serve, tmp_path):
    other, elsewhere = serve(status(403))
    url, seen = serve(status(302, Location=other))
    secret = url.replace("http://", "http://me:p%40ss@") + "?token=hidden"
    with pytest.raises(InputError, match="403") as caught:
        download.download(secret, SUM, tmp_path)
    assert seen[0][1]["Authorization"] == "Basic bWU6cEBzcw=="
    assert elsewhere[0][1]["Authorization"] is None
    assert not any(word in str(caught.value) for word in ("me:", "p%40ss", "hidden"))


def test_odd_letters_in_the_address_are_quoted(serve, tmp_path):
    url, seen = serve(whole)
    download.download(url.replace("images", "my ímages%20"), SUM, tmp_path)
    assert seen[0][0] == "/my%20%C3%ADmages%20.zip"


def test_an_endless_body_is_stopped(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "MAX_BYTES", 50_000)
    url, _ = serve(whole)
    with pytest.raises(InputError, match="larger than"):
        download.download(url, SUM, tmp_path)


def test_progress_is_counted_in_blocks(serve, tmp_path):
    seen = []
    url, _ = serve(whole)

    def track(items, label, total=None):
        seen.append((label, total))
        return items

    download.download(url, SUM, tmp_path, track)
    assert seen == [("download", 1)]
