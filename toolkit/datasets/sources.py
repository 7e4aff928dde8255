"""Where images come from: SOURCES yields files, and `fetch_source` keeps them with a manifest."""

import hashlib
import importlib.util
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from toolkit.datasets import archives, choice, folders, git, hubs, params
from toolkit.datasets.archives import SourceFile
from toolkit.datasets.faces import draw
from toolkit.datasets.tables.parsing import may_be_table
from toolkit.errors import InputError, explain_error, missing_package
from toolkit.io import files, inside
from toolkit.io.closure import find_version
from toolkit.io.images import LIMITS
from toolkit.io.manifest import Manifest, write_manifest
from toolkit.progress import Track, silent

FetchedFile = tuple[PurePosixPath, bytes | InputError]
"""A file of a source: its relative path, and its bytes or why it is not taken."""

MAX_DEPTH = 64
EXPERIMENTS = ".dvc/tmp/exps"
FACEMASK = params.Git(
    source="git",
    url="https://github.com/chandrikadeb7/Face-Mask-Detection",
    commit="7e500749401bad4bb338790fbdb89b58e41ef2d9",
    folder="dataset",
)


def fetch_source(
    settings: params.FetchParams, output: Path, work: Path, track: Track = silent
) -> Manifest:
    """Write the source's files, unchanged, and their manifest into the new folder `output`.

    `work` keeps downloads and clones for the next time. Files that are not images are kept too,
    and listed in notes["rejected"]. Raises InputError, and leaves `output` as it was, for whatever
    the source refuses, for repeated paths, for fewer than two classes, and for a class without an
    image.
    """
    check_places(settings, output, work)
    listed = inspect_source(settings) or {}
    files.check_space(output, listed.get("bytes", 0), "the images of fetch")
    try:
        with files.new_folder(output) as building:
            entries = SOURCES[settings.source](settings, work, track)
            unreadable, left_out = _write_files(entries, building, settings)
            scanned = folders.rescan(building, track, settings=settings, name="fetch")
            if isinstance(settings, params.Folder):
                unreadable = folders.explain_links(locate(settings.path), unreadable)
            rejected = sorted(unreadable + scanned.notes["rejected"], key=lambda file: file["path"])
            read = "; ".join([scanned.notes["read"], *choice.describe_left_out(left_out)])
            manifest = replace(scanned, notes={**scanned.notes, "rejected": rejected, "read": read})
            folders.check_classes(manifest, "fetch", 2)
            _remove_unused(building, manifest)
            write_manifest(building, manifest)
    except OSError as error:
        raise InputError(f"{error.filename or output}: {explain_error(error)}") from error
    return manifest


def inspect_source(settings: params.FetchParams) -> dict[str, Any] | None:
    """Return what changes with the source's own files, without reading them.

    Of a folder and a local archive these are the number of files, their bytes and a hash of paths,
    sizes and times of change; of a package its version. None if the params say it all, and if the
    files are not on this machine.
    """
    match settings:
        case params.Folder(path=text) if (root := locate(text)).is_dir():
            paths, directories = folders.list_tree(root)
            return _listing(root, paths, directories, follow=bool(settings.follow_links))
        case params.Archive(location=text) if (path := locate(text)).is_file():
            return _listing(path.parent, [PurePosixPath(path.name)], [])
        case params.Elpv():
            return {"elpv-dataset": find_version("elpv-dataset")}
    return None


def _listing(
    root: Path,
    paths: Iterable[PurePosixPath],
    directories: Iterable[PurePosixPath],
    *,
    follow: bool = False,
) -> dict[str, Any]:
    """The time is that of the last change to the file or its name, which no program can set."""
    digest, total, count = hashlib.sha256(), 0, 0
    for path in paths:
        about = os.lstat(root / path)
        if follow and (root / path).is_file():
            about = (root / path).stat()
        digest.update(f"{path}\0{about.st_size}\0{about.st_ctime_ns}\0".encode())
        total, count = total + about.st_size, count + 1
    digest.update("\0".join(map(str, directories)).encode())
    return {"files": count, "bytes": total, "listing": digest.hexdigest()}


def locate(text: str) -> Path:
    """Return a local path of the section `fetch`, which is relative to the project.

    DVC runs some experiments in a copy of the project in .dvc/tmp/exps, without the files that git
    does not know: there it is relative to the project itself.
    """
    project, copied, _ = str(Path.cwd()).partition(f"{os.sep}{EXPERIMENTS}{os.sep}")
    return Path(project if copied else "") / Path(text).expanduser()


def check_places(settings: params.FetchParams, output: Path, work: Path) -> None:
    """Refuse an `output` that would replace what is read or kept, or lie inside what is read."""
    sources, target = [work], files.resolve(output)
    match settings:
        case params.Folder(path=text) | params.Archive(location=text) | params.Git(url=text):
            if "://" not in text:
                sources.append(locate(text))
    if settings.follow_links:
        sources.insert(0, locate(settings.follow_links))
    for path in sources:
        if files.resolve(path).is_relative_to(target):
            raise InputError(f"{path}: must not be inside the output, {output}")
    if isinstance(settings, params.Folder) and target.is_relative_to(files.resolve(sources[-1])):
        raise InputError(
            f"{output}: must not be inside fetch.path, {settings.path}; keep them apart"
        )


