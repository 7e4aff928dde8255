"""Where the time of a training goes, measured by torch's profiler."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.profiler import ProfilerActivity, profile, schedule

from toolkit.io import files

WARMUP, STEPS = 2, 16
"""Optimizer steps that are skipped, and those that are measured after them."""
TABLE, TRACE = "operations.txt", "trace.json"
ROWS = 30  # of the table


@contextlib.contextmanager
def profiled(folder: Path) -> Iterator[None]:
    """Measure STEPS optimizer steps of the block, and all that happens between them.

    Writes into `folder` a table of the operations that took longest, and a trace for Chrome's
    about://tracing or ui.perfetto.dev. A block of fewer than WARMUP steps leaves nothing. Weights
    stay the same, bit for bit; the measured steps take longer.
    """
    (folder / TRACE).unlink(missing_ok=True)
    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)
    profiler = profile(
        activities=activities,
        schedule=schedule(wait=0, warmup=WARMUP, active=STEPS, repeat=1),
        on_trace_ready=lambda measured: _write(folder, measured),
        acc_events=True,
    )
    with profiler:
        handle = register_optimizer_step_post_hook(lambda *_: profiler.step())
        try:
            yield
        finally:
            handle.remove()


def describe_profile(folder: Path) -> str:
    """Say in one line what was written."""
    if (folder / TRACE).is_file():
        return f"{TABLE} and {TRACE}: where the time of up to {STEPS} steps went"
    return f"nothing: the training had fewer than {WARMUP} steps"


def _write(folder: Path, profiler: profile) -> None:
    order = "self_cuda_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
    table = profiler.key_averages().table(sort_by=order, row_limit=ROWS, max_name_column_width=60)
    files.write_file(folder / TABLE, table)
    partial = folder / f".{TRACE}.tmp"
    profiler.export_chrome_trace(str(partial))
    partial.replace(folder / TRACE)
