"""Folders of images as people lay them out, and what in them is an image."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

from toolkit.datasets import choice, groups, layouts, words
from toolkit.datasets.layouts import LeftOut, Place, Reading
from toolkit.datasets.params import BY_NAME, ReadParams
from toolkit.datasets.tables.columns import ImageNames
from toolkit.datasets.tables.labels import NO_IMAGE
from toolkit.datasets.tables.parsing import MAX_TABLE, may_be_table
from toolkit.datasets.tables.reading import read_names
from toolkit.errors import InputError, explain_error
from toolkit.io import images, inside, manifest
from toolkit.io.color import DEEPEST
from toolkit.io.files import missing
from toolkit.io.images import DEEP_COLOR, Grays
from toolkit.io.manifest import SPLITS, Manifest, Sample
from toolkit.io.samples import CHUNK
from toolkit.io.sandbox import Stopped, sandboxed_map
from toolkit.io.system import below
from toolkit.io.text import describe_rejected
from toolkit.progress import Track, silent

JUNK = frozenset({
    "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "lost+found",
    "system volume information",
})  # fmt: skip
"""What systems put beside files, in lower case."""
TABLES = (".csv", ".tsv", ".jsonl")
"""Endings of files that are most often tables of labels, where images lie beside them."""
ARCHIVE_ENDINGS = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".7z", ".rar")
STORES = (".parquet", ".arrow", ".tfrecord", ".tfrecords", ".lmdb", ".h5", ".hdf5", ".npz")
"""Endings of files of which one may hold all images."""
SPREADSHEETS = (".xlsx", ".xls", ".ods")
SPREADSHEET = "a spreadsheet, which is not read: save it as CSV if it holds the labels"
WAYS = 4  # of showing gray levels that are told
MANY_FOLDERS = 2
"""Parts of a path that no folder to follow links into has: the system's, and that of a user."""


def scan(
    folder: Path,
    track: Track = silent,
    workers: int = 1,
    *,
    whole: bool = False,
    settings: ReadParams = BY_NAME,
    name: object = "",
) -> Manifest:
    """Return the manifest of a folder of images, by path, read as `settings` say.

    The header decides what is an image, or with `whole` that it decodes to its end; all other
    files, symbolic links (they are not followed) and files of no class are listed in
    notes["rejected"] as {"path", "reason"}. Hidden files, and those at the top that are no images,
    are skipped. notes["read"] says how the folder was understood. A sample's `group` is its sha256,
    so that equal files share one, unless it has a group of its own. A folder that holds a manifest
    is not scanned: that manifest is returned. Errors in how it is laid out begin with `name`, or
    else with the folder. Raises InputError for a missing folder, for names that are not UTF-8, for
    a layout that can be read in several ways, for a manifest that leads to other folders, and for
    settings of reading beside a manifest.
    """
    if (folder / manifest.TABLE).is_file() and (folder / manifest.SIDECAR).is_file():
        check_by_name(folder, settings)
        return manifest.read_manifest(folder, inside_only=True)
    return rescan(folder, track, workers, whole=whole, settings=settings, name=name)


def check_by_name(folder: Path, settings: ReadParams) -> None:
    """Raise InputError for settings of reading, of a folder whose manifest says it all."""
    if settings != BY_NAME:
        keys = ", ".join(sorted(settings.model_fields_set & set(ReadParams.model_fields)))
        raise InputError(
            f"{folder}: its {manifest.TABLE} says what each image is, so {keys} cannot be set; "
            f"leave that out, or give the folder that the images came from"
        )


