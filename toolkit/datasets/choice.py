"""Which files and which classes are used: patterns over paths, and other names for classes."""

import difflib
import functools
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from toolkit.datasets.params import ClassParams
from toolkit.errors import InputError
from toolkit.io.manifest import Manifest

ONLY, LEAVE_OUT = "fetch.only", "fetch.leave_out"
LEAVE_CLASS, SMALLEST = "fetch.classes.leave_out", "fetch.classes.smallest"
SETTINGS = (ONLY, LEAVE_OUT, LEAVE_CLASS, SMALLEST)
"""Settings that leave files out; they are the reasons that are given."""
OTHER = "other"
"""The class that small classes are merged into."""
MOST_NAMES = 12


# --- files ------------------------------------------------------------------------------------


def is_left_out(path: PurePosixPath, only: Sequence[str], leave_out: Sequence[str]) -> str:
    """Return the setting that leaves a file out, or "".

    Where there are patterns `only`, it must fit one of them, and it must fit none of `leave_out`
    (see `fits_pattern`).
    """
    if only and not any(fits_pattern(path, pattern) for pattern in only):
        return ONLY
    return LEAVE_OUT if any(fits_pattern(path, pattern) for pattern in leave_out) else ""


@dataclass(frozen=True)
class FileChoice:
    """The files and folders that are used, and each other file with the setting that says so."""

    files: list[PurePosixPath]
    folders: list[PurePosixPath]
    left_out: dict[PurePosixPath, str]


def choose_files(
    files: Sequence[PurePosixPath],
    folders: Sequence[PurePosixPath],
    only: Sequence[str],
    leave_out: Sequence[str],
) -> FileChoice:
    """Choose files by patterns; a folder whose files are all left out goes with them.

    Raises InputError if no file is left.
    """
    if not only and not leave_out:
        return FileChoice(list(files), list(folders), {})
    settings = {path: is_left_out(path, only, leave_out) for path in files}
    kept = [path for path, setting in settings.items() if not setting]
    left_out = {path: setting for path, setting in settings.items() if setting}
    if left_out and not kept:
        raise refuse_choice(left_out, only, leave_out)
    used = {folder for path in kept for folder in path.parents}
    emptied = {folder for path in left_out for folder in path.parents} - used
    unwanted = {folder for folder in folders if any(fits_pattern(folder, one) for one in leave_out)}
    stay = [folder for folder in folders if folder not in emptied | unwanted]
    return FileChoice(kept, stay, left_out)


def refuse_choice(
    left_out: Mapping[PurePosixPath, str], only: Sequence[str], leave_out: Sequence[str]
) -> InputError:
    """Return the error for patterns that leave out all files."""
    path, setting = next(iter(left_out.items()))
    patterns = list(only if setting == ONLY else leave_out)
    number = f"all {len(left_out)} files" if len(left_out) > 1 else "the only file"
    return InputError(f"{setting}: {patterns} leaves out {number}, such as {str(path)!r}")


def fits_pattern(path: PurePosixPath, pattern: str) -> bool:
    """Return whether a path, or a folder above it, fits a pattern, in capitals or not.

    Without "/" it may fit any name of the path, as *.png or masks; with "/" it begins at the top,
    as train/*/scan_*. `*` and `?` stand for characters of a name, and `**` for any folders.
    """
    return _fits([_fold(part) for part in path.parts], _parts(pattern))


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


@functools.cache
def _parts(pattern: str) -> tuple[str, ...]:
    text = pattern.rstrip("/")
    whole = text if "/" in text else f"**/{text}"
    return tuple(_fold(part) for part in whole.split("/") if part)


def _fits(names: Sequence[str], pattern: Sequence[str]) -> bool:
    reached = {0}
    for part in pattern:
        if part == "**":
            reached = set(range(min(reached), len(names)))
        else:
            reached = {at + 1 for at in reached if at < len(names) and fnmatchcase(names[at], part)}
        if not reached:
            return False
    return True


# --- classes ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClassChoice:
    """The new name of each class that is used, and why each other class is not."""

    names: Mapping[str, str]
    left_out: Mapping[str, str]


