"""The images of a folder as people lay it out."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from toolkit.errors import InputError
from toolkit.io import images, manifest
from toolkit.io.manifest import Manifest, Sample
from toolkit.io.parallel import forked
from toolkit.progress import Track, silent

SPLITS = {
    "train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test",
}  # fmt: skip
LAYOUT = "expected <split>/<class>/file or <class>/file"
TOGETHER = 16  # files that a worker reads for one answer


def scan(folder: Path, track: Track = silent, workers: int = 1) -> Manifest:
    """The images of a folder laid out <split>/<class>/... or <class>/..., sorted by path.

    Where every folder at the top is a split (train; valid, val or validation; test; in any case of
    letters) the classes are the folders below. The header decides what is an image; what is none,
    symbolic links (they are not followed) and files in no class are listed in notes["rejected"] as
    {"path", "reason"}. Hidden files and those at the top are skipped, but for links. A sample's
    `group` is its sha256, so that equal files share one. Where the folder holds a manifest of ours,
    that is read instead. Raises InputError for a missing folder and for names that are not UTF-8.
    """
    if (folder / manifest.TABLE).is_file() and (folder / manifest.SIDE).is_file():
        return manifest.read_manifest(folder)
    return survey(folder, track, workers)


def survey(folder: Path, track: Track = silent, workers: int = 1) -> Manifest:
    """`scan` of a folder whose manifest, if it has one, is not to be believed."""
    paths, folders = walk(folder)
    splits = by_split(folders)
    found, rejected = [], []
    below = [path for path in paths if len(path.parts) > 1 or (folder / path).is_symlink()]
    placed = [(path, *locate(path, splits)) for path in below]
    read = _read([(folder / path, label) for path, _, label in placed], track, workers)
    for (path, split, label), (digest, reason) in zip(placed, read, strict=True):
        if digest:
            found.append((path, split, label, digest))
        else:
            rejected.append({"path": str(path), "reason": reason})
    ids = manifest.unique_ids(digest for *_, digest in found)
    samples = tuple(
        Sample(id_, str(path), label, split, group=digest)
        for id_, (path, split, label, digest) in zip(ids, found, strict=True)
    )
    return Manifest(classes(folders, splits), samples, {"rejected": rejected})


def walk(root: Path) -> tuple[list[PurePosixPath], list[PurePosixPath]]:
    """Files (and links, and all else that is no folder) and folders below `root`, sorted."""
    if not root.is_dir():
        raise InputError(f"{root}: no such folder")
    found, folders, waiting = [], [], [PurePosixPath()]
    while waiting:
        above = waiting.pop()
        try:
            entries = list(os.scandir(root / above))
        except OSError as error:
            raise InputError(f"{root / above}: cannot be read ({error.strerror})") from error
        for entry in entries:
            path = above / entry.name
            if hidden(PurePosixPath(entry.name)):
                continue
            _check_name(root, path)
            if entry.is_dir(follow_symlinks=False):
                folders.append(path)
                waiting.append(path)
            else:
                found.append(path)
    return sorted(found, key=str), sorted(folders, key=str)


def _check_name(root: Path, path: PurePosixPath) -> None:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        message = f"{root}: the name {os.fsencode(path)!r} is not UTF-8, which DVC cannot keep"
        raise InputError(f"{message}; rename it") from None


def by_split(folders: list[PurePosixPath]) -> bool:
    """Whether every folder at the top has the name of a split."""
    tops = [path.name.lower() for path in folders if len(path.parts) == 1]
    return bool(tops) and all(name in SPLITS for name in tops)


def classes(folders: list[PurePosixPath], splits: bool) -> tuple[str, ...]:
    """The names of the class folders, those that are empty too, in alphabetical order."""
    depth = 2 if splits else 1
    return tuple(sorted({path.name for path in folders if len(path.parts) == depth}))


def locate(path: PurePosixPath, splits: bool) -> tuple[str, str]:
    """Split and class of a file; "" for what it has none of."""
    *folders, _ = path.parts
    if not splits:
        return "", folders[0] if folders else ""
    return SPLITS[folders[0].lower()] if folders else "", folders[1] if len(folders) > 1 else ""


def _read(
    placed: Sequence[tuple[Path, str]], track: Track, workers: int
) -> Iterator[tuple[str, str]]:
    """For each file and its class, in order: its sha256, or "" and the reason why not."""

    def task(part: int) -> Iterator[bytes]:
        for path, label in placed[part * TOGETHER : (part + 1) * TOGETHER]:
            try:
                told = (_hash(path, label), "")
            except InputError as error:
                told = ("", str(error))
            yield json.dumps(told).encode() + b"\n"

    parts = range(-(-len(placed) // TOGETHER))
    lines = dict(track(forked(task, parts, workers), "scan", len(parts)))
    return ((d, r) for part in parts for d, r in map(json.loads, lines[part].splitlines()))


def _hash(path: Path, label: str) -> str:
    """The sha256 of an image file. Raises InputError with the reason where it is none."""
    data = unlinked_bytes(path)
    if not label:
        raise InputError("it is in no class folder")
    images.identify(data)
    return hashlib.sha256(data).hexdigest()


def unlinked_bytes(path: Path) -> bytes:
    """The bytes of a file that is no link. Raises InputError with the reason, without the name."""
    if path.is_symlink():
        raise InputError("a symbolic link, which is not followed")
    return images.read_bounded(path)


def hidden(path: PurePosixPath) -> bool:
    """Whether a part of the path begins with a dot or is macOS's __MACOSX."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
