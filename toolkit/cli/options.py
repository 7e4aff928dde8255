"""What the commands share: the project's settings, and common options."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.pipeline.paths import PARAMS

if TYPE_CHECKING:
    from toolkit.pipeline import params

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors only.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Where to write.")]
PositiveClass = Annotated[
    str | None, typer.Option("--positive", help="The class that precision, recall and ROC are of.")
]
Workers = Annotated[int, typer.Option(min=0, help="Processes; 0 for one per core.")]


def read_project() -> "params.Params":
    """The project's params.yaml; InputError where there is none or `version` does not fit."""
    from toolkit.pipeline.project import read_settings

    return read_settings(PARAMS)


def read_section(name: str, default: Callable[[], Any]) -> Any:
    """The section of params.yaml named `name`, or the default outside a project."""
    return getattr(read_project(), name) if PARAMS.is_file() else default()


def process_count(workers: int) -> int:
    """How many processes the option --workers means."""
    from toolkit.io.parallel import cores

    return workers or cores()
