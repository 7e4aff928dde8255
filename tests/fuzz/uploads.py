"""Hostile uploads to a running `toolkit serve`, and what it answers."""

import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.random import default_rng

from tests.fuzz import mutants
from tests.helpers.arms import trained
from tests.helpers.naughty import TEXTS
from tests.helpers.waiting import TIMEOUT
from toolkit.io import images

CLIENTS, PATIENCE = 4, 60.0
"""That send side by side; seconds until a request without an answer hangs."""
REFUSALS = (400, 404, 405, 408, 411, 413, 422, 431, 501, 503, 505)
STATUS, NONE = re.compile(rb"(?:HTTP/1\.1 100 .*\r\n\r\n)?HTTP/1\.1 ((?!100)\d{3}) "), "no answer"
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/")


@contextmanager
def serving_process(run: Path, errors: Path) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Serve a run on a free port; yield that and the process, whose stderr goes to a file."""
    command = [sys.executable, "-m", "toolkit", "serve", str(run), "--port", "0"]
    command += ["--images", str(run.parent / "plain")]
    with subprocess.Popen(command, cwd=run.parent, stderr=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(20 * TIMEOUT, process.kill)
        watchdog.start()
        found = (ADDRESS.search(line) for line in process.stderr or ())
        port = int(next(filter(None, found))[1])
        drain = threading.Thread(target=lambda: errors.write_text(process.stderr.read()))
        drain.start()
        try:
            yield port, process
        finally:
            process.terminate()
            process.wait(TIMEOUT)
            drain.join(TIMEOUT)
            watchdog.cancel()


def children(pid: int) -> list[str]:
    """Return the processes that a process has started and not ended."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [child for of_thread in lists for child in of_thread.read_text().split()]


def post(body: bytes, *, path: str = "/predict", length: object = None, extra: str = "") -> bytes:
    """Return the bytes of a request, of which nothing need be right."""
    length = len(body) if length is None else length
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{extra}"
    return f"{head}Content-Length: {length}\r\n\r\n".encode("latin-1", "replace") + body


def chunked(*lines: bytes) -> bytes:
    """Return a request whose body is sent in these chunks, as they are."""
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(lines)


@dataclass(frozen=True)
class Upload:
    """The bytes of a request; with `breaks_off` the client hangs up instead of waiting."""

    data: bytes
    breaks_off: bool = False


def broken(rng: np.random.Generator, good: bytes) -> Upload:
    """Draw a request that breaks a rule of HTTP, asks for what there is not, or breaks off."""
    text = TEXTS[int(rng.integers(len(TEXTS)))]
    many = int(rng.integers(1, 2000))
    whole = (
        lambda: post(good, length=-many),
        lambda: post(good, length=text),
        lambda: post(good, length=10 ** int(rng.integers(8, 400))),
        lambda: post(good, extra=f"Content-Length: {many}\r\n"),
        lambda: post(good, extra="Content-Encoding: gzip\r\n"),
        lambda: post(good, extra=f"X-{many}: {text * many}\r\n"),
        lambda: post(good, extra=f"Host: {text}\r\n"),
        lambda: post(good, extra="Expect: 100-continue\r\nUpgrade: websocket\r\n"),
        lambda: post(good, path=f"/predict?heatmap={text}&nearest={text}"),
        lambda: post(good, path=f"/predict/../{text}"),
        lambda: post(good, path=f"/{'../' * (many % 9)}etc/passwd"),
        lambda: post(good).replace(b"POST", text.encode(), 1),
        lambda: post(good).replace(b"localhost", b"evil.example"),
        lambda: chunked(b"%x\r\n" % len(good), good, b"\r\n0\r\n\r\n"),
        lambda: chunked(text.encode(), b"\r\n", good),
        lambda: chunked(b"1400000\r\n", bytes(0x1400000), b"\r\n0\r\n\r\n"),
    )
    cut = (
        lambda: post(good)[: -int(rng.integers(1, len(good)))],
        lambda: post(good)[: int(rng.integers(0, 90))],
        lambda: chunked(b"ffffffffffffffff\r\n", good),
        lambda: chunked(b"%x\r\n" % (len(good) + many), good),
        lambda: rng.bytes(many),
        lambda: b"",
        lambda: post(good),  # nobody waits for the answer
    )
    kind = int(rng.integers(len(whole) + len(cut)))
    return Upload((*whole, *cut)[kind](), kind >= len(whole))


def send(port: int, upload: Upload) -> tuple[str, float]:
    """Return the status of the answer, "no answer" where the connection ends, and seconds."""
    start, answer = time.monotonic(), b""
    try:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
            with suppress(BrokenPipeError, ConnectionResetError):  # answered before all is sent
                connection.sendall(upload.data)
                if upload.breaks_off:
                    connection.shutdown(socket.SHUT_WR)
            while not STATUS.match(answer) and (part := connection.recv(4096)):
                answer += part
    except (BrokenPipeError, ConnectionResetError):
        pass
    except OSError as error:  # a hang, or nobody listens
        return type(error).__name__, time.monotonic() - start
    found = STATUS.match(answer)
    return found[1].decode() if found else NONE, time.monotonic() - start


def measure(root: Path, count: int) -> Iterator[list[object]]:
    """Send `count` hostile uploads to a server; yield rows of the table, the last of it as a whole.

    The server has to answer a good photo afterwards as it did before, without a traceback, without
    processes left over.
    """
    kind = mutants.kinds(root / "kinds")["image"]
    run, errors = trained(root / "served"), root / "errors"
    good = images.encode_png(images.to_pixels(mutants.picture(default_rng(0))))
    damaged = count * 7 // 10
    sent = {
        "damaged images": [Upload(post(mutants.mutant(kind, n))) for n in range(damaged)],
        "broken requests": [broken(default_rng([7, n]), good) for n in range(damaged, count)],
    }
    with serving_process(run, errors) as (port, process):
        before = send(port, Upload(post(good)))[0]
        for name, uploads in sent.items():
            with ThreadPoolExecutor(CLIENTS) as pool:
                answers = list(pool.map(partial(send, port), uploads))
            counts = Counter(status for status, _ in answers)
            refused = sum(counts[str(code)] for code in REFUSALS)
            known = counts["200"] + refused + counts[NONE]
            slowest = max(seconds for _, seconds in answers)
            row = [name, len(answers), counts["200"], refused, counts[NONE]]
            yield [*row, f"{slowest:.2f}", len(answers) - known]
        after, left = send(port, Upload(post(good)))[0], children(process.pid)
    wrong = [after != before, left != [], "Traceback" in errors.read_text()]
    yield ["the server afterwards", "", "", "", "", "", sum(wrong)]
