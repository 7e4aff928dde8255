"""What lies in a folder, by its layout and by the tables of labels in it."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath
from typing import TypeVar

from toolkit.datasets import groups, layouts, words
from toolkit.datasets.layouts import LeftOut, Place, Reading
from toolkit.datasets.params import ReadParams
from toolkit.datasets.tables.columns import list_some, no_weights
from toolkit.datasets.tables.labels import ReadBytes, TableLabels, find_labels
from toolkit.errors import InputError
from toolkit.io.manifest import is_file_name

T = TypeVar("T")

UNRELATED = 0.5
"""How far folders may tell labels (see `_told`) and be no classes, as parts of a collection."""


def read_names(
    files: Sequence[PurePosixPath],
    folders: Sequence[PurePosixPath],
    tables: Sequence[PurePosixPath],
    read: ReadBytes,
    settings: ReadParams,
) -> Reading:
    """Return what the names in a folder, and a table of labels there, say about each file.

    `tables` are files that may be tables, also some that are none of the `files` that are used.
    A table that no setting names is looked for, unless `settings.layout` says that folders are the
    classes. Raises InputError where folders and tables, or several of them, can be read, with the
    options that decide; and as `layouts.read_layout` and `find_labels` do.
    """
    by_folders = partial(layouts.read_layout, files, folders, settings)
    images = [path for path in files if words.may_be_image(path)]
    wanted = _wanted(settings)
    by_tables = partial(
        find_labels, tables, images, read, wanted, partial(words.name_splits, settings=settings)
    )
    if "(" in settings.label:
        by_folders = partial(_by_pattern, files, images, settings)
    if needed := {key for key in wanted if key != "weight" or not no_weights(wanted)}:
        found = by_tables()
        if found is None:
            given = " and ".join(f"--{key} {value}" for key, value in wanted.items())
            other = ", or give a pattern with parentheses or the level of a folder"
            remedy = f"remove it{other if needed == {'group'} else ''}"
            raise InputError(f"no table of labels is there, but {given} is given; {remedy}")
        if found.columns.labels and "(" not in settings.label:
            return _by_table(files, found, settings)
        return _add(by_folders(), found)
    if settings.layout or "(" in settings.label or not tables:
        return by_folders()
    return _decide(files, settings, _attempt(by_folders), _attempt(by_tables))


def _wanted(settings: ReadParams) -> dict[str, str]:
    """Return the settings that need a table."""
    keys = ["labels", "image", "split", "weight"]
    keys += ["label"] if "(" not in settings.label else []
    keys += ["group"] if groups.is_column(settings.group) else []
    return {key: value for key in keys if (value := getattr(settings, key))}


def _attempt(read: Callable[[], T]) -> T | InputError:
    try:
        return read()
    except InputError as error:
        return error


def _decide(
    files: Sequence[PurePosixPath],
    settings: ReadParams,
    by_folders: Reading | InputError,
    by_tables: TableLabels | InputError | None,
) -> Reading:
    """Return the one reading that fits, of folders and of tables that no setting names."""
    is_plain = isinstance(by_folders, Reading) and len({p.label for p in by_folders.places}) > 1
    if isinstance(by_tables, TableLabels) and by_tables.columns.labels:
        if isinstance(by_folders, InputError) or not is_plain:
            return _by_table(files, by_tables, settings)
        if by_tables.columns.candidates:  # of no usual name: folders are rather the classes
            return _add(by_folders, by_tables) if by_tables.columns.group else by_folders
        return _compare(files, settings, by_folders, by_tables)
    if isinstance(by_tables, InputError) and not is_plain:
        raise by_tables
    if isinstance(by_folders, InputError):
        raise by_folders
    if isinstance(by_tables, InputError):
        return replace(by_folders, said=f"{by_folders.said}; not used: {by_tables}")
    return _add(by_folders, by_tables) if by_tables else by_folders


def _compare(
    files: Sequence[PurePosixPath],
    settings: ReadParams,
    by_folders: Reading,
    by_tables: TableLabels,
) -> Reading:
    """Return the folders' labels if tables say the same, the tables' if folders are unrelated.

    Raises InputError for labels that differ in part.
    """
    pairs = Counter(
        (place.label, row.label)
        for place in by_folders.places
        if (row := by_tables.rows.get(place.path))
    )
    if len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs}):
        return _add(by_folders, by_tables)
    if _told(pairs) <= UNRELATED:
        return _by_table(files, by_tables, settings)
    layout = "split/class" if any(place.split for place in by_folders.places) else "class"
    tables = ",".join(by_tables.tables)
    raise InputError(
        f"two readings fit: {by_folders.said}, or {by_tables.said}; say which: `--layout {layout}` "
        f"or `--labels {tables}` (in params.yaml: fetch.layout, fetch.labels)"
    )


def _told(pairs: Mapping[tuple[str, str], int]) -> float:
    """Return how far folders tell labels: Goodman and Kruskal's lambda, 0 to 1."""
    in_folder, of_label = defaultdict[str, list[int]](list), Counter[str]()
    for (folder, label), count in pairs.items():
        in_folder[folder].append(count)
        of_label[label] += count
    total, most = of_label.total(), max(of_label.values())
    return (sum(map(max, in_folder.values())) - most) / max(1, total - most)


# --- readings ---------------------------------------------------------------------------------


