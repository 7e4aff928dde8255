"""Several processes give what one gives; a killed one is an error, not a hang."""

import fcntl
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.helpers.waiting import TIMEOUT
from toolkit.errors import InputError
from toolkit.io import parallel


def square(n: int) -> int:
    return n * n


def refuse(n: int) -> None:
    if n == 7:
        raise InputError("seven is bad")


def miss(n: int) -> None:
    if n == 7:
        raise FileNotFoundError(2, "No such file or directory", "seven.png")


def divide(n: int) -> float:
    return 1 / (n - 7)


def pickle_function(n: int) -> object:
    return lambda: n


def exhaust_memory(n: int) -> None:
    if n == 7:
        raise MemoryError


def kill(n: int) -> bytes:
    if n == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return b"x" * 100_000


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_result_comes_once_in_order_or_with_its_item(workers):
    squares = [(n, n * n) for n in range(3, 200)]
    assert list(parallel.ordered_map(square, range(3, 200), workers)) == [n for _, n in squares]
    assert sorted(parallel.unordered_map(square, range(3, 200), workers)) == squares
    chunks = parallel.ordered_map(square, range(3, 200), workers, chunksize=16)
    assert list(chunks) == [n for _, n in squares]


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_to_do(workers):
    assert list(parallel.ordered_map(square, [], workers)) == []
    assert list(parallel.unordered_map(square, [], workers)) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_all_tasks_run_and_what_one_raises_is_raised(workers, tmp_path):
    tasks = [(tmp_path / name).mkdir for name in "abc"]
    parallel.run_tasks(tasks, workers)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]
    with pytest.raises(FileExistsError, match=str(tmp_path)):
        parallel.run_tasks(tasks, workers)


@pytest.mark.parametrize("parallel_map", [parallel.ordered_map, parallel.unordered_map])
@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (refuse, InputError, "^seven is bad$"),
        (miss, FileNotFoundError, "'seven.png'"),
        (divide, RuntimeError, "(?s)test_parallel.*ZeroDivisionError"),
        (pickle_function, RuntimeError, "(?i)can't pickle"),
        (exhaust_memory, InputError, "perhaps for lack of memory"),
        (kill, InputError, "a worker process was killed"),
    ],
)
def test_what_goes_wrong_in_a_worker_is_raised(parallel_map, function, error, message):
    with pytest.raises(error, match=message):
        list(parallel_map(function, range(20), 2))


def test_an_item_whose_worker_was_killed_once_gets_another(tmp_path):
    def kill_once(n: int) -> int:
        if n == 4 and not (tmp_path / "killed").exists():
            (tmp_path / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return n

    assert list(parallel.ordered_map(kill_once, range(9), 2)) == list(range(9))


def test_a_worker_killed_in_the_middle_of_a_result_is_no_hang():
    """The pipe holds less than the result, so that the worker still writes when it is killed."""

    def large(n: int) -> bytes:
        return os.getpid().to_bytes(8) + bytes(10_000_000)

    for _ in range(3):
        results = parallel.ordered_map(large, range(20), 2)
        pids = {int.from_bytes(next(results)[:8]) for _ in range(4)}
        time.sleep(0.05)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        assert len(list(results)) == 16


def test_early_results_wait_for_few_items(monkeypatch, tmp_path):
    """One slow item holds back those that are SPAN behind it, not the memory for all results."""
    monkeypatch.setattr(parallel, "SPAN", 10)

    def touch(n: int) -> int:
        (tmp_path / str(n)).touch()
        time.sleep(0.3 if n == 0 else 0)
        return n

    results = parallel.ordered_map(touch, range(1000), 2)
    assert next(results) == 0
    assert len(list(tmp_path.iterdir())) <= 10
    assert list(results) == list(range(1, 1000))


def test_an_interrupted_map_ends_its_workers():
    """At once: the items at work would take another minute."""
    start = time.monotonic()
    results = parallel.unordered_map(lambda n: time.sleep(60 * n), [0, 1, 1, 1], 2)
    next(results)
    del results
    assert time.monotonic() - start < 10


def test_workers_end_with_a_killed_parent(tmp_path):
    """The lock on a file, which they share, is free a moment after their parent was killed."""
    code = (
        "import fcntl, sys, time; from toolkit.io import parallel\n"
        "lock = open(sys.argv[1], 'w'); fcntl.flock(lock, fcntl.LOCK_EX); print(flush=True)\n"
        "list(parallel.unordered_map(lambda n: time.sleep(60), range(4), 2))"
    )
    path = tmp_path / "lock"
    parent = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    parent.stdout.readline()
    time.sleep(0.3)
    parent.kill()
    parent.wait(timeout=TIMEOUT)
    parent.stdout.close()
    with path.open("w") as lock:
        time.sleep(0.3)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_there_is_at_least_one_core():
    assert parallel.cores() >= 1
