"""The harms: each function does one to a stage, and raises AssertionError if anything is lost."""

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

from tests.faults.project import STAGES, Ended, Project, Stage, finish, reset, tree

PAGE = 4096  # bytes: a file in tmpfs takes whole pages
PATIENCE = 10.0  # seconds in which the workers of a killed process must end
DESCRIPTORS = (*range(6, 25, 2), 32, 64)


@dataclass
class Tally:
    """How many harms were done, and what came of them."""

    done: int = 0
    working: int = 0
    refused: int = 0


# --- killed at any moment ----------------------------------------------------------------------


def kills(project: Project, name: str, count: int, rng: np.random.Generator) -> Tally:
    """SIGKILL at random moments, up to three times in a row, then once more to the end.

    A quarter of the moments are from the whole run, the others from when it writes. Now the process
    is killed, now its group; between runs the times of all files are set to the past or future.
    """
    stage, tally = STAGES[name], Tally()
    while tally.done < count:
        if rng.random() < 0.5:  # else an output of before is replaced
            reset(project, stage)
        for _ in range(min(int(rng.integers(1, 4)), count - tally.done)):
            _kill_once(project, stage, tally, rng)
            _set_clocks(project.root, rng)
        ended = project.run(stage.command())
        assert ended.code == 0, f"{name} after a kill: {ended.said}"
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
        tally.working += moment > project.begins[stage.name]
    _wait_for_workers(project)
    _assert_whole_or_absent(project, stage)


def _assert_whole_or_absent(project: Project, stage: Stage) -> None:
    found, whole = (
        {key: digest for key, digest in files.items() if f"{key}/".startswith(f"{stage.output}/")}
        for files in (tree(project.root), project.whole[stage.name])
    )
    assert found in ({}, whole), f"{stage.name}: half an output after a kill"


def _wait_for_workers(project: Project) -> None:
    deadline = time.monotonic() + PATIENCE
    while left := project.running():
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.02)


def _set_clocks(root: Path, rng: np.random.Generator) -> None:
    """As if the clock had been set back, or had been wrong before."""
    for path in root.rglob("*"):
        moment = int(rng.choice([315_532_800, 4_000_000_000]))  # 1980, 2096
        with contextlib.suppress(FileNotFoundError):
            os.utime(path, (moment, moment))


def _assert_whole(project: Project, stage: Stage) -> None:
    """The same bytes as without harm, and nothing left over."""
    found, wanted = tree(project.root), project.whole[list(project.whole)[-1]]
    odd = sorted(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))
    assert not odd, f"{stage.name}: other files than in an unbroken run: {odd[:5]}"
    assert not project.running(), "a process was left over"


# --- nothing left to take ----------------------------------------------------------------------


@contextlib.contextmanager
def disk(folder: Path, size: int, options: str = "") -> Iterator[None]:
    """A file system of so many bytes. Raises PermissionError where none may be mounted."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}{options}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        folder.rmdir()
        raise PermissionError("no file system may be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


def full_disk(project: Project, name: str, percents: Sequence[int]) -> Tally:
    """A disk with room for only so many percent of the output, then one with enough room."""
    stage, tally = STAGES[name], Tally()
    place = _beside(stage)
    wanted = _output(project, stage)
    sizes = [(project.root / stage.output).parent / key for key in wanted]
    need = sum(-(-path.stat().st_size // PAGE) * PAGE for path in sizes if path.is_file())
    for size in sorted({max(PAGE, need * percent // 100 // PAGE * PAGE) for percent in percents}):
        folder = (project.root / place).parent
        shutil.rmtree(project.root / ".toolkit", ignore_errors=True)
        with disk(folder, size):
            ended = project.run(stage.command(place))
            assert ended.clean, f"{name}, disk full: {ended.said}"
            if ended.code:
                assert "No space left on device" in ended.said, ended.said
                left = [path.name for path in folder.iterdir()]
                assert set(left) <= {f".{Path(place).name}.building", Path(place).name}, left
                tally.refused += 1
            more = f"remount,size={20 * need + 2**20}"
            subprocess.run(["mount", "-o", more, str(folder)], check=True)
            again = project.run(stage.command(place))
            assert again.code == 0, again.said
            assert tree(folder) == wanted, f"{name}: other bytes after a full disk"
        tally.done += 1
    return tally


def read_only(project: Project, name: str) -> Ended:
    """An output in a folder that cannot be written."""
    stage = STAGES[name]
    place = _beside(stage)
    with disk((project.root / place).parent, 2**20, ",ro"):
        ended = project.run(stage.command(place))
    assert ended.code == 1, ended.said
    assert ended.clean, ended.said
    assert "Read-only file system" in ended.said, ended.said
    return ended


def _beside(stage: Stage) -> str:
    """An output as deep as the stage's own: relative paths in it are the same."""
    output = Path(stage.output)
    return str(output.parent.parent / "disk" / output.name)


def _output(project: Project, stage: Stage) -> dict[str, str]:
    """The stage's files, with paths from the folder that its output is in."""
    output = Path(stage.output)
    start = f"{output.parent}/"
    return {
        key.removeprefix(start): digest
        for key, digest in project.whole[stage.name].items()
        if key.startswith(start) and key.removeprefix(start).startswith(output.stem)
    }


def no_descriptors(project: Project, name: str, limits: Sequence[int] = DESCRIPTORS) -> Tally:
    """Too few file descriptors: one message, or the same bytes."""
    stage, tally = STAGES[name], Tally()
    for limit in limits:
        reset(project, stage)
        ended = project.run(
            stage.command(), lambda n=limit: resource.setrlimit(resource.RLIMIT_NOFILE, (n, n))
        )
        assert ended.clean, f"{name}, {limit} descriptors: {ended.said}"
        tally.refused += ended.code != 0
        tally.done += 1
        if ended.code == 0:
            _assert_whole(project, stage)
    assert project.run(stage.command()).code == 0
    _assert_whole(project, stage)
    return tally


# --- others ------------------------------------------------------------------------------------


def killed_worker(project: Project, name: str, count: int) -> Tally:
    """The kernel ends a worker: the stage says so, or does its work again."""
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
        ended = finish(process)
        assert ended.clean, f"{name}, a worker was killed: {ended.said}"
        tally.refused += ended.code != 0
        assert ended.code == 0 or "killed" in ended.said, ended.said
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
    """A second run beside the first: it says so, or comes after it; the bytes are the same."""
    stage, tally = STAGES[name], Tally()
    for _ in range(count):
        reset(project, stage)
        both = [project.start(stage.command()) for _ in range(2)]
        ends = [finish(process) for process in both]
        codes = [ended.code for ended in ends]
        assert 0 in codes, ends
        for ended in ends:
            assert ended.clean, ended.said
            assert not ended.code or "another process is writing it" in ended.said, ended.said
        tally.done += 1
        tally.refused += sum(codes)
        _assert_whole(project, stage)
    return tally
