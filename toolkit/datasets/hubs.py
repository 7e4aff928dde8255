"""Data sets of Hugging Face and Kaggle, through the packages of both, which are extras.

A set is pinned: by a commit there, by a version here. What was downloaded stays in `work`.
"""

import functools
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

from toolkit.datasets import archives, folders
from toolkit.errors import InputError, import_package
from toolkit.io import inside
from toolkit.io.text import shorten

T = TypeVar("T")
HubFile = tuple[PurePosixPath, bytes | InputError]
"""A file of a data set: its relative path, and its bytes or why it is not taken."""

PICTURES = (
    ".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".jp2", ".avif", ".heic",
    ".ppm", ".pgm", ".dcm",
)  # fmt: skip
PACKED = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
"""A set without images is read from these, each of which becomes a folder of its name."""


def find_commit(name: str, revision: str | None, folder: str) -> str:
    """Return the commit of a data set of Hugging Face that a branch or tag is at now.

    Raises InputError for one whose images lie in tables, before anything is downloaded.
    """
    hub = import_package("huggingface_hub")
    at = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT")).dataset_info
    found = _asked(functools.partial(at, name, revision=revision), f"hf://datasets/{name}", folder)
    listed = [PurePosixPath(file.rfilename) for file in found.siblings or ()]
    _check_pictures(
        [path for path in listed if path.is_relative_to(folder)], f"hf://datasets/{name}"
    )
    return str(found.sha)


def fetch_huggingface(name: str, revision: str, folder: str, work: Path) -> Iterator[HubFile]:
    """Yield the files below `folder` of one commit of a data set; `folder` may be an archive."""
    place = work / "hub" / f"{name.replace('/', '--')}-{revision[:16]}"
    download = functools.partial(
        import_package("huggingface_hub").snapshot_download,
        repo_id=name,
        repo_type="dataset",
        revision=revision,
        local_dir=place,
        endpoint=os.environ.get("HF_ENDPOINT"),
        allow_patterns=[folder, f"{folder}/*"] if folder else None,
    )
    _asked(download, f"hf://datasets/{name}", folder)
    yield from _read(place, folder, f"hf://datasets/{name}")


def newest_version(name: str, work: Path) -> int:
    """Return the number of the newest version of a data set of Kaggle, which is downloaded."""
    return int(_download_kaggle(name, work).name)


def fetch_kaggle(name: str, version: int, folder: str, work: Path) -> Iterator[HubFile]:
    """Yield the files below `folder` of a version of a data set; `folder` may be an archive."""
    place = _download_kaggle(f"{name}/versions/{version}", work)
    yield from _read(place, folder, f"kaggle://{name}")


def _download_kaggle(handle: str, work: Path) -> Path:
    """Return the folder .../versions/<number> that Kaggle's package makes."""
    os.environ.setdefault("KAGGLEHUB_CACHE", str((work / "hub").resolve()))
    package = import_package("kagglehub")
    name = "/".join(handle.split("/")[:2])
    return Path(_asked(functools.partial(package.dataset_download, handle), f"kaggle://{name}", ""))


def _asked(request: Callable[[], T], name: str, folder: str) -> T:
    """Return what a hub answers. Raises InputError for all that its package raises."""
    try:
        return request()
    except Exception as error:  # whatever the package raises
        text = re.sub(r"\[Errno -?\d+\] ", "", str(error)).strip()
        reason = shorten(text or type(error).__name__, 300)
        login = "`hf auth login`" if name.startswith("hf:") else "`kagglehub.login()` in Python"
        where = f"{name}/{folder}" if folder else name
        raise InputError(
            f"{where}: cannot be downloaded ({reason}); check the name and the network; a private "
            f"set takes {login} first"
        ) from error


def _read(place: Path, folder: str, name: str) -> Iterator[HubFile]:
    base = place / inside.check_relative(folder, "fetch.folder")
    if base.is_file():
        yield from archives.unpack_archive(base)
        return
    paths, _ = folders.list_tree(base)
    packed = [path for path in paths if path.name.lower().endswith(PACKED)]
    if packed and not any(path.suffix.lower() in PICTURES for path in paths):
        for path in packed:
            for below, data in archives.unpack_archive(base / path):
                yield path.with_name(path.name.split(".")[0]) / below, data
        return
    _check_pictures(paths, name)
    budget = archives.Budget(name)
    for path in paths:
        budget.spend(str(path), (base / path).lstat().st_size)
        try:
            yield path, folders.read_listed(base, path)
        except InputError as error:
            yield path, error


def _check_pictures(paths: Sequence[PurePosixPath], name: str) -> None:
    """Raise InputError for files among which are neither images nor archives."""
    if any(path.name.lower().endswith((*PICTURES, *PACKED)) for path in paths):
        return
    kinds = Counter(path.suffix.lower() for path in paths)
    listed = ", ".join(f"{count} {kind or 'without ending'}" for kind, count in kinds.items())
    raise InputError(
        f"{name}: holds no image files, only {listed or 'nothing'}; choose a set of images in "
        f"folders or archives, or save its images as <class>/file (docs/data.md shows how for "
        f"tables such as parquet)"
    )
