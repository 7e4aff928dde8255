"""Labels of images from a table beside them: which table it is, and what it says of each image."""

import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TypeVar

from toolkit.datasets.tables.columns import (
    NO_COLUMN,
    NO_VALUE,
    NO_WEIGHT,
    WHOLE,
    Columns,
    ImageNames,
    choose_columns,
    common_folders,
    has_columns,
    is_one,
    is_usual,
    list_some,
    path_parts,
    undecided,
)
from toolkit.datasets.tables.parsing import (
    SEVERAL,
    LabelTable,
    may_be_table,
    parse_labels,
    parse_pairs,
)
from toolkit.errors import InputError
from toolkit.io.csv import CUT

A = TypeVar("A")
B = TypeVar("B")
ReadBytes = Callable[[PurePosixPath], bytes]
"""Returns the content of a table. Raises InputError."""
NameSplits = Callable[[Iterable[str]], Mapping[str, str]]
"""Returns those names that are of splits, with the split."""
PLAIN = (".txt", ".csv", ".tsv")
OTHERWISE = (".txt", ".json")  # endings of files that are tables of labels now and then
FIRST = 100  # rows that show whether a table names images
MOST_TABLES = 50  # that are read to find the labels
NO_IMAGE, NO_ROW = "there is no such image", "no row in"
"""Reasons of what a table and a folder do not share."""
DIVIDERS = re.compile(r"[|;,]")  # between several labels in one text
UNUSED = ("group", "split", "weight")
"""Usual columns that are named where they are not read, as a split that holds other words than
those of splits."""
ADDED = ("group", "weight")
"""What may be in another table than the labels."""
COVERED = 0.5  # of the images, or of its rows, that a table must name to be one of labels


@dataclass(frozen=True)
class ImageRow:
    """What a table says of an image; each is "", the weight None, where it says nothing."""

    label: str = ""
    split: str = ""
    group: str = ""
    weight: str | None = None


@dataclass(frozen=True)
class TableLabels:
    """What a table, or several of one form, say of the images of a folder.

    `left_out` are rows without an image, and images without a row or a label, each with its reason.
    `said` is how the tables were understood, in words.
    """

    tables: tuple[str, ...]
    columns: Columns
    rows: Mapping[PurePosixPath, ImageRow] = field(repr=False)
    left_out: tuple[tuple[str, str], ...] = field(repr=False)
    said: str


@dataclass(frozen=True)
class _Opened:
    """A table, and the images that it may name."""

    table: LabelTable
    names: ImageNames


@dataclass(frozen=True)
class _Read:
    """What one table says of the images, and its rows that say nothing, each with the reason.

    `others` are the paths of other tables that the groups or weights are from, if they are.
    """

    table: LabelTable
    columns: Columns
    rows: Mapping[PurePosixPath, ImageRow]
    problems: Sequence[tuple[str, str]]
    others: Mapping[str, str] = field(default_factory=dict)


def find_labels(
    files: Sequence[PurePosixPath],
    images: Sequence[PurePosixPath],
    read: ReadBytes,
    wanted: Mapping[str, str],
    name_splits: NameSplits,
) -> TableLabels | None:
    """Return what the tables among `files` say of `images`; None if there is no table of labels.

    `wanted` has the settings `labels` (names of tables or patterns, with commas between them),
    `image`, `label`, `group`, `split` and `weight`; one that is missing or "" is found. A table
    that is not named is one of labels if it names most images, or if most of its rows name one.
    Raises InputError where several tables or columns fit, and for a table that cannot be read.
    """
    named = wanted.get("labels", "")
    paths = _named_tables(files, named) if named else _likely_tables(files, images)
    opened, unopened = _attempt_all(paths, lambda path: _open_table(path, images, read))
    tables, unread = _attempt_all(
        opened,
        lambda one: _read_table(one, _wanted_of(one.table, opened, wanted), name_splits),
    )
    fit = tables if named else [table for table in tables if _fits(table, images)]
    failed = [*unopened, *((PurePosixPath(one.table.path), error) for one, error in unread)]
    sure = {one.table.path for one, _ in unread if _names_images(one)}
    problems = [
        error
        for path, error in failed
        if named or path.suffix.lower() not in OTHERWISE or str(path) in sure
    ]
    if problems and (named or not fit):
        raise problems[0]
    return _join(_choose(fit), images, name_splits) if fit else None


