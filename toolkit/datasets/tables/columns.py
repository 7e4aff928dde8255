"""Which image a row of a table names, and which columns hold labels, groups and splits."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, takewhile
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from toolkit.datasets.tables.parsing import LabelTable
from toolkit.errors import InputError

SAMPLED = 5_000  # rows from which columns are chosen
MOST_NAMES = 6
MOST_EXAMPLES, MOST_TEXT = 3, 20  # texts of a column that a message shows, and their characters
CLOSE = 0.9  # a column that names this fraction of the images of the best one is its rival
SURE = 0.9  # fraction of the rows with just one 1, for columns of 0 and 1 to be classes
NO_VALUE = frozenset({"", "na", "n/a", "nan", "<na>", "null", "nil"})
WHOLE = re.compile(r"([+-]?\d+)[.,]0*")
UPLOAD = re.compile(r"[0-9a-f]{8}-")  # what Label Studio puts before the name of an upload
NO_COLUMN = "\0"
"""Wanted as `label` of a table whose labels are in another one."""
NO_WEIGHT = "none"
"""Wanted as `weight` where a column with a usual name is none of weights."""
ENDINGS = frozenset({
    "jpg", "jpeg", "png", "tif", "tiff", "bmp", "gif", "webp", "dcm", "heic", "jp2", "ppm", "pgm",
})  # fmt: skip
BITS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}
USUAL = {
    option: frozenset(names.split())
    for option, names in {
        "image": "image images imageid imagename imagepath imagefile img imgid imgname imgpath "
        "file filename filepath path id idcode isicid name",
        "label": "label labels labelname class classes classname classlabel classid category "
        "categoryname target diagnosis dx y ytrue groundtruth gt breed species variety choice tag",
        "group": "group groupid patient patientid patientnumber lesion lesionid subject subjectid "
        "participant participantid person personid individual individualid animalid case caseid "
        "clip clipid video videoid scene sceneid sequence sequenceid session sessionid",
        "split": "split set subset partition phase usage datasplit fold folds cvfold",
        "weight": "weight weights sampleweight sampleweights importance",
    }.items()
}
"""Usual names of columns, in small letters without spaces and signs."""


@dataclass(frozen=True)
class Columns:
    """The columns that are read; `labels` has several names if they are classes of 0 and 1.

    Where no column has a usual name for labels, `candidates` are those that might be, and a single
    one is taken.
    """

    image: str
    labels: tuple[str, ...] = ()
    group: str = ""
    split: str = ""
    weight: str = ""
    candidates: tuple[str, ...] = ()


# --- images -----------------------------------------------------------------------------------


class ImageNames:
    """Finds images by what a table calls them: with or without folder, or ending, in any case."""

    def __init__(self, paths: Iterable[PurePosixPath]) -> None:
        """Remember the names of images."""
        self.paths = tuple(paths)

    @cached_property
    def _by_key(self) -> Mapping[tuple[int, str], Sequence[PurePosixPath]]:
        """The images by each of their keys (see `_image_keys`)."""
        images = defaultdict[tuple[int, str], list[PurePosixPath]](list)
        for path in self.paths:
            for key in enumerate(_image_keys(path)):
                images[key].append(path)
        return images

    def find(self, text: str) -> Sequence[PurePosixPath]:
        """Return the images that a text of a table may mean; best none or one."""
        for parts in _spellings(text):
            for key in enumerate(_text_keys(parts[-1])):
                if key in self._by_key:
                    return _nearest(self._by_key[key], parts)
        return ()


def _image_keys(path: PurePosixPath) -> tuple[str, ...]:
    """Return what a text may call an image, exact names first: by name, by stem, by number."""
    name, stem = _normal(path.name), _normal(path.stem)
    number = stem.lstrip("0") if stem.isdecimal() else name
    return name, name.casefold(), stem, stem.casefold(), number, stem.casefold()


def _text_keys(name: str) -> tuple[str, ...]:
    """Return the keys of the image that a name means; it may have another image's ending."""
    whole = WHOLE.fullmatch(name)
    number = (whole[1] if whole else name).lstrip("0")
    stem, _, ending = name.rpartition(".")
    stem = stem if ending.casefold() in ENDINGS else name
    return name, name.casefold(), name, name.casefold(), number, stem.casefold()


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _spellings(text: str) -> list[tuple[str, ...]]:
    """Return the parts of a path, and those that a URL or an upload of Label Studio has."""
    address = text.split("?d=", 1)[-1]
    if "://" in address:
        try:
            address = urlsplit(address).path
        except ValueError:
            return []
    plain = path_parts(address)
    spellings = [plain, path_parts(unquote(address))]
    if "/data/upload/" in text and plain:
        spellings += [(*p[:-1], UPLOAD.sub("", p[-1], count=1)) for p in spellings if p]
    return [parts for parts in dict.fromkeys(spellings) if parts and parts[-1]]


