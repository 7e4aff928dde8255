"""Atomic writes of files and folders: whole or not at all."""

import contextlib
import difflib
import errno
import hashlib
import io
import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from csv import Error as CsvError
from pathlib import Path
from typing import Any, BinaryIO

from toolkit.errors import InputError
from toolkit.io import csv
from toolkit.io.system import disk

WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | disk.BINARY
LOCK = os.O_RDWR | os.O_CREAT | disk.NO_LINK | disk.BINARY
ATTEMPTS, PAUSE = 40, 0.05  # seconds
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
VOUCHERS = {
    "manifest.json": "manifest.json",
    "plan.csv": "manifest.json",
    "run.json": "run.json",
    "metrics.json": "metrics.json",
    "model.json": "model.json",
}
"""What shows that the toolkit wrote a folder with such a file: a JSON file that has its hash."""
TABLE, MAX_VOUCHER = "manifest.csv", 1_000_000_000  # bytes
HARMLESS = (".gitignore", ".DS_Store")
"""What others put into folders, and what may be replaced with them."""
SEAL, SEAL_END = ',\n  "sha256": "', '"\n}\n'  # around the hash at the end of a JSON file


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

    A link at `path` is replaced, not followed: DVC's lead into its cache. What a killed process
    left of the temporary file is written over. An OSError names `path`.
    """
    name = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]  # `path` may have a long one
    temporary = path.with_name(f".{name}.tmp")
    with _opened_alone(temporary, path) as stream:
        try:
            with naming_errors(path), stream:
                stream.truncate(0)
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def _opened_alone(temporary: Path, path: Path) -> Iterator[BinaryIO]:
    """Yield a stream to a file that no other process writes; where it can, it is its own lock."""
    if disk.MOVABLE:
        with locked(temporary, path) as descriptor:
            yield os.fdopen(descriptor, "wb", closefd=False)
    else:
        with _passing_lock(temporary.with_suffix(".lock"), path):
            yield temporary.open("wb")


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


def write_json(path: Path, data: Any) -> None:
    """Write a JSON file, whole or not at all. Raises ValueError for NaN and infinity."""
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    write_file(path, text + "\n")


def write_sealed(path: Path, data: Mapping[str, Any]) -> None:
    """Write a JSON object that ends with "sha256", the hash of all before it: see `unseal`."""
    body = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False).removesuffix("\n}")
    digest = hashlib.sha256(body.encode()).hexdigest()
    write_file(path, f"{body}{SEAL}{digest}{SEAL_END}")


def read_sealed(path: Path) -> Any:
    """Read a JSON file that may end with its hash. Raises as `read_json` and `unseal` do."""
    check_regular(path)
    return unseal(path.read_bytes())


def unseal(data: bytes, *, required: bool = False) -> Any:
    """Parse what `write_sealed` wrote, without its hash; `required`: other JSON is refused.

    Raises ValueError if the hash is not that of all before it, and as `parse_json` does.
    """
    fields = parse_json(data.decode())
    if isinstance(fields, dict) and "sha256" in fields:
        body, _, end = data.rpartition(SEAL.encode())
        if end.decode() != f"{hashlib.sha256(body).hexdigest()}{SEAL_END}":
            remedy = "" if required else '; if the change is yours, remove "sha256" at its end'
            raise ValueError(f"changed since it was written: its sha256 differs{remedy}")
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

    A folder at `path` is replaced only if the toolkit wrote it (see `check_replaceable`), or with
    `force` (None if the command has no such option). A link at `path` is followed and kept.
    If the block fails, `path` stays as it was, and the new folder is removed unless
    `resumable(folder)`: then the next call yields it again. All is on disk before it appears.
    Raises InputError for a folder that must not be replaced, and while another process writes it.
    """
    check_replaceable(path, marker, force=force)
    path = resolve(path) if path.is_symlink() else path
    replaced = path.with_name(f".{path.name}.replaced")
    building = building_place(path)
    with exclusive(path):
        if replaced.exists() and not path.exists():  # killed between two renames
            replaced.rename(path)
        shutil.rmtree(replaced, ignore_errors=True)
        try:
            if not resumable(building):
                shutil.rmtree(building, ignore_errors=True)
                building.mkdir()
            for temporary in building.glob(".*.tmp"):
                temporary.unlink()
            yield building
            disk.flush_files(building)  # 10,000 new files take .1 s, one by one 28 s
            _replace(path, building, replaced)
        except BaseException as error:
            if isinstance(error, InputError) or not resumable(building):
                shutil.rmtree(building, ignore_errors=True)
            raise


def resolve(path: Path) -> Path:
    """Return an absolute path without links, of which a circle is left as it is.

    Path.resolve raises RuntimeError for that until Python 3.13.
    """
    return Path(os.path.realpath(path))


