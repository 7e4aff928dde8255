"""CSV that reads back exactly, whatever the names, and that a spreadsheet shows and does not run.

A text that a spreadsheet would take for a formula gets an apostrophe before it, as OWASP advises;
one that has apostrophes before such a text gets one more, so that reading can take it off again.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

FORMULA = ("=", "+", "-", "@", "\t", "\r")
FIRST = {"'", *FORMULA}  # what an escaped text can begin with
AddRow = Callable[[Iterable[object]], object]
"""What writes a row."""


class Writable(Protocol):
    """A text stream that does not translate line ends."""

    def write(self, text: str, /) -> object:
        """Write it all."""


@dataclass(frozen=True)
class _Lines:
    """Ends lines with LF, but lets csv believe in CR LF: else it would not quote a CR."""

    stream: Writable

    def write(self, line: str, /) -> object:
        return self.stream.write(line[:-2] + "\n")


def writer(stream: Writable) -> AddRow:
    """A function that writes a row of numbers and texts."""
    add = csv.writer(_Lines(stream), lineterminator="\r\n").writerow
    return lambda fields: add(
        [escape_formula(f) if isinstance(f, str) and f[:1] in FIRST else f for f in fields]
    )


def csv_text(header: Sequence[str], lines: Iterable[Iterable[object]]) -> str:
    """A whole table."""
    stream = io.StringIO()
    add = writer(stream)
    add(header)
    for line in lines:
        add(line)
    return stream.getvalue()


def read_rows(stream: Iterable[str]) -> Iterator[list[str]]:
    """The rows of a table, from a stream that does not translate line ends."""
    for fields in csv.reader(stream, strict=True):
        yield [unescape_formula(field) for field in fields]


def escape_formula(field: str) -> str:
    """The text as it is written."""
    return f"'{field}" if _runs(field) else field


def unescape_formula(field: str) -> str:
    """What `escape_formula` was given."""
    return field[1:] if field.startswith("'") and _runs(field) else field


def _runs(field: str) -> bool:
    if not field.startswith(("'", *FORMULA)):
        return False
    core = field.lstrip("'")
    return core.startswith(FORMULA) and not _number(core)


def _number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return field.isascii() and field == field.strip()
