"""Where the time of a training goes, by torch's profiler."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.profiler import ProfilerActivity, profile, schedule

from toolkit.io import files

WARM, STEPS = 2, 16
"""Optimiser steps that are left out, and those that are measured after them."""
TABLE, TRACE = "operations.txt", "trace.json"
ROWS = 30


@contextlib.contextmanager
def profiled(folder: Path) -> Iterator[None]:
    """Measure STEPS optimiser steps of the block; what lies between them is measured too.

    Writes into `folder` a table of the operations that took longest, and a trace for Chrome's
    about://tracing or ui.perfetto.dev. A block of WARM steps or fewer leaves nothing. Weights stay
    the same, bit for bit; the steps that are measured take longer.
    """
    (folder / TRACE).unlink(missing_ok=True)
    kinds = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        kinds.append(ProfilerActivity.CUDA)
    found = profile(
        activities=kinds,
        schedule=schedule(wait=0, warmup=WARM, active=STEPS, repeat=1),
        on_trace_ready=lambda measured: _write(folder, measured),
        acc_events=True,
    )
    with found:
        handle = register_optimizer_step_post_hook(lambda *_: found.step())
        try:
            yield
        finally:
            handle.remove()


def describe_profile(folder: Path) -> str:
    """What was written, in words."""
    if (folder / TRACE).is_file():
        return f"{TABLE} and {TRACE}, where the time of {STEPS} steps went"
    return f"nothing: the training had no more than {WARM} steps"


def _write(folder: Path, measured: profile) -> None:
    order = "self_cuda_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
    table = measured.key_averages().table(sort_by=order, row_limit=ROWS, max_name_column_width=60)
    files.write_file(folder / TABLE, table)
    half_written = folder / f".{TRACE}.tmp"
    measured.export_chrome_trace(str(half_written))
    half_written.replace(folder / TRACE)