def rescan(
    folder: Path,
    track: Track = silent,
    workers: int = 1,
    *,
    whole: bool = False,
    settings: ReadParams = BY_NAME,
    name: object = "",
) -> Manifest:
    """Return what `scan` finds, whether or not the folder holds a manifest.

    Errors in how it is laid out begin with `name`, or else with the folder.
    """
    reading = read_folder(folder, settings, name)
    accepted = list[tuple[Place, str]]()
    chosen = [file for file in reading.left_out if file.reason in choice.SETTINGS]
    others = [file for file in reading.left_out if file.reason not in choice.SETTINGS]
    rejected = [{"path": str(file.path), "reason": file.reason} for file in others]
    hash_or_reason = partial(_hash_or_reason, partial(images.inspect, whole=whole), folder)
    paths = [place.path for place in reading.places]
    results = sandboxed_map(hash_or_reason, paths, workers, chunksize=CHUNK)
    digests, found = track(results, "scan", len(paths)), Counter[Grays]()
    for place, result in zip(reading.places, digests, strict=True):
        digest, grays = (result.reason, None) if isinstance(result, Stopped) else result
        if grays:
            accepted.append((place, digest))
            found[grays] += 1
        else:
            rejected.append({"path": str(place.path), "reason": digest})
    ids = manifest.unique_ids(digest for _, digest in accepted)
    samples = tuple(
        Sample(
            ident,
            str(place.path),
            place.label,
            place.split,
            group=place.group or digest,
            weight=place.weight,
        )
        for ident, (place, digest) in zip(ids, accepted, strict=True)
    )
    rejected = explain_links(folder, sorted(rejected, key=lambda file: file["path"]))
    whole_table = Manifest(reading.classes, samples)
    classes = choice.choose_classes(whole_table.counts(), settings.classes)
    table = choice.rename_classes(whole_table, classes)
    said = [
        layouts.describe_reading(reading, len(table.samples), rejected),
        *choice.describe_left_out(file.reason for file in chosen),
        *choice.describe_classes(classes, whole_table.counts()),
        *_describe_grays(found),
    ]
    bits = {"bits": max(grays.bits for grays in found)} if any(g.bits for g in found) else {}
    return replace(table, notes={"rejected": rejected, "read": "; ".join(said), **bits})


def _describe_grays(found: Counter[Grays]) -> list[str]:
    """Say how levels of more than 8 bits become pixels: integers of gray by the same bits."""
    shown = Counter({grays.shown: count for grays, count in found.items() if not grays.bits})
    if deep := [grays for grays in found if grays.bits]:
        bits = max(grays.bits for grays in deep)
        shown[f"{bits} bits of {DEEPEST}"] = sum(found[grays] for grays in deep)
    colors = shown.pop(DEEP_COLOR, 0)
    del shown[""]
    more = f" and {len(shown) - WAYS} other ways" if len(shown) > WAYS else ""
    ways = [f"{way} ({count:,})" for way, count in shown.most_common(WAYS)]
    said = [f"gray levels: {', '.join(ways)}{more}"] if ways else []
    return said + [f"{DEEP_COLOR}: {colors:,}"] * bool(colors)


def read_folder(folder: Path, settings: ReadParams, name: object = "") -> Reading:
    """Return what the names in a folder say: which files are used, with class, split and group.

    Errors in how it is laid out begin with `name`, or else with the folder.
    """
    paths, directories = list_tree(folder)
    chosen = choice.choose_files(paths, directories, settings.only, settings.leave_out)
    unwanted = {path for path, setting in chosen.left_out.items() if setting == choice.LEAVE_OUT}
    tables = [path for path in paths if may_be_table(path) and path not in unwanted]
    if packed := describe_packed(paths):
        raise InputError(f"{name or folder}: {packed}")
    try:
        read = partial(_read_table, folder)
        reading = read_names(chosen.files, chosen.folders, tables, read, settings)
    except InputError as error:
        raise InputError(f"{name or folder}: {error}") from error
    if not reading.places and (beside := _table_beside(folder)):
        raise InputError(
            f"{name or folder}: no class folder, but {beside} lies beside it; give "
            f"{folder.absolute().parent}, which holds both"
        )
    listed = set(paths)  # a row of a table may name any other path
    left_out = [_with_reason(folder, f) if f.path in listed else f for f in reading.left_out]
    chosen_out = ImageNames(chosen.left_out)
    left_out = [
        file
        for file in left_out
        if not _is_document(file)
        and not (file.reason.startswith(NO_IMAGE) and chosen_out.find(str(file.path)))
    ]
    left_out += [
        LeftOut(path, setting)
        for path, setting in chosen.left_out.items()
        if setting != choice.ONLY or not may_be_table(path)
    ]
    if len(reading.classes) < 2:  # it may hold them
        sheets = [path for path in chosen.files if path.suffix.lower() in SPREADSHEETS]
        left_out = [file for file in left_out if file.path not in sheets]
        left_out += [LeftOut(path, SPREADSHEET) for path in sheets]
    return _grouped(replace(reading, left_out=tuple(left_out)), settings.group)


