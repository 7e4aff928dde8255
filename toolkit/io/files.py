"""Files and folders that are written whole or not at all."""

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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO

from toolkit.errors import InputError
from toolkit.io import csv

NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0)
TRIES, WAIT = 40, 0.05  # for a lock, seconds between them


def sha256(path: Path) -> str:
    """Hex sha256 of a file's bytes, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_file(path: Path, data: bytes | str) -> None:
    """Write `data` to `path` (text as UTF-8): under a temporary name, flushed, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _replacing(path) as stream:
        stream.write(data.encode() if isinstance(data, str) else data)


@contextlib.contextmanager
def csv_table(path: Path, columns: Sequence[str]) -> Iterator[csv.AddRow]:
    """Write a CSV file row by row, whole or not at all: the block is given what writes a row."""
    with _replacing(path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
        add = csv.writer(text)
        add(columns)
        yield add
        text.flush()
        text.detach()


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A stream whose file takes the place of `path`, on disk to the last byte, if the block ends.

    What a process that was killed left over is removed. An OSError names `path`.
    """
    name = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]  # that of `path` may be long
    for left in path.parent.glob(f".{name}.*.tmp"):
        if not Path(f"/proc/{left.suffixes[-2][1:]}").exists():
            left.unlink(missing_ok=True)
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
    """Add `path` to an OSError that names no file: a full disk tells only of a number."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise


def read_json(path: Path) -> Any:
    """The data of a JSON file. Raises ValueError, for NaN and endless nesting too, and OSError."""
    return parse_json(path.read_text(encoding="utf-8"))


def parse_json(text: str) -> Any:
    """The same of a text."""
    try:
        return json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


def write_json(path: Path, data: Any, indent: int = 2) -> None:
    """Write JSON whole or not at all. Raises ValueError for NaN and infinity."""
    text = json.dumps(data, indent=indent, ensure_ascii=False, allow_nan=False)
    write_file(path, text + "\n")


def write_plain(path: Path | str, data: bytes) -> None:
    """Write a file into a folder under construction: that folder's rename makes it whole."""
    try:
        stream = os.open(path, NEW)
    except FileNotFoundError:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        stream = os.open(path, NEW)
    try:
        while data:
            data = data[os.write(stream, data) :]
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(stream)


def _nothing(_building: Path) -> bool:
    return False


@contextlib.contextmanager
def new_folder(
    path: Path,
    marker: str = "manifest.json",
    continues: Callable[[Path], bool] = _nothing,
    *,
    force: bool | None = None,
) -> Iterator[Path]:
    """Yield a folder beside `path` that takes its place if the block ends well.

    A folder at `path` is replaced only where it holds `marker`, a file that says that the toolkit
    wrote it, or with `force` (None: the command has no such option); else InputError, and nothing
    is lost. What an earlier, interrupted run left over is removed, or yielded again where
    `continues` says that the block can go on with it. A second
    process that writes the same folder at the same time gets an InputError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    replaced = path.with_name(f".{path.name}.replaced")
    building = path.with_name(f".{path.name}.building")
    if not _may_be_replaced(path, marker) and not (force and path.is_dir()):
        message = f"{path}: stands in the way and was not written by the toolkit; move it away"
        forced = "" if force is None else ", or replace it with --force"
        raise InputError(f"{message} or choose another --output{forced}")
    with exclusive(path):
        if replaced.exists() and not path.exists():  # killed between two renames
            replaced.rename(path)
        shutil.rmtree(replaced, ignore_errors=True)
        if not continues(building):
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()
        for half_written in building.glob(".*.tmp"):
            half_written.unlink()
        try:
            yield building
            _replace(path, building, replaced)
        except BaseException as error:
            if isinstance(error, InputError) or not continues(building):
                shutil.rmtree(building, ignore_errors=True)
            raise


def _replace(path: Path, building: Path, replaced: Path) -> None:
    if path.exists():
        path.rename(replaced)
    building.rename(path)
    shutil.rmtree(replaced, ignore_errors=True)


def _may_be_replaced(path: Path, marker: str) -> bool:
    if not path.exists() or (path / marker).is_file():
        return True
    # DVC empties an output's folder before the stage, but for a .gitignore of its own.
    return path.is_dir() and all(entry.name == ".gitignore" for entry in path.iterdir())


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock of `path` for the block.

    Raises InputError when another process of this user on this machine holds it for two seconds:
    DVC does not stop a stage that it started, so a second run could otherwise write beside the
    first. The lock is kept apart from the data, where DVC would count it as a part of them.
    """
    locks = _locks()
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()
    with (locks / f"{name}.lock").open("a") as lock:
        if not any(_locked(lock) for _ in range(TRIES)):
            message = f"{path}: another process is writing it; wait for it or stop it, then"
            raise InputError(f"{message} run again")
        yield


def _locks() -> Path:
    """A folder of this user's. Raises InputError for another's: its links would lead elsewhere."""
    locks = Path(tempfile.gettempdir()) / f"imbalanced-images-{os.getuid()}"
    locks.mkdir(mode=0o700, exist_ok=True)
    about = locks.lstat()
    if about.st_uid != os.getuid() or not stat.S_ISDIR(about.st_mode):
        raise InputError(f"{locks}: must be a folder of yours; remove it or set TMPDIR")
    return locks


def _locked(lock: IO[str]) -> bool:
    """Try once, or wait a little: the workers of a run that was killed end within moments."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(WAIT)
        return False
    return True
