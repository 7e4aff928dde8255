"""What a person sees in the terminal. Only this module and cli print."""

import sys
from collections.abc import Callable, Iterable
from typing import TypeVar

from toolkit import progress
from toolkit.errors import InputError
from toolkit.progress import Track

T = TypeVar("T")


def say(text: str, *, quiet: bool = False) -> None:
    """Tell how things went, on stderr: stdout is for results."""
    if not quiet:
        sys.stderr.write(f"{text}\n")


def guarded(run: Callable[[], object]) -> int:
    """Run a command: the exit code, 1 after one message for bad input."""
    try:
        run()
    except InputError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"error: {error.filename or ''}: {error.strerror or error}\n")
        return 1
    return 0


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