def describe_packed(paths: Sequence[PurePosixPath]) -> str:
    """Say what to do about images that lie in archives or tables among `paths`, "" if none do.

    Where other files may be images, they are taken, and the archives are not.
    """
    endings = (*ARCHIVE_ENDINGS, *STORES)
    packed = [path for path in paths if path.name.lower().endswith(endings)]
    if not packed or any(words.may_be_image(path) for path in paths):
        return ""
    first = str(packed[0])
    also = f" and {len(packed) - 1} more" if len(packed) > 1 else ""
    if first.lower().endswith(ARCHIVE_ENDINGS):
        one = f"; then give {first}, or" if len(packed) == 1 else "; then"
        return f"no images, but archives in it ({first}{also}): unpack it{one} the folder with all"
    return (
        f"no images, but tables ({first}{also}), which may hold images and are not read: save "
        f"their images as <class>/file first (docs/data.md shows how for Hugging Face)"
    )


def _grouped(reading: Reading, group: str) -> Reading:
    """Return a reading with the groups that a folder level or a pattern gives."""
    if not group or groups.is_column(group):
        return reading
    names = groups.group_paths([place.path for place in reading.places], group)
    places = [
        replace(place, group=name or place.group)
        for place, name in zip(reading.places, names, strict=True)
    ]
    alone = sum(not name for name in names)
    said = f"{reading.said}, {len(set(names) - {''}):,} groups by fetch.group"
    said += f" ({alone:,} files have none)" if alone else ""
    return replace(reading, places=tuple(places), said=said)


def _table_beside(folder: Path) -> str:
    """Return the name of a table beside a folder that a person gave, "" if there is none."""
    if is_hidden(PurePosixPath(folder.name)):
        return ""
    try:
        names = sorted(
            entry.name for entry in os.scandir(folder.absolute().parent) if entry.is_file()
        )
    except OSError:
        return ""
    tables = (n for n in names if n.lower().endswith(TABLES) and not is_hidden(PurePosixPath(n)))
    return next(tables, "")


def _read_table(folder: Path, path: PurePosixPath) -> bytes:
    return inside.read_inside(folder, str(path), MAX_TABLE)


def _with_reason(folder: Path, file: LeftOut) -> LeftOut:
    """Return a file that is left out with the reason that lies in the file itself, if one does."""
    path = file.path
    linked = (folder / path).is_symlink()
    return replace(file, reason=below.LINK) if linked else file


def _is_document(file: LeftOut) -> bool:
    """Return whether a file at the top is nobody's image, as a README."""
    outside = len(file.path.parts) == 1 and file.reason == layouts.OUTSIDE
    return outside and not words.may_be_image(file.path)


def check_classes(table: Manifest, where: object, least: int = 1) -> None:
    """Raise InputError for fewer than `least` classes, and for one without an image.

    The error begins with `where`, and tells why the files that there are were not taken.
    """
    rejected = table.notes.get("rejected", ())
    paths = [sample.path for sample in table.samples] + [file["path"] for file in rejected]
    images = [path for path in map(PurePosixPath, paths) if words.may_be_image(path)]
    if not table.classes:
        told = f"; {describe_rejected(rejected, len(rejected))}" if rejected else ""
        if suggested := groups.suggest_label(images):
            raise InputError(f"{where}: no class folder; {suggested}{told}")
        raise InputError(
            f"{where}: no class folder; {layouts.LAYOUT}, {layouts.OTHERWISE}; if it is the folder "
            f"of one class, give the one above{told}"
        )
    for label, count in table.counts().items():
        if count == 0:
            raise InputError(
                f"{where}: class {label!r} has no image: {_why_empty(label, rejected)}"
            )
    if len(table.classes) < least:
        only = f"found only {table.classes[0]!r}, with {table.samples[0].path}"
        if suggested := groups.suggest_label(images):
            raise InputError(f"{where}: at least two classes are needed, {only}; {suggested}")
        if sheet := next((f for f in rejected if f["reason"] == SPREADSHEET), None):
            only += f"; {sheet['path']} is {SPREADSHEET}"
        message = f"{where}: at least two classes are needed, {only}; {layouts.LAYOUT}"
        raise InputError(f"{message}, {layouts.OTHERWISE}; give the folder that holds the classes")


