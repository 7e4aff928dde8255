"""CSV tables that read back exactly, and in which a spreadsheet runs no formulas.

A text that a spreadsheet would take for a formula is written with an apostrophe before it, as OWASP
advises. So is one that begins with apostrophes and a formula: reading removes just one again.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from toolkit.errors import InputError

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
FIRST = {"'", *FORMULA}  # first characters of the texts that may need escaping
AddRow = Callable[[Iterable[object]], object]
"""Writes a row."""


class Writable(Protocol):
    """A text stream that does not translate line endings."""

    def write(self, text: str, /) -> object:
        """Write all of `text`."""


@dataclass(frozen=True)
class _Lines:
    """Ends lines with LF while csv, to quote every CR, must believe in CR LF."""

    stream: Writable

    def write(self, line: str, /) -> object:
        return self.stream.write(line[:-2] + "\n")


def writer(stream: Writable) -> AddRow:
    """Return a function that writes a row of numbers and texts."""
    add = csv.writer(_Lines(stream), lineterminator="\r\n").writerow
    return lambda fields: add(
        [escape_formula(f) if isinstance(f, str) and f[:1] in FIRST else f for f in fields]
    )


def csv_text(header: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a whole table as text."""
    stream = io.StringIO()
    add = writer(stream)
    add(header)
    for row in rows:
        add(row)
    return stream.getvalue()


def read_rows(stream: Iterable[str]) -> Iterator[list[str]]:
    """Yield the rows of a table, from a stream that does not translate line endings."""
    for fields in csv.reader(whole_lines(stream), strict=True):
        yield [unescape_formula(field) for field in fields]


def whole_lines(stream: Iterable[str]) -> Iterator[str]:
    """Yield the lines. Raises InputError if the last one has no end, as in a file that was cut."""
    line = "\n"
    for line in stream:
        yield line
    if not line.endswith(("\n", "\r")):
        raise InputError(
            "the last line has no end, so that the file may be cut off; get it anew, or if it is "
            "whole, end it with a line break"
        )


def escape_formula(field: str) -> str:
    """Return the text with an apostrophe before it if a spreadsheet would run it."""
    return f"'{field}" if _is_formula(field) else field


def unescape_formula(field: str) -> str:
    """Undo `escape_formula`."""
    return field[1:] if field.startswith("'") and _is_formula(field) else field


def _is_formula(field: str) -> bool:
    """Return whether the text, without apostrophes before it, is a formula and no number."""
    text = field.lstrip("'")
    return text.startswith(FORMULA) and not _is_number(text)


def _is_number(field: str) -> bool:

    try:
        float(field)
    except ValueError:
        return False
    return field.isascii() and field == field.strip()
