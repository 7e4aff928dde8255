"""An item that breaks its process is Stopped, and all other items have their results."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.waiting import TIMEOUT, wait_until
from toolkit.errors import InputError
from toolkit.io import sandbox
from toolkit.io.sandbox import Stopped
from toolkit.io.system import limits

LIMITS = {"seconds": 0.3, "memory": 200_000_000}


def burn(n: int) -> int:
    return 3 ** (10**8 + n)  # one call of C


def spin(n: int) -> None:
    while True:
        n += 1


def sleep(n: int) -> None:
    time.sleep(60)


def grow(n: int) -> int:
    return len(bytearray(300_000_000)) + n


def crash(n: int) -> None:
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)  # pytest prints a page
    os.kill(os.getpid(), signal.SIGSEGV)


def kill(n: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def one_in_ten(harm):
    """Return a function that harms at one number in ten and squares the others."""

    def one(n: int):
        return harm(n) if n % 10 == 3 else n * n

    return one


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (spin, "it took more than 0.3 seconds"),
        (crash, "the process that read it crashed (SIGSEGV)"),
        (kill, "the process that read it was killed, perhaps for lack of memory"),
    ],
)
def test_only_the_item_that_ended_its_process_is_stopped(harm, reason, workers):
    results = list(sandbox.sandboxed_map(one_in_ten(harm), range(40), workers, **LIMITS))
    assert results == [Stopped(reason) if n % 10 == 3 else n * n for n in range(40)]


@pytest.mark.parametrize("size", [4, 16, 99])
def test_a_chunk_loses_only_the_items_that_ended_its_process(size):
    results = list(sandbox.sandboxed_map(one_in_ten(crash), range(40), 2, chunksize=size))
    crashed = Stopped("the process that read it crashed (SIGSEGV)")
    assert results == [crashed if n % 10 == 3 else n * n for n in range(40)]


def spin_contained(n: int):
    return sandbox.contain(lambda: one_in_ten(spin)(n), 0.3, 0)


def test_what_is_contained_ends_its_worker_or_one_of_its_own():
    stopped = Stopped("it took more than 0.3 seconds")
    assert [spin_contained(n) for n in (2, 3)] == [4, stopped]
    mapped = list(sandbox.sandboxed_map(spin_contained, range(6), 2, chunksize=3))
    assert mapped == [0, 1, 4, stopped, 16, 25]


def test_wall_clock_time_is_limited_too_and_a_call_of_c_is_stopped(monkeypatch):
    monkeypatch.setattr(limits, "PATIENCE", 1)
    for harm in (sleep, burn):
        stopped = [Stopped("it took more than 0.3 seconds")]
        assert list(sandbox.sandboxed_map(harm, [0], 1, seconds=0.3, memory=10**9)) == stopped


def test_memory_is_limited():
    stopped = Stopped("it took more than 200 MB of memory")
    assert list(sandbox.sandboxed_map(one_in_ten(grow), range(5), 2, **LIMITS))[3:] == [stopped, 16]
    assert list(sandbox.sandboxed_map(grow, [1], 1, seconds=5, memory=400_000_000)) == [300_000_001]


def test_an_item_whose_worker_was_killed_once_gets_another(tmp_path):
    """The kernel may kill it for the memory that other processes take."""

    def once(n: int) -> int:
        if n == 4 and not (tmp_path / "killed").exists():
            (tmp_path / "killed").touch()
            kill(n)
        return n

    assert list(sandbox.sandboxed_map(once, range(9), 2, **LIMITS)) == list(range(9))


def refuse(n: int) -> int:
    if n == 5:
        raise InputError("five is refused")
    return n


def test_an_exception_is_raised_in_its_place():
    results = sandbox.sandboxed_map(refuse, range(9), 2, **LIMITS)
    assert [next(results) for _ in range(5)] == list(range(5))
    with pytest.raises(InputError, match="five is refused"):
        next(results)


def test_nothing_to_do():
    assert list(sandbox.sandboxed_map(refuse, [], 2, **LIMITS)) == []


def test_workers_end_with_a_killed_parent(tmp_path):
    code = (
        "import os, sys, time\nfrom toolkit.io import sandbox\n"
        "def work(n): os.write(1, b'%d\\n' % os.getpid()); time.sleep(0.2)\n"
        "list(sandbox.sandboxed_map(work, range(99), 3, seconds=9, memory=10**9))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    workers = {int(parent.stdout.readline()) for _ in range(6)}
    parent.kill()
    parent.wait(timeout=TIMEOUT)
    parent.stdout.close()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), seconds=10)
