"""CSV tables: ours read back exactly and run no formulas; others' are read as they are written.

A text that a spreadsheet would take for a formula is written with an apostrophe before it, as OWASP
advises. So is one that begins with apostrophes and a formula: reading removes just one again.
"""

import codecs
import contextlib
import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from toolkit.errors import InputError

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
FIRST = {"'", *FORMULA}  # first characters of the texts that may need escaping
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars", " ": "spaces"}
"""Where two fit a table equally well, the first is taken."""
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
"""Byte order marks; those of UTF-32 come before those of UTF-16, which they begin with."""
CUT = (
    "the last line has no end, so that the file may be cut off; get it anew, or if it is whole, "
    "end it with a line break"
)
EXCEL = "sep="  # a first line that tells Excel the separator
SNIFFED = 50  # rows from which the separator is found
MAX_ROWS = 3_000_000  # of a table of another program
MAX_FIRST = 100  # characters of a line that may tell the separator

TableRow = tuple[int, list[str]]
"""The fields of a row, and the number of the line that it ends on."""

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
        raise InputError(CUT)


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


# --- tables of other programs ------------------------------------------------------------------


@dataclass(frozen=True)
class TextTable:
    """The names of the columns, and the rows, each with as many fields.

    `said` tells what is not as usual, a phrase each: the separator, the encoding. `ended` is False
    if the last line has no end, so that the file may have been cut off.
    """

    header: tuple[str, ...]
    rows: list[TableRow] = field(repr=False)
    said: tuple[str, ...] = ()
    ended: bool = True


def parse_table(data: bytes) -> TextTable:
    """Parse a table with a line of names at its head. Blank lines are skipped.

    Raises InputError, with the line but without the file's name, for what is no text, for rows of
    unequal length, for broken quotes, and for an empty file.
    """
    text, encoding = decode_text(data)
    first = text[:MAX_FIRST].partition("\n")[0].rstrip("\r")
    separator = first[len(EXCEL) :] if first.lower().startswith(EXCEL) else ""
    if separator in SEPARATORS:
        text, skipped = text[len(first) :].lstrip("\r\n"), 1
    else:
        separator, skipped = _find_separator(text), 0
    try:
        rows = [(n + skipped, row) for n, row in islice(_rows(text, separator), MAX_ROWS + 1)]
    except csv.Error as error:
        raise InputError(f"broken table ({error}); save it again as CSV") from None
    if not rows:
        raise InputError("empty file; expected a line with the names of the columns")
    if len(rows) > MAX_ROWS:
        raise InputError(f"more than {MAX_ROWS:,} rows; divide the table")
    (_, header), body = rows[0], rows[1:]
    for line, row in body:
        if len(row) != len(header):
            raise InputError(f"line {line} must have {len(header)} fields, got {len(row)}")
    said = [f"separated by {SEPARATORS[separator]}"] if separator != "," else []
    said += [f"read as {encoding}"] if encoding else []
    return TextTable(tuple(header), body, tuple(said), ended=text.endswith(("\n", "\r")))


def decode_text(data: bytes) -> tuple[str, str]:
    """Return the text of a file, and its encoding unless it is UTF-8.

    What is not UTF-8, and has no byte order mark, is read as Windows-1252. Raises InputError.
    """
    name = next((name for mark, name in MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text, encoding = data.decode(name), "" if name.startswith("utf-8") else name.upper()
    except UnicodeDecodeError:
        text, encoding = _decode_windows(data), "Windows-1252"
    if "\0" in text:
        raise InputError("not a text file; save the table as CSV in UTF-8")
    return text, encoding


def _decode_windows(data: bytes) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 text ({error.reason}); save it as UTF-8") from None


def _find_separator(text: str) -> str:
    """Return the separator that divides the first rows into the most fields, equally many each."""
    return max(SEPARATORS, key=lambda separator: _fields(text, separator))


def _fields(text: str, separator: str) -> tuple[bool, int]:
    """Return whether the first rows are equally long, of two fields at least, and how long."""
    lengths = list[int]()
    with contextlib.suppress(csv.Error):
        lengths.extend(len(row) for _, row in islice(_rows(text, separator), SNIFFED))
    first, *_ = lengths or [0]
    # Spaces divide sentences as well: they separate fields only if nothing else does.
    return (first > 1 and len(set(lengths)) == 1, 1 if separator == " " else first)


def _rows(text: str, separator: str) -> Iterator[TableRow]:
    """Yield the rows that are not blank, their fields without spaces around them."""
    stream = io.StringIO(text, newline="")
    reader = csv.reader(stream, delimiter=separator, skipinitialspace=True, strict=True)
    for row in reader:
        if any(row):
            yield reader.line_num, [unescape_formula(value.strip()) for value in row]
