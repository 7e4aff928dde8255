"""Several processes give what one gives; a killed one is said, not waited for."""

import fcntl
import os
import signal
import subprocess
import sys
import time

import pytest

from toolkit.errors import InputError
from toolkit.io import parallel


def square(n: int) -> int:
    return n * n


def die(n: int) -> int:
    if n == 70:
        os.kill(os.getpid(), signal.SIGKILL)
    return n


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_results_come_in_order(processes):
    assert list(parallel.ordered_map(square, range(200), processes)) == [n * n for n in range(200)]


def test_a_killed_worker_is_an_error():
    with pytest.raises(InputError, match="a worker process was killed"):
        list(parallel.ordered_map(die, range(200), 2))


def test_there_is_at_least_one_core():
    assert parallel.cores() >= 1


def pieces(n: int) -> list[bytes]:
    return [b"%d" % n, b"!"]


def refuse(n: int) -> list[bytes]:
    if n == 7:
        raise InputError("seven is bad")
    return [b""]


def crash(n: int) -> list[bytes]:
    return [b"%d" % (1 // (n - 7))]


def kill(n: int) -> list[bytes]:
    if n == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return [b"x" * 100_000]


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_forked_processes_do_every_item_once(processes):
    found = list(parallel.forked(pieces, range(3, 40), processes))
    assert sorted(found) == [(n, b"%d!" % n) for n in range(3, 40)]


@pytest.mark.parametrize("processes", [1, 2])
def test_tasks_at_once_are_all_done_and_what_one_raises_is_raised(processes, tmp_path):
    tasks = [(tmp_path / name).mkdir for name in "abc"]
    parallel.at_once(tasks, processes)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]
    with pytest.raises(FileExistsError):
        parallel.at_once(tasks, processes)


@pytest.mark.parametrize(
    ("task", "error", "message"),
    [
        (refuse, InputError, "^seven is bad$"),
        (crash, RuntimeError, "ZeroDivisionError"),
        (kill, InputError, "a worker process was killed"),
    ],
)
def test_a_forked_process_tells_what_is_wrong(task, error, message):
    with pytest.raises(error, match=message):
        list(parallel.forked(task, range(20), 2))


def test_forked_processes_end_with_the_one_that_started_them(tmp_path):
    """The lock on a file, which they share, is free a moment after their parent was killed."""
    code = (
        "import fcntl, sys, time; from toolkit.io import parallel\n"
        "def wait(n):\n"
        "    while True: yield time.sleep(0.02) or b'.'\n"
        "lock = open(sys.argv[1], 'w'); fcntl.flock(lock, fcntl.LOCK_EX); print(flush=True)\n"
        "list(parallel.forked(wait, range(4), 2))"
    )
    path = tmp_path / "lock"
    parent = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    parent.stdout.readline()
    time.sleep(0.3)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    with path.open("w") as lock:
        time.sleep(0.3)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
