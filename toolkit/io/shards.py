"""Shards: tar files that hold many images in the WebDataset convention, written and read.

An image is the member KEY.png or KEY.jpg, followed by KEY.cls, the number of its class. A path
`shard-000003.tar/KEY.jpg` names a member as if the shard were a folder. Headers are those of POSIX
ustar, without times or owners, so that equal images give equal shards.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath

from toolkit.errors import InputError

SUFFIX = ".tar"
BLOCK = 512
NAME = 100  # bytes that a header has for a name
END = bytes(2 * BLOCK)
BEFORE = b"0000644\0" + 2 * b"0000000\0"  # mode, owner, group
TIME, BLANK, FILE = b"00000000000\0", b" " * 8, b"0"
AFTER = (FILE + bytes(100) + b"ustar\x0000").ljust(BLOCK - 156, b"\0")
BUFFER = 1 << 20

AddMember = Callable[[str, bytes], None]


def shard_name(number: int) -> str:
    """The file name of a shard, from 0 on."""
    return f"shard-{number:06d}{SUFFIX}"


@contextlib.contextmanager
def shard_writer(path: Path) -> Iterator[AddMember]:
    """Write a shard anew: the block is given what adds a member, which has a name and bytes."""
    with path.open("wb", buffering=BUFFER) as stream:

        def add(member: str, data: bytes) -> None:
            stream.write(
                member_header(member.encode(), len(data)) + data + bytes(-len(data) % BLOCK)
            )

        yield add
        stream.write(END)


def member_header(member: bytes, size: int) -> bytes:
    """The block before a member's bytes."""
    if len(member) > NAME:
        raise ValueError(f"the name {member!r} is longer than {NAME} bytes")
    parts = (member.ljust(NAME, b"\0"), BEFORE, b"%011o\0" % size, TIME)
    head = b"".join((*parts, BLANK, AFTER))
    return b"".join((*parts, b"%06o\0 " % sum(head), AFTER))


def containing_shard(path: PurePath) -> PurePath | None:
    """The shard that the path leads into; None for the path of a file."""
    if f"{SUFFIX}/" not in str(path):
        return None
    return next((above for above in path.parents if above.suffix == SUFFIX), None)


def find_shard(path: Path) -> Path | None:
    """The shard that the path leads into, where there is one on disk."""
    shard = containing_shard(path)
    return Path(shard) if shard and Path(shard).is_file() else None


def read_member(path: Path) -> bytes:
    """The bytes of a file, or of a member of a shard.

    Raises OSError, and InputError for a shard that is damaged or lacks the member.
    """
    shard = find_shard(path)
    if shard is None:
        return path.read_bytes()
    with shard_reader(shard) as member:
        return member(path.relative_to(shard).as_posix())


@contextlib.contextmanager
def shard_reader(shard: Path) -> Iterator[Callable[[str], bytes]]:
    """Read a shard: the block is given what gives a member's bytes. Raises as `read` does."""
    with shard.open("rb") as stream:
        about = os.fstat(stream.fileno())
        members = _members(shard, about.st_mtime_ns, about.st_size)

        def member(name: str) -> bytes:
            if name not in members:
                raise InputError(f"{shard / name}: the shard has no such member")
            at, size = members[name]
            stream.seek(at)
            return stream.read(size)

        yield member


@functools.lru_cache(maxsize=1024)
def _members(shard: Path, _changed: int, length: int) -> Mapping[str, tuple[int, int]]:
    """Where each member's bytes begin, and how many they are."""
    found, at = dict[str, tuple[int, int]](), 0
    with shard.open("rb") as stream:
        while (head := stream.read(BLOCK)) != END[:BLOCK]:
            try:
                member, size = _parsed(head)
            except ValueError as error:
                raise InputError(f"{shard}: damaged at byte {at}: {error}") from None
            found[member] = (at + BLOCK, size)
            at += BLOCK + size + -size % BLOCK
            if at > length:
                raise InputError(f"{shard}: cut off in the member {member}")
            stream.seek(at)
    return found


def _parsed(head: bytes) -> tuple[str, int]:
    member, size, check = head[:NAME].rstrip(b"\0"), head[124:136], head[148:156]
    if head[156:157] != FILE or int(check.rstrip(b"\0 "), 8) != sum(
        head[:148] + BLANK + head[156:]
    ):
        raise ValueError("not the header of a file as the toolkit writes it")
    return member.decode(), int(size.rstrip(b"\0 "), 8)
