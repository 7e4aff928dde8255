"""Where images come from: SOURCES gives files, and `fetch` keeps them with their manifest."""

import importlib.util
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from toolkit.datasets import archives, git, params
from toolkit.datasets.archives import ArchiveEntry
from toolkit.datasets.faces import draw
from toolkit.datasets.folders import LAYOUT, by_split, classes, locate, survey, unlinked_bytes, walk
from toolkit.errors import InputError
from toolkit.io import files, manifest
from toolkit.io.manifest import Manifest
from toolkit.progress import Track, silent

FetchedFile = tuple[PurePosixPath, bytes | InputError]
"""A file of a source: its relative path and its bytes, or why it is not taken."""

MAX_DEPTH = 64
FACEMASK = params.Git(
    source="git",
    url="https://github.com/chandrikadeb7/Face-Mask-Detection",
    commit="7e500749401bad4bb338790fbdb89b58e41ef2d9",
    folder="dataset",
)


def fetch_source(
    settings: params.FetchParams, output: Path, work: Path, track: Track = silent
) -> Manifest:
    """Write the source's files, as found, and their manifest into the new folder `output`.

    `work` keeps downloads and clones for the next time. Files that are not images are kept too,
    and listed in notes["rejected"]. Raises InputError, and leaves `output` as it was, for whatever
    the source refuses, for paths that stand twice, fewer than two classes, and a class without an
    image.
    """
    _check_apart(settings, output, work)
    try:
        with files.new_folder(output) as building:
            rejected = _keep(SOURCES[settings.source](settings, work, track), building)
            found = _with(rejected, survey(building, track))
            _check_classes(found)
            manifest.write_manifest(building, found)
    except OSError as error:
        raise InputError(f"{error.filename or output}: {error.strerror or error}") from error
    return found


def _keep(found: Iterator[FetchedFile], building: Path) -> list[dict[str, str]]:
    """Write what has a class; the paths and reasons of what is no file to be read."""
    rejected = []
    for path, data in found:
        if isinstance(data, InputError):
            (building / path).parent.mkdir(parents=True, exist_ok=True)
            rejected.append({"path": str(path), "reason": str(data)})
        elif len(path.parts) > 1:  # what is at the top belongs to no class
            _put(building / path, data, path)
    return rejected


def _with(rejected: list[dict[str, str]], found: Manifest) -> Manifest:
    everything = sorted([*rejected, *found.notes["rejected"]], key=lambda item: item["path"])
    return replace(found, notes={**found.notes, "rejected": everything})


def _check_classes(found: Manifest) -> None:
    if not found.classes:
        raise InputError(f"fetch: the source has no class folder; {LAYOUT}")
    for label, count in found.counts().items():
        if count == 0:
            raise InputError(f"fetch: class {label!r} has no image: {_found_in(label, found)}")
    if len(found.classes) < 2:
        only = f"found only {found.classes[0]!r}, with {found.samples[0].path}"
        message = f"fetch: at least two classes are needed, {only}; {LAYOUT}"
        raise InputError(f"{message}: give the folder that holds the classes")


def _found_in(label: str, found: Manifest) -> str:
    """What was rejected of a class, in words."""
    inside = [item for item in found.notes["rejected"] if label in item["path"].split("/")[:-1]]
    if not inside:
        return "its folder is empty"
    first = inside[0]
    return f"found {len(inside)} other files, such as {first['path']}: {first['reason']}"


def _check_apart(settings: params.FetchParams, output: Path, work: Path) -> None:
    """What is read or kept must not lie where `output` is replaced, nor the reverse."""
    read, target = [work], output.resolve()
    match settings:
        case params.Folder(path=text) | params.Archive(location=text) | params.Git(url=text):
            if "://" not in text:
                read.append(Path(text).expanduser())
    for path in read:
        if path.resolve().is_relative_to(target):
            raise InputError(f"{path}: must not be inside the output, {output}")
    if isinstance(settings, params.Folder) and target.is_relative_to(read[-1].resolve()):
        raise InputError(f"{output}: must not be inside fetch.path, {settings.path}")


def _put(target: Path, data: bytes, path: PurePosixPath) -> None:
    if len(path.parts) > MAX_DEPTH:
        start = "/".join(path.parts[:3])
        raise InputError(f"fetch: a path below {start!r} is more than {MAX_DEPTH} folders deep")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as stream:
            stream.write(data)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"fetch: the path {str(path)!r} stands more than once") from None


def _synthetic(section: params.Synthetic, _work: Path, track: Track) -> Iterator[ArchiveEntry]:
    counts = {str(name): count for name, count in section.counts.items()}
    options = {"size": section.size, "seed": section.seed, "workers": os.cpu_count() or 1}
    return draw.draw_images(counts, **options, track=track)


def _folder(section: params.Folder, _work: Path, track: Track) -> Iterator[FetchedFile]:
    """Links, devices and files of more than `images.LIMITS` are not copied, and reported."""
    root = Path(section.path).expanduser()
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; check fetch.path")
    paths, folders = walk(root)
    splits = by_split(folders)
    filled = {locate(path, splits)[1] for path in paths if len(path.parts) > 1}
    for label in classes(folders, splits):
        if label not in filled:
            raise InputError(f"{root}: class {label!r} has no image: its folder is empty")
    for path in track(paths, "read", len(paths)):
        yield path, _content(root / path)


def _content(path: Path) -> bytes | InputError:
    try:
        return unlinked_bytes(path)
    except InputError as error:
        return error


def _archive(section: params.Archive, work: Path, track: Track) -> Iterator[ArchiveEntry]:
    path = archives.obtain(section.location, section.sha256, work, track)
    return archives.unpack_archive(path, section.folder, track)


def _git(section: params.Git, work: Path, track: Track) -> Iterator[ArchiveEntry]:
    return git.tree_entries(section.url, section.commit, section.folder, work, track)


def _facemask(_section: params.Facemask, work: Path, track: Track) -> Iterator[ArchiveEntry]:
    return _git(FACEMASK, work, track)


def _elpv(section: params.Elpv, _work: Path, track: Track) -> Iterator[ArchiveEntry]:
    """Cells by their probability of a defect; names and bytes are the package's own."""
    package = importlib.util.find_spec("elpv_dataset")
    if package is None or package.origin is None:
        message = "fetch.source elpv needs a package that is not installed"
        raise InputError(f"{message}: pip install elpv-dataset")
    data = Path(package.origin).parent / "data"
    rows = [line.split() for line in (data / "labels.csv").read_text("utf-8").splitlines()]
    for name, probability, _ in track(rows, "read", len(rows)):
        label = "defective" if float(probability) >= section.threshold else "functional"
        yield PurePosixPath(label, PurePosixPath(name).name), (data / name).read_bytes()


SOURCES: dict[str, Callable[[Any, Path, Track], Iterator[FetchedFile] | Iterator[ArchiveEntry]]] = {
    "synthetic": _synthetic,
    "folder": _folder,
    "archive": _archive,
    "git": _git,
    "facemask": _facemask,
    "elpv": _elpv,
}
