"""A file from an http(s) URL: resumed, verified by its sha256, and kept.

urllib and not requests: it is in the standard library, hands over the body as it was sent, and
leaves redirects to us.
"""

import base64
import contextlib
import math
import os
import signal
import string
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse, InvalidURL
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError
from urllib.parse import quote, unquote, urljoin, urlsplit

from toolkit.errors import InputError
from toolkit.io import files
from toolkit.progress import Track, silent

STALL = 60.0  # seconds without a byte
DEADLINE = 6 * 3600.0  # seconds in all: a server that drips never stalls
BACKOFF = (1.0, 3.0, 9.0)  # seconds before each new try; a try that got further starts over
BLOCK = 1 << 18
MAX_BYTES = 20_000_000_000
REDIRECTS = (301, 302, 303, 307, 308)
PASSING = (408, 429, 500, 502, 503, 504)  # HTTP statuses worth another try


def download(url: str, sha256: str, work: Path, track: Track = silent) -> Path:
    """The file with this sha256, from `work`/downloads or else from `url`.

    An interrupted download goes on where it stopped. Raises InputError, without the credentials
    that `url` may hold, for a host that cannot be reached, an HTTP error, a body that ends early
    or takes too long, and for another sha256; then nothing is kept but what can be resumed.
    """
    kept = work / "downloads" / sha256
    part = kept.with_name(f"{sha256}.part")
    with files.only_one(kept):
        for path in (kept, part):
            if path.is_file() and files.sha256(path) == sha256:
                return path.replace(kept)
        kept.unlink(missing_ok=True)
        resumed = part.is_file()
        _persist(url, part, track)
        if resumed and files.sha256(part) != sha256:  # the older half may be of another file
            part.unlink()
            _persist(url, part, track)
        try:
            verify_sha256(part, sha256, redacted_url(url))
        except InputError:
            part.unlink()
            raise
        return part.replace(kept)


def verify_sha256(path: Path, sha256: str, name: str) -> None:
    """Raise InputError, which begins with `name`, where the file has another sha256."""
    found = files.sha256(path)
    if found == sha256:
        return
    with path.open("rb") as stream:
        start = stream.read(512).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    message = f"{name}: sha256 must be {sha256}, found {found} ({path.stat().st_size:,} bytes)"
    if start.startswith((b"<!doctype html", b"<html", b"<head")):
        message += "; it is a web page, not an archive: give the address of the file itself"
    raise InputError(message)


