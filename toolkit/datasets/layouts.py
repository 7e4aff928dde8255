"""How a folder is laid out, by its names alone: which folders are splits, groups and classes.

No file is opened here. Where two readings fit, both are shown and nothing is guessed.
"""

import json
import shlex
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import PurePosixPath

from toolkit.datasets.params import ReadParams
from toolkit.datasets.words import (
    ASIDE,
    FILLERS,
    FOLD,
    VEHICLES,
    find_alike,
    find_split_words,
    may_be_image,
    name_words,
    split_meanings,
)
from toolkit.errors import InputError
from toolkit.io.text import count_reasons

Parts = tuple[str, ...]
"""The names that lead to a folder; () is the folder that is read."""

LAYOUT = "expected <split>/<class>/file or <class>/file"
"""The usual layouts."""
OTHERWISE = "or a table of labels (--labels), or classes in names of files (--label)"
OUTSIDE = "not in a class folder"
BESIDE = "beside the splits"
FEW = 10
"""Images that lie in a folder itself are few if there are so many times more below it."""
MOST_NAMES = 6
NUMBERS = {2: "two", 3: "three", 4: "four"}


@dataclass(frozen=True)
class Place:
    """What names and tables say of a file: class, split and group, each "" where there is none."""

    path: PurePosixPath
    label: str = ""
    split: str = ""
    group: str = ""
    weight: float = 1.0


@dataclass(frozen=True)
class LeftOut:
    """A file that is not used, and why."""

    path: PurePosixPath
    reason: str


@dataclass(frozen=True)
class Reading:
    """Where each file belongs, all classes, also those without a file, and what is left out.

    `said` is how the folder was understood, in words, without the number of images. `settings` are
    keys of ReadParams, found and not given, that lead to this reading again.
    """

    places: tuple[Place, ...]
    classes: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()
    said: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Tree:
    """The folders in each folder, and how many files that may be images lie in and below each."""

    names: Mapping[Parts, Sequence[str]]
    images: Counter[Parts]

    def used(self, folder: Parts = ()) -> list[str]:
        """Return the folders in `folder`, without those that only go with the images."""
        return [name for name in self.names.get(folder, ()) if not self.is_aside((*folder, name))]

    def is_aside(self, folder: Parts) -> bool:
        """Return whether a folder has no images, and the name of one that goes with them."""
        return not self.images[folder] and not ASIDE.isdisjoint(name_words(folder[-1]))

    def direct(self, folder: Parts) -> int:
        """Return how many images lie in a folder itself."""
        inside = ((*folder, name) for name in self.names.get(folder, ()))
        return self.images[folder] - sum(self.images[below] for below in inside)

    def depth(self, folder: Parts) -> int:
        """Return how many levels of folders lie below one."""
        return max((1 + self.depth((*folder, name)) for name in self.used(folder)), default=0)


@dataclass(frozen=True)
class _Layout:
    """What each level of folders is: split, class, group or any; deeper ones do not matter.

    `splits` says what the names of splits mean, `aside` are folders that are left out.
    """

    levels: tuple[str, ...]
    splits: Mapping[str, str] = field(default_factory=dict)
    aside: frozenset[str] = frozenset()


def read_layout(
    files: Sequence[PurePosixPath], folders: Sequence[PurePosixPath], settings: ReadParams
) -> Reading:
    """Return what names say about files; all paths are relative to the folder that is read.

    `settings.layout` says what the levels of folders are; otherwise that is seen from their names:
    words for splits in any case, names that recur below every folder, lone folders around all
    others. Raises InputError where several readings fit, with the options that decide.
    """
    given = tuple(settings.layout.split("/")) if settings.layout else ()
    whole = _make_tree(files, folders)
    wrappers = _find_wrappers(whole, max(1, len(given)), settings)
    shown = {path.parts: _unwrap(path.parts, wrappers) for path in folders} | {(): ()}
    beside = {path.parts for path in folders if whole.is_aside(path.parts)}
    inner = [names for parts, names in shown.items() if names and not _is_below(parts, beside)]
    tree = _Tree(_children(inner), _images(shown[p.parts[:-1]] for p in files if may_be_image(p)))
    layout = _given(tree, given, settings) if given else _find(tree, settings)
    places, left_out = [], []
    for path in files:
        folder = path.parts[:-1]
        place = _place(path, shown[folder], layout)
        if layout.aside.intersection(shown[folder][:1]):
            left_out.append(LeftOut(path, f"{BESIDE}, in {shown[folder][0]}"))
        elif not place.label or _is_below(folder, beside):
            left_out.append(LeftOut(path, OUTSIDE))
        else:
            places.append(place)
    used = [folder for folder in inner if folder[0] not in layout.aside]
    depths = range(len(layout.levels) + 1)
    names = [sorted({folder[at] for folder in used if len(folder) > at}) for at in depths]
    said = _say(layout, names, _outer(wrappers))
    classes = tuple(names[layout.levels.index("class")])
    return Reading(tuple(places), classes, tuple(left_out), said)