def path_parts(text: str) -> tuple[str, ...]:
    """Return the names in a path, also one of Windows, without those that lead nowhere."""
    names = _normal(text).replace("\\", "/").split("/")
    return tuple(name for name in names if name not in ("", ".", ".."))


def _nearest(paths: Sequence[PurePosixPath], parts: tuple[str, ...]) -> Sequence[PurePosixPath]:
    """Return the paths whose folders agree furthest, from the last one up, with those in a text."""
    if len(paths) < 2:
        return paths
    common = [_agreeing(path.parts, parts) for path in paths]
    return [path for path, n in zip(paths, common, strict=True) if n == max(common)]


def common_folders(path: PurePosixPath, text: str) -> int:
    """Return how many folders above a file, from the last one up, are those in a text."""
    return _agreeing(path.parts, path_parts(text))


def _agreeing(one: Sequence[str], other: Sequence[str]) -> int:
    folders = zip(one[-2::-1], other[-2::-1], strict=False)
    same = (_normal(a).casefold() == _normal(b).casefold() for a, b in folders)
    return sum(1 for _ in takewhile(bool, same))


# --- columns ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Sample:
    """Some rows of a table: the texts of each column, and the images that they name."""

    path: str
    texts: Mapping[str, Sequence[str]]
    images: Mapping[str, Sequence[tuple[PurePosixPath, ...]]]


def choose_columns(
    table: LabelTable,
    names: ImageNames,
    wanted: Mapping[str, str],
    name_splits: Callable[[Iterable[str]], Mapping[str, str]],
) -> Columns:
    """Return the columns that are `wanted`, each by its option, and for the others those that fit.

    The column of images is the one that names the most of them. Labels, groups, splits and weights
    have usual names; columns of 0 and 1 are labels if each row has one 1, and so is a column that
    alone is left. Raises InputError that names the columns that fit equally well, and the option.
    """
    sample = _take_sample(table, names)
    image = _given(table, wanted, "image") or _image_column(sample)
    others = {name: column for name, column in sample.texts.items() if name != image}
    weights = _weight_columns(others)
    weight = _given_weight(table, wanted) or _weight_column(table, wanted, weights)
    texts = {n: column for n, column in others.items() if n != weight and n not in weights}
    split = _given(table, wanted, "split") or _split_column(sample.path, texts, name_splits)
    texts.pop(split, None)
    group = _given(table, wanted, "group") or _group_column(table, texts)
    texts.pop(group, None)
    if wanted.get("label") == NO_COLUMN:
        return Columns(image, (), group, split, weight)
    if wanted.get("label"):
        return Columns(image, _given_labels(table, wanted), group, split, weight)
    labels = _label_columns(sample.path, texts) or _one_hot_columns(texts)
    left = [name for name, column in texts.items() if _may_be_labels(column)]
    if labels:
        return Columns(image, labels, group, split, weight)
    single = tuple(left) if len(left) == 1 else ()
    return Columns(image, single, group, split, weight, tuple(left))