def _names_images(opened: _Opened) -> bool:
    """Return whether most of the first rows name an image in one column."""
    rows = [row for _, row in opened.table.rows[:FIRST]]
    found = opened.names.find
    return any(
        2 * sum(bool(found(text)) for text in column) > len(rows)
        for column in zip(*rows, strict=True)
    )


def _attempt_all(
    items: Iterable[A], action: Callable[[A], B]
) -> tuple[list[B], list[tuple[A, InputError]]]:
    """Return what an action gives for the items, and those that it refuses, with the errors."""
    results, refused = list[B](), list[tuple[A, InputError]]()
    for item in items:
        try:
            results.append(action(item))
        except InputError as error:
            refused.append((item, error))
    return results, refused


def _wanted_of(
    table: LabelTable, opened: Sequence[_Opened], wanted: Mapping[str, str]
) -> Mapping[str, str]:
    """Return the columns that are wanted of a table: not those that only others have.

    Without labels, or weights, of its own it gives none: that is then NO_COLUMN, or NO_WEIGHT.
    """
    chosen = {key: value for key, value in wanted.items() if key != "labels" and value}
    elsewhere = {
        key
        for key, text in chosen.items()
        if not has_columns(table, text) and any(has_columns(one.table, text) for one in opened)
    }
    nothing = {"label": NO_COLUMN, "weight": NO_WEIGHT}
    return {
        key: nothing[key] if key in elsewhere else text
        for key, text in chosen.items()
        if key in nothing or key not in elsewhere
    }


# --- which tables -----------------------------------------------------------------------------


def _named_tables(files: Iterable[PurePosixPath], named: str) -> list[PurePosixPath]:
    """Return the files that `labels` names."""
    tables = [path for path in files if may_be_table(path)]
    chosen = list[PurePosixPath]()
    for pattern in filter(None, map(str.strip, named.split(","))):
        fit = [path for path in tables if fnmatchcase(str(path), pattern) or str(path) == pattern]
        if not fit:
            there = (
                f"the tables there are: {list_some(map(str, tables))}" if tables else "found none"
            )
            raise InputError(
                f"--labels (fetch.labels in params.yaml): no table {pattern!r} lies in the folder; "
                f"expected a file .csv, .tsv, .txt, .jsonl or .json there or below, {there}"
            )
        chosen += fit
    return list(dict.fromkeys(chosen))


def _likely_tables(
    files: Iterable[PurePosixPath], images: Iterable[PurePosixPath]
) -> list[PurePosixPath]:
    """Return the files that may be tables, those at the top first, but none of a single image."""
    stems = {path.stem for path in images}
    tables = [path for path in files if may_be_table(path) and path.stem not in stems]
    return sorted(tables, key=lambda path: (len(path.parts), str(path)))[:MOST_TABLES]


def _fits(one: _Read, images: Sequence[PurePosixPath]) -> bool:
    if not (one.columns.labels or one.columns.group or one.columns.weight):
        return False
    return len(one.rows) >= COVERED * min(len(images), len(one.table.rows))


def _choose(fit: Sequence[_Read]) -> Sequence[_Read]:
    """Return one table, or several that share the images. Raises InputError for tables that differ.

    Of tables that say the same, the one with more columns is taken; one with labels comes first.
    If they have no groups, or no weights, these may be in one other table.
    """
    sure = [one for one in fit if one.columns.labels and not one.columns.candidates]
    labeled = sure or [one for one in fit if one.columns.labels]
    paths = {one.table.path for one in labeled}
    others = {
        key: [one for one in fit if one.table.path not in paths and getattr(one.columns, key)]
        for key in ADDED
    }
    if not labeled and not any(others.values()):
        path, header = fit[0].table.path, list_some(fit[0].table.header)
        raise InputError(
            f"{path}: no column holds labels or groups, with two different values at least; the "
            f"columns are {header}; give one by --label (fetch.label in params.yaml)"
        )
    key = next((key for key in ADDED if others[key]), "")
    chosen = _choose_like(labeled, "label") if labeled else _choose_like(others[key], key)
    for key, tables in others.items():
        if tables and not getattr(chosen[0].columns, key):
            for other in _choose_like(tables, key):
                chosen = [_add_column(one, other, key) for one in chosen]
    return chosen