def _is_below(folder: Parts, others: Collection[Parts]) -> bool:
    """Return whether a folder is one of others, or lies in one."""
    return any(folder[:n] in others for n in range(1, len(folder) + 1))


def _place(path: PurePosixPath, names: Parts, layout: _Layout) -> Place:
    found = dict(zip(layout.levels, names, strict=False))
    split, group = found.get("split", ""), found.get("group", "")
    if FOLD.fullmatch(split):
        group = split
    return Place(path, found.get("class", ""), layout.splits.get(split, ""), group)


# --- trees ------------------------------------------------------------------------------------


def _make_tree(files: Iterable[PurePosixPath], folders: Iterable[PurePosixPath]) -> _Tree:
    images = _images(path.parts[:-1] for path in files if may_be_image(path))
    return _Tree(_children(path.parts for path in folders), images)


def _children(folders: Iterable[Parts]) -> dict[Parts, list[str]]:
    names = defaultdict[Parts, dict[str, None]](dict)
    for *above, name in folders:
        names[tuple(above)][name] = None
    return {folder: sorted(inside) for folder, inside in names.items()}


def _images(folders: Iterable[Parts]) -> Counter[Parts]:
    total = Counter[Parts]()
    for folder, count in Counter(folders).items():
        for n in range(len(folder) + 1):
            total[folder[:n]] += count
    return total


def _find_wrappers(tree: _Tree, levels: int, settings: ReadParams) -> frozenset[Parts]:
    """Return the lone folders around several others, at the top and in splits.

    In other folders only those with the same name, or one that tells nothing, are wrappers.

    None is one if fewer than `levels` of folders with images are below it.
    """
    folder = Parts()
    while (lone := _lone(tree, folder, levels)) and not find_split_words([lone[-1]], settings):
        folder = lone
    inside = tree.used(folder)
    if len(inside) == 1 and not find_split_words(inside, settings):
        folder = ()
    found = {folder[:n] for n in range(1, len(folder) + 1)}
    tops = [(*folder, name) for name in tree.used(folder)]
    splits = len(find_split_words(tree.used(folder), settings)) == len(tops)
    while lones := [lone for top in tops if (lone := _lone(tree, top, 1))]:
        everywhere = splits and len(lones) == len(tops)
        tops = [one for one in lones if everywhere or _tells_nothing(one[-1], one[-2])]
        found.update(tops)
    return frozenset(found)


def _lone(tree: _Tree, folder: Parts, levels: int) -> Parts:
    """Return the only folder in `folder`, if there are enough levels below it, else ().

    A folder that holds many images itself is one of a class.
    """
    names = tree.used(folder)
    lone = (*folder, *names)
    if len(names) != 1 or tree.depth(lone) < levels:
        return ()
    return lone if FEW * tree.direct(lone) <= tree.images[lone] else ()


def _tells_nothing(name: str, above: str) -> bool:
    return name.casefold() == above.casefold() or FILLERS.issuperset(name_words(name))


def _unwrap(folder: Parts, wrappers: frozenset[Parts]) -> Parts:
    """Return the names that lead to a folder, without those of wrappers."""
    return tuple(name for n, name in enumerate(folder, 1) if folder[:n] not in wrappers)


# --- what the levels are ----------------------------------------------------------------------


