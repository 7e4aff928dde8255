"""Load on `toolkit serve`: python benchmarks/serve.py [--requests 100].

A classifier on frozen features is fitted on drawn faces and served in a process of its own. Clients
in this process send photos over connections that they keep, each as soon as its last answer is
there: for the JSON alone, and for all that the page shows (`?heatmap=true&nearest=true`).
"""

import argparse
import http.client
import io
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from toolkit.datasets.faces.draw import LABELS, draw_face

CLIENTS = (1, 4, 16)
PAGE = "?heatmap=true&nearest=true"
CASES = (
    ("640 x 480", (640, 480), "JSON", "", 1.0),
    ("640 x 480", (640, 480), "as the page", PAGE, 1.0),
    ("4,000 x 3,000", (4000, 3000), "JSON", "", 0.2),
)
"""Name and size of the photo, what is asked for, and the part of the requests that are sent."""
COUNTS = {"train": (60, 20), "valid": (20, 10)}
SIZE = 128


def make_run(root: Path) -> Path:
    """Draw faces and fit a classifier on them; return its folder."""
    for split, counts in COUNTS.items():
        for label, count in zip(LABELS, counts, strict=True):
            (root / split / label).mkdir(parents=True)
            for n in range(count):
                face = draw_face(label, n, size=SIZE, seed=len(split))
                Image.fromarray(face).save(root / split / label / f"{n:03d}.png")
    line = "train --arm train --valid valid --recipe recommended --output run --quiet"
    subprocess.run([sys.executable, "-m", "toolkit", *line.split()], cwd=root, check=True)
    return root / "run"


@contextmanager
def served(run: Path) -> Iterator[tuple[int, int]]:
    """Serve a run on a free port; yield that and the process's number."""
    command = [sys.executable, "-m", "toolkit", "serve", str(run), "--port", "0"]
    command += ["--images", str(run.parent / "train")]
    with subprocess.Popen(command, cwd=run.parent, stderr=subprocess.PIPE, text=True) as process:
        found = (re.search(r"http://127\.0\.0\.1:(\d+)/", line) for line in process.stderr or ())
        yield int(next(filter(None, found))[1]), process.pid
        process.terminate()


def processor_time(pid: int) -> float:
    """Return the seconds that a process and those it has ended took."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def photo(size: tuple[int, int]) -> bytes:
    """Return a drawn face as a JPEG of this width and height."""
    face = Image.fromarray(draw_face(LABELS[0], 0, size=480, seed=0))
    stream = io.BytesIO()
    face.resize(size, Image.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def client(port: int, query: str, data: bytes, count: int, _: int) -> list[tuple[float, int]]:
    """Send a photo `count` times; return the seconds and the status of each answer."""
    connection, answers = http.client.HTTPConnection("127.0.0.1", port, timeout=300), []
    for _ in range(count):
        start = time.perf_counter()
        connection.request("POST", f"/predict{query}", data)
        response = connection.getresponse()
        response.read()
        answers.append((time.perf_counter() - start, response.status))
    connection.close()
    return answers


def measure(
    server: tuple[int, int], query: str, data: bytes, clients: int, requests: int
) -> list[str]:
    """Return requests a second, median and 95th percentile of ms, CPU ms a request, refused ones.

    The CPU time is that of the server and its workers, which other processes disturb less.
    """
    port, pid = server
    work = partial(client, port, query, data, max(1, requests // clients))
    start, before = time.perf_counter(), processor_time(pid)
    with ThreadPoolExecutor(clients) as pool:
        answers = [answer for of in pool.map(work, range(clients)) for answer in of]
    wall, spent = time.perf_counter() - start, processor_time(pid) - before
    middle, late = np.percentile([1000 * seconds for seconds, _ in answers], [50, 95])
    refused = sum(status != 200 for _, status in answers)
    rate, cpu = len(answers) / wall, 1000 * spent / len(answers)
    return [f"{rate:.1f}", f"{middle:.0f}", f"{late:.0f}", f"{cpu:.0f}", str(refused)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=100, help="of each line")
    requests = parser.parse_args().requests
    print("| photo | asked for | clients | requests/s | p50, ms | p95, ms | CPU, ms | refused |")
    print("| --- | --- |" + " ---: |" * 6)
    with tempfile.TemporaryDirectory() as folder, served(make_run(Path(folder))) as server:
        for name, size, asked, query, part in CASES:
            data = photo(size)
            measure(server, query, data, 1, 3)  # the first answers take longer
            for clients in CLIENTS:
                row = measure(server, query, data, clients, round(part * requests))
                print("|", " | ".join([name, asked, str(clients), *row]), "|", flush=True)


if __name__ == "__main__":
    main()