def _by_table(files: Sequence[PurePosixPath], found: TableLabels, settings: ReadParams) -> Reading:
    """Return what tables say of the images; splits may be folders."""
    divided = any(row.split for row in found.rows.values())
    splits = {} if divided else _folder_splits(list(found.rows), settings)
    weights = _weights(found)
    listed = [
        Place(path, row.label, row.split or splits.get(path, ""), row.group, weights.get(path, 1.0))
        for path, row in sorted(found.rows.items())
    ]
    places, rest = _complete(listed)
    left_out = [LeftOut(PurePosixPath(text), reason) for text, reason in found.left_out]
    mentioned = {*found.rows, *(file.path for file in left_out), *map(PurePosixPath, found.tables)}
    left_out += [LeftOut(path, layouts.OUTSIDE) for path in files if path not in mentioned]
    classes = tuple(sorted({place.label for place in places}))
    if unfit := [label for label in classes if not is_file_name(label)]:
        raise InputError(
            f"{list_some(found.tables)}: the label {unfit[0][:80]!r} cannot be the name of a "
            "folder; write it in another way in the table, without '/'"
        )
    said = f"{found.said}: {len(classes)} classes ({list_some(classes)})"
    said += _say_weights(weights, listed) + _say_rest(rest)
    if splits:
        said += f", splits by folders ({list_some(sorted(set(splits.values())))})"
    return Reading(tuple(places), classes, tuple(left_out), said, _settings(found))


def _add(by_folders: Reading, found: TableLabels) -> Reading:
    """Return what folders say, with groups, splits and weights of a table that says the same."""
    rows, columns, weights = found.rows, found.columns, _weights(found)
    places = tuple(
        replace(
            place,
            split=place.split or (rows[place.path].split if place.path in rows else ""),
            group=(rows[place.path].group if place.path in rows else "") or place.group,
            weight=weights.get(place.path, 1.0),
        )
        for place in by_folders.places
    )
    completed, rest = _complete(places)
    tables = {PurePosixPath(table) for table in found.tables}
    left_out = tuple(file for file in by_folders.left_out if file.path not in tables)
    parts = {"groups": columns.group, "splits": columns.split, "weights": columns.weight}
    read = (
        ", ".join(f"{what} by {name}" for what, name in parts.items() if name) or "the same labels"
    )
    said = f"{by_folders.said}; {list_some(found.tables)}: {read} for {len(rows):,} images"
    said += _say_weights(weights, places) + _say_rest(rest)
    return replace(by_folders, places=tuple(completed), left_out=left_out, said=said)


def _complete(places: Sequence[Place]) -> tuple[Sequence[Place], int]:
    """Put images without a split in train, where others have one, and return their number."""
    rest = sum(not place.split for place in places)
    if not 0 < rest < len(places):
        return places, 0
    return [replace(place, split=place.split or "train") for place in places], rest


def _say_rest(rest: int) -> str:
    return f", {rest:,} images without a split go to train" if rest else ""


def _weights(found: TableLabels) -> dict[PurePosixPath, float]:
    """Return the weights of the images that have one. Raises InputError for no number above 0."""
    texts = {path: row.weight for path, row in found.rows.items() if row.weight is not None}
    point = "." if any("." in text for text in texts.values()) else ","
    weights = {path: _number(text.replace(point, ".")) for path, text in texts.items()}
    for path, weight in weights.items():
        if not (math.isfinite(weight) and weight > 0):
            raise InputError(
                f"{list_some(found.tables)}: column {found.columns.weight} must say how much each "
                f"image counts in training, a number above 0, got {texts[path][:80]!r} for {path}; "
                "correct it, or say by --weight none (fetch.weight in params.yaml) that it does not"
            )
    return weights


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _say_weights(weights: Mapping[PurePosixPath, float], places: Sequence[Place]) -> str:
    """Say how far weights reach, which tells those of training from those of a scale."""
    used = [weights[place.path] for place in places if place.path in weights]
    if not used:
        return ""
    rest = len(places) - len(used)
    said = f", weights {min(used):g} to {max(used):g}"
    return said + (f" (1 for the others, {rest:,})" if rest else "")


def _by_pattern(
    files: Sequence[PurePosixPath], images: Sequence[PurePosixPath], settings: ReadParams
) -> Reading:
    """Return the classes that a pattern finds in the names of files; splits may be folders."""
    labels = groups.search_paths(images, settings.label, "fetch.label")
    if not any(labels):
        example = f", such as {str(images[0])!r}" if images else ""
        raise InputError(f"fetch.label: {settings.label!r} gives no file a class{example}")
    named = {path: label for path, label in zip(images, labels, strict=True) if label}
    splits = _folder_splits(list(named), settings)
    places = tuple(Place(path, label, splits.get(path, "")) for path, label in named.items())
    unnamed = [LeftOut(p, "no class in its name") for p in images if p not in named]
    others = [LeftOut(path, layouts.OUTSIDE) for path in files if path not in {*images}]
    classes = tuple(sorted(set(named.values())))
    said = f"{len(classes)} classes by the names of files ({list_some(classes)})"
    return Reading(places, classes, (*unnamed, *others), said)


def _folder_splits(
    paths: Sequence[PurePosixPath], settings: ReadParams
) -> dict[PurePosixPath, str]:
    """Return the split of each path if there is a level of folders that all are splits."""
    for level in range(min((len(path.parts) - 1 for path in paths), default=0)):
        splits = words.name_splits(sorted({path.parts[level] for path in paths}), settings)
        if len(set(splits.values())) > 1 and all(path.parts[level] in splits for path in paths):
            return {path: splits[path.parts[level]] for path in paths}
    return {}


def _settings(found: TableLabels) -> dict[str, str]:
    """Return the settings that give this reading again, for params.yaml."""
    columns = found.columns
    chosen = {
        "labels": ",".join(found.tables),
        "image": columns.image,
        "label": ",".join(columns.labels),
        "group": columns.group,
        "split": columns.split,
        "weight": columns.weight,
    }
    return {key: value for key, value in chosen.items() if value}