def _given(tree: _Tree, levels: tuple[str, ...], settings: ReadParams) -> _Layout:
    """Return the layout that was asked for. Raises InputError for splits with unknown names."""
    if "split" not in levels:
        return _Layout(levels)
    folders = [Parts()]
    for _ in range(levels.index("split")):
        folders = [(*folder, name) for folder in folders for name in tree.used(folder)]
    names = sorted({name for folder in folders for name in tree.used(folder)})
    words = find_split_words(names, settings)
    if unknown := [name for name in names if name not in words]:
        raise InputError(
            f"layout {'/'.join(levels)} makes splits of the folders {_list(names)}, but what "
            f"{_list(unknown)} is for is not known; say so: --split-names "
            f"{_example({name: sum(tree.images[*f, name] for f in folders) for name in unknown})}"
        )
    return _Layout(levels, split_meanings(words))


def _find(tree: _Tree, settings: ReadParams) -> _Layout:
    """Return the layout that the names of folders show. Raises InputError where several fit."""
    tops = tree.used()
    below = {top: tree.used((top,)) for top in tops}
    words = find_split_words(tops, settings)
    if words:
        return _find_splits(tree, below, words, settings)
    inner = sorted({name for names in below.values() for name in names})
    inner_words = find_split_words(inner, settings)
    if inner and len(inner_words) == len(inner) and all(below.values()):
        if set(inner_words.values()) == {"fold"}:
            return _Layout(("class", "group"))
        third = {top: sorted({n for b in below[top] for n in tree.used((top, b))}) for top in tops}
        if _recur(third):
            raise _question(
                (
                    f"splits ({_list(inner)}) x classes ({_list(_all(third))}) in each of "
                    f"{_list(tops)}",
                    "--layout any/split/class",
                ),
                (f"classes ({_list(tops)}) x splits ({_list(inner)})", "--layout class/split"),
            )
        return _Layout(("class", "split"), split_meanings(inner_words))
    if _recur(below):
        raise _question(
            (
                f"splits ({_list(tops)}) x classes ({_list(inner)})",
                f"--split-names {_example({top: tree.images[top,] for top in tops})}",
            ),
            (
                f"classes ({_list(inner)}) in each of {_list(tops)}",
                "--layout any/class, or group/class to keep each in one split",
            ),
            (f"classes ({_list(tops)}) with folders in them ({_list(inner)})", "--layout class"),
        )
    return _Layout(("class",))


def _find_splits(
    tree: _Tree,
    below: Mapping[str, Sequence[str]],
    words: Mapping[str, str],
    settings: ReadParams,
) -> _Layout:
    """Return the layout where some of the folders at the top are named for splits."""
    others = [top for top in below if top not in words]
    splits = {top: below[top] for top in words if below[top]}
    if set(words.values()) == {"fold"} and not others:
        return _find_folds(below, settings)
    if not others:
        return _Layout(("split", "class"), split_meanings(words))
    if not splits and all(name.casefold() in VEHICLES for name in words):
        return _Layout(("class",))
    alike = [top for top in others if set(below[top]) & set(_all(splits))]
    used = [top for top in others if tree.images[top,]]
    if splits and not alike and (len(splits) > 1 or not used):
        return _Layout(("split", "class"), split_meanings(words), frozenset(others))
    known = f"splits ({_list(list(words))})" + f" x classes ({_list(_all(splits))})" * bool(splits)
    readings = [
        (f"{known}, and {_list(alike)} too", f"--split-names {_names_option(alike, ('train',))}"),
        (f"{known}, with {_list(others)} beside them", _leave_out(others)),
        (f"{known} without class folders", "--labels, with a table of the classes"),
        (f"classes ({_list(others)}), with {_list(list(words))} beside them", _leave_out(words)),
        (f"classes ({_list(list(below))})", "--layout class"),
    ]
    possible = (bool(alike), bool(splits), not splits, len(others) > 1 and not alike, True)
    raise _question(*[one for one, fits in zip(readings, possible, strict=True) if fits])


def _leave_out(names: Iterable[str]) -> str:
    return " ".join(f"--leave-out {shlex.quote(name)}" for name in names)


