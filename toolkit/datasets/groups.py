"""Groups that a person knows, such as patients, lesions or clips: their images share a split."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

from toolkit.errors import InputError
from toolkit.io import sandbox

LONGEST = 300  # characters of a pattern
SECONDS, MEMORY = 5, 500_000_000  # that a pattern may take on all paths: it may be a stranger's
LEVEL = re.compile(r"-?[1-9]\d?")

LEAST = 5
"""Groups that there must be, for names to look like groups."""
NAMED = 0.8
"""Fraction of the images whose names must show a group."""
TOGETHER = 1 / 3
"""Fraction of the images that must share theirs with another picture of their class."""
LARGEST = 1 / 2
"""Fraction of a class that one group may hold: what most names share is no group's name."""
IN_CLASSES = 0.8
"""Fraction of the images that must lie in classes where no group is larger than that."""
DIVISIONS = re.compile(r"(fold|part|batch|split|set|train|valid?|test)[_ -]?\d*", re.IGNORECASE)
"""Names of folders that divide a collection and say nothing of what is in it."""


@dataclass(frozen=True)
class NameGroups:
    """Groups that names look like: the value of `group` that gives them, and images per group.

    `across` is the value that takes equal names in several classes for one group, where these are
    numbers that seem to begin anew in each class; "" elsewhere.
    """

    setting: str
    counts: Counter[str]
    across: str = ""


# --- groups that are given --------------------------------------------------------------------


def is_column(group: str) -> bool:
    """Return whether the setting `group` is the column of a table: no level and no pattern."""
    return bool(group) and not LEVEL.fullmatch(group) and "(" not in group


def group_paths(paths: Sequence[PurePosixPath], group: str, key: str = "fetch.group") -> list[str]:
    """Return the group of each path, "" where it has none.

    `group` is the level of a folder, 1 for the top one and -1 for that of the file, or a regular
    expression (see `search_paths`). Raises InputError, which begins with `key`, for one that gives
    no path a group, or all the same one.
    """
    names = _level_names(paths, int(group)) if LEVEL.fullmatch(group) else None
    names = search_paths(paths, group, key) if names is None else names
    if paths and not any(names):
        raise InputError(f"{key}: {group!r} gives no file a group, such as {str(paths[0])!r}")
    if len(paths) > 1 and len(set(names)) == 1:
        raise InputError(f"{key}: {group!r} gives all files the same group, {names[0]!r}")
    return names


def _level_names(paths: Sequence[PurePosixPath], level: int) -> list[str]:
    """Return the name of the folder at this level of each path, "" where it is not that deep."""
    place = level - 1 if level > 0 else level
    return ["" if len(path.parts) <= abs(level) else path.parts[:-1][place] for path in paths]


def search_paths(paths: Sequence[PurePosixPath], pattern: str, key: str) -> list[str]:
    """Return what the group of a regular expression holds in each path, "" where nothing matches.

    It is searched in the name of the file, or in the path if it has a "/". Raises InputError, which
    begins with `key`, unless it is a regular expression with one group, and where the search takes
    more than SECONDS or MEMORY: that may grow with the power of a name's length.
    """
    if len(pattern) > LONGEST:
        raise InputError(f"{key}: must be at most {LONGEST} characters, got {len(pattern):,}")
    texts = [str(path) if "/" in pattern else path.name for path in paths]
    found = sandbox.contain(partial(_search, pattern, texts, key), SECONDS, MEMORY)
    if isinstance(found, sandbox.Stopped):
        problem = found.reason.removeprefix("it ")
        raise InputError(f"{key}: searching {pattern!r} {problem}; write one with fewer * and +")
    return found


def _search(pattern: str, texts: Sequence[str], key: str) -> list[str]:
    try:
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise InputError(f"{key}: {pattern!r} is not a regular expression ({error})") from error
    if compiled.groups != 1:
        raise InputError(
            f"{key}: {pattern!r} must have one group in parentheses, as '^(.+)_', got "
            f"{compiled.groups}"
        )
    return [(match[1] or "") if (match := compiled.search(text)) else "" for text in texts]


# --- groups that names look like --------------------------------------------------------------


def find_name_groups(
    paths: Sequence[PurePosixPath], labels: Sequence[str], pictures: Sequence[int]
) -> NameGroups | None:
    """Return the groups that folders below the classes, or beginnings of names, look like.

    `labels` and `pictures` have the class of each path, and a number that copies of one picture
    share. Of several settings it is the one with the largest groups. None if names do not look
    like groups: a class, a camera and a running number are none.
    """
    for setting in (*LEVELS, *NAME_PATTERNS):
        names = _name_groups(paths, setting)
        if _are_groups(names, labels, pictures):
            across = setting if _begin_anew(names, labels) else ""
            if across:
                setting = _within_folders(across)
                names = _search(setting, [str(path) for path in paths], "")
            return NameGroups(setting, Counter(name for name in names if name), across)
    return None


