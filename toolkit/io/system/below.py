"""Opening files below a folder without passing a link.

Linux and macOS open part by part, each relative to the descriptor of the folder above, so that
nothing can be swapped in between a check and its use. Windows cannot: there each part is looked at
before and after, and the file that was opened must be the one that stands there still.
"""

import contextlib
import errno
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from toolkit.errors import InputError
from toolkit.io.system.disk import BINARY, NO_LINK

BY_DESCRIPTOR = os.open in os.supports_dir_fd and NO_LINK != 0
STRICT_NAMES = os.name == "nt"
READ = os.O_RDONLY | BINARY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
"""A pipe is opened without waiting."""
WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY
FOLDER = getattr(os, "O_PATH", 0) | getattr(os, "O_DIRECTORY", 0)
SURROGATE = 0x20000000
"""Of Windows's reparse tags: a link to another place, not a file that lies in the cloud."""
NO_NAME = re.compile(
    r'.*[\\:*?"<>|\x00-\x1f]|.*[. ]$|(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)'
    r" *(\..*)?$",
    re.IGNORECASE | re.DOTALL,
)
LINK = "a symbolic link, which is not followed"
RELINK = "if DVC made it: `dvc config cache.type reflink,hardlink,copy; dvc checkout --relink`"


def is_no_name(part: str) -> bool:
    """Return whether Windows takes a part of a path for another one, or for a device."""
    return STRICT_NAMES and part != ".." and NO_NAME.match(part) is not None


def leads_away(status: os.stat_result) -> bool:
    """Return whether a link has this status, or what Windows calls a junction."""
    surrogate: int = getattr(status, "st_reparse_tag", 0) & SURROGATE
    return stat.S_ISLNK(status.st_mode) or surrogate != 0


@dataclass(frozen=True)
class NamedFolder:
    """A folder by its name, where there are no descriptors of folders."""

    root: Path
    parts: tuple[str, ...]


OpenFolder: TypeAlias = int | NamedFolder
"""A folder to open files in."""


def enter_folder(folder: Path, parts: Sequence[str], *, make: bool = False) -> OpenFolder:
    """Open the folder that is reached from `folder` by these names, none of them a link's."""
    if not BY_DESCRIPTOR:
        named = NamedFolder(folder, tuple(parts))
        _walk(named, make=make)
        return named
    descriptor = os.open(folder, FOLDER)
    for part in parts:
        try:
            below = _open_or_make(part, descriptor) if make else _open(part, FOLDER, descriptor)
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor


def leave_folder(folder: OpenFolder) -> None:
    """Close what `enter_folder` opened."""
    if isinstance(folder, int):
        os.close(folder)


def open_in(folder: OpenFolder, name: str, flags: int) -> int:
    """Open a file in a folder: READ or WRITE. Raises InputError for a link, and OSError."""
    return (
        _open(name, flags, folder) if isinstance(folder, int) else _open_named(folder, name, flags)
    )


def remove_in(folder: OpenFolder, name: str) -> None:
    """Remove a file in a folder, a link and not what it leads to."""
    if isinstance(folder, int):
        os.unlink(name, dir_fd=folder)
    else:
        (_walk(folder) / name).unlink()


# --- by descriptors ---------------------------------------------------------------------------


def _open_or_make(name: str, parent: int) -> int:
    try:
        return _open(name, FOLDER, parent)
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):  # another process made it
            os.mkdir(name, dir_fd=parent)
        return _open(name, FOLDER, parent)


def _open(name: str, flags: int, parent: int) -> int:
    try:
        return os.open(name, flags | NO_LINK, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR) and _is_link(name, parent):
            raise _link() from error
        raise


def _is_link(name: str, parent: int) -> bool:
    with contextlib.suppress(OSError):
        return stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    return False


def _link() -> InputError:
    return InputError(f"{LINK}; {RELINK}")


# --- by names ---------------------------------------------------------------------------------


def _walk(folder: NamedFolder, *, make: bool = False) -> Path:
    """Return the path of a folder after a look at each part of it."""
    place = folder.root
    if not place.is_dir():
        _raise(errno.ENOTDIR if place.exists() else errno.ENOENT, place)
    for part in folder.parts:
        place = place / part
        if make:
            with contextlib.suppress(FileExistsError):
                place.mkdir()
        if not stat.S_ISDIR(_status(place).st_mode):
            _raise(errno.ENOTDIR, place)
    return place


def _status(place: Path) -> os.stat_result:
    """Return what stands at a place. Raises InputError for a link, junctions among them."""
    status = place.lstat()
    if leads_away(status):
        raise _link()
    return status


def _raise(number: int, place: Path) -> None:
    raise OSError(number, os.strerror(number), str(place))


def _open_named(folder: NamedFolder, name: str, flags: int) -> int:
    place = _walk(folder) / name
    mode = _status(place).st_mode if flags == READ else stat.S_IFREG
    if not stat.S_ISREG(mode):
        _raise(errno.EISDIR if stat.S_ISDIR(mode) else errno.ENXIO, place)
    descriptor = os.open(place, flags)
    try:
        if os.path.samestat(_status(_walk(folder) / name), os.fstat(descriptor)):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    raise InputError("another file was put in its place while it was opened")