def _find_folds(below: Mapping[str, Sequence[str]], settings: ReadParams) -> _Layout:
    """Return the layout of folders that are all folds. Raises InputError if each is split."""
    if all(below.values()) and len(find_split_words(_all(below), settings)) == len(_all(below)):
        raise InputError(
            f"each of {_list(list(below))} is split into {_list(_all(below))}: the same images, "
            f"divided several times; give one of them, such as {next(iter(below))}"
        )
    return _Layout(("group", "class")) if any(below.values()) else _Layout(("class",))


def _recur(below: Mapping[str, Sequence[str]]) -> bool:
    """Return whether at least two telling names, half of all, stand below several folders."""
    counts = Counter(name for names in below.values() for name in names)
    often = [name for name, n in counts.items() if n > 1]
    telling = {name for name in often if not FILLERS.issuperset(name_words(name))}
    return len(telling) > 1 and 2 * len(often) >= len(counts)


def _question(*readings: tuple[str, str]) -> InputError:
    """Return the error for a folder that can be read in several ways, each with its option."""
    listed = "; ".join(f"{said}: {option}" for said, option in readings)
    return InputError(
        f"{NUMBERS[len(readings)]} readings fit, each with the option that decides for it (or its "
        f"key in the section fetch): {listed}"
    )


# --- words for people -------------------------------------------------------------------------


def describe_reading(reading: Reading, images: int, rejected: Sequence[Mapping[str, str]]) -> str:
    """Say in one line how a folder was understood, with its images and what is left out."""
    said = f"{reading.said}, {images:,} image{'s' * (images != 1)}"
    if rejected:
        said += f"; not used: {count_reasons(rejected)}"
    return said + "".join(f"; {say_alike(names)}" for names in find_alike(reading.classes))


def say_alike(alike: Sequence[str]) -> str:
    """Say that names of classes look alike, with the option that makes one class of them."""
    merged = json.dumps({"merge": {alike[-1]: alike[:-1]}}, ensure_ascii=False)
    names = " and ".join(map(repr, alike))
    return f"the classes {names} look alike: if they are one, --classes {shlex.quote(merged)}"


def _say(layout: _Layout, names: Sequence[Sequence[str]], outer: Parts) -> str:
    """Say what each level is, with the `names` of its folders; the last ones are of deeper ones."""
    said, around = [], ""
    for level, of in zip(layout.levels, names, strict=False):
        if level == "any":
            around += f" in {_count(of, 'folder')} ({_list(of)})"
        elif level == "split":
            meanings = [n if n == to else f"{n} -> {to}" for n, to in layout.splits.items()]
            said.append(f"{_count(meanings, 'split')} ({', '.join(meanings)})")
        else:
            said.append(f"{_count(of, level)} ({_list(of)})")
    text = " x ".join(said) + around
    if "group" in layout.levels:
        text += ", each group in one split"
    if deeper := names[len(layout.levels)]:
        text += f" with folders in them ({_list(deeper)})"
    return f"in {'/'.join(outer)}: {text}" if outer else text


def _outer(wrappers: frozenset[Parts]) -> Parts:
    """Return the folder that all others lie in."""
    around = [w for w in wrappers if all(w[:n] in wrappers for n in range(1, len(w)))]
    return max(around, key=len, default=())


def _count(names: Sequence[str], noun: str) -> str:
    plural = {"class": "classes"}.get(noun, f"{noun}s")
    return f"{len(names)} {noun if len(names) == 1 else plural}"


def _list(names: Sequence[str]) -> str:
    shown = [repr(name) if "," in name else name for name in names[:MOST_NAMES]]
    return ", ".join(shown) + ", ..." * (len(names) > MOST_NAMES)


def _all(below: Mapping[str, Sequence[str]]) -> list[str]:
    return sorted({name for names in below.values() for name in names})


def _example(images: Mapping[str, int]) -> str:
    """Return names with what they may be for, given their images: train has the most."""
    names = sorted(images, key=lambda name: (-images[name], name))
    return _names_option(names, ("train", "test", "valid"))


def _names_option(names: Sequence[str], splits: Sequence[str]) -> str:
    """Return the value of --split-names; names for which there is no split left are for train."""
    pairs = zip_longest(names, splits[: len(names)], fillvalue="train")
    return shlex.quote(",".join(f"{name}={split}" for name, split in pairs))