def building_place(path: Path) -> Path:
    """Return where `new_folder` builds the folder `path`; a killed run may leave it."""
    return path.with_name(f".{path.name}.building")


def check_output(
    path: Path | str | None,
    option: str = "--output",
    *,
    file: bool = False,
    unlike: Collection[str] = (),
) -> None:
    """Raise InputError, before any work, for a path that cannot become a folder, or a `file`.

    That is "", ".", "..", "/" and one with a NUL; a file in the place of a folder or of one above
    it, what is no file in the place of a file, a link to itself, and a name with one of the endings
    `unlike` it: the command reads such files, and `--output *.png` names one. None is no output.
    """
    if path is None:
        return
    kind, place = "file" if file else "folder", Path(path)
    real = place if file or "\0" in str(path) else resolve(place)
    if {place.name, real.name} & {"", ".."} or "\0" in str(path):
        raise InputError(f"{option} must name a {kind} that can be made, got {str(path)!r}")
    if place.suffix.lower() in unlike:
        problem = f"{option} has the ending of what is read, {place.suffix}, and would replace it"
        raise InputError(f"{place}: {problem}; name another")
    if place.exists() and not (place.is_file() if file else place.is_dir()):
        found = "folder" if place.is_dir() else "file" if place.is_file() else "device or pipe"
        raise InputError(f"{place}: {option} must be a {kind}, found a {found}; name another")
    if real.is_symlink() and not file:
        raise InputError(f"{place}: {option} is a link that leads in a circle; remove it")
    above = next((folder for folder in real.parents if folder.exists()), real.parent)
    if not above.is_dir():
        raise InputError(f"{place}: {above} is a file, not a folder; name another {option}")
    if not os.access(above, os.W_OK | os.X_OK):
        reason = f"{above} is a folder that this user may not write to"
        raise InputError(f"{place}: {reason}; name another {option}")


def missing(path: Path, kind: str, remedy: str = "") -> InputError:
    """Return the error for a path that is no such thing: "folder", "archive" and so on.

    It says what is there instead, a similar name beside it, and where it was looked for.
    """
    if path.is_file():
        found = f"a file, not a {kind}"
    else:
        names = list[str]()
        with contextlib.suppress(OSError, ValueError):
            names = [entry.name for entry in path.parent.iterdir()]
        close = difflib.get_close_matches(path.name, names, n=1)
        found = f"no such {kind}{f' (did you mean {close[0]!r}?)' if close else ''}"
    where = "" if path.is_absolute() else f"; it is looked for in {Path.cwd()}"
    return InputError(f"{path}: {found}{f'; {remedy}' if remedy else where}")


def check_space(path: Path, size: float, what: str) -> None:
    """Raise InputError, before the work, where so many bytes do not fit on the disk of `path`."""
    place = path.absolute()
    above = next(folder for folder in (place, *place.parents) if folder.is_dir())
    free = shutil.disk_usage(above).free
    if size > free:
        raise InputError(
            f"{path}: {what} take {size / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free there; "
            f"make room, or choose another place"
        )


def check_replaceable(
    path: Path | str | None, marker: str, option: str = "--output", *, force: bool | None = None
) -> None:
    """Raise InputError, before any work, for a path that `new_folder` would not replace.

    That is a folder without the file `marker`, or one whose marker another might have written: its
    JSON file (see VOUCHERS) must end with its own hash, and a manifest must list all files. A
    `marker` like */metrics.json is one that each folder in it holds, */*/metrics.json one that each
    folder in those does; the marker "" is in no folder,
    so that only an empty one is replaced. None is no output.
    """
    check_output(path, option)
    if path is None:
        return
    path = Path(path)
    if (found := _find_foreign(path, marker)) and not (force and path.is_dir()):
        message = f"{path}: {found}; move it away"
        remedy = "" if force is None else ", or replace it with --force"
        raise InputError(f"{message} or choose another {option}{remedy}")


def _replace(path: Path, building: Path, replaced: Path) -> None:
    if path.exists():
        path.rename(replaced)
    building.rename(path)
    shutil.rmtree(replaced, ignore_errors=True)


def _find_foreign(path: Path, marker: str) -> str:
    """Return what shows that others wrote in the folder; "" if the toolkit did, or it is empty."""
    if not path.exists():
        return ""
    # Before a stage, DVC empties the folder of its output, except for a .gitignore.
    entries = _entries(path)
    if not entries or not marker:
        return "is not empty" if entries else ""
    *above, last = marker.split("/")
    each = [path]
    for _ in above:
        each = [inner for folder in each for inner in _entries(folder)]
    if not each or not all((folder / last).is_file() for folder in each):
        return "exists and was not written by the toolkit"
    return next(filter(None, (_find_unlisted(folder, last) for folder in each)), "")


