"""The gate for paths that come out of a file: they are read and written inside a folder only.

Manifests, archives and tables may be a stranger's. A path in one is relative, leads to a regular
file below its folder, and passes no symbolic link, whatever is swapped in meanwhile (see
`system.below`).

There is one exception. Manifests of arms lead to originals that were not copied, by leading "..".
Such a path is read by `read_hashed` alone, which returns only bytes whose sha256 the row names:
whoever wrote the row had the file already. It is never copied, and never written to.

The folder itself is named by the user, and may be a link. Other links are followed only where the
user names the folder that they must lead into (`read_linked`), and never for a stranger's archive.
"""

import contextlib
import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from itertools import dropwhile
from pathlib import Path, PurePosixPath
from typing import TypeVar

from toolkit.errors import InputError, explain_error
from toolkit.io import shards
from toolkit.io.system import below, disk
from toolkit.io.system.below import READ, WRITE, OpenFolder

T = TypeVar("T")

LACK = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
BLOCK = 4096  # bytes that are read at least: files in /proc do not tell their size
ROOTED = re.compile(r"[/\\]|[A-Za-z]:[/\\]")


# --- paths ------------------------------------------------------------------------------------


def check_relative(text: str, where: str = "", *, leading: bool = False) -> PurePosixPath:
    """Return `text` as a path in normal form. Raises InputError as `relative_parts` does."""
    return PurePosixPath(*relative_parts(text, where, leading=leading))


def relative_parts(text: str, where: str = "", *, leading: bool = False) -> tuple[str, ...]:
    """Return the parts of `text` in normal form, a path that does not lead out of its folder.

    With `leading`, parts ".." at its beginning are allowed. Raises InputError, which begins with
    `where`.
    """
    # As PurePosixPath does, which takes four times as long.
    problem, parts = "", tuple(part for part in text.split("/") if part not in ("", "."))
    if not is_utf8(text):
        problem = f"the name {text!r} is not UTF-8"
    elif ROOTED.match(text) or "\0" in text:
        problem = f"the path {text[:200]!r} must be relative"
    elif ".." in parts and not (leading and _begins_up(parts)):
        problem = f"the path {text[:200]!r} leads out with '..'"
    elif any(map(below.is_no_name, parts)):
        problem = f"the path {text[:200]!r} has a name that Windows cannot give a file; rename it"
    if problem:
        raise InputError(f"{where}: {problem}" if where else problem)
    return parts


def _begins_up(parts: Sequence[str]) -> bool:
    """Return whether all parts ".." come first, and a name after them."""
    rest = list(dropwhile(_is_up, parts))
    return bool(rest) and ".." not in rest


def _is_up(part: str) -> bool:
    return part == ".."


def is_utf8(text: str) -> bool:
    """Return whether a text can be encoded: one from JSON, or a file's name, may be none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# --- reading ----------------------------------------------------------------------------------


def read_inside(folder: Path, relative: str, limit: int) -> bytes:
    """Return the bytes of a file below `folder`, or of a member of a shard (see `shards`).

    Raises InputError with the reason, but without the file's name: for a path that leads out, a
    symbolic link, what is no regular file, and more than `limit` bytes.
    """
    return _read(folder, check_relative(relative), limit)


def read_hashed(folder: Path, relative: str, sha256: str, limit: int) -> bytes:
    """Return the bytes of a file if they have this sha256; the path may begin with "..".

    Raises InputError as `read_inside` does, and for other bytes.
    """
    path = check_relative(relative, leading=True)
    ups = sum(map(_is_up, path.parts))
    if ups:
        above = folder.resolve().parents
        if ups > len(above):
            raise InputError(f"the path {relative[:200]!r} leads out with '..'")
        folder, path = above[ups - 1], PurePosixPath(*path.parts[ups:])
    data = _read(folder, path, limit)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise InputError("changed since the manifest was written (its sha256 differs)")
    return data


def read_linked(folder: Path, relative: str, root: Path, limit: int) -> bytes:
    """Return the bytes of a regular file below `root` that a link below `folder` leads to.

    Where it leads is found out first, and then opened as a path below `root` that passes no link.
    Raises InputError as `read_inside` does, and for a link that leads nowhere, or out of `root`.
    """
    check_relative(relative)
    try:
        target = os.path.realpath(folder / relative, strict=True)
        top = os.path.realpath(root, strict=True)
    except OSError as error:
        raise InputError(f"a symbolic link that leads nowhere ({error.strerror})") from error
    if not Path(target).is_relative_to(top):
        raise InputError(f"a symbolic link that leads out of {root}")
    with _reasons():
        parts = Path(target).relative_to(top).parts
        return _close_after(_open_below(Path(top), parts, READ), _content, limit)


def read_file(path: Path, limit: int) -> bytes:
    """Return the bytes of a file that the user named: a link to it, or a shard's member, too.

    Raises InputError as `read_inside` does.
    """
    shard = shards.containing_shard(path)
    if shard is not None and Path(shard).is_file():
        member = path.relative_to(shard).as_posix()
        return read_inside(shard.parent.resolve(), f"{shard.name}/{member}", limit)
    with _reasons():
        return _close_after(os.open(path, READ), _content, limit)


def check_size(size: int, limit: int) -> None:
    """Raise InputError for more than `limit` bytes."""
    if size > limit:
        raise InputError(f"{size:,} bytes are more than {limit:,}")


def _read(folder: Path, path: PurePosixPath, limit: int) -> bytes:
    with _reasons():
        shard = shards.containing_shard(path)
        if shard is not None:
            data = None
            with contextlib.suppress(IsADirectoryError):
                descriptor = _open_below(folder, shard.parts, READ)
                data = _close_after(descriptor, _member, path.relative_to(shard).as_posix(), limit)
            if data is not None:
                return data
        return _close_after(_open_below(folder, path.parts, READ), _content, limit)


def _member(descriptor: int, member: str, limit: int) -> bytes | None:
    """Return the bytes of a member of a shard; None for a folder with the name of a shard."""
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        return None
    _check_regular(descriptor)
    offset, size = shards.find_member(descriptor, member)
    check_size(size, limit)
    return disk.read_at(descriptor, size, offset)


def _content(descriptor: int, limit: int) -> bytes:
    size = _check_regular(descriptor)
    check_size(size, limit)
    parts, total = list[bytes](), 0
    while part := os.read(descriptor, max(size - total, BLOCK)):
        parts.append(part)
        total += len(part)
        check_size(total, limit)
    return b"".join(parts)


def _check_regular(descriptor: int) -> int:
    """Return the size of a regular file. Raises InputError for a folder, a pipe or a device."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise InputError("not a regular file")
    return status.st_size


