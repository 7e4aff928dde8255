"""What a person sees in the terminal. Only this module and cli print."""

import sys
from collections.abc import Iterable
from typing import TypeVar

import typer

from toolkit import progress
from toolkit.progress import Track

T = TypeVar("T")


def say(text: str, *, quiet: bool = False) -> None:
    """Tell how things went, on stderr: stdout is for results."""
    if not quiet:
        typer.echo(text, err=True)


def track(quiet: bool) -> Track:
    """Progress on stderr, in a terminal only."""
    if quiet or not sys.stderr.isatty():
        return progress.silent
    from rich import progress as bars
    from rich.console import Console

    def show(items: Iterable[T], label: str, total: int | None = None) -> Iterable[T]:
        console = Console(stderr=True)
        return bars.track(items, label, total=total, console=console, transient=True)

    return show


def table(rows: Iterable[Iterable[object]]) -> str:
    """Columns aligned with spaces."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = ("  ".join(t.ljust(w) for t, w in zip(row, widths, strict=True)) for row in texts)
    return "\n".join(line.rstrip() for line in lines)
