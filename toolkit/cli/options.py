"""What the commands share: the project's settings, and common options."""

from collections.abc import Callable
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


def read_project() -> "params.Params":
    """Read the project's params.yaml. Raises InputError if it is missing or of another version."""
    from toolkit.pipeline.project import read_settings

    return read_settings(PARAMS)


def read_section(name: str, default: Callable[[], Any]) -> Any:
    """Return the section of params.yaml named `name`, or the default outside a project."""
    return getattr(read_project(), name) if PARAMS.is_file() else default()
