"""Tiny folders of random images."""

import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from toolkit.io import images

# Tests run in parallel, so threads that wait for work must sleep, not spin.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a script
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What a forked worker runs is not counted: so it is not traced, which takes twice the time.
os.register_at_fork(after_in_child=lambda: sys.settrace(None))

UNCOUNTED = ("hypothesis", "pipeline")


@pytest.hookimpl(trylast=True)  # Hypothesis marks its tests first
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes begin; tests of many examples or of processes are not traced.

    Until Python 3.12, a traced test takes about twice the time.
    """
    long = {item.path for item in items if item.get_closest_marker("pipeline")}
    items.sort(key=lambda item: (item.path not in long, "training" not in item.path.parts))
    for item in items:
        if any(map(item.get_closest_marker, UNCOUNTED)):
            item.add_marker("no_cover")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Tests and modules stay: to look for garbage among them takes a fifth of the time."""
    gc.collect()
    gc.freeze()


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _signals_stay_as_they_are() -> Iterator[None]:
    """Or processes that later tests start ignore what is to stop them."""
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == before


hypothesis.settings.register_profile(
    "toolkit",
    deadline=None,  # a busy machine is no failure
    max_examples=50,  # of new ones in each run
)
hypothesis.settings.load_profile("toolkit")


def noise(rng: np.random.Generator, size: int = 32) -> images.Pixels:
    """Return a smooth random image: 4 x 4 colors, enlarged."""
    coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return images.resize(coarse, size)


def fill(folder: Path, counts: dict[str, int], *, size: int = 32, seed: int = 0) -> Path:
    """Write `counts[name]` images to each folder `name`, a class or split/class."""
    rng = np.random.default_rng(seed)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            (folder / name / f"{number:03d}.png").write_bytes(images.encode_png(noise(rng, size)))
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three classes of 12, 8 and 6 images of 32 px."""
    return fill(tmp_path / "photos", {"a": 12, "b": 8, "c": 6})
