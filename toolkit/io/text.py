"""Text from files and addresses, made fit to be shown."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

MOST_REASONS = 6


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


def describe_rejected(rejected: Sequence[Mapping[str, str]], of: int) -> str:
    """Say how many of `of` files are not used, by reason, and name the first: its path, reason.

    Each of `rejected` has a path and a reason. What details a reason has are not told apart.
    """
    counts = Counter(re.sub(r"^[\d,]+( x [\d,]+)? | \(.*|;.*", "", r["reason"]) for r in rejected)
    listed = [f"{reason[:80]} ({n})" for reason, n in counts.most_common(MOST_REASONS)]
    more = [f"others ({counts.total() - sum(n for _, n in counts.most_common(MOST_REASONS))})"]
    reasons = ", ".join(listed + more * (len(counts) > MOST_REASONS))
    first = f"{rejected[0]['path'][:200]}: {rejected[0]['reason'][:300]}"
    files = "1 file is" if len(rejected) == 1 else f"{len(rejected)} files are"
    return f"{files} not used, of {of}: {reasons}; the first is {first}"
