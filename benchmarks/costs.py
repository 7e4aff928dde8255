"""Time and memory of a process and its children, for the benchmarks."""

import os
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """Wall and CPU seconds of a process and its children, and their peak memory in MB."""

    wall: float
    cpu: float
    memory: float


def measure(command: Sequence[str], path: str, work: Path) -> Cost | None:
    """Run a command in the folder `work` and return its cost; None if it fails."""
    began = time.perf_counter()
    process = start(command, path, work)
    peaks = [0.0]
    watcher = threading.Thread(target=_watch, args=(process.pid, peaks))
    watcher.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    watcher.join()
    if process.returncode:
        return None
    # Not usage.ru_maxrss: it includes what this process had when it started the other one.
    return Cost(wall, usage.ru_utime + usage.ru_stime, peaks[0])


def start(command: Sequence[str], path: str, work: Path) -> "subprocess.Popen[bytes]":
    """Start a command in the folder `work`, with modules from `path` and no output."""
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=work, env=environment, stdout=quiet, stderr=quiet)


def _watch(process: int, peaks: list[float]) -> None:
    """Keep the peak memory of a process and its children, shared pages counted once."""
    while (kilobytes := _memory(process)) is not None:
        peaks[0] = max(peaks[0], kilobytes / 1024)
        time.sleep(0.05)


def _memory(process: int) -> float | None:
    """Return the memory in kB; None when the process has ended."""
    folder = Path(f"/proc/{process}")
    try:
        children = (folder / f"task/{process}/children").read_text().split()
        if not children:
            status = (folder / "status").read_text()
            return _number(status, "VmHWM:") if "VmHWM:" in status else None
        rollups = [Path(f"/proc/{p}/smaps_rollup").read_text() for p in (process, *children)]
    except OSError:
        return 0.0 if folder.exists() else None  # a child has ended just now
    return sum(_number(text, "\nPss:") for text in rollups if text)


def _number(text: str, key: str) -> float:
    return float(text.split(key)[1].split()[0])
