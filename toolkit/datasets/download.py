"""Download a file from an http(s) URL: resumed, verified by its sha256, and kept.

urllib rather than requests: it is in the standard library, returns the body as it was sent, and
leaves redirects to the caller.
"""

import base64
import contextlib
import hashlib
import math
import os
import string
import time
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse, InvalidURL
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError
from urllib.parse import quote, unquote, urljoin, urlsplit

from toolkit.errors import InputError, explain_error
from toolkit.io import files
from toolkit.io.system import processes
from toolkit.io.text import WEB_PAGE, describe_content
from toolkit.progress import Track, silent

STALL = 60.0  # seconds without a byte
DEADLINE = 6 * 3600.0  # seconds in all: a server that drips never stalls
BACKOFF = (1.0, 3.0, 9.0)  # seconds before each retry; getting further than ever resets the count
FAILURES = 30  # in all
BLOCK = 1 << 18
MAX_BYTES = 20_000_000_000
MAX_REQUESTS = 6  # of one try, redirects included
REDIRECTS = (301, 302, 303, 307, 308)
TRANSIENT = (408, 429, 500, 502, 503, 504)  # HTTP statuses worth a retry


def download(url: str, sha256: str, work: Path, track: Track = silent) -> Path:
    """Return the file with this sha256, from `work`/downloads or else from `url`.

    With an empty `sha256` it is whatever is there: a file that was downloaded before is not asked
    for again.

    An interrupted download continues where it stopped. Raises InputError, without the credentials
    that `url` may hold, for a host that cannot be reached, an HTTP error, a body that ends early
    or takes too long, and a wrong sha256; then nothing is kept but what can be resumed.
    """
    kept = work / "downloads" / (sha256 or f"url-{hashlib.sha256(url.encode()).hexdigest()}")
    part = kept.with_name(f"{kept.name}.part")
    with files.exclusive(kept):
        if not sha256:
            if not kept.is_file():
                with _deadline(DEADLINE, url):
                    _persist(url, part, track)
                part.replace(kept)
            return kept
        for path in (kept, part):
            if path.is_file() and files.sha256(path) == sha256:
                return path.replace(kept)
        kept.unlink(missing_ok=True)
        resumed = part.is_file()
        with _deadline(DEADLINE, url):
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


def keep(path: Path, sha256: str) -> None:
    """Keep a file that was downloaded without a sha256 where `download` finds it by this one."""
    with contextlib.suppress(OSError):  # there already, or on a disk without links
        path.with_name(sha256).hardlink_to(path)


def verify_sha256(path: Path, sha256: str, name: str) -> None:
    """Raise InputError, led by `name`, unless the file has this sha256."""
    actual = files.sha256(path)
    if actual == sha256:
        return
    with path.open("rb") as stream:
        content = describe_content(stream.read(512))
    message = f"{name}: sha256 must be {sha256}, found {actual} ({path.stat().st_size:,} bytes)"
    if content == WEB_PAGE:
        message += "; it is a web page, not an archive: give the address of the file itself"
    raise InputError(message)


def redacted_url(url: str) -> str:
    """Return `url` without its possible secrets: user, password and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "fetch.location"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@contextlib.contextmanager
def _deadline(seconds: float, url: str) -> Iterator[None]:
    """Raise InputError in the block after so long, whatever the server drips, headers included.

    Only the main thread can be interrupted (see `processes.alarm`); else a server is waited for
    that never stalls.
    """

    def expire(_number: int, _frame: object) -> None:
        raise InputError(f"{redacted_url(url)}: took longer than {seconds:g} seconds; run again")

    with processes.alarm(seconds, expire):
        yield


def _persist(url: str, part: Path, track: Track) -> None:
    """Download to `part`, retrying after errors that may pass.

    A server may answer with another file or range each time: what counts as getting further is
    more than the most that `part` ever had, and there is a limit to all failures together.
    """
    furthest, stalled, failures = _size(part), 0, 0
    while True:
        try:
            return _resume(url, part, track)
        except ConnectionError as error:
            stalled = 1 if _size(part) > furthest else stalled + 1
            furthest, failures = max(furthest, _size(part)), failures + 1
            if stalled > len(BACKOFF) or failures >= FAILURES:
                message = f"{redacted_url(url)}: cannot be downloaded ({error})"
                remedy = "check the address and the network, then run again to resume"
                raise InputError(f"{message}; {remedy}") from error
            time.sleep(BACKOFF[stalled - 1])


def _resume(url: str, part: Path, track: Track) -> None:
    """Download once, from where `part` ends. Raises ConnectionError if a retry may help."""
    part.parent.mkdir(parents=True, exist_ok=True)
    with _request(url, _size(part)) as response, part.open("ab") as stream:
        _seek(response, stream)
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


def _seek(response: HTTPResponse, stream: BinaryIO) -> None:
    """Discard what was downloaded before unless the server continues exactly after it."""
    position = response.headers.get("Content-Range", "")
    if response.status != 206 or not position.startswith(f"bytes {stream.tell()}-"):
        stream.truncate(0)
        stream.seek(0)
        if response.status == 206 and not position.startswith("bytes 0-"):
            raise ConnectionError(f"the server sent another range than requested: {position!r}")


def _blocks(response: HTTPResponse) -> Iterator[bytes]:
    """Yield the body as it arrives. Raises ConnectionError when the connection breaks."""
    while True:
        try:
            block = response.read1(BLOCK)
        except (OSError, HTTPException) as error:
            raise ConnectionError(_reason(error)) from error
        if not block:
            return
        yield block


def _request(url: str, start: int) -> HTTPResponse:
    """Return the response to GET from byte `start` on, with redirects followed."""
    address = url
    for _ in range(MAX_REQUESTS):
        try:
            return _open(address, start)
        except HTTPError as error:
            error.close()
            if error.code in REDIRECTS:
                address = _redirected(address, error.headers.get("Location", ""))
            elif error.code == 416 and start:
                start = 0
            elif error.code in TRANSIENT:
                raise ConnectionError(f"HTTP status {error.code} {error.reason}") from None
            else:
                message = f"{redacted_url(url)}: HTTP status {error.code} {error.reason}"
                raise InputError(f"{message}; check the address") from None
    raise InputError(f"{redacted_url(url)}: too many redirects")


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
    """Return an opener for HTTP and HTTPS, with the environment's proxies: no ftp, no file."""
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
    return explain_error(cause) if isinstance(cause, Exception) else str(cause)


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0
