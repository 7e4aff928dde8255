"""Faults: each function injects one into a stage, and raises AssertionError if anything is lost."""

import contextlib
import http.client
import importlib
import itertools
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.faults.project import (
    ENDLESS,
    OTHERS,
    STAGES,
    Project,
    Result,
    Stage,
    command,
    finish,
    is_temporary,
    outputs,
    reset,
    tree,
)
from tests.helpers.waiting import TIMEOUT, wait_until

PAGE = 4096  # bytes; a file in tmpfs takes whole pages
PATIENCE = 10.0  # seconds in which workers must end after their parent was killed
DESCRIPTORS = (*range(6, 25, 2), 32, 64)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PICTURES = (".png", ".jpg")
SLOW = (
    "toolkit.training.inference",
    "toolkit.reporting.comparison",
    "dvclive.live",
    "toolkit.pipeline.use.export",
    "toolkit.pipeline.steps.embed",
)
"""To import; what is forked afterwards has them."""
FORKED = ("export", "embed")
"""Stages that are killed in forks of this process, for they do little but import."""
RESUMED = ("augment",)  # stages whose unfinished folder the next run goes on with


@dataclass
class Tally:
    """How many faults were injected, and their outcomes."""

    done: int = 0
    writing: int = 0
    refused: int = 0
    unnoticed: int = 0


# --- kills ----------------------------------------------------------------------------------


def kills(project: Project, name: str, count: int, rng: np.random.Generator) -> Tally:
    """Kill the stage at random moments, up to three times in a row, then run it to its end.

    A quarter of the moments are from the whole run, the others from when the stage writes. SIGKILL
    goes to the process or to its group. Between runs, all files get times in the past or future.
    A stage of FORKED is run in forks of this process.
    """
    stage, tally = STAGES[name], Tally()
    if name in FORKED:
        _time_fork(project, stage)
    while tally.done < count:
        if rng.random() < 0.5:  # otherwise, an earlier output is replaced
            reset(project, stage)
        for _ in range(min(int(rng.integers(1, 4)), count - tally.done)):
            _kill_once(project, stage, tally, rng)
            _set_clocks(project.root, rng)
        run = project.run_forked if name in FORKED else project.run
        result = run(stage.command())
        assert result.code == 0, f"{name} after a kill: {result.stderr}"
        _assert_whole(project, stage)
    return tally


def _time_fork(project: Project, stage: Stage) -> None:
    """Import what takes seconds, so that forks have it, and measure when one begins to write."""
    for module in SLOW:
        importlib.import_module(module)
    reset(project, stage)
    place, start = (project.root / stage.output).parent, time.monotonic()
    child = project.fork(stage.command(), 2)
    wait_until(lambda: any(place.iterdir()) or not child.is_alive())
    project.begins[stage.name] = time.monotonic() - start
    child.join(TIMEOUT)
    project.ends[stage.name] = time.monotonic() - start
    assert child.exitcode == 0


def _kill_once(project: Project, stage: Stage, tally: Tally, rng: np.random.Generator) -> None:
    begins = project.begins[stage.name] if rng.random() < 0.75 else 0
    moment = rng.uniform(begins, 1.05 * project.ends[stage.name])
    kill = os.killpg if rng.random() < 0.5 else os.kill
    killed = (_kill_fork if stage.name in FORKED else _kill_at)(project, stage, moment, kill)
    tally.done += killed
    tally.writing += killed and moment > project.begins[stage.name]
    _wait_for_workers(project)
    _assert_whole_or_absent(project, stage)


def _kill_at(
    project: Project, stage: Stage, moment: float, kill: Callable[[int, int], None]
) -> bool:
    """Start the stage and kill it after so many seconds; return whether it still ran."""
    process = project.start(stage.command())
    try:
        process.communicate(timeout=moment)
    except subprocess.TimeoutExpired:
        kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=TIMEOUT)
        return True
    return False


def _kill_fork(
    project: Project, stage: Stage, moment: float, kill: Callable[[int, int], None]
) -> bool:
    """Do what `_kill_at` does with a fork of this process."""
    child = project.fork(stage.command(), 2)
    child.join(moment)
    if child.exitcode is None and child.pid:
        with contextlib.suppress(ProcessLookupError):  # it is no group yet
            kill(child.pid, signal.SIGKILL)
        child.kill()
    child.join(TIMEOUT)
    return child.exitcode == -signal.SIGKILL


def _assert_whole_or_absent(project: Project, stage: Stage) -> None:
    actual, whole = (
        {key: digest for key, digest in files.items() if f"{key}/".startswith(f"{stage.output}/")}
        for files in (tree(project.root), project.whole[stage.name])
    )
    assert actual in ({}, whole), f"{stage.name}: an incomplete output after a kill"


