"""Shards: tar files of many images, in the WebDataset convention.

An image is the member KEY.png or KEY.jpg, followed by KEY.cls, the number of its class. The path
`shard-000003.tar/KEY.jpg` names a member as if the shard were a folder. Headers follow POSIX ustar,
without times or owners, so that equal images give equal shards.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TypeVar

from toolkit.errors import InputError
from toolkit.io.system import disk

SUFFIX = ".tar"
BLOCK = 512
NAME = 100  # bytes of the header's field for the name
END = bytes(2 * BLOCK)
OWNER = b"0000644\0" + 2 * b"0000000\0"  # mode, user, group
TIME, BLANK, FILE = b"00000000000\0", b" " * 8, b"0"
REST = (FILE + bytes(100) + b"ustar\x0000").ljust(BLOCK - 156, b"\0")  # after the checksum
BUFFER = 1 << 20

AnyPath = TypeVar("AnyPath", bound=PurePath)

AddMember = Callable[[str, bytes], None]
"""Adds a member, of a name and bytes."""


def shard_name(number: int) -> str:
    """Return the file name of shard `number`, counted from 0."""
    return f"shard-{number:06d}{SUFFIX}"


@contextlib.contextmanager
def shard_writer(path: Path) -> Iterator[AddMember]:
    """Write a new shard; the block gets a function to add a member."""
    with path.open("wb", buffering=BUFFER) as stream:

        def add(member: str, data: bytes) -> None:
            stream.write(
                member_header(member.encode(), len(data)) + data + bytes(-len(data) % BLOCK)
            )

        yield add
        stream.write(END)


def member_header(member: bytes, size: int) -> bytes:
    """Return the block before a member's bytes."""
    if len(member) > NAME:
        raise ValueError(f"the name {member!r} is longer than {NAME} bytes")
    parts = (member.ljust(NAME, b"\0"), OWNER, b"%011o\0" % size, TIME)
    checksum = sum(b"".join((*parts, BLANK, REST)))
    return b"".join((*parts, b"%06o\0 " % checksum, REST))


def containing_shard(path: AnyPath) -> AnyPath | None:
    """Return the part of the path that names a shard; None for the path of a file."""
    if f"{SUFFIX}/" not in path.as_posix():
        return None
    return next((above for above in path.parents if above.suffix == SUFFIX), None)


def find_member(descriptor: int, name: str) -> tuple[int, int]:
    """Return the offset and size of a member's bytes in the shard that is open for reading.

    Raises OSError, and InputError, without the shard's name, for one that is damaged or lacks it.
    """
    status = os.fstat(descriptor)
    members = _index(
        _Shard((status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size), descriptor)
    )
    if name not in members:
        raise InputError("the shard has no such member")
    return members[name]


@dataclass(frozen=True)
class _Shard:
    """What tells a shard from others and from what it was before, and its descriptor."""

    identity: tuple[int, ...]
    descriptor: int = field(compare=False)


@functools.lru_cache(maxsize=1024)
def _index(shard: _Shard) -> Mapping[str, tuple[int, int]]:
    """Return the offset and size of each member's bytes."""
    members, offset, length = dict[str, tuple[int, int]](), 0, shard.identity[-1]
    while (header := disk.read_at(shard.descriptor, BLOCK, offset)) != END[:BLOCK]:
        try:
            member, size = _parse_header(header)
        except ValueError as error:
            raise InputError(f"the shard is damaged at byte {offset}: {error}") from None
        members[member] = (offset + BLOCK, size)
        offset += BLOCK + size + -size % BLOCK
        if offset > length:
            raise InputError(f"the shard is truncated in the member {member}")
    return members


def _parse_header(header: bytes) -> tuple[str, int]:
    checksum = int(header[148:156].rstrip(b"\0 "), 8)
    if header[156:157] != FILE or checksum != sum(header[:148] + BLANK + header[156:]):
        raise ValueError("not a file's header as the toolkit writes it")
    size = int(header[124:136].rstrip(b"\0 "), 8)
    if size < 0:
        raise ValueError("a member cannot have a negative size")
    return header[:NAME].rstrip(b"\0").decode(), size
