"""The images of a folder as people lay it out."""

import hashlib
import os
import stat
from pathlib import Path, PurePosixPath

from toolkit import codec, manifest
from toolkit.errors import InputError
from toolkit.manifest import Manifest, Sample
from toolkit.progress import Track, silent

SPLITS = {
    "train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test",
}  # fmt: skip


def scan(folder: Path, track: Track = silent) -> Manifest:
    """The images of a folder laid out <split>/<class>/... or <class>/..., sorted by path.

    Where every folder at the top is a split (train; valid, val or validation; test; in any case of
    letters) the classes are the folders below. The header decides what is an image; what is none,
    symbolic links (they are not followed) and files in no class are listed in notes["rejected"] as
    {"path", "reason"}. Hidden files and those at the top are skipped. A sample's `group` is its
    sha256, so that equal files share one. Where the folder holds a manifest of ours, that is read
    instead. Raises InputError for a missing folder and for names that are not UTF-8.
    """
    if (folder / manifest.TABLE).is_file() and (folder / manifest.SIDE).is_file():
        return manifest.read(folder)
    return survey(folder, track)


def survey(folder: Path, track: Track = silent) -> Manifest:
    """`scan` of a folder whose manifest, if it has one, is not to be believed."""
    paths, folders = walk(folder)
    splits = by_split(folders)
    found, rejected = [], []
    below = [path for path in paths if len(path.parts) > 1]
    for path in track(below, "scan", len(below)):
        split, label = place(path, splits)
        try:
            found.append((path, split, label, _hash(folder / path, label)))
        except InputError as error:
            rejected.append({"path": str(path), "reason": str(error)})
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


def place(path: PurePosixPath, splits: bool) -> tuple[str, str]:
    """Split and class of a file; "" for what it has none of."""
    if not splits:
        return "", path.parts[0]
    return SPLITS[path.parts[0].lower()], path.parts[1] if len(path.parts) > 2 else ""


def _hash(path: Path, label: str) -> str:
    """The sha256 of an image file. Raises InputError with the reason where it is none."""
    if not label:
        raise InputError("it is in no class folder")
    about = path.lstat()
    if not stat.S_ISREG(about.st_mode):
        link = "a symbolic link, which is not followed"
        raise InputError(link if stat.S_ISLNK(about.st_mode) else "not a regular file")
    if about.st_size > codec.MAX_BYTES:
        raise InputError(f"larger than {codec.MAX_BYTES // 1_000_000} MB")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})") from error
    codec.identify(data)
    return hashlib.sha256(data).hexdigest()


def hidden(path: PurePosixPath) -> bool:
    """Whether a part of the path begins with a dot or is macOS's __MACOSX."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
