"""Long work in processes side by side: results, reports, errors, and requests to stop."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.helpers.waiting import wait_until
from toolkit.errors import InputError, StoppedError
from toolkit.io.jobs import Interrupt, side_by_side


def work(item, report):
    """Report the item, and return its square and the process that did it."""
    report(("begun", item))
    return item * item, os.getpid()


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_each_item_has_its_result_and_is_heard(jobs):
    heard = []
    results = dict(side_by_side(work, [1, 2, 3, 4, 5], jobs, heard.append))
    assert {item: value for item, (value, _) in results.items()} == {n: n * n for n in range(1, 6)}
    assert sorted(heard) == [("begun", item) for item in range(1, 6)]
    processes = {process for _, process in results.values()}
    assert processes == {os.getpid()} if jobs == 1 else len(processes) == 5


def test_so_many_run_at_once_and_no_more():
    times = []

    def slow(item, report):
        report(+1)
        time.sleep(0.05)
        report(-1)

    list(side_by_side(slow, range(6), 2, times.append))
    running = [sum(times[: k + 1]) for k in range(len(times))]
    assert max(running) <= 2
    assert len(times) == 12


def failing(item, report):
    if item == 1:
        raise InputError("the second is bad")
    time.sleep(0.2)
    report(item)
    return item


def test_an_error_lets_those_that_are_begun_finish_and_no_other_begin():
    heard = []
    with pytest.raises(InputError, match="the second is bad"):
        list(side_by_side(failing, [0, 1, 2, 3], 2, heard.append))
    assert heard == [0]


@pytest.mark.parametrize(
    ("error", "caught"),
    [
        (StoppedError("stopped", 15), StoppedError),
        (OSError(28, "full", "x"), OSError),
        (MemoryError(), MemoryError),
        (KeyError("x"), RuntimeError),
    ],
)
def test_errors_arrive_as_they_were_raised(error, caught):
    def raising(_item, _report):
        raise error

    with pytest.raises(caught) as info:
        list(side_by_side(raising, [1, 2], 2, print))
    if caught is not RuntimeError:
        assert str(info.value) == str(error)
        assert getattr(info.value, "number", None) == getattr(error, "number", None)


def test_a_killed_process_is_one_message():
    def killed(_item, _report):
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(InputError, match="was killed, perhaps for lack of memory; run again with"):
        list(side_by_side(killed, [1, 2], 2, print))


def test_leaving_early_ends_the_processes():
    def slow(item, _report):
        time.sleep(60 * item)

    began = time.monotonic()
    for item, _ in side_by_side(slow, [0, 1, 1], 3, print):
        assert item == 0
        break
    assert time.monotonic() - began < 30


def test_a_signal_is_a_request_that_all_processes_see():
    interrupt, before = Interrupt(), signal.getsignal(signal.SIGTERM)

    def patient(_item, report):
        report("begun")
        while not interrupt.number:
            time.sleep(0.001)
        return interrupt.number

    def send(_):
        if not interrupt.number:
            signal.raise_signal(signal.SIGTERM)

    with interrupt.listening():
        results = dict(side_by_side(patient, [1, 2], 2, send))
    assert results == {1: signal.SIGTERM, 2: signal.SIGTERM}
    assert signal.getsignal(signal.SIGTERM) is before


def test_processes_end_with_a_parent_that_is_killed(tmp_path):
    """By a second Ctrl-C, or for lack of memory."""
    code = (
        "import os, time\nfrom pathlib import Path\nfrom toolkit.io.jobs import side_by_side\n"
        "def work(item, report):\n    report(os.getpid())\n    time.sleep(60)\n"
        "def note(pid):\n    print(pid, flush=True)\n"
        "list(side_by_side(work, [1, 2], 2, note))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as parent:
        children = [int(parent.stdout.readline()) for _ in range(2)]
        parent.kill()
    wait_until(lambda: not any(alive(child) for child in children), seconds=20)


def alive(process):
    try:
        with open(f"/proc/{process}/stat") as stream:  # noqa: PTH123
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
