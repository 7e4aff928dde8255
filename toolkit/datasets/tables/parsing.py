"""Tables of labels as people and annotation tools write them, read as columns of texts."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from toolkit.errors import InputError
from toolkit.io.csv import TableRow, decode_text, parse_table
from toolkit.io.files import parse_json
from toolkit.io.inside import check_size, is_utf8

MAX_TABLE, MAX_JSON = 100_000_000, 30_000_000  # bytes; JSON takes more memory
SEVERAL = "\0"
"""Stands for several labels of one image; no text of a table holds this character."""
CATEGORY = "category"  # the column for the categories of COCO
COCO = {"images", "annotations", "categories"}

NAME_AND_LABEL = re.compile(
    r"(\S.{0,999}?\.(?:jpe?g|png|tiff?|bmp|gif|webp|ppm))[ \t]+(\S.*)", re.I
)
Record = Mapping[str, Any]
"""An object of JSON."""


@dataclass(frozen=True)
class LabelTable:
    """A table of labels: its path, the names of its columns, and rows with as many texts.

    `said` tells what kind of file it is if it is not plain CSV. `ended` is as in TextTable.
    """

    path: str
    header: tuple[str, ...]
    rows: list[TableRow] = field(repr=False)
    said: tuple[str, ...] = ()
    ended: bool = True

    def column(self, name: str) -> list[str]:
        """Return the texts of a column."""
        at = self.header.index(name)
        return [row[at] for _, row in self.rows]


def may_be_table(path: PurePosixPath) -> bool:
    """Return whether a file has the ending of a table of labels."""
    return path.suffix.lower() in READERS


def parse_labels(path: str, data: bytes) -> LabelTable:
    """Parse a table by its ending: CSV, TSV, JSON lines, or JSON of COCO or Label Studio.

    Raises InputError, which names the file.
    """
    try:
        table = READERS[PurePosixPath(path).suffix.lower()](path, data)
    except ValueError as error:  # an InputError, or what the parser of JSON says
        raise InputError(f"{path}: {error}") from error
    if not table.rows or not table.header:
        raise InputError(f"{path}: has no rows; expected one for each image")
    return table


def parse_pairs(path: str, data: bytes) -> LabelTable | None:
    """Parse lines of an image's name, a space and a label, which both may hold more spaces.

    None for a file with another line, and for one that ends in a line.
    """
    text, _ = decode_text(data)
    rows = list[TableRow]()
    for number, line in enumerate(text.splitlines(), start=1):
        match = NAME_AND_LABEL.fullmatch(line.strip())
        if match:
            rows.append((number, [match[1], match[2]]))
        elif line.strip():
            return None
    if not rows or not text.endswith("\n"):
        return None
    return LabelTable(path, ("column 1", "column 2"), rows, ("an image and a label in each line",))


def _delimited(path: str, data: bytes) -> LabelTable:
    table = parse_table(data)
    return LabelTable(path, _distinct(table.header), table.rows, table.said, table.ended)


def _distinct(header: Iterable[str]) -> tuple[str, ...]:
    """Number the columns without a name, as `column 1`, and those with the name of another."""
    names = dict[str, None]()
    for number, name in enumerate(header, start=1):
        text = name or f"column {number}"
        while text in names:
            text += f" ({number})"
        names[text] = None
    return tuple(names)


def _json_lines(path: str, data: bytes) -> LabelTable:
    check_size(len(data), MAX_JSON)
    text, _ = decode_text(data)
    records = list[tuple[int, Record]]()
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                records.append((number, _record(parse_json(line))))
            except ValueError as error:
                raise InputError(f"line {number} must be a JSON object ({error})") from error
    return _from_records(path, records, "JSON lines")


def _json(path: str, data: bytes) -> LabelTable:
    check_size(len(data), MAX_JSON)
    text, _ = decode_text(data)
    content = parse_json(text)
    if isinstance(content, dict) and content.keys() >= COCO:
        return _from_records(path, _numbered(_coco(content)), "COCO")
    if isinstance(content, dict) and content and all(map(_is_scalar, content.values())):
        pairs = ({"image": name, "label": label} for name, label in content.items())
        return _from_records(path, _numbered(pairs), "JSON")
    if isinstance(content, list) and content and all(isinstance(task, dict) for task in content):
        if "data" in content[0]:
            return _from_records(path, _numbered(map(_label_studio, content)), "Label Studio")
        return _from_records(path, _numbered(content), "JSON")
    raise InputError(
        "not a table of labels; expected a list of objects, one for each image, or an export of "
        "COCO or Label Studio"
    )


def _coco(content: Record) -> Iterator[Record]:
    """Yield the images of a COCO file, each with the names of its categories."""
    categories = {
        _key(entry, "id"): entry.get("name", "") for entry in _records(content["categories"])
    }
    labels: dict[object, list[object]] = {}
    for annotation in _records(content["annotations"]):
        name = categories.get(_key(annotation, "category_id"))
        if name is None:
            what = f"annotation of image {str(annotation.get('image_id'))[:80]}"
            raise InputError(f"{what}: its category_id is not among the categories")
        labels.setdefault(_key(annotation, "image_id"), []).append(name)
    for image in _records(content["images"]):
        yield {**image, CATEGORY: labels.get(_key(image, "id"), [])}


def _label_studio(task: Record) -> Record:
    """Return the data of a task of Label Studio, and the choices of all who annotated it."""
    choices: dict[str, list[object]] = {}
    for annotation in _records(task.get("annotations", [])):
        if annotation.get("was_cancelled"):
            continue
        for result in _records(annotation.get("result", [])):
            chosen = _record(result.get("value", {})).get("choices", [])
            name = str(result.get("from_name", "choice"))
            choices.setdefault(name, []).extend(chosen if isinstance(chosen, list) else [])
    return {**_record(task.get("data")), **choices}


def _records(value: object) -> list[Record]:
    if not isinstance(value, list):
        raise InputError(f"expected a list, got {str(value)[:80]!r}")
    return [_record(entry) for entry in value]


def _record(value: object) -> Record:
    if not isinstance(value, dict):
        raise InputError(f"expected an object, got {str(value)[:80]!r}")
    return value


def _key(record: Record, name: str) -> object:
    """Return a value by which other records refer to this one: a number or a text."""
    value = record.get(name)
    if not _is_scalar(value):
        raise InputError(f"{name} must be a number or a text, got {str(value)[:80]}")
    return value


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float)


def _numbered(records: Iterable[Record]) -> list[tuple[int, Record]]:
    return list(enumerate(records, start=1))


def _from_records(path: str, records: Sequence[tuple[int, Record]], kind: str) -> LabelTable:
    """Return records as rows, with a column for each key that has a text or number anywhere."""
    texts = [(number, {key: _text(value) for key, value in r.items()}) for number, r in records]
    header = {key: None for _, row in texts for key, text in row.items() if text}
    rows = [(number, [row.get(key, "") for key in header]) for number, row in texts]
    return LabelTable(path, tuple(header), rows, (kind,))


def _text(value: object) -> str:
    """Return a value as text: "" for what is none, SEVERAL for a list of different ones."""
    if isinstance(value, dict) and value.keys() == {"choices"}:
        value = value["choices"]
    if isinstance(value, list):
        different = {str(entry).strip() for entry in value if _is_scalar(entry)}
        return SEVERAL if len(different) > 1 else "".join(different)
    text = str(value).strip() if _is_scalar(value) else ""
    if "\0" in text or not is_utf8(text):
        raise InputError(f"expected text that can be shown, got {text[:80]!r}")
    return text


READERS: dict[str, Callable[[str, bytes], LabelTable]] = {
    ".csv": _delimited,
    ".tsv": _delimited,
    ".txt": _delimited,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
}
