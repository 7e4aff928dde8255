"""Text from files and addresses, made fit to be shown."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

MOST_REASONS = 6
LONGEST = 4000  # characters of a message
HIDDEN = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
"""Characters that show nothing, or turn the direction of what follows; no tab or line feed."""


def escape(text: str) -> str:
    """Escape characters that are not printable, which may steer a terminal; not line breaks."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def one_line(text: str) -> str:
    """Escape characters that are not printable, and line breaks."""
    return escape(text).replace("\n", "\\n")


def escape_hidden(text: str) -> str:
    """Escape HIDDEN characters, where all others can be shown, as on a page."""
    return HIDDEN.sub(lambda match: ascii(match[0])[1:-1], text)


def bounded(text: str) -> str:
    """Leave out the middle of a text of more than LONGEST characters: a remedy is at the end."""
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    return f"{text[:half]} [{len(text) - 2 * half:,} characters] {text[-half:]}"


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