def _choose_like(fit: Sequence[_Read], key: str) -> Sequence[_Read]:
    first, *others = sorted(fit, key=lambda one: -len(set(vars(one.columns).values())))
    if all(_values(first, key) == _values(other, key) for other in others):
        return [first]
    disjoint = sum(len(one.rows) for one in fit) == len({path for one in fit for path in one.rows})
    if disjoint and all(other.columns == first.columns for other in others):
        return fit
    listed = "; ".join(_describe(one) for one in fit)
    raise InputError(
        f"several tables may hold the {key}s: {listed}; give one by --labels (fetch.labels in "
        f"params.yaml), as --labels {first.table.path}"
    )


def _add_column(one: _Read, other: _Read, key: str) -> _Read:
    """Return a table with the groups or weights of another one; only labels limit its images."""
    named = one.rows if one.columns.labels else {**one.rows, **other.rows}
    rows = {path: one.rows.get(path, ImageRow()) for path in named}
    rows |= {
        path: replace(row, **{key: getattr(other.rows[path], key)})
        for path, row in rows.items()
        if path in other.rows
    }
    columns = replace(one.columns, **{key: getattr(other.columns, key)})
    others = {**one.others, key: other.table.path}
    return replace(one, columns=columns, rows=rows, others=others)


def _values(one: _Read, key: str) -> Mapping[PurePosixPath, str | None]:
    """Return the label, the group or the weight of each image in a table."""
    return {path: getattr(row, key) for path, row in one.rows.items()}


def _describe(one: _Read) -> str:
    labels = list_some(one.columns.labels) or "none"
    named = f"{len(one.rows)} images by column {one.columns.image}"
    return f"{one.table.path} ({named}, labels in {labels})"


# --- one table --------------------------------------------------------------------------------


def _open_table(path: PurePosixPath, images: Sequence[PurePosixPath], read: ReadBytes) -> _Opened:
    """Parse a table; if images lie in its folder, or below it, its rows name none of the others."""
    try:
        data = read(path)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    below = [image for image in images if image.is_relative_to(path.parent)]
    names = ImageNames(below or images)
    try:
        opened = _Opened(_with_header(parse_labels(str(path), data), names), names)
    except InputError:
        if pairs := _open_pairs(path, data, names):
            return pairs
        raise
    return opened if _names_images(opened) else _open_pairs(path, data, names) or opened


def _open_pairs(path: PurePosixPath, data: bytes, names: ImageNames) -> _Opened | None:
    """Return a file of lines of an image and a label, if they name images that are there."""
    pairs = parse_pairs(str(path), data) if path.suffix.lower() in PLAIN else None
    opened = _Opened(pairs, names) if pairs else None
    return opened if opened and _names_images(opened) else None


def _read_table(opened: _Opened, wanted: Mapping[str, str], name_splits: NameSplits) -> _Read:
    table, names = opened.table, opened.names
    columns = choose_columns(table, names, wanted, name_splits)
    if columns.candidates and not (columns.labels or columns.group or columns.weight):
        texts = {name: table.column(name) for name in columns.candidates}
        raise undecided(table.path, "label", texts)
    return _read_rows(table, columns, names, name_splits)


def _with_header(table: LabelTable, names: ImageNames) -> LabelTable:
    """Return the table with numbered columns if its first line names an image, and no columns."""
    if not any("." in name and names.find(name) for name in table.header):
        return table
    header = tuple(f"column {number}" for number in range(1, len(table.header) + 1))
    return replace(table, header=header, rows=[(1, list(table.header)), *table.rows])