# --- writing ----------------------------------------------------------------------------------


def write_inside(folder: Path, relative: str, data: bytes, *, replace: bool = True) -> None:
    """Write a file below `folder`, and the folders above it, directly: not under another name.

    With `replace` what is in its place is removed, a link and not what it leads to. Raises
    InputError for a path that leads out or passes a link, FileExistsError without `replace`, and
    OSError that names the file.
    """
    with folder_writer(folder, replace=replace) as write:
        write(relative, data)


@contextlib.contextmanager
def folder_writer(folder: Path, *, replace: bool = True) -> Iterator[Callable[[str, bytes], None]]:
    """Yield a function that writes files, given their paths and bytes, as `write_inside` does.

    The folder of the last file stays open, so that the next one in it takes half the time.
    """
    parents = dict[tuple[str, ...], OpenFolder]()
    with contextlib.ExitStack() as opened:

        def write(relative: str, data: bytes) -> None:
            parts = relative_parts(relative)
            if not parts:
                raise InputError(f"the path {relative!r} names no file")
            above = parts[:-1]
            try:
                if above not in parents:
                    parents.clear()
                    opened.close()
                    parents[above] = below.enter_folder(folder, above, make=True)
                    opened.callback(below.leave_folder, parents[above])
                _write(parents[above], parts[-1], data, replace)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(folder / relative)) from error

        yield write


def make_folder(folder: Path, relative: str) -> None:
    """Make a folder below `folder`, and those above it. Raises as `write_inside` does."""
    below.leave_folder(below.enter_folder(folder, relative_parts(relative), make=True))


def _write(parent: OpenFolder, name: str, data: bytes, replace: bool) -> None:
    try:
        descriptor = below.open_in(parent, name, WRITE)
    except FileExistsError:
        if not replace:
            raise
        below.remove_in(parent, name)
        descriptor = below.open_in(parent, name, WRITE)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)


# --- descriptors ------------------------------------------------------------------------------


@contextlib.contextmanager
def _reasons() -> Iterator[None]:
    """Turn an OSError into an InputError with the reason, unless this process lacks something."""
    try:
        yield
    except OSError as error:
        if error.errno in LACK:
            raise
        if error.errno in (errno.ENXIO, errno.EISDIR):  # a socket, a device that is not there
            raise InputError("not a regular file") from error
        raise InputError(f"cannot be read ({explain_error(error)})") from error


def _close_after(descriptor: int, action: Callable[..., T], *arguments: object) -> T:
    """Return `action(descriptor, *arguments)`, and close the descriptor."""
    try:
        return action(descriptor, *arguments)
    finally:
        os.close(descriptor)


def _open_below(folder: Path, parts: Sequence[str], flags: int) -> int:
    if not parts:
        raise InputError("not a regular file")
    parent = below.enter_folder(folder, parts[:-1])
    try:
        return below.open_in(parent, parts[-1], flags)
    finally:
        below.leave_folder(parent)
