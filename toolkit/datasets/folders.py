"""Folders of images as people lay them out, and what in them is an image."""

import hashlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath

from toolkit.errors import InputError, explain_error
from toolkit.io import images, inside, manifest
from toolkit.io.files import missing
from toolkit.io.manifest import Manifest, Sample
from toolkit.io.samples import CHUNK
from toolkit.io.sandbox import Stopped, sandboxed_map
from toolkit.progress import Track, silent

SPLIT_NAMES = {
    "train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test",
}  # fmt: skip
LAYOUT = "expected <split>/<class>/file or <class>/file"


def scan(folder: Path, track: Track = silent, workers: int = 1, *, whole: bool = False) -> Manifest:
    """Return the manifest of a folder laid out <split>/<class>/... or <class>/..., by path.

    If every folder at the top is named for a split (train; valid, val or validation; test; in
    either case) the classes are the folders below. The header decides what is an image, or with
    `whole` that it decodes to its end; all other files, symbolic links (they are not followed) and
    files outside any class folder are listed in
    notes["rejected"] as {"path", "reason"}. Hidden files and those at the top are skipped, except
    for links. A sample's `group` is its sha256, so that equal files share one. A folder that holds
    a manifest is not scanned: that manifest is returned. Raises InputError for a missing folder,
    for names that are not UTF-8, and for a manifest that leads to other folders.
    """
    if (folder / manifest.TABLE).is_file() and (folder / manifest.SIDECAR).is_file():
        return manifest.read_manifest(folder, inside_only=True)
    return rescan(folder, track, workers, whole=whole)


def rescan(
    folder: Path, track: Track = silent, workers: int = 1, *, whole: bool = False
) -> Manifest:
    """Return what `scan` finds, whether or not the folder holds a manifest."""
    paths, folders = list_tree(folder)
    splits = has_splits(folders)
    paths = [path for path in paths if len(path.parts) > 1 or (folder / path).is_symlink()]
    places = [parse_path(path, splits) for path in paths]
    files = [(folder, path, label) for path, (_, label) in zip(paths, places, strict=True)]
    accepted, rejected = [], []
    hash_or_reason = partial(_hash_or_reason, images.verify if whole else images.identify)
    results = sandboxed_map(hash_or_reason, files, workers, chunksize=CHUNK)
    digests = track(results, "scan", len(files))
    for path, place, result in zip(paths, places, digests, strict=True):
        digest, reason = ("", result.reason) if isinstance(result, Stopped) else result
        if digest:
            accepted.append((path, place, digest))
        else:
            rejected.append({"path": str(path), "reason": reason})
    ids = manifest.unique_ids(digest for *_, digest in accepted)
    samples = tuple(
        Sample(ident, str(path), label, split, group=digest)
        for ident, (path, (split, label), digest) in zip(ids, accepted, strict=True)
    )
    return Manifest(find_classes(folders, splits), samples, {"rejected": rejected})


def list_tree(root: Path) -> tuple[list[PurePosixPath], list[PurePosixPath]]:
    """Return all files (links and devices included) and all folders below `root`, each sorted.

    Hidden ones are left out. Raises InputError for a folder that is missing or cannot be read,
    and for names that are not UTF-8.
    """
    if not root.is_dir():
        raise missing(root, "folder")
    files, folders, pending = [], [], [PurePosixPath()]
    while pending:
        parent = pending.pop()
        try:
            entries = list(os.scandir(root / parent))
        except OSError as error:
            raise InputError(f"{root / parent}: cannot be read ({explain_error(error)})") from error
        for entry in entries:
            path = parent / entry.name
            if is_hidden(PurePosixPath(entry.name)):
                continue
            _check_name(root, path)
            if entry.is_dir(follow_symlinks=False):
                folders.append(path)
                pending.append(path)
            else:
                files.append(path)
    return sorted(files, key=str), sorted(folders, key=str)


def _check_name(root: Path, path: PurePosixPath) -> None:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        message = f"{root}: the name {os.fsencode(path)!r} is not UTF-8, which DVC cannot keep"
        raise InputError(f"{message}; rename it") from None


def has_splits(folders: list[PurePosixPath]) -> bool:
    """Return whether every folder at the top is named for a split."""
    tops = [path.name.lower() for path in folders if len(path.parts) == 1]
    return bool(tops) and all(name in SPLIT_NAMES for name in tops)


def find_classes(folders: list[PurePosixPath], splits: bool) -> tuple[str, ...]:
    """Return the names of the class folders, empty ones included, in alphabetical order."""
    depth = 2 if splits else 1
    return tuple(sorted({path.name for path in folders if len(path.parts) == depth}))


def parse_path(path: PurePosixPath, splits: bool) -> tuple[str, str]:
    """Return split and class of a file, each "" if it has none."""
    top, below, *_ = (*path.parts[:-1], "", "")
    return (SPLIT_NAMES.get(top.lower(), ""), below) if splits else ("", top)


def _hash_or_reason(
    check: Callable[[bytes], object], file: tuple[Path, PurePosixPath, str]
) -> tuple[str, str]:
    """Return the sha256 of a file in a class folder, or "" and why the file is rejected."""
    try:
        return _hash(check, *file), ""
    except InputError as error:
        return "", str(error)


def _hash(check: Callable[[bytes], object], folder: Path, path: PurePosixPath, label: str) -> str:
    """Return the sha256 of an image file. Raises InputError with the reason if it is not one."""
    data = read_listed(folder, path)
    if not label:
        raise InputError("not in a class folder")
    check(data)
    return hashlib.sha256(data).hexdigest()


def read_listed(folder: Path, path: PurePosixPath) -> bytes:
    """Return the bytes of a file that `list_tree` listed. Raises InputError with the reason alone.

    A link was not made by DVC, as in a folder with a manifest: its reason is said in short.
    """
    if (folder / path).is_symlink():
        raise InputError(inside.LINK)
    return inside.read_inside(folder, str(path), images.LIMITS.bytes)


def is_hidden(path: PurePosixPath) -> bool:
    """Return whether a part of the path begins with a dot or is macOS's __MACOSX."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
