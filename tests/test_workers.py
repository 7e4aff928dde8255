"""Several processes give what one gives; a killed one is said, not waited for."""

import os
import signal

import pytest

from toolkit import workers
from toolkit.errors import InputError


def square(n: int) -> int:
    return n * n


def die(n: int) -> int:
    if n == 70:
        os.kill(os.getpid(), signal.SIGKILL)
    return n


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_results_come_in_order(processes):
    assert list(workers.ordered_map(square, range(200), processes)) == [n * n for n in range(200)]


def test_a_killed_worker_is_an_error():
    with pytest.raises(InputError, match="a worker process was killed"):
        list(workers.ordered_map(die, range(200), 2))


def test_there_is_at_least_one_core():
    assert workers.cores() >= 1
