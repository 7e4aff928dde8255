"""Names and addresses as they can be shown."""

import re


def plain(text: str) -> str:
    """`text` with escapes for what would steer a terminal, turn the line, or be no UTF-8."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def one_line(text: str) -> str:
    """The same, with an escape for a new line too."""
    return plain(text).replace("\n", "\\n")


def without_logins(text: str) -> str:
    """`text` without the user and password of the addresses in it."""
    return re.sub(r"://[^/\s]*@", "://", text)
