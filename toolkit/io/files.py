"""Atomic writes of files and folders: whole or not at all."""

import contextlib
import fcntl
import hashlib
import io
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO

from toolkit.errors import InputError
from toolkit.io import csv

WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
SEAL, SEAL_END = ',\n  "sha256": "', '"\n}\n'  # around the hash at the end of a JSON file
LOCK_ATTEMPTS, LOCK_PAUSE = 40, 0.05  # seconds


def sha256(path: Path) -> str:
    """Return the hex sha256 of a file, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_file(path: Path, data: bytes | str) -> None:
    """Write a file (text as UTF-8) under a temporary name, flush it to disk, and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _replacing(path) as stream:
        stream.write(data.encode() if isinstance(data, str) else data)


@contextlib.contextmanager
def csv_table(path: Path, columns: Sequence[str]) -> Iterator[csv.AddRow]:
    """Write a CSV file row by row, whole or not at all; the block gets a function to add a row."""
    with _replacing(path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
        add = csv.writer(text)
        add(columns)
        yield add
        text.flush()
        text.detach()


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Yield a stream to a file that, once flushed to disk, replaces `path` if the block succeeds.

    Temporary files of processes that were killed are removed. An OSError names `path`.
    """
    name = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]  # `path` may have a long one
    for stale in path.parent.glob(f".{name}.*.tmp"):
        if not Path(f"/proc/{stale.suffixes[-2][1:]}").exists():
            stale.unlink(missing_ok=True)
    temporary = path.with_name(f".{name}.{os.getpid()}.tmp")
    try:
        with naming_errors(path), temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def naming_errors(path: Path | str) -> Iterator[None]:
    """Add `path` to an OSError of the block that names no file, as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises OSError, and ValueError as `parse_json` does, or for a pipe."""
    check_regular(path)
    return parse_json(path.read_text(encoding="utf-8"))


def check_regular(path: Path) -> None:
    """Raise InputError for a pipe or a device, of which reading might not end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise InputError(f"{path}: not a regular file")


def parse_json(text: str) -> Any:
    """Parse JSON. Raises ValueError, for NaN, infinity and too deep nesting as well."""
    try:
        return json.loads(text, parse_constant=_reject_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def write_json(path: Path, data: Any, indent: int = 2) -> None:
    """Write a JSON file, whole or not at all. Raises ValueError for NaN and infinity."""
    text = json.dumps(data, indent=indent, ensure_ascii=False, allow_nan=False)
    write_file(path, text + "\n")


def write_sealed(path: Path, data: Mapping[str, Any]) -> None:
    """Write a JSON object that ends with "sha256", the hash of all before it: see `unseal`."""
    body = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False).removesuffix("\n}")
    digest = hashlib.sha256(body.encode()).hexdigest()
    write_file(path, f"{body}{SEAL}{digest}{SEAL_END}")


def unseal(data: bytes, *, required: bool = False) -> Any:
    """Parse what `write_sealed` wrote, without its hash; `required`: other JSON is refused.

    Raises ValueError if the hash is not that of all before it, and as `parse_json` does.
    """
    fields = parse_json(data.decode())
    if isinstance(fields, dict) and "sha256" in fields:
        body, _, end = data.rpartition(SEAL.encode())
        if end.decode() != f"{hashlib.sha256(body).hexdigest()}{SEAL_END}":
            raise ValueError("changed since it was written: its sha256 differs")
        del fields["sha256"]
    elif required:
        raise ValueError("it does not end with its sha256")
    return fields


def write_plain(path: Path | str, data: bytes) -> None:
    """Write a file directly, and the folders above it: `new_folder` makes all of them whole."""
    try:
        stream = os.open(path, WRITE)
    except FileNotFoundError:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        stream = os.open(path, WRITE)
    try:
        with naming_errors(path):
            while data:
                data = data[os.write(stream, data) :]
    finally:
        os.close(stream)


@contextlib.contextmanager
def new_folder(
    path: Path,
    marker: str = "manifest.json",
    resumable: Callable[[Path], bool] = lambda _: False,
    *,
    force: bool | None = None,
) -> Iterator[Path]:
    """Yield an empty folder beside `path` that replaces `path` if the block succeeds.

    A folder at `path` is replaced only if it holds `marker`, a file that only the toolkit writes,
    or with `force` (None if the command has no such option). If the block fails, `path` stays as it
    was, and the new folder is removed unless `resumable(folder)`: then the next call yields it
    again. Raises InputError for a folder that must not be replaced, and while another process
    writes the same one.
    """
    check_replaceable(path, marker, force=force)
    path.parent.mkdir(parents=True, exist_ok=True)
    replaced = path.with_name(f".{path.name}.replaced")
    building = path.with_name(f".{path.name}.building")
    with exclusive(path):
        if replaced.exists() and not path.exists():  # killed between two renames
            replaced.rename(path)
        shutil.rmtree(replaced, ignore_errors=True)
        if not resumable(building):
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()
        for temporary in building.glob(".*.tmp"):
            temporary.unlink()
        try:
            yield building
            _replace(path, building, replaced)
        except BaseException as error:
            if isinstance(error, InputError) or not resumable(building):
                shutil.rmtree(building, ignore_errors=True)
            raise


def check_output(path: Path) -> None:
    """Raise InputError for a path that names no new folder: ".", "..", "/", or one with a NUL."""
    if path.name in ("", "..") or "\0" in str(path):
        raise InputError(f"--output must name a folder that can be made, got {str(path)!r}")


def check_replaceable(path: Path, marker: str, *, force: bool | None = None) -> None:
    """Raise InputError for a path that `new_folder` would not replace."""
    check_output(path)
    if not _may_be_replaced(path, marker) and not (force and path.is_dir()):
        message = f"{path}: exists and was not written by the toolkit; move it away"
        option = "" if force is None else ", or replace it with --force"
        raise InputError(f"{message} or choose another --output{option}")


def _replace(path: Path, building: Path, replaced: Path) -> None:
    if path.exists():
        path.rename(replaced)
    building.rename(path)
    shutil.rmtree(replaced, ignore_errors=True)


def _may_be_replaced(path: Path, marker: str) -> bool:
    if not path.exists() or (path / marker).is_file():
        return True
    # Before a stage, DVC empties the folder of its output, except for a .gitignore.
    return path.is_dir() and all(entry.name == ".gitignore" for entry in path.iterdir())


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock of `path` during the block.

    When DVC is killed, its stage goes on, and a second run would write beside the first. The lock
    is not kept beside the data, where DVC would take it for a part of them. Raises InputError if
    another process of this user on this machine still holds the lock after two seconds.
    """
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()
    with (_lock_folder() / f"{name}.lock").open("a") as lock:
        if not any(_try_lock(lock) for _ in range(LOCK_ATTEMPTS)):
            message = f"{path}: another process is writing it; wait for it or stop it, then"
            raise InputError(f"{message} run again")
        yield


def _lock_folder() -> Path:
    """Return a folder of this user. Raises InputError for another's, whose links lead anywhere."""
    folder = Path(tempfile.gettempdir()) / f"imbalanced-images-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode):
        raise InputError(f"{folder}: must be a folder of yours; remove it or set TMPDIR")
    return folder


def _try_lock(lock: IO[str]) -> bool:
    """Take the lock, or pause: the workers of a run that was killed end within moments."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(LOCK_PAUSE)
        return False
    return True