def kills_of_server(project: Project, name: str, count: int, rng: np.random.Generator) -> Tally:
    """Kill `serve` while it starts, or while photos are sent to it; then all is as before.

    What it answered before it was killed is what it answers when nothing disturbs it, and none of
    the processes that decode photos outlives it.
    """
    line, tally = command(OTHERS[name].removesuffix(" --quiet")), Tally()
    before = tree(project.root)
    photos = sorted((project.root / "data/prepared/test").rglob("*.png"))
    expected = dict[Path, str]()
    while tally.done < count:
        process = project.start(line)
        watchdog = threading.Timer(TIMEOUT, process.kill)
        watchdog.start()
        moment = rng.uniform(0, 1)
        if rng.random() < 0.75:
            address = re.search(r"http://\S+/", process.stderr.readline())
            assert address, f"{name} does not start"
            killer = threading.Timer(moment, _kill, (process, rng.random() < 0.5))
            killer.start()
            answers = _answers(f"{address[0]}predict", photos, process)
            assert expected | answers == answers | expected, f"{name}: another answer"
            expected |= answers
            tally.writing += bool(answers)
            killer.join(TIMEOUT)
        else:
            time.sleep(2 * moment)
            _kill(process, rng.random() < 0.5)
        process.communicate(timeout=TIMEOUT)
        watchdog.cancel()
        tally.done += 1
        _wait_for_workers(project)
        assert tree(project.root) == before, f"{name}: a file was left"
    return tally


def _kill(process: "subprocess.Popen[str]", whole_group: bool) -> None:
    (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)


def _answers(
    address: str, photos: Sequence[Path], process: "subprocess.Popen[str]"
) -> dict[Path, str]:
    """Send photos, one after the other, until the process ends; return what it answers."""
    answers = dict[Path, str]()
    for photo in itertools.cycle(photos):
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError, http.client.HTTPException):
            data = photo.read_bytes()
            with urllib.request.urlopen(address, data=data, timeout=TIMEOUT) as answer:
                answers[photo] = answer.read().decode()
    return answers


def _wait_for_workers(project: Project) -> None:
    wait_until(lambda: not project.running(), seconds=PATIENCE)


def _set_clocks(root: Path, rng: np.random.Generator) -> None:
    """Set the times of all files to the past or the future, as a clock that was wrong would.

    Not of the photos: `provenance` notes when they changed.
    """
    for path in (found for found in root.rglob("*") if "photos" not in found.parts):
        moment = int(rng.choice([315_532_800, 4_000_000_000]))  # 1980, 2096
        with contextlib.suppress(FileNotFoundError):
            os.utime(path, (moment, moment))


def _assert_whole(project: Project, stage: Stage) -> None:
    """Assert that all files are as without faults, and that nothing is left over."""
    actual, expected = tree(project.root), project.whole[list(project.whole)[-1]]
    keys = actual.keys() | expected.keys()
    different = sorted(key for key in keys if actual.get(key) != expected.get(key))
    assert not different, f"{stage.name}: files differ from an undisturbed run: {different[:5]}"
    assert not project.running(), "a process is still running"


# --- limits -----------------------------------------------------------------------------------


@contextlib.contextmanager
def disk(folder: Path, size: int, options: str = "") -> Iterator[None]:
    """Mount a file system of `size` bytes. Raises PermissionError where that is not allowed."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}{options}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False, timeout=TIMEOUT).returncode:
        folder.rmdir()
        raise PermissionError("mounting is not allowed here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True, timeout=TIMEOUT)
        folder.rmdir()


def full_disk(project: Project, name: str, percents: Sequence[int]) -> Tally:
    """Run the stage on a disk with room for `percents` of its output, then with enough room."""
    stage, tally = STAGES[name], Tally()
    place = _beside(stage)
    expected = _output(project, stage)
    sizes = [(project.root / stage.output).parent / key for key in expected]
    need = sum(-(-path.stat().st_size // PAGE) * PAGE for path in sizes if path.is_file())
    for size in sorted({max(PAGE, need * percent // 100 // PAGE * PAGE) for percent in percents}):
        folder = (project.root / place).parent
        shutil.rmtree(project.root / ".toolkit", ignore_errors=True)
        with disk(folder, size):
            result = project.run(stage.command(place))
            assert result.clean, f"{name}, disk full: {result.stderr}"
            if result.code:
                assert "no space left on the disk" in result.stderr, result.stderr
                names = {path.name for path in folder.iterdir()}
                made = {Path(place).name, *outputs(project, stage)}
                assert names <= made | {f".{Path(place).name}.building"}, names
                tally.refused += 1
            options = f"remount,size={20 * need + 2**20}"
            subprocess.run(["mount", "-o", options, str(folder)], check=True, timeout=TIMEOUT)
            again = project.run(stage.command(place))
            assert again.code == 0, again.stderr
            assert tree(folder) == expected, f"{name}: different bytes after a full disk"
        tally.done += 1
    return tally


def read_only(project: Project, name: str) -> Result:
    """Run the stage with an output in a folder that cannot be written."""
    stage = STAGES[name]
    place = _beside(stage)
    with disk((project.root / place).parent, 2**20, ",ro"):
        result = project.run(stage.command(place))
    assert result.code == 1, result.stderr
    assert result.clean, result.stderr
    assert "may not write" in result.stderr, result.stderr
    return result


def _beside(stage: Stage) -> str:
    """Return a path as deep as the stage's output, so that relative paths in it are equal."""
    output = Path(stage.output)
    return str(output.parent.parent / "disk" / output.name)