def redacted_url(url: str) -> str:
    """`url` without what may be secret: user, password and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "fetch.location"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _persist(url: str, part: Path, track: Track) -> None:
    """Download to `part`; a few more tries where the error may pass."""
    with _ended_after(DEADLINE, url):
        _try(url, part, track)


@contextlib.contextmanager
def _ended_after(seconds: float, url: str) -> Iterator[None]:
    """Raise InputError in the block after so long, whatever the server drips: headers too.

    Only the main thread can be interrupted; in others a server that never stalls is waited for.
    """

    def ring(_number: int, _frame: object) -> None:
        raise InputError(f"{redacted_url(url)}: took longer than {seconds:g} seconds; run again")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _try(url: str, part: Path, track: Track) -> None:
    failures = 0
    while True:
        before = _size(part)
        try:
            return _continue(url, part, track)
        except ConnectionError as error:
            failures = 1 if _size(part) > before else failures + 1
            if failures > len(BACKOFF):
                message = (
                    f"{redacted_url(url)}: cannot be downloaded ({error}); check the address and "
                )
                raise InputError(f"{message}the network, then run again: it goes on") from error
            time.sleep(BACKOFF[failures - 1])


def _continue(url: str, part: Path, track: Track) -> None:
    """One try, from where `part` ends. Raises ConnectionError where another may help."""
    part.parent.mkdir(parents=True, exist_ok=True)
    with _request(url, _size(part)) as response, part.open("ab") as stream:
        _start(response, stream)
        length = response.headers.get("Content-Length")
        missing = int(length) if length and length.isdigit() else None
        end = None if missing is None else stream.tell() + missing
        total = None if missing is None else math.ceil(missing / BLOCK)
        for block in track(_blocks(response), "download", total):
            stream.write(block)
            if stream.tell() > MAX_BYTES:
                raise InputError(f"{redacted_url(url)}: larger than {MAX_BYTES // 10**9} GB")
        if end is not None and stream.tell() < end:
            raise ConnectionError(f"it ended after {stream.tell():,} of {end:,} bytes")
        stream.flush()
        os.fsync(stream.fileno())


def _start(response: HTTPResponse, stream: BinaryIO) -> None:
    """Throw away what is there unless the server goes on exactly behind it."""
    position = response.headers.get("Content-Range", "")
    if response.status != 206 or not position.startswith(f"bytes {stream.tell()}-"):
        stream.truncate(0)
        stream.seek(0)
        if response.status == 206 and not position.startswith("bytes 0-"):
            raise ConnectionError(f"the server sent another range than asked for: {position!r}")


def _blocks(response: HTTPResponse) -> Iterator[bytes]:
    """The body as it comes. Raises ConnectionError when the line breaks, with all before given."""
    while True:
        try:
            block = response.read1(BLOCK)
        except (OSError, HTTPException) as error:
            raise ConnectionError(_reason(error)) from error
        if not block:
            return
        yield block


def _request(url: str, start: int) -> HTTPResponse:
    """The answer to GET from byte `start` on, with redirects followed."""
    address = url
    for _ in range(6):
        try:
            return _open(address, start)
        except HTTPError as error:
            error.close()
            if error.code in REDIRECTS:
                address = _redirected(address, error.headers.get("Location", ""))
            elif error.code == 416 and start:
                start = 0
            elif error.code in PASSING:
                raise ConnectionError(f"HTTP status {error.code} {error.reason}") from None
            else:
                message = f"{redacted_url(url)}: HTTP status {error.code} {error.reason}"
                raise InputError(f"{message}; check the address") from None
    raise InputError(f"{redacted_url(url)}: redirected too often")


def _open(address: str, start: int) -> HTTPResponse:
    try:
        response: HTTPResponse = _opener().open(_get(address, start), timeout=STALL)
    except (HTTPError, InputError):
        raise
    except (InvalidURL, ValueError) as error:
        raise InputError(f"{redacted_url(address)}: not a usable address ({error})") from None
    except (OSError, HTTPException) as error:
        raise ConnectionError(_reason(error)) from error
    return response


def _redirected(address: str, location: str) -> str:
    target = urljoin(address, location)
    allowed = ("https",) if urlsplit(address).scheme == "https" else ("http", "https")
    if not location or urlsplit(target).scheme not in allowed:
        message = f"{redacted_url(address)}: redirected to {redacted_url(target)!r}; only"
        raise InputError(f"{message} {' or '.join(allowed)} is followed")
    return target


def _opener() -> urllib.request.OpenerDirector:
    """HTTP and HTTPS with the environment's proxies, and nothing else: no ftp, no file."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _get(address: str, start: int) -> urllib.request.Request:
    parts = urlsplit(address)
    login, _, host = parts.netloc.rpartition("@")
    headers = {"User-Agent": "imbalanced-images"}
    if start:
        headers["Range"] = f"bytes={start}-"
    if login:
        token = base64.b64encode(unquote(login).encode()).decode()
        headers["Authorization"] = f"Basic {token}"
    bare = parts._replace(netloc=host, fragment="").geturl()
    ascii_only = quote(bare, safe=string.punctuation)
    return urllib.request.Request(ascii_only, headers=headers)  # noqa: S310 (http and https only)


def _reason(error: Exception) -> str:
    cause = getattr(error, "reason", error)
    if isinstance(cause, TimeoutError):
        return f"no answer for {STALL:g} seconds"
    return str(cause) or type(cause).__name__


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0