def _entries(folder: Path) -> list[Path]:
    """Return what is in a folder, but for HARMLESS; a file as it is."""
    if not folder.is_dir():
        return [folder]
    return [entry for entry in folder.iterdir() if entry.name not in HARMLESS]


def _find_unlisted(folder: Path, marker: str) -> str:
    """Return what shows that others wrote in a folder with this file; "" if nothing does."""
    voucher, foreign = VOUCHERS.get(marker), "exists and was not written by the toolkit"
    if voucher is None:
        return ""
    try:
        check_regular(folder / voucher)
        with (folder / voucher).open("rb") as stream:
            fields = unseal(stream.read(MAX_VOUCHER), required=True)
        known = {voucher, *fields.get("tables", ())}
        if TABLE in known:
            known |= _listed(folder / TABLE)
            known |= {file["path"] for file in fields.get("notes", {}).get("rejected", ())}
    except FileNotFoundError:
        return foreign
    except (ValueError, TypeError, KeyError, AttributeError, CsvError):
        return f"{foreign}, or its {voucher} was changed since"
    if marker not in known:
        return foreign
    found = _files_below(folder) if TABLE in known else ()
    extra = next((path for path in found if path not in known), None)
    return f"holds {extra}, which was not written by the toolkit" if extra else ""


def _listed(table: Path) -> set[str]:
    """Return the paths of a manifest's samples, and those of shards that hold some."""
    check_regular(table)
    with table.open(encoding="utf-8", newline="") as stream:
        paths = {row[1] for row in csv.read_rows(stream) if len(row) > 1}
    return paths | {path.rpartition("/")[0] for path in paths}


def _files_below(folder: Path) -> Iterator[str]:
    """Yield the relative paths of all that is no folder."""
    waiting = [(str(folder), "")]
    while waiting:
        place, above = waiting.pop()
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, f"{above}{entry.name}/"))
                elif entry.name not in HARMLESS:
                    yield f"{above}{entry.name}"


# --- locks ------------------------------------------------------------------------------------
#
# A lock is the kernel's, of a file beside what it locks, which is removed at the end. When its
# process ends, even killed, it is free, and whoever comes next takes the file over. NFS hands it to
# the server, so that it holds between machines. On Windows filelock takes it; its own FileLock
# leaves files behind, and importing it takes 50 ms.


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock of `path`, the file .<name>.lock beside it, during the block.

    When DVC is killed, its stage goes on, and a second run would write beside the first. Raises
    InputError if another process still holds the lock after two seconds, and OSError, which names
    `path`, where no file can be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _passing_lock(path.with_name(f".{path.name}.lock"), path):
        yield


@contextlib.contextmanager
def _passing_lock(place: Path, path: Path) -> Iterator[None]:
    """Hold the lock of the file at `place`, which is removed at the end."""
    descriptor = _wait(place, path)
    try:
        yield
    finally:
        disk.close_and_remove(descriptor, place)


@contextlib.contextmanager
def locked(place: Path, path: Path) -> Iterator[int]:
    """Yield a descriptor of the file at `place`, which no other process has while the block runs.

    The file is made if it is not there. Raises as `exclusive` does.
    """
    descriptor = _wait(place, path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _wait(place: Path, path: Path) -> int:
    """Take the lock; the workers of a run that was killed end within moments."""
    for _ in range(ATTEMPTS):
        try:
            descriptor = _try(place)
        except OSError as error:
            raise _named(error, place, path) from error
        if descriptor is not None:
            return descriptor
        time.sleep(PAUSE)
    message = f"{path}: another process is writing it; wait for it or stop it, then"
    raise InputError(f"{message} run again")


def _try(place: Path) -> int | None:
    """Return a descriptor with the lock; None while another has it, or has just removed it."""
    descriptor = os.open(place, LOCK, 0o666)
    try:
        if disk.try_lock(descriptor):
            status = os.fstat(descriptor)
            if os.path.samestat(status, place.lstat()):
                _check_own(status, place)
                return descriptor
    except FileNotFoundError:
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _check_own(status: os.stat_result, place: Path) -> None:
    """Raise InputError for what was put at `place` to be written over: a pipe, a second name."""
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        raise InputError(f"{place}: stands where a temporary file goes; remove it")


def _named(error: OSError, place: Path, path: Path) -> OSError | InputError:
    if error.errno == errno.ELOOP and place.is_symlink():
        return InputError(f"{place}: a link stands where a temporary file goes; remove it")
    if error.errno in NO_LOCKS:
        reason = f"the file system has no locks ({error.strerror})"
        return InputError(f"{path}: {reason}, so that two runs could mix; choose another place")
    return OSError(error.errno, error.strerror, str(path))