def _begin_anew(names: Sequence[str], labels: Sequence[str]) -> bool:
    """Return whether groups are numbers of which most are in half of at least three classes."""
    classes = defaultdict[str, set[str]](set)
    for name, label in zip(names, labels, strict=True):
        if name:
            classes[name].add(label)
    total = len(set(labels))
    common = sum(2 * len(of) >= total for of in classes.values())
    return total > 2 and all(map(str.isdecimal, classes)) and 2 * common > len(classes)


def _within_folders(pattern: str) -> str:
    """Return a pattern of the first parts of a name as one that takes the folder with them."""
    parts, end = pattern.removeprefix("^(").split(")", 1)
    return f"([^/]+/{parts}){end}[^/]*$"


def describe_name_groups(found: NameGroups) -> str:
    """Say that names look like groups, and the setting that makes them groups."""
    name, images = found.counts.most_common(1)[0]
    return (
        f"file names look like {len(found.counts):,} groups, such as patients or clips: {name!r} "
        f"has {images:,} images. Images of one group in train and in test make results look too "
        f"good: if they belong together, set fetch.group to {found.setting!r} (or --group)"
        + f"; to {found.across!r} if a number is the same thing in every class"
        * bool(found.across)
    )


def _name_groups(paths: Sequence[PurePosixPath], setting: str) -> list[str]:
    if setting not in LEVELS:
        return _search(setting, [path.name for path in paths], "")
    names = _level_names(paths, int(setting))
    return ["" if DIVISIONS.fullmatch(name) else name for name in names]


def _are_groups(names: Sequence[str], labels: Sequence[str], pictures: Sequence[int]) -> bool:
    named = sum(map(bool, names))
    if named < max(1, NAMED * len(names)) or len(set(names) - {""}) < LEAST:
        return False
    members = defaultdict[tuple[str, str], set[int]](set)
    of_class = defaultdict[str, Counter[str]](Counter)
    for name, label, picture in zip(names, labels, pictures, strict=True):
        members[name, label].add(picture)
        of_class[label][name] += 1
    pairs = zip(names, labels, strict=True)
    together = sum(len(members[name, label]) > 1 for name, label in pairs if name)
    divided = sum(
        counts.total()
        for counts in of_class.values()
        if max(counts.values()) <= LARGEST * counts.total()
    )
    return together >= TOGETHER * len(names) and divided >= IN_CLASSES * len(names)


def _parts(number: int, characters: str, separator: str, end: str = "") -> str:
    """Return the pattern of the first parts of a name."""
    return f"^({separator.join([f'[^{characters}]+'] * number)}){separator}{end}"


LEVELS = ("-2", "-1")
NAME_PATTERNS = (
    *(
        pattern
        for number in (1, 2, 3)
        for pattern in (
            _parts(number, "_", "_"),
            _parts(number, "-", "-"),
            _parts(number, " ", "[ ]"),
            _parts(number, "_. -", "[_. -]", ".+[.]"),
        )
    ),
    r"^([A-Za-z]+[0-9]+)[A-Za-z]+[0-9]*[.]",
    r"^([0-9]+)[A-Za-z]+[0-9]*[.]",
    r"^(.+)[_. -][^_. -]+[.][^.]+$",
)
"""Beginnings of file names, coarse ones first: parts, a word with a number, all but the last."""


# --- classes that names look like -------------------------------------------------------------


def suggest_label(paths: Sequence[PurePosixPath]) -> str:
    """Return words about the classes that names of files look like, with the option; "" if none."""
    for pattern in CLASS_PATTERNS:
        texts = [str(path) if "/" in pattern else path.name for path in paths]
        names = _search(pattern, texts, "")
        counts = Counter(name for name in names if name)
        many = 1 < len(counts) <= MOST_CLASSES and counts.total() >= NAMED * len(paths)
        if many and min(counts.values()) > 1:
            listed = ", ".join(f"{name} {n}" for name, n in counts.most_common(SHOWN))
            more = ", ..." if len(counts) > SHOWN else ""
            where = "folders" if "/" in pattern else "files"
            return f"names of {where} look like classes ({listed}{more}): --label '{pattern}'"
    return ""


MOST_CLASSES, SHOWN = 200, 6
CLASS_PATTERNS = (
    r"^(.+?)[ ._-]*[(]?[0-9]+[)]?[.][^.]+$",
    r"^([^\W\d_]+)[ ._-]",
    r"^[0-9]+[ ._-]+([^\W\d_]+)",
    r"([^/]+)[ _-](?i:train|valid?|test)/",
    r"(?i:train|valid?|test)[ _-]([^/]+)/",
)
"""Where a class may be in a name: before the last number, first, or behind a number; or in that of
a folder, with the split."""
