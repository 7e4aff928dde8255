"""Spawned workers: as forked ones, with what they get pickled."""

import ast
import multiprocessing
import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

import toolkit
from toolkit.io import jobs
from toolkit.io.system import processes

STARTING = {
    "contain", "examine", "map_samples", "ordered_map", "run_tasks", "sandboxed_map",
    "side_by_side", "unordered_map",
}  # fmt: skip
"""What gives a function to a worker."""
IN_WORKERS = {"checks/records.py: animated", "augmentation/transforms/external.py: run"}
"""Functions in functions, of what is a worker already."""


def given_to_workers(tree):
    """Yield each lambda, and each name of a function in a function, that a worker gets."""
    outer = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    inner = {
        below.name
        for function in outer
        for statement in function.body
        for below in ast.walk(statement)
        if isinstance(below, ast.FunctionDef)
    }
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        for argument in ast.walk(ast.Tuple(call.args)) if name in STARTING else ():
            if isinstance(argument, ast.Lambda):
                yield "lambda"
            elif isinstance(argument, ast.Name) and argument.id in inner:
                yield argument.id


def test_what_a_worker_gets_can_be_pickled():
    package = Path(toolkit.__file__).parent
    texts = {path: path.read_text() for path in package.rglob("*.py")}
    found = {
        f"{path.relative_to(package).as_posix()}: {name}"
        for path, text in texts.items()
        if any(f"{name}(" in text for name in STARTING)
        for name in given_to_workers(ast.parse(text))
    }
    assert found == IN_WORKERS


def test_workers_are_spawned_where_that_was_asked_for(monkeypatch):
    assert processes.start_context().get_start_method() == "fork"
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda **_: "spawn")
    assert processes.start_context().get_start_method() == "spawn"


def patient(interrupt, item, report):
    """Report the item, wait for the request to stop, and return which it was."""
    report(item)
    while not interrupt.number:
        time.sleep(0.01)
    return item, interrupt.number


def test_spawned_jobs_report_and_share_a_request_to_stop(monkeypatch):
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda **_: "spawn")
    interrupt, heard = jobs.Interrupt(), []

    def hear(item):
        heard.append(item)
        if len(heard) == 2:
            signal.raise_signal(signal.SIGTERM)

    with interrupt.listening():
        done = dict(jobs.side_by_side(partial(patient, interrupt), [1, 2], 2, hear))
    assert sorted(heard) == [1, 2]
    assert done == {1: (1, signal.SIGTERM), 2: (2, signal.SIGTERM)}


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