def _output(project: Project, stage: Stage) -> dict[str, str]:
    """Return the files of the stage's output, by their paths from the folder above it."""
    start = f"{Path(stage.output).parent}/"
    return {key.removeprefix(start): v for key, v in project.made[stage.name].items()}


def no_descriptors(project: Project, name: str, limits: Sequence[int] = DESCRIPTORS) -> Tally:
    """Run the stage with few file descriptors: it writes the same bytes, or prints one message."""
    stage, tally = STAGES[name], Tally()
    for limit in limits:
        reset(project, stage)
        result = project.run(
            stage.command(), lambda n=limit: resource.setrlimit(resource.RLIMIT_NOFILE, (n, n))
        )
        assert result.clean, f"{name}, {limit} descriptors: {result.stderr}"
        tally.refused += result.code != 0
        tally.done += 1
        if result.code == 0:
            _assert_whole(project, stage)
    assert project.run(stage.command()).code == 0
    _assert_whole(project, stage)
    return tally


# --- processes ---------------------------------------------------------------------------------


def killed_worker(project: Project, name: str, count: int) -> Tally:
    """Kill a worker: the stage prints one message, or does the work again."""
    stage, tally = STAGES[name], Tally()
    for _ in range(count):
        reset(project, stage)
        process = project.start(stage.command())
        wait_until(lambda p=process: _children(p.pid), process)
        for child in _children(process.pid)[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
                tally.done += 1
        result = finish(process)
        assert result.clean, f"{name}, a worker was killed: {result.stderr}"
        tally.refused += result.code != 0
        assert result.code == 0 or "killed" in result.stderr, result.stderr
        _wait_for_workers(project)
        assert project.run(stage.command()).code == 0
        _assert_whole(project, stage)
    return tally


def _children(pid: int) -> list[int]:
    try:
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except OSError:
        return []


def two_at_once(project: Project, name: str, count: int) -> Tally:
    """Run the stage twice at once: the second is refused, or waits and writes the same bytes."""
    stage, tally = STAGES[name], Tally()
    for _ in range(count):
        reset(project, stage)
        both = [project.start(stage.command()) for _ in range(2)]
        results = [finish(process) for process in both]
        codes = [result.code for result in results]
        assert 0 in codes, results
        for result in results:
            assert result.clean, result.stderr
            assert not result.code or "another process is writing it" in result.stderr, (
                result.stderr
            )
        tally.done += 1
        tally.refused += sum(codes)
        _assert_whole(project, stage)
    return tally


# --- signals ----------------------------------------------------------------------------------


def signals(project: Project, name: str, count: int, rng: np.random.Generator) -> Tally:
    """Send SIGINT, SIGTERM and SIGHUP to a stage or another command, `count` times each.

    At any moment from when it catches them; to the process or to its group. It says one message,
    ends with 128 plus the signal's number, and leaves nothing, neither a process nor a file.
    """
    tally = Tally()
    line = STAGES[name].command() if name in STAGES else command(OTHERS[name])
    seconds = ENDLESS.get(name) or _undisturbed(project, name, line)
    for number in SIGNALS * count:
        _clear(project, name)
        process = project.start(line, preexec_fn=_heed)
        _wait_until_caught(process)
        try:
            process.wait(rng.uniform(0, seconds))
        except subprocess.TimeoutExpired:
            (os.killpg if rng.random() < 0.5 else os.kill)(process.pid, number)
        result = finish(process)
        _wait_for_workers(project)
        assert result.code in (0, 128 + number), f"{name}, {number.name}: {result}"
        if result.code:
            said = result.stderr.splitlines()
            assert said[-1].startswith("stopped"), f"{name}, {number.name}: {result}"
            assert len(said) == 1 or name == "advise", f"{name}, {number.name}: {result}"
            assert "Traceback" not in result.stderr, f"{name}, {number.name}: {result}"
            tally.refused += 1
        # What `advise` has rendered stays in its folder for work, and the next run goes on with it.
        found = (p for p in project.root.rglob("*") if is_temporary(p))
        left = [str(p) for p in found if "work" not in p.parts]
        resumed = (f".{Path(STAGES[n].output).name}.building" for n in RESUMED if n == name)
        assert {Path(path).name for path in left} <= {*resumed}, f"{name}, {number.name}: {left}"
        tally.done += 1
    if result.code and name not in ENDLESS:
        again = project.run(line)
        assert again.code == 0, f"{name} after a signal: {again}"
    if name in STAGES:
        _assert_whole(project, STAGES[name])
    else:
        _clear(project, name)
    return tally


def _undisturbed(project: Project, name: str, line: list[str]) -> float:
    """Return how many seconds the command takes once it catches signals."""
    _clear(project, name)
    process = project.start(line, preexec_fn=_heed)
    _wait_until_caught(process)
    start = time.monotonic()
    result = finish(process)
    assert result.code == 0, result.stderr
    return time.monotonic() - start


def _clear(project: Project, name: str) -> None:
    if name in STAGES:
        reset(project, STAGES[name])
    shutil.rmtree(project.root / "new", ignore_errors=True)


def _heed() -> None:
    """Let the child heed the signals, even if this process was started to ignore them."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def _wait_until_caught(process: "subprocess.Popen[str]") -> None:
    """Wait until the process catches SIGHUP, which Python itself does not, or has ended."""
    status = Path(f"/proc/{process.pid}/status")

    def catches() -> bool:
        caught = next(row for row in status.read_text().splitlines() if row[:6] == "SigCgt")
        return bool(int(caught.split()[1], 16) & 1)

    with contextlib.suppress(OSError, StopIteration):
        wait_until(catches, process)


# --- flipped bits -----------------------------------------------------------------------------


def flips(project: Project, name: str, count: int, rng: np.random.Generator) -> Tally:
    """Flip a bit of a file that the stage reads, and run it in a fork: `count` times.

    It is refused with one message, or makes no difference; what is neither is counted and printed.
    The pictures of a folder are together as likely as one file of another kind.
    """
    stage, tally = STAGES[name], Tally()
    for module in SLOW:
        importlib.import_module(module)
    kinds: dict[str, list[str]] = {}
    for key in _inputs(project, stage):
        path = Path(key)
        kinds.setdefault(str(path.parent) if path.suffix in PICTURES else key, []).append(key)
    while tally.done < count:
        reset(project, stage)
        key = str(rng.choice(kinds[str(rng.choice(sorted(kinds)))]))
        path, whole = project.root / key, (project.root / key).read_bytes()
        position = int(rng.integers(8 * len(whole)))
        flipped = bytearray(whole)
        flipped[position // 8] ^= 1 << position % 8
        path.write_bytes(flipped)
        result = project.run_forked(stage.command())
        path.write_bytes(whole)
        told = result.code == 1 and "error: " in result.stderr and "Traceback" not in result.stderr
        assert result.code == 0 or told, f"{name}, {key}, bit {position}: {result}"
        made = tree(project.root)
        differs = any(made.get(k) != value for k, value in project.made[name].items())
        if result.code == 0 and differs and not _is_finding(project, key):
            sys.stderr.write(f"{name}: bit {position} of {key} went unnoticed\n")
            tally.unnoticed += 1
        tally.refused += result.code
        tally.done += 1
    reset(project, stage)
    assert project.run(stage.command()).code == 0
    _assert_whole(project, stage)
    return tally


def _is_finding(project: Project, key: str) -> bool:
    """Return whether the audit, which refuses no image, reports the file."""
    path = project.root / STAGES["audit"].output
    findings = json.loads(path.read_text())["findings"] if path.is_file() else []
    return any(key.endswith(f"/{name}") for finding in findings for name in finding["paths"])


def _inputs(project: Project, stage: Stage) -> list[str]:
    """Return the files that the stage reads, without empty ones."""
    places = tuple(f"{place}/" for place in stage.inputs)
    before = project.whole[stage.name].keys() - project.made[stage.name].keys()
    read = (key for key in sorted(before) if f"{key}/".startswith(places))
    paths = {key: project.root / key for key in read}
    return [key for key, path in paths.items() if path.is_file() and path.stat().st_size]
