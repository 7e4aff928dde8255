"""The watchdog, where the kernel has no limits: the same answers, a little later."""

import os
import time

import pytest

from toolkit.io import sandbox
from toolkit.io.sandbox import Stopped
from toolkit.io.system import limits


def spin(n):
    while n == 3:
        pass
    return n


def sleep(n):
    time.sleep(20 if n == 3 else 0)
    return n


def grow(n):
    data = bytearray(400_000_000 if n == 3 else 1)
    time.sleep(20 if n == 3 else 0)
    return n + 0 * len(data)


@pytest.mark.parametrize(
    ("harm", "allowed", "reason"),
    [
        (spin, {"seconds": 0.05}, "it took more than 0.05 seconds"),
        (sleep, {"seconds": 0.01}, "it took more than 0.01 seconds"),
        (grow, {"memory": 100_000_000}, "it took more than 100 MB of memory"),
    ],
)
def test_only_the_item_beyond_its_limits_is_stopped(harm, allowed, reason, monkeypatch):
    monkeypatch.setattr(limits, "KERNEL", False)
    results = list(sandbox.sandboxed_map(harm, range(6), 1, chunksize=2, **allowed))
    assert results == [0, 1, 2, Stopped(reason), 4, 5]


def test_what_is_contained_is_watched_too(monkeypatch):
    monkeypatch.setattr(limits, "KERNEL", False)
    stopped = Stopped("it took more than 0.05 seconds")
    assert sandbox.contain(lambda: spin(3), 0.05, 0) == stopped


def test_an_item_is_counted_from_the_first_look_at_it():
    dog = limits.Watchdog(os.getpid())
    assert dog.look(1, 0, 0) is None
    assert dog.look(1, 1e-9, 0) is None
    assert dog.look(1, 1e-9, 0) == limits.NO_TIME
    assert dog.look(2, 1e-9, 0) is None
