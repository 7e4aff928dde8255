"""IMAGES of a command as a local folder: a folder, an archive, a URL, or a data set of a hub."""

import hashlib
import re
import shutil
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from toolkit.datasets import params
from toolkit.errors import InputError
from toolkit.io import files, inside
from toolkit.io.manifest import is_file_name
from toolkit.io.text import describe_rejected
from toolkit.progress import Track, silent

WORK, UNPACKED = Path(".toolkit"), Path("unpacked")
"""The folder for downloads, and where in it archives are unpacked: <hash>/<name>."""
OLD = 30
"""Days after which what was unpacked and is not used is removed."""
SLASHES = re.compile(r"^([a-z][a-z0-9+.-]+):/+")  # a Path has lost one of two
WEB_PAGES = {
    re.compile(r"^https?://(?:www\.)?kaggle\.com/datasets/([^/?#]+/[^/?#]+).*"): r"kaggle://\1",
    re.compile(
        r"^https?://huggingface\.co/datasets/([^/?#]+/[^/?#]+)/?(?:tree/main/?)?"
    ): r"hf://datasets/\1",
}
HUGGING_FACE = re.compile(
    r"hf://datasets/(?P<name>[\w.-]+(?:/[\w.-]+)?)(?:@(?P<at>[^/]+))?(?:/(?P<folder>.+?))?/*"
)
KAGGLE = re.compile(
    r"kaggle://(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<at>\d+)|/versions/(?P<version>\d+))?"
    r"(?:/(?P<folder>.+?))?/*"
)
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class LocalImages:
    """IMAGES as they were written, their folder here, and the section `fetch` for them."""

    name: str
    folder: Path
    source: params.Folder | params.Archive | params.Huggingface | params.Kaggle


def open_images(
    images: Path | str,
    work: Path = WORK,
    track: Track = silent,
    say: Callable[[str], object] = lambda _: None,
    *,
    unpacked: Path | None = None,
    links: str = "",
) -> LocalImages:
    """Return IMAGES as a folder: a folder as it is, anything else unpacked once, and its hash said.

    A folder whose links lead into the folder `links` is copied like that, with files for links.

    IMAGES may be a zip or tar, its http(s) address, hf://datasets/<name> or kaggle://<owner>/<name>
    (each with @<revision> and /<folder> if wanted); a lone folder that wraps the rest is entered.
    `work` keeps downloads, and what is unpacked unless that goes to `unpacked`; what was not used
    for OLD days is removed. Raises InputError for what is none of these, cannot be reached or does
    not fit on the disk, and as `archives.unpack_archive` does.
    """
    text = _address(images)
    local = "://" not in text and not Path(text).is_file()
    if local and not links:
        return LocalImages(text, Path(text), params.Folder(source="folder", path=text))
    source, said, size = _list_links(text, links) if local else _pin(text, work, track)
    about = f"{source.model_dump_json(exclude_defaults=True)}{said if local else ''}"
    digest = hashlib.sha256(about.encode()).hexdigest()[:16]
    place = (unpacked or work / UNPACKED) / digest / folder_name(text)
    if place.is_dir():
        place.parent.touch()
    else:
        files.check_space(place, size, f"the images of {text}")
        _unpack(source, place, work, track, say)
    say(f"{text}: {said}" + ("" if unpacked else f", unpacked in {place}"))
    _remove_old(work / UNPACKED)
    return LocalImages(text, place, source)


def _address(images: Path | str) -> str:
    if Path(images).exists():
        return str(images)
    text = SLASHES.sub(r"\1://", str(images))
    for page, address in WEB_PAGES.items():
        text = page.sub(address, text) if page.fullmatch(text) else text
    return text


def _list_links(text: str, links: str) -> tuple[Any, str, int]:
    """Return what `_pin` does, of a folder with links; what is said has a hash of its listing."""
    if not Path(text).is_dir():
        raise files.missing(Path(text), "folder")
    from toolkit.datasets.sources import inspect_source  # slow to import, as below

    source = params.Folder(source="folder", path=text, follow_links=links)
    listed = inspect_source(source) or {}
    said = f"{listed['files']} files and links into {links}, listing {listed['listing'][:16]}"
    return source, said, listed["bytes"]


