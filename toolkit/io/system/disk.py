"""Locks, flushing and reading at a place: what a file's descriptor can do on each system."""

import contextlib
import ctypes
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    HAS_FLOCK = False
else:
    HAS_FLOCK = True

BINARY = getattr(os, "O_BINARY", 0)
"""Without this flag Windows changes the ends of lines."""
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
MOVABLE = os.name != "nt"
"""Whether a file that is open can be renamed and removed."""


def try_lock(descriptor: int) -> bool:
    """Take the kernel's lock of an open file; False while another process has it.

    It is free when the descriptor is closed, or its process has ended, even killed. Raises OSError
    where the file system has no locks.
    """
    if not HAS_FLOCK or sys.platform == "win32":
        from filelock import lock_descriptor  # slow to import

        return lock_descriptor(descriptor, blocking=False)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def close_and_remove(descriptor: int, place: Path) -> None:
    """Close and remove a file that is locked, so that no other process ever has it too."""
    if MOVABLE:
        place.unlink(missing_ok=True)
        os.close(descriptor)
        return
    os.close(descriptor)
    with contextlib.suppress(OSError):  # another process has opened it: that one removes it
        place.unlink()


def flush_files(folder: Path) -> None:
    """Flush the file system of a folder to disk, where one call does it: not on Windows.

    Raises OSError that names the folder.
    """
    if sys.platform == "linux":
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if _syncfs()(descriptor):
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), str(folder))
        finally:
            os.close(descriptor)
    elif sys.platform != "win32":
        os.sync()


@functools.cache
def _syncfs() -> Callable[[int], int]:
    library = ctypes.CDLL(None, use_errno=True)
    return library.syncfs


def read_at(descriptor: int, size: int, offset: int) -> bytes:
    """Return bytes of an open file from `offset` on."""
    if sys.platform != "win32" and hasattr(os, "pread"):
        return os.pread(descriptor, size, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, size)


def write_at(descriptor: int, data: bytes, offset: int) -> None:
    """Write all bytes to an open file from `offset` on."""
    while data:
        if sys.platform != "win32" and hasattr(os, "pwrite"):
            written = os.pwrite(descriptor, data, offset)
        else:
            os.lseek(descriptor, offset, os.SEEK_SET)
            written = os.write(descriptor, data)
        data, offset = data[written:], offset + written