def _take_sample(table: LabelTable, names: ImageNames) -> _Sample:
    rows = [row for _, row in table.rows[:: max(1, len(table.rows) // SAMPLED)]]
    texts = {name: [row[at] for row in rows] for at, name in enumerate(table.header)}
    images = {name: [tuple(names.find(t)) for t in column] for name, column in texts.items()}
    return _Sample(table.path, texts, images)


def _given(table: LabelTable, wanted: Mapping[str, str], option: str) -> str:
    """Return the column that an option names, in small letters or not; "" if it names none."""
    return _find_column(table, wanted[option], option) if wanted.get(option) else ""


def _find_column(table: LabelTable, name: str, option: str) -> str:
    same = [column for column in table.header if column == name]
    same = same or [c for c in table.header if c.casefold() == name.strip().casefold()]
    if len(same) != 1:
        raise InputError(
            f"{table.path}: {_setting(option)} must be one of its columns, "
            f"{list_some(table.header)}; got {name!r}"
        )
    return same[0]


def has_columns(table: LabelTable, text: str) -> bool:
    """Return whether a table has the column that a text names, or all that it names with commas."""
    header = {name.casefold() for name in table.header}
    return text.strip().casefold() in header or all(
        name.strip().casefold() in header for name in text.split(",")
    )


def _given_labels(table: LabelTable, wanted: Mapping[str, str]) -> tuple[str, ...]:
    """Return the column that `label` names, or the columns, with commas between them."""
    text = wanted["label"]
    names = [text] if text in table.header or "," not in text else text.split(",")
    return tuple(_find_column(table, name.strip(), "label") for name in names)


def _image_column(sample: _Sample) -> str:
    named = {column: set(chain(*images)) for column, images in sample.images.items()}
    most = max(map(len, named.values()))
    if not most:
        raise InputError(
            f"{sample.path}: no column names an image that is there; the columns are "
            f"{list_some(sample.texts)}"
        )
    rivals = [column for column, paths in named.items() if len(paths) >= CLOSE * most]
    for prefer in (_is_no_index, _has_endings, _is_usual):
        if not _all_same(sample.images[column] for column in rivals):
            rivals = [c for c in rivals if prefer(c, sample)] or rivals
    if not _all_same(sample.images[column] for column in rivals):
        raise undecided(sample.path, "image", {name: sample.texts[name] for name in rivals})
    usual = [column for column in rivals if _is_usual(column, sample)]
    return next((c for c in usual if _has_endings(c, sample)), next(iter(usual), rivals[0]))


def _is_no_index(column: str, sample: _Sample) -> bool:
    """Return whether a column is more than the numbers of the rows."""
    count = len(sample.texts[column])
    numbers = [[str(n) for n in range(start, start + count)] for start in (0, 1)]
    return list(sample.texts[column]) not in numbers


def _has_endings(column: str, sample: _Sample) -> bool:
    pairs = zip(sample.texts[column], sample.images[column], strict=True)
    return all(text.lower().endswith(p.suffix.lower()) for text, paths in pairs for p in paths)


def _is_usual(column: str, _sample: _Sample) -> bool:
    return is_usual(column, "image")


def _all_same(columns: Iterable[Sequence[object]]) -> bool:
    first, *others = columns
    return all(column == first for column in others)


def _split_column(
    path: str,
    texts: Mapping[str, Sequence[str]],
    name_splits: Callable[[Iterable[str]], Mapping[str, str]],
) -> str:
    """Return the column with a usual name in which all texts are names of splits."""
    fit = [
        name
        for name, column in texts.items()
        if is_usual(name, "split")
        and (values := set(column) - {""})
        and values == name_splits(sorted(values)).keys()
    ]
    if len(fit) > 1 and not _all_same(texts[name] for name in fit):
        raise undecided(path, "split", {name: texts[name] for name in fit})
    return fit[0] if fit else ""


def _group_column(table: LabelTable, names: Iterable[str]) -> str:
    """Return the column of groups with a usual name: the coarsest of several. All rows count."""
    usual = {name: table.column(name) for name in names if is_usual(name, "group")}
    fit = {n: texts for n, texts in usual.items() if 1 < len({*texts} - {""}) < len(texts)}
    coarse = [n for n in fit if all(_decides(texts, fit[n]) for texts in fit.values())]
    if fit and not coarse:
        raise undecided(table.path, "group", fit)
    return coarse[0] if coarse else ""


def _given_weight(table: LabelTable, wanted: Mapping[str, str]) -> str:
    return "" if no_weights(wanted) else _given(table, wanted, "weight")


def no_weights(wanted: Mapping[str, str]) -> bool:
    """Return whether no column is to be one of weights."""
    return wanted.get("weight") == NO_WEIGHT


def _weight_columns(texts: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """Return the columns with a usual name that mostly hold numbers."""
    return {
        name: column
        for name, column in texts.items()
        if is_usual(name, "weight") and 2 * sum(map(_is_number, column)) > len(column)
    }


def _weight_column(
    table: LabelTable, wanted: Mapping[str, str], fit: Mapping[str, Sequence[str]]
) -> str:
    if no_weights(wanted) or not fit:
        return ""
    if not _all_same(fit.values()):
        raise undecided(table.path, "weight", fit)
    return next(iter(fit))


def _label_columns(path: str, texts: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the column of labels with a usual name: of several that say the same, one of words."""
    fit = [
        name
        for name, column in texts.items()
        if is_usual(name, "label") and 1 < len(classes := _classes(column)) < classes.total()
    ]
    if not all(_decides(texts[one], texts[other]) for one in fit for other in fit):
        raise undecided(path, "label", {name: texts[name] for name in fit})
    return tuple(sorted(fit, key=lambda name: all(map(_is_number, texts[name])))[:1])


def _decides(fine: Sequence[str], coarse: Sequence[str]) -> bool:
    """Return whether equal texts of one column always stand beside equal ones of the other."""
    return len(set(zip(fine, coarse, strict=True))) == len(set(fine))


def _may_be_labels(column: Sequence[str]) -> bool:
    """Return whether a column has two texts at least, and each twice on average."""
    classes = _classes(column)
    return len(classes) > 1 and 2 * len(classes) <= classes.total()


def _classes(column: Iterable[str]) -> Counter[str]:
    """Count the texts of a column that may be labels; 1.0 is 1."""
    texts = (text for text in column if text.casefold() not in NO_VALUE)
    return Counter(match[1] if (match := WHOLE.fullmatch(text)) else text for text in texts)


def _one_hot_columns(texts: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return all columns of 0 and 1, or all that are not 1 alone, if they divide the rows."""
    bits = [n for n, column in texts.items() if all(text.lower() in BITS for text in column)]
    telling = [name for name in bits if not all(map(is_one, texts[name]))]
    return next((tuple(some) for some in (bits, telling) if _divide([texts[n] for n in some])), ())


def _divide(columns: Sequence[Sequence[str]]) -> bool:
    """Return whether nearly every row has just one 1 in one of several columns."""
    ones = [sum(map(is_one, row)) for row in zip(*columns, strict=True)]
    return len(columns) > 1 and ones.count(1) >= SURE * len(ones)


def is_one(text: str) -> bool:
    """Return whether a text says that an image has the class of its column."""
    return BITS.get(text.lower(), False)


def is_usual(column: str, option: str) -> bool:
    """Return whether a column has a usual name for this option; a number at its end is no part."""
    return re.sub(r"\(\d+\)$|[^a-z]", "", column.lower()) in USUAL[option]


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", ".", 1))
    except ValueError:
        return False
    return True


def undecided(path: str, option: str, columns: Mapping[str, Sequence[str]]) -> InputError:
    """Return the error for several columns that may be read, with the option that decides."""
    listed = list_some(f"{name} ({_examples(texts)})" for name, texts in columns.items())
    bits = all(text.lower() in BITS for texts in columns.values() for text in texts)
    more = ", or those of 0 and 1 that are the classes, with commas" * (bits and option == "label")
    return InputError(
        f"{path}: several columns may be the {option}: {listed}; give one by "
        f"{_setting(option)}{more}"
    )


def _examples(texts: Sequence[str]) -> str:
    """Return the most frequent texts of a column."""
    counts = Counter(text for text in texts if text)
    most = [text[:MOST_TEXT] for text, _ in counts.most_common(MOST_EXAMPLES)]
    return ", ".join(most) + ", ..." * (len(counts) > MOST_EXAMPLES)


def _setting(option: str) -> str:
    return f"--{option} (fetch.{option} in params.yaml)"


def list_some(names: Iterable[str]) -> str:
    """Return some names with commas between them, and how many more there are."""
    texts = [name[:80] for name in names]
    more = len(texts) - MOST_NAMES
    listed = ", ".join(texts[:MOST_NAMES])
    return f"{listed} and {more} more" if more > 0 else listed