def _read_rows(
    table: LabelTable, columns: Columns, names: ImageNames, name_splits: NameSplits
) -> _Read:
    texts = table.column(columns.image)
    labels = _labels(table, columns)
    splits = _splits(table, columns.split, name_splits)
    groups = table.column(columns.group) if columns.group else [""] * len(texts)
    weights = table.column(columns.weight) if columns.weight else [None] * len(texts)
    rows, problems = defaultdict[PurePosixPath, set[ImageRow]](set), list[tuple[str, str]]()
    matched = _match(texts, names, name_splits)
    _check_end(table, matched[-1], labels)
    for number, image in enumerate(matched):
        line = table.rows[number][0]
        row = ImageRow(labels[number], splits[number], groups[number], weights[number])
        if isinstance(image, str):
            problems.append(
                (texts[number][:200] or f"line {line}", f"{image} ({table.path}, line {line})")
            )
        else:
            rows[image].add(row)
    differ = [
        (str(path), f"its rows in {table.path} differ") for path, n in rows.items() if len(n) > 1
    ]
    single = {path: next(iter(found)) for path, found in rows.items() if len(found) == 1}
    return _Read(table, columns, single, [*problems, *differ])


def _labels(table: LabelTable, columns: Columns) -> list[str]:
    """Return the label of each row, "" for none, SEVERAL for several; 1.0 is 1 among numbers."""
    if len(columns.labels) > 1:
        parts = [table.column(name) for name in columns.labels]
        rows = zip(*parts, strict=True)
        return [
            _only([n for n, text in zip(columns.labels, row, strict=True) if is_one(text)])
            for row in rows
        ]
    texts = table.column(columns.labels[0]) if columns.labels else [""] * len(table.rows)
    labels = ["" if text.casefold() in NO_VALUE else text for text in texts]
    whole = [WHOLE.fullmatch(text) for text in labels]
    numbers = all(
        match or text.lstrip("+-").isdecimal()
        for text, match in zip(labels, whole, strict=True)
        if text
    )
    if numbers:
        return [match[1] if match else text for text, match in zip(labels, whole, strict=True)]
    several = {text for text in set(labels) if _is_list(text, set(labels))}
    return [SEVERAL if text in several else text for text in labels]


def _is_list(text: str, labels: Container[str]) -> bool:
    """Return whether a text is several of the other labels, as `a|b`."""
    parts = [part.strip() for part in DIVIDERS.split(text)]
    return len(parts) > 1 and all(part in labels for part in parts)


def _only(names: Sequence[str]) -> str:
    return SEVERAL if len(names) > 1 else "".join(names)


def _splits(table: LabelTable, column: str, name_splits: NameSplits) -> list[str]:
    """Return the split of each row. Raises InputError for a text that names none."""
    if not column:
        return [""] * len(table.rows)
    texts = table.column(column)
    splits = name_splits(sorted(set(texts) - {""}))
    if unknown := sorted(set(texts) - {"", *splits}):
        raise InputError(
            f"{table.path}: column {column} must hold names of splits, such as train, got "
            f"{unknown[0][:80]!r}; give another column by --split, or say what it means by "
            "fetch.split_names in params.yaml"
        )
    return [splits.get(text, "") for text in texts]


def _match(
    texts: Sequence[str], names: ImageNames, name_splits: NameSplits
) -> list[PurePosixPath | str]:
    """Return the image that each text names, or why it names none.

    Of texts that name one image, those count whose folders agree best with it. No image in a folder
    of one split is meant by a text with that of another.
    """
    folders = {part for text in texts for part in path_parts(text)[:-1]}
    folders |= {part for path in names.paths for part in path.parts[:-1]}
    splits = name_splits(sorted(folders))
    matched = {text: _find(text, names, splits) for text in set(texts)}
    best = defaultdict[PurePosixPath | str, int](int)
    for text, image in matched.items():
        if not isinstance(image, str):
            best[image] = max(best[image], common_folders(image, text))
    return [
        image if isinstance(image, str) or common_folders(image, text) == best[image] else NO_IMAGE
        for text in texts
        for image in [matched[text]]
    ]