def choose_classes(counts: Mapping[str, int], settings: ClassParams) -> ClassChoice:
    """Choose classes, given the number of images of each.

    First some are left out, merged or renamed; then those with fewer than `smallest` images are
    left out, merged into OTHER, or refused, as `below` says. Raises InputError for a class that
    there is not, for one that two settings name, and for classes that are refused.
    """
    _check_names(counts, settings)
    new = settings.rename | {old: name for name, of in settings.merge.items() for old in of}
    left_out = dict.fromkeys(settings.leave_out, LEAVE_CLASS)
    names = {name: new.get(name, name) for name in counts if name not in left_out}
    totals = Counter[str]()
    for name, chosen in names.items():
        totals[chosen] += counts[name]
    small = {name: n for name, n in totals.items() if n < settings.smallest}
    if not small:
        return ClassChoice(names, left_out)
    if settings.below == "leave_out":
        left_out |= {old: SMALLEST for old, chosen in names.items() if chosen in small}
        return ClassChoice({old: to for old, to in names.items() if to not in small}, left_out)
    together = sum(small.values()) + (0 if OTHER in small else totals[OTHER])
    if settings.below == "merge" and together >= settings.smallest:
        return ClassChoice(
            {old: OTHER if to in small else to for old, to in names.items()}, left_out
        )
    raise InputError(_refusal(small, settings))


def _refusal(small: Mapping[str, int], settings: ClassParams) -> str:
    listed = ", ".join(f"{name} {n}" for name, n in list(small.items())[:MOST_NAMES])
    more = ", ..." if len(small) > MOST_NAMES else ""
    too_few = f"{SMALLEST} is {settings.smallest}, but there are classes with fewer"
    if settings.below == "merge":
        return f"{too_few}, also together: {listed}{more}; set fetch.classes.below to leave_out"
    return (
        f"{too_few}: {listed}{more}; set fetch.classes.below to leave_out or to merge (all into "
        f"{OTHER!r}), or add images"
    )


