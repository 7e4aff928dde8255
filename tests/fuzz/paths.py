"""Hostile paths for the gate `toolkit.io.inside`: nothing outside a folder is read or written."""

import hashlib
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers.naughty import TEXTS
from toolkit.errors import InputError
from toolkit.io import inside, shards

LIMIT = 10_000  # bytes
SECRET = b"secret"
TRAPS = ["..", ".", "", "a", "in", "x.tar", "link", "up", "pipe", "f.png", "\0", "\\", "C:", "~",
         "\ud800", "n" * 300]  # fmt: skip
PATHS = st.lists(st.sampled_from(TRAPS), max_size=6).map("/".join)
WILDER = st.lists(
    st.sampled_from(TRAPS) | st.sampled_from(TEXTS) | st.text(max_size=5), max_size=9
).map("/".join)


def set_traps(top: Path) -> Path:
    """Make a folder full of traps, in a folder with a secret."""
    (top / "secret").write_bytes(SECRET)
    folder = top / "a" / "in"
    (folder / "a" / "in").mkdir(parents=True)
    for path in ("f.png", "a/f.png", "a/in/f.png"):
        (folder / path).write_bytes(b"inside")
    (folder / "link").symlink_to(top / "secret")
    (folder / "up").symlink_to("..")
    (folder / "a" / "up").symlink_to(top)
    (folder / "round").symlink_to("round")
    os.mkfifo(folder / "pipe")
    with shards.shard_writer(folder / "x.tar") as add:
        add("f.png", b"inside")
    (folder / "y.tar").symlink_to("x.tar")
    (folder / "z.tar").mkdir()
    (folder / "z.tar" / "f.png").write_bytes(b"inside")
    return folder


def check_reading(folder: Path, text: str) -> None:
    """Read below the folder."""
    archive = (folder / "x.tar").read_bytes()
    assert inside.read_inside(folder, text, LIMIT) in (b"inside", archive)


def check_linked(folder: Path, text: str) -> None:
    """Follow links that lead below the folder."""
    assert inside.read_linked(folder, text, folder, LIMIT) != SECRET


def check_hashed(folder: Path, text: str) -> None:
    """Read by a hash that is known, wherever it is."""
    digest = hashlib.sha256(SECRET).hexdigest()
    assert inside.read_hashed(folder, text, digest, LIMIT) == SECRET


def check_writing(folder: Path, text: str) -> None:
    """Write below the folder, and see that what lies beside it is as it was."""
    top = folder.parents[1]
    try:
        inside.write_inside(folder, text, b"inside")
        assert (folder / text).read_bytes() == b"inside"
    finally:
        assert {path.name for path in top.iterdir()} == {"secret", "a"}
        assert {path.name for path in folder.parent.iterdir()} == {"in"}
        assert (top / "secret").read_bytes() == SECRET


CHECKS: dict[str, Callable[[Path, str], None]] = {
    "a path that is read": check_reading,
    "a path whose links are followed": check_linked,
    "a path that is read by a hash": check_hashed,
    "a path that is written": check_writing,
}


def measure(root: Path, count: int) -> Iterator[list[object]]:
    """Yield a row for each check: its name, paths tried, taken, refused, and what went wrong."""
    for number, (name, check) in enumerate(CHECKS.items()):
        (root / str(number)).mkdir(parents=True)
        counts = Counter[str]()
        try:
            _attack(partial(check, set_traps(root / str(number))), counts, count)
        except Exception as error:  # noqa: BLE001 - a bug that fuzzing found
            counts["wrong"] += 1
            sys.stderr.write(f"{name}: {type(error).__name__}: {error}\n")
        yield [name, counts.total(), counts["taken"], counts["refused"], counts["wrong"]]


def _attack(check: Callable[[str], None], counts: Counter[str], count: int) -> None:
    def attempt(text: str) -> None:
        try:
            check(text)
            counts["taken"] += 1
        except (InputError, OSError):
            counts["refused"] += 1

    everything = settings(
        max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    everything(given(WILDER)(attempt))()