def _find(text: str, names: ImageNames, splits: Mapping[str, str]) -> PurePosixPath | str:
    paths = names.find(text) if text else ()
    if len(paths) > 1:
        return f"its name is that of {len(paths)} images"
    if not paths:
        return NO_IMAGE
    one, other = (_split(parts[:-1], splits) for parts in (paths[0].parts, path_parts(text)))
    return NO_IMAGE if one and other and one != other else paths[0]


def _split(folders: Sequence[str], splits: Mapping[str, str]) -> str:
    """Return the split that the last folder with the name of one tells."""
    return next((splits[name] for name in reversed(folders) if name in splits), "")


def _check_end(table: LabelTable, last: PurePosixPath | str, labels: Sequence[str]) -> None:
    """Refuse a last row without an end, unless its image is there and its label in other rows."""
    whole = not isinstance(last, str) and (labels[-1] in labels[:-1])
    if not table.ended and not whole:
        raise InputError(f"{table.path}: {CUT}")


# --- what the tables say together -------------------------------------------------------------


def _join(
    chosen: Sequence[_Read], images: Sequence[PurePosixPath], name_splits: NameSplits
) -> TableLabels:
    columns, tables = chosen[0].columns, tuple(one.table.path for one in chosen)
    rows, problems = dict[PurePosixPath, ImageRow](), list[tuple[str, str]]()
    named = _named_splits(tables, name_splits)
    divided = len(tables) > 1 and not columns.split and all(named)
    for one, split in zip(chosen, named, strict=True):
        problems += one.problems
        rows |= {p: replace(row, split=split) if divided else row for p, row in one.rows.items()}
    where = list_some(tables)
    if columns.labels:
        unlabeled = {p: row.label for p, row in rows.items() if row.label in ("", SEVERAL)}
        problems += [
            (str(p), f"{'several labels' if label else 'no label'} in {where}")
            for p, label in unlabeled.items()
        ]
        mentioned = {*rows, *(PurePosixPath(path) for path, _ in problems)}
        problems += [(str(p), f"{NO_ROW} {where}") for p in images if p not in mentioned]
        rows = {path: row for path, row in rows.items() if path not in unlabeled}
    used = dict.fromkeys((*tables, *(path for one in chosen for path in one.others.values())))
    return TableLabels(tuple(used), columns, rows, tuple(problems), _say(chosen, divided=divided))


def _named_splits(tables: Sequence[str], name_splits: NameSplits) -> list[str]:
    """Return the split that the name of each table, or of its folder, tells."""
    stems = [(PurePosixPath(table).stem, PurePosixPath(table).parent.name) for table in tables]
    splits = name_splits(sorted({name for names in stems for name in names if name}))
    return [splits.get(stem) or splits.get(folder, "") for stem, folder in stems]


def _say(chosen: Sequence[_Read], *, divided: bool) -> str:
    first, columns = chosen[0].table, chosen[0].columns
    about = f" ({', '.join(first.said)})" if first.said else ""
    parts = [f"images by {columns.image}"]
    parts += [f"labels by {list_some(columns.labels)}"] if columns.labels else []
    of = {key: f" of {path}" for key, path in chosen[0].others.items()}
    parts += [f"groups by {columns.group}{of.get('group', '')}"] if columns.group else []
    parts += [f"splits by {columns.split}"] if columns.split else []
    parts += [f"weights by {columns.weight}{of.get('weight', '')}"] if columns.weight else []
    parts += ["splits by the names of the tables"] if divided else []
    unused = [name for name in first.header for option in UNUSED if is_usual(name, option)]
    read = {columns.split, columns.group, columns.weight, *columns.labels}
    unused = [name for name in dict.fromkeys(unused) if name not in read]
    parts += [f"not used: {list_some(unused)}"] if unused else []
    return f"{list_some(one.table.path for one in chosen)}{about}: {', '.join(parts)}"