def _check_names(counts: Mapping[str, int], settings: ClassParams) -> None:
    uses = defaultdict[str, list[str]](list)
    for name in settings.leave_out:
        uses[name].append("leave_out")
    for new, merged in settings.merge.items():
        for name in merged:
            uses[name].append(f"merge.{new}")
    for name in settings.rename:
        uses[name].append("rename")
    for name, keys in uses.items():
        if name not in counts:
            near = difflib.get_close_matches(name, counts, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            listed = ", ".join(list(counts)[:MOST_NAMES]) + (", ..." * (len(counts) > MOST_NAMES))
            problem = f"fetch.classes.{keys[0]}: there is no class {name!r}"
            raise InputError(f"{problem}; {hint}the classes are {listed}")
        if len(keys) > 1:
            raise InputError(
                f"fetch.classes: {name!r} is in {' and in '.join(keys)}; name it in one of them"
            )


def rename_classes(table: Manifest, classes: ClassChoice) -> Manifest:
    """Return a manifest with the classes that are used, under their new names."""
    if all(old == new for old, new in classes.names.items()) and not classes.left_out:
        return table
    samples = tuple(
        replace(sample, label=classes.names[sample.label])
        for sample in table.samples
        if sample.label in classes.names
    )
    return Manifest(tuple(sorted(set(classes.names.values()))), samples, table.notes)


def describe_classes(classes: ClassChoice, counts: Mapping[str, int]) -> list[str]:
    """Say which classes have new names, and which are left out, with their `counts` of images."""
    of = defaultdict[str, list[str]](list)
    for old, new in classes.names.items():
        of[new].append(old)
    said = [f"{', '.join(old)} -> {new}" for new, old in of.items() if old != [new]]
    for setting in dict.fromkeys(classes.left_out.values()):
        names = [name for name, by in classes.left_out.items() if by == setting]
        listed = ", ".join(names[:MOST_NAMES]) + ", ..." * (len(names) > MOST_NAMES)
        said.append(f"left out by {setting}: {sum(counts[name] for name in names):,} ({listed})")
    return said


def describe_left_out(settings: Iterable[str]) -> list[str]:
    """Say how many files each setting leaves out, given that of each file."""
    return [f"left out by {setting}: {n:,}" for setting, n in Counter(settings).items()]


# --- companions -------------------------------------------------------------------------------

WORDS = (
    "masks?|seg|segmentations?|labels?|gt|ground[_ -]?truths?|annotations?|annotated|contours?|"
    "outlines?|overlays?|depth|heat[_ -]?maps?|thumb|thumbnails?"
)
SUFFIX = re.compile(rf"(?P<stem>.+?)(?P<mark>[_. -]({WORDS}))([_. -]?\d+)?", re.IGNORECASE)
"""A name without its ending that says it goes with a picture, as scan_1_mask and scan_1-seg2."""
FOLDER = re.compile(WORDS, re.IGNORECASE)
PHOTOS = (".jpg", ".jpeg", ".heic", ".heif")
LEAST, FRACTION = 3, 0.05
"""Companions that there must be, and the fraction of all files: fewer are odd names."""

Pairs = dict[int, tuple[int, str]]
"""Index of a companion -> index of its picture, and a pattern that the companion fits."""


@dataclass(frozen=True)
class Companions:
    """Files, by index, that each go with a picture of the same name, and patterns that they fit.

    `example` is a picture with its companion. So many `others` fit the patterns without a picture.
    """

    indices: tuple[int, ...]
    patterns: tuple[str, ...]
    example: tuple[PurePosixPath, PurePosixPath]
    others: int


def find_companions(
    paths: Sequence[PurePosixPath], labels: Sequence[str], information: Sequence[float]
) -> Companions | None:
    """Return the files that go with a picture, as its mask does: by suffix, folder, or ending.

    `labels` are the classes: a class's own folder is never one of masks. Of two endings, that with
    less `information`, as entropy, is the companions'. None if there are only a few.
    """
    by_name = (_by_suffix(paths), _by_folder(paths, labels), _by_ending(paths, information))
    pairs = max(by_name, key=len)
    if len(pairs) < max(LEAST, FRACTION * len(paths)):
        return None
    patterns = tuple(sorted({pattern for _, pattern in pairs.values()}))
    fitting = sum(any(fits_pattern(path, pattern) for pattern in patterns) for path in paths)
    companion, (picture, _) = next(iter(pairs.items()))
    example = paths[picture], paths[companion]
    return Companions(tuple(pairs), patterns, example, fitting - len(pairs))


def describe_companions(found: Companions) -> str:
    """Say how many files go with a picture, and the setting that leaves them out."""
    picture, companion = found.example
    others = f", which leaves out {found.others:,} others as well" if found.others else ""
    return (
        f"{len(found.indices):,} files go with a picture of the same name, as {companion} does "
        f"with {picture}: masks, or the same picture twice? If they are no pictures of their "
        f"class, set fetch.leave_out to {list(found.patterns)} (or --leave-out){others}"
    )


def _by_suffix(paths: Sequence[PurePosixPath]) -> Pairs:
    pictures = {(path.parent, _fold(path.stem)): at for at, path in enumerate(paths)}
    pairs = Pairs()
    for at, path in enumerate(paths):
        name = SUFFIX.fullmatch(_fold(path.stem))
        picture = pictures.get((path.parent, name["stem"])) if name else None
        if name and picture is not None:
            pairs[at] = picture, f"*{name['mark']}*"
    return pairs


def _by_folder(paths: Sequence[PurePosixPath], labels: Sequence[str]) -> Pairs:
    """Masks lie in a folder of their own, in the one of the pictures or beside it."""
    aside = [
        bool(FOLDER.fullmatch(path.parent.name)) and path.parent.name != label
        for path, label in zip(paths, labels, strict=True)
    ]
    pictures = dict[tuple[PurePosixPath, str], int]()
    for at, path in enumerate(paths):
        if not aside[at]:
            pictures[path.parent.parent, _fold(path.stem)] = at
            pictures[path.parent, _fold(path.stem)] = at
    pairs = Pairs()
    for at, path in enumerate(paths):
        name = SUFFIX.fullmatch(_fold(path.stem))
        stem = name["stem"] if name else _fold(path.stem)
        picture = pictures.get((path.parent.parent, stem)) if aside[at] else None
        if picture is not None:
            pairs[at] = picture, path.parent.name
    return pairs


def _by_ending(paths: Sequence[PurePosixPath], information: Sequence[float]) -> Pairs:
    same = defaultdict[tuple[PurePosixPath, str], list[int]](list)
    for at, path in enumerate(paths):
        same[path.parent, _fold(path.stem)].append(at)
    shared = [members for members in same.values() if len(_endings(paths, members)) > 1]
    values = defaultdict[str, list[float]](list)
    for at in (at for members in shared for at in members):
        values[paths[at].suffix.lower()].append(information[at])

    def rank(at: int) -> tuple[float, bool, str]:
        ending = paths[at].suffix.lower()
        return sum(values[ending]) / len(values[ending]), ending in PHOTOS, ending

    pairs = Pairs()
    for members in shared:
        *companions, picture = sorted(members, key=rank)
        for at in companions:
            if paths[at].suffix.lower() != paths[picture].suffix.lower():
                pairs[at] = picture, f"*{paths[at].suffix.lower()}"
    return pairs


def _endings(paths: Sequence[PurePosixPath], indices: Sequence[int]) -> set[str]:
    return {paths[at].suffix.lower() for at in indices}
