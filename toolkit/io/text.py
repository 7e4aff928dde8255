"""Text from files and addresses, made fit to be shown."""

import re


def escape(text: str) -> str:
    """Escape characters that are not printable, which may steer a terminal; not line breaks."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def one_line(text: str) -> str:
    """Escape characters that are not printable, and line breaks."""
    return escape(text).replace("\n", "\\n")


def shorten(text: str, length: int) -> str:
    """Return one printable line of at most `length` characters."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if len(line) <= length else f"{line[: length - 1]}…"


def strip_credentials(text: str) -> str:
    """Remove user names and passwords from the URLs in a text."""
    return re.sub(r"://[^/\s]*@", "://", text)