def _write_files(
    entries: Iterable[FetchedFile], folder: Path, settings: params.ReadParams
) -> tuple[list[dict[str, str]], list[str]]:
    """Write the files that the settings do not leave out.

    Returns path and reason of each unreadable file, and for each that is left out the setting.
    """
    rejected, left_out, written = list[dict[str, str]](), dict[PurePosixPath, str](), False
    for path, data in entries:
        if setting := _unused(path, settings):
            left_out[path] = setting
        elif isinstance(data, InputError):
            inside.make_folder(folder, str(path.parent))
            rejected.append({"path": str(path), "reason": str(data)})
        else:
            _write(folder, data, path)
            written = True
    if left_out and not written:
        raise choice.refuse_choice(left_out, settings.only, settings.leave_out)
    return rejected, list(left_out.values())


def _unused(path: PurePosixPath, settings: params.ReadParams) -> str:
    """Return the setting that leaves a file out, or ""; `only` chooses images and not tables."""
    setting = choice.is_left_out(path, settings.only, settings.leave_out)
    return "" if setting == choice.ONLY and may_be_table(path) else setting


def _remove_unused(folder: Path, manifest: Manifest) -> None:
    """Remove files that the manifest does not list, such as a README and a stranger's manifest."""
    listed = {file["path"] for file in manifest.notes["rejected"]}
    kept = listed | {sample.path for sample in manifest.samples}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).as_posix() not in kept:
            path.unlink()


def _write(folder: Path, data: bytes, path: PurePosixPath) -> None:
    if len(path.parts) > MAX_DEPTH:
        start = "/".join(path.parts[:3])
        raise InputError(f"fetch: a path below {start!r} is more than {MAX_DEPTH} folders deep")
    try:
        inside.write_inside(folder, str(path), data, replace=False)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"fetch: the path {str(path)!r} occurs more than once") from None


def _synthetic(section: params.Synthetic, _work: Path, track: Track) -> Iterator[SourceFile]:
    counts = {str(name): count for name, count in section.counts.items()}
    options = {"size": section.size, "seed": section.seed, "workers": os.cpu_count() or 1}
    return draw.draw_images(counts, **options, track=track)


def _folder(section: params.Folder, _work: Path, track: Track) -> Iterator[FetchedFile]:
    """Yield the files of a folder as `read_tree` does."""
    root = locate(section.path)
    if not root.is_dir():
        raise files.missing(root, "folder", "check fetch.path")
    reading = folders.read_folder(root, section)
    filled = {place.label for place in reading.places}
    for label in reading.classes:
        if label not in filled:
            raise InputError(f"{root}: class {label!r} has no image: its folder is empty")
    yield from read_tree(section, track)


def read_tree(section: params.Folder, track: Track) -> Iterator[FetchedFile]:
    """Yield all files of a folder. Those that the settings leave out are not read, but empty.

    Links (unless `follow_links` names the folder that they lead into), devices and files of over
    `images.LIMITS` are not read, but reported.
    """
    root = locate(section.path)
    links = locate(section.follow_links) if section.follow_links else None
    paths, _ = folders.list_tree(root)
    for path in track(paths, "read", len(paths)):
        try:
            unused = _unused(path, section)
            yield path, b"" if unused else folders.read_listed(root, path, links)
        except InputError as error:
            yield path, error


def _archive(section: params.Archive, work: Path, track: Track) -> Iterator[SourceFile]:
    location = section.location if "://" in section.location else str(locate(section.location))
    path = archives.fetch_archive(location, section.sha256, work, track)
    return archives.unpack_archive(path, section.folder, track)


def _git(section: params.Git, work: Path, track: Track) -> Iterator[SourceFile]:
    return git.fetch_tree(section.url, section.commit, section.folder, work, track)


def _huggingface(section: params.Huggingface, work: Path, track: Track) -> Iterator[FetchedFile]:
    read = hubs.fetch_huggingface(section.name, section.revision, section.folder, work)
    return iter(track(read, "read"))


def _kaggle(section: params.Kaggle, work: Path, track: Track) -> Iterator[FetchedFile]:
    return iter(
        track(hubs.fetch_kaggle(section.name, section.version, section.folder, work), "read")
    )


def _facemask(_section: params.Facemask, work: Path, track: Track) -> Iterator[SourceFile]:
    return _git(FACEMASK, work, track)


def _elpv(section: params.Elpv, _work: Path, track: Track) -> Iterator[SourceFile]:
    """Yield the package's cells, named and encoded as they are, by their probability of a defect.

    Source: Buerhop-Lutz et al., 2018, https://github.com/zae-bayern/elpv-dataset.
    """
    package = importlib.util.find_spec("elpv_dataset")
    if package is None or package.origin is None:
        raise missing_package("elpv_dataset")
    data = Path(package.origin).parent / "data"
    rows = [line.split() for line in (data / "labels.csv").read_text("utf-8").splitlines()]
    for name, probability, _ in track(rows, "read", len(rows)):
        label = "defective" if float(probability) >= section.threshold else "functional"
        content = inside.read_inside(data, name, LIMITS.bytes)
        yield PurePosixPath(label, PurePosixPath(name).name), content


SOURCES: dict[str, Callable[[Any, Path, Track], Iterator[FetchedFile]]] = {
    "synthetic": _synthetic,
    "folder": _folder,
    "archive": _archive,
    "git": _git,
    "huggingface": _huggingface,
    "kaggle": _kaggle,
    "facemask": _facemask,
    "elpv": _elpv,
}
