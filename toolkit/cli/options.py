"""What the commands share: the project's settings, and common options."""

import contextlib
import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.pipeline.paths import PARAMS

if TYPE_CHECKING:
    from toolkit.pipeline import params

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors only.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Path to write to.")]
PositiveClass = Annotated[
    str | None,
    typer.Option("--positive", help="The class that precision, recall and ROC refer to."),
]
Work = Annotated[Path, typer.Option(help="Folder for downloads and measurements.")]
Workers = Annotated[int, typer.Option(min=0, help="Number of processes; 0 means one per core.")]


@contextlib.contextmanager
def quick_imports() -> Iterator[None]:
    """Import without looking for garbage, as modules stay, nor starting threads for numpy's BLAS.

    Both take 40 ms of CPU. For commands that compute nothing by BLAS.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def read_project() -> "params.Params":
    """Read the project's params.yaml. Raises InputError if it is missing or of another version."""
    from toolkit.pipeline.project import read_settings

    return read_settings(PARAMS)


def read_section(name: str, default: Callable[[], Any]) -> Any:
    """Return the section of params.yaml named `name`, or the default outside a project."""
    return getattr(read_project(), name) if PARAMS.is_file() else default()