def _pin(text: str, work: Path, track: Track) -> tuple[Any, str, int]:
    """Return the section `fetch` of what is no folder, what to say, and the bytes if known."""
    from toolkit.datasets import archives, download, hubs

    if match := HUGGING_FACE.fullmatch(text):
        name, at, folder = match["name"], match["at"], match["folder"] or ""
        commit = at if at and COMMIT.fullmatch(at) else hubs.find_commit(name, at, folder)
        where: dict[str, Any] = {"name": name, "revision": commit, "folder": folder}
        return params.Huggingface(source="huggingface", **where), f"revision {commit}", 0
    if match := KAGGLE.fullmatch(text):
        at = match["at"] or match["version"]
        version = int(at) if at else hubs.newest_version(match["name"], work)
        where = {"name": match["name"], "version": version, "folder": match["folder"] or ""}
        return params.Kaggle(source="kaggle", **where), f"version {version}", 0
    if not text.startswith(("http://", "https://")) and "://" in text:
        raise InputError(
            f"{download.redacted_url(text)}: must be a folder, a zip or tar, an http or https "
            f"address of one, hf://datasets/<name> or kaggle://<owner>/<name>"
        )
    path = download.download(text, "", work, track) if "://" in text else Path(text)
    names, total = archives.list_archive(path)
    digest = files.sha256(path)
    if "://" in text:
        download.keep(path, digest)
    source = params.Archive(
        source="archive", location=text, sha256=digest, folder=lone_wrapper(names)
    )
    kept = f", downloaded to {path}" if "://" in text else ""
    return source, f"{len(names)} files, sha256 {digest}{kept}", total


def lone_wrapper(names: Collection[PurePosixPath]) -> str:
    """Return the folder that holds all files and other folders, as long as it is the only one.

    That of a single class is not entered: it holds files alone.
    """
    depth = 0
    while True:
        parents = {name.parts[depth] for name in names if len(name.parts) > depth + 1}
        lone = len(parents) == 1 and all(len(name.parts) > depth + 1 for name in names)
        if not lone or not any(len(name.parts) > depth + 2 for name in names):
            first = next(iter(names), PurePosixPath())
            return PurePosixPath(*first.parts[:depth]).as_posix().removeprefix(".")
        depth += 1


def folder_name(images: Path | str) -> str:
    """Return the name of the folder that `open_images` gives, without an archive's endings."""
    text = _address(images)
    if "://" not in text and not Path(text).is_file():
        return Path(text).name
    from toolkit.datasets import download

    last = re.split(r"[/?#@]", download.redacted_url(text) if "://" in text else text)
    words = [word for word in last if word]
    name = re.sub(r"(\.tar)?\.(zip|tar|tgz|gz|bz2|xz)$", "", words[-1] if words else "")
    return name if is_file_name(name) else "images"


def _remove_old(place: Path) -> None:
    for folder in place.glob("[!.]*/"):
        if folder.stat().st_mtime < time.time() - OLD * 86_400:
            shutil.rmtree(folder, ignore_errors=True)


def _unpack(
    source: Any, place: Path, work: Path, track: Track, say: Callable[[str], object]
) -> None:
    from toolkit.datasets.sources import SOURCES, read_tree

    rejected, count = list[dict[str, str]](), 0
    linked = isinstance(source, params.Folder)
    entries = read_tree(source, track) if linked else SOURCES[source.source](source, work, track)
    try:
        with files.new_folder(place) as building, inside.folder_writer(building) as write:
            for path, data in entries:
                count += 1
                if isinstance(data, bytes):
                    write(str(path), data)
                else:
                    rejected.append({"path": str(path), "reason": str(data)})
    except BaseException:
        shutil.rmtree(place.parent, ignore_errors=True)
        raise
    if rejected:
        say(describe_rejected(rejected, count))