def suggest_splits(table: Manifest, folder: Path) -> str:
    """Say what to give instead of a folder of several splits: one of theirs, those of train first.

    Splits that a table of labels tells lie in one folder: a project keeps them.
    """
    splits = dict[str, None]()
    for sample in sorted(table.samples, key=lambda sample: SPLITS.index(sample.split or "train")):
        parts = PurePosixPath(sample.path).parts[:-1]
        above = parts[: parts.index(sample.label)] if sample.label in parts else ()
        splits["/".join((str(folder), *above))] = None
    if str(folder) in splits:
        return f"make a project, which keeps them: `toolkit init my-project --images {folder}`"
    return f"give {' or '.join(splits)}"


def _why_empty(label: str, rejected: Sequence[Mapping[str, str]]) -> str:
    """Say which files the folder of a class without images holds."""
    others = [file for file in rejected if label in file["path"].split("/")[:-1]]
    if not others:
        return "its folder is empty; put images there, or leave the class out with --leave-out"
    return describe_rejected(others, len(others))


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
            if entry.is_dir(follow_symlinks=False) and not below.leads_away(
                entry.stat(follow_symlinks=False)
            ):
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


def _hash_or_reason(
    inspect: Callable[[bytes], Grays], folder: Path, path: PurePosixPath
) -> tuple[str, Grays | None]:
    """Return the sha256 of an image file and its grays, or why it is rejected and None."""
    try:
        data = read_listed(folder, path)
        grays = inspect(data)
    except InputError as error:
        return str(error), None
    return hashlib.sha256(data).hexdigest(), grays


def read_listed(folder: Path, path: PurePosixPath, links: Path | None = None) -> bytes:
    """Return the bytes of a file that `list_tree` listed. Raises InputError with the reason alone.

    A link is followed if it leads into the folder `links`. One that is not followed was not made by
    DVC, as in a folder with a manifest: its reason is said in short.
    """
    if not (folder / path).is_symlink():
        return inside.read_inside(folder, str(path), images.LIMITS.bytes)
    if links is None:
        raise InputError(below.LINK)
    return inside.read_linked(folder, str(path), links, images.LIMITS.bytes)


def explain_links(folder: Path, rejected: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Return rejected files with what to do about those that are links, where that is known."""
    links = [file["path"] for file in rejected if file["reason"] == below.LINK]
    reasons = _link_reasons(folder, links) if links else {}
    return [{**file, "reason": reasons.get(file["path"], file["reason"])} for file in rejected]


def _link_reasons(folder: Path, links: Sequence[str]) -> dict[str, str]:
    targets = {path: Path(os.path.realpath(folder / path)) for path in links}
    homes = {str(target.parent) for target in targets.values() if target.is_file()}
    root = os.path.commonpath(homes) if homes else ""
    where = root if len(Path(root).parts) > MANY_FOLDERS else "the folder that they lead into"
    told = {
        True: f"{below.LINK}; to read such links, set fetch.follow_links (or --follow-links) to "
        f"{where}",
        False: f"{below.LINK}; it leads to no file",
    }
    return {path: told[target.is_file()] for path, target in targets.items()}


def is_hidden(path: PurePosixPath) -> bool:
    """Return whether a part of the path begins with a dot, or is what a system put there."""
    return any(part.startswith(".") or part.casefold() in JUNK for part in path.parts)
