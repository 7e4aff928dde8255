"""What a person sees in the terminal. Only this module and cli print."""

import errno
import sys
from collections.abc import Callable, Iterable
from typing import TypeVar

from toolkit import progress
from toolkit.errors import InputError, StoppedError
from toolkit.narration import Narrator
from toolkit.printable import one_line, plain
from toolkit.progress import Track

T = TypeVar("T")

REMEDIES = {
    errno.ENOSPC: "; make room, then run again",
    errno.EDQUOT: "; make room, then run again",
    errno.EMFILE: "; raise the limit with `ulimit -n`, then run again",
    errno.EROFS: "; choose another --output",
}


def say(text: str, *, quiet: bool = False) -> None:
    """Tell how things went, on stderr: stdout is for results."""
    if not quiet:
        sys.stderr.write(f"{plain(text)}\n")


def answer(text: str) -> None:
    """What was asked for, on stdout."""
    sys.stdout.write(f"{plain(text)}\n")


def guarded(run: Callable[[], object]) -> int:
    """Run a command: the exit code, 1 after one message for bad input, 130 after Ctrl-C."""
    try:
        run()
    except InputError as error:
        say(f"error: {error}")
        return 1
    except StoppedError as error:
        sys.stderr.write(f"{error}\n")
        return 128 + error.number
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        say(f"error: {named}{error.strerror or error}{REMEDIES.get(error.errno or 0, '')}")
        return 1
    except UnicodeEncodeError as error:
        say(f"error: the name {error.object!r} is not UTF-8; rename it")
        return 1
    except MemoryError:
        say("error: not enough memory; run again with --workers 1 or with less at a time")
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


def narrator(quiet: bool) -> Narrator:
    """How a training goes: live in a terminal, now and then a line elsewhere."""
    if quiet or not sys.stderr.isatty():
        return Narrator(lambda text: say(text, quiet=quiet))
    from rich import progress as bars
    from rich.console import Console

    columns = (bars.SpinnerColumn(), bars.TextColumn("{task.description}"))  # fit 80 characters
    return Narrator(say, bars.Progress(*columns, console=Console(stderr=True), transient=True))


def table(rows: Iterable[Iterable[object]]) -> str:
    """Columns aligned with spaces."""
    texts = [[one_line(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = ("  ".join(t.ljust(w) for t, w in zip(row, widths, strict=True)) for row in texts)
    return "\n".join(line.rstrip() for line in lines)
