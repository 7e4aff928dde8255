"""Spawned workers: as forked ones, with what they get pickled."""

import multiprocessing
import os
import signal

import pytest

from toolkit.io.system import processes


def test_workers_are_spawned_where_that_was_asked_for(monkeypatch):
    assert processes.start_context().get_start_method() == "fork"
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda **_: "spawn")
    assert processes.start_context().get_start_method() == "spawn"


def test_windows_own_selector_says_which_pipes_can_be_read():
    (one, two), (three, four) = multiprocessing.Pipe(), multiprocessing.Pipe()
    selector = processes.PipeSelector()
    selector.register(one, 1, "first")
    selector.register(three, 1, "second")
    assert selector.select(0) == []
    four.send_bytes(b"x")
    assert [key.data for key, _ in selector.select(5)] == ["second"]
    selector.unregister(three)
    assert selector.select(0) == []
    selector.close()
    for pipe in (one, two, three, four):
        pipe.close()


def test_an_alarm_rings_in_the_block_and_not_after_it():
    def ring(*_):
        raise TimeoutError

    with pytest.raises(TimeoutError), processes.alarm(0.01, ring):
        signal.pause()
    with processes.alarm(30, ring):
        pass
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_there_is_at_least_one_core_without_an_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert processes.usable_cores() == os.cpu_count()
