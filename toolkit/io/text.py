"""Names and addresses as they can be shown."""

import re


def escape(text: str) -> str:
    """`text` with escapes for what would steer a terminal, turn the line, or be no UTF-8."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def one_line(text: str) -> str:
    """The same, with an escape for a new line too."""
    return escape(text).replace("\n", "\\n")


def strip_credentials(text: str) -> str:
    """`text` without the user and password of the addresses in it."""
    return re.sub(r"://[^/\s]*@", "://", text)


def shorten(text: str, length: int) -> str:
    """One printable line of at most `length` characters."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if len(line) <= length else f"{line[: length - 1]}…"
