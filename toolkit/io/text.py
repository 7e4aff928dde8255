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

EMPTY, WEB_PAGE = "the file is empty", "a web page"
CONTENTS = {
    b"<!doctype html": WEB_PAGE,
    b"<html": WEB_PAGE,
    b"<head": WEB_PAGE,
    b"<?xml": "an XML or SVG file",
    b"<svg": "an SVG drawing",
    b"%pdf": "a PDF",
    b"pk\x03\x04": "a zip archive",
    b"pk\x05\x06": "a zip archive",
    b"\x1f\x8b": "compressed by gzip",
    b"7z\xbc\xaf'\x1c": "a 7z archive",
    b"rar!": "a RAR archive",
    b"\x93numpy": "an array of NumPy",
    b"\x89hdf": "an HDF5 file",
    b"version https://git-lfs": "a pointer of Git LFS; `git lfs pull` gets the file itself",
}
"""What files begin with that are taken for images or archives, in lower case."""


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


def describe_content(data: bytes) -> str:
    """Say what a file seems to be that begins with these bytes."""
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not data:
        return EMPTY
    for magic, name in CONTENTS.items():
        if start.startswith(magic):
            return name
    if data[4:8] == b"ftyp":
        return "a video, or a kind of photo that is not known"
    if not data.strip(b"\0"):
        return "nothing but zeros, as after a copy that failed"
    text = data[:64].decode("utf-8", "replace").rstrip("\ufffd").strip()
    if text and "\ufffd" not in text and re.sub(r"[\r\n]", "", text).isprintable():
        return f"a text that begins with {shorten(text, 20)!r}"
    return "of a kind that is not known"


def describe_rejected(rejected: Sequence[Mapping[str, str]], of: int) -> str:
    """Say how many of `of` files are not used, by reason, and name the first: its path, reason.

    Each of `rejected` has a path and a reason. What details a reason has are not told apart.
    """
    first = f"{rejected[0]['path'][:200]}: {rejected[0]['reason'][:300]}"
    files = "1 file is" if len(rejected) == 1 else f"{len(rejected)} files are"
    return f"{files} not used, of {of}: {count_reasons(rejected)}; the first is {first}"


def count_reasons(rejected: Sequence[Mapping[str, str]]) -> str:
    """List the reasons of rejected files, the most frequent ones first, each with its number."""
    counts = Counter(re.sub(r"^[\d,]+( x [\d,]+)? | \(.*|;.*", "", r["reason"]) for r in rejected)
    listed = [f"{reason[:80]} ({n})" for reason, n in counts.most_common(MOST_REASONS)]
    more = [f"others ({counts.total() - sum(n for _, n in counts.most_common(MOST_REASONS))})"]
    return ", ".join(listed + more * (len(counts) > MOST_REASONS))
