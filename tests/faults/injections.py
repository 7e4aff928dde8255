"""Faults: each function injects one into a stage, and raises AssertionError if anything is lost."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.faults.project import STAGES, Project, Result, Stage, finish, reset, tree

PAGE = 4096  # bytes; a file in tmpfs takes whole pages
PATIENCE = 10.0  # seconds in which workers must end after their parent was killed
DESCRIPTORS = (*range(6, 25, 2), 32, 64)


@dataclass
class Tally:
    """How many faults were injected, and their outcomes."""

    done: int = 0
    writing: int = 0
    refused: int = 0


# --- kills ----------------------------------------------------------------------------------


def kills(project: Project, name: str, count: int, rng: np.random.Generator) -> Tally:
    """Kill the stage at random moments, up to three times in a row, then run it to its end.

    A quarter of the moments are from the whole run, the others from when the stage writes. SIGKILL
    goes to the process or to its group. Between runs, all files get times in the past or future.
    """
    stage, tally = STAGES[name], Tally()
    while tally.done < count:
        if rng.random() < 0.5:  # otherwise, an earlier output is replaced
            reset(project, stage)
        for _ in range(min(int(rng.integers(1, 4)), count - tally.done)):
            _kill_once(project, stage, tally, rng)
            _set_clocks(project.root, rng)
        result = project.run(stage.command())
        assert result.code == 0, f"{name} after a kill: {result.stderr}"
        _assert_whole(project, stage)
    return tally


def _kill_once(project: Project, stage: Stage, tally: Tally, rng: np.random.Generator) -> None:
    begins = project.begins[stage.name] if rng.random() < 0.75 else 0
    moment = rng.uniform(begins, 1.05 * project.ends[stage.name])
    process = project.start(stage.command())
    try:
        process.communicate(timeout=moment)
    except subprocess.TimeoutExpired:
        (os.killpg if rng.random() < 0.5 else os.kill)(process.pid, signal.SIGKILL)
        process.communicate()
        tally.done += 1
        tally.writing += moment > project.begins[stage.name]
    _wait_for_workers(project)
    _assert_whole_or_absent(project, stage)


def _assert_whole_or_absent(project: Project, stage: Stage) -> None:
    actual, whole = (
        {key: digest for key, digest in files.items() if f"{key}/".startswith(f"{stage.output}/")}
        for files in (tree(project.root), project.whole[stage.name])
    )
    assert actual in ({}, whole), f"{stage.name}: an incomplete output after a kill"


def _wait_for_workers(project: Project) -> None:
    deadline = time.monotonic() + PATIENCE
    while pids := project.running():
        assert time.monotonic() < deadline, f"still running: {pids}"
        time.sleep(0.02)


def _set_clocks(root: Path, rng: np.random.Generator) -> None:
    """Set the times of all files to the past or the future, as a clock that was wrong would."""
    for path in root.rglob("*"):
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
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        folder.rmdir()
        raise PermissionError("mounting is not allowed here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
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
                assert "No space left on device" in result.stderr, result.stderr
                names = {path.name for path in folder.iterdir()}
                assert names <= {f".{Path(place).name}.building", Path(place).name}, names
                tally.refused += 1
            options = f"remount,size={20 * need + 2**20}"
            subprocess.run(["mount", "-o", options, str(folder)], check=True)
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
    assert "Read-only file system" in result.stderr, result.stderr
    return result


def _beside(stage: Stage) -> str:
    """Return a path as deep as the stage's output, so that relative paths in it are equal."""
    output = Path(stage.output)
    return str(output.parent.parent / "disk" / output.name)


def _output(project: Project, stage: Stage) -> dict[str, str]:
    """Return the files of the stage's output, by their paths from the folder above it."""
    output = Path(stage.output)
    start = f"{output.parent}/"
    return {
        key.removeprefix(start): digest
        for key, digest in project.whole[stage.name].items()
        if key.startswith(start) and key.removeprefix(start).startswith(output.stem)
    }


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
        children: list[int] = []
        while process.poll() is None and not children:
            children = _children(process.pid)
        for child in children[:1]:
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
