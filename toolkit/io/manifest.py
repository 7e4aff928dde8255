"""Sample and Manifest: the table that every stage reads and writes."""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from toolkit.errors import InputError
from toolkit.io import files
from toolkit.io.csv import read_rows

SPLITS = ("train", "valid", "test")
COLUMNS = ("id", "path", "label", "split", "group", "parent", "transform", "params", "seed")
TABLE, SIDECAR = "manifest.csv", "manifest.json"


@dataclass(frozen=True)
class Sample:
    """One image. `path` is relative to the manifest's folder, with forward slashes.

    `id` is the sha256 of the file's bytes (see `unique_ids` for equal files), `split` one of
    SPLITS or "" where none was made yet. Samples of one `group` must share a split. A derived
    sample names its `parent`'s id, the `transform`, the numbers drawn and the seed they came from.
    """

    id: str
    path: str
    label: str
    split: str = ""
    group: str = ""
    parent: str = ""
    transform: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None

    @property
    def derived(self) -> bool:
        """Whether the image was made from another one."""
        return bool(self.parent)


@dataclass(frozen=True)
class Manifest:
    """Class names in alphabetical order, and the samples.

    Raises InputError for duplicate ids or paths, unknown labels or splits, a child outside its
    parent's split or class, and a child in valid or test: a leak cannot be written down.
    """

    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what the class promises."""
        if list(self.classes) != sorted(set(self.classes)):
            raise InputError(f"classes must be alphabetical and distinct, got {list(self.classes)}")
        for label in self.classes:
            if not is_file_name(label):
                message = "a class must have a name that a folder can have"
                raise InputError(f"{message}, without '/', got {label!r}")
        for name in ("id", "path"):
            repeated = [
                k for k, n in Counter(getattr(s, name) for s in self.samples).items() if n > 1
            ]
            if repeated:
                raise InputError(f"{name} {repeated[0]!r} stands more than once in the manifest")
        for sample in self.samples:
            problem = self._row_problem(sample) or (sample.derived and self._child_problem(sample))
            if problem:
                raise InputError(f"manifest row {sample.path!r}: {problem}")

    def _row_problem(self, sample: Sample) -> str | None:
        if sample.label not in self.classes:
            return f"label must be one of {list(self.classes)}, got {sample.label!r}"
        if sample.split not in ("", *SPLITS):
            return f"split must be one of {list(SPLITS)} or empty, got {sample.split!r}"
        if not sample.path or PurePosixPath(sample.path).is_absolute() or "\0" in sample.path:
            return "path must be relative to the manifest's folder"
        if not is_file_name(sample.id):
            return f"id must be a sha256, got {sample.id[:80]!r}"
        return None

    def _child_problem(self, sample: Sample) -> str | None:
        if sample.split not in ("", "train"):
            return f"a derived image must be in train, got split {sample.split!r}"
        parent = self.by_id.get(sample.parent)
        if parent is None:
            return f"its parent {sample.parent!r} is not in the manifest"
        if (parent.split, parent.label) != (sample.split, sample.label):
            place, own = f"{parent.split}/{parent.label}", f"{sample.split}/{sample.label}"
            return f"it must share split and label with its parent, got {own} and {place}"
        return None

    @cached_property
    def by_id(self) -> Mapping[str, Sample]:
        """Samples by id."""
        return {sample.id: sample for sample in self.samples}

    def counts(self, split: str | None = None) -> dict[str, int]:
        """Images of each class, zeros included; of one split, or of all."""
        found = Counter(s.label for s in self.samples if split is None or s.split == split)
        return {name: found[name] for name in self.classes}


def is_file_name(text: str) -> bool:
    """Whether a file can have this name, and no other folder is meant by it."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return False
    return 0 < size <= 255 and text not in (".", "..") and not {"/", "\0"} & set(text)


def unique_ids(hashes: Iterable[str]) -> list[str]:
    """Ids for files of these sha256 values: the hash, and for its n-th repetition `hash-n`."""
    seen: Counter[str] = Counter()
    ids = []
    for value in hashes:
        seen[value] += 1
        ids.append(content_id(value, seen[value]))
    return ids


def content_id(digest: str, copy: int) -> str:
    """The id of the `copy`-th file (from 1) of this sha256."""
    return digest if copy == 1 else f"{digest}-{copy}"


def content_hash(sample: Sample) -> str:
    """The sha256 that the sample's file must have."""
    return sample.id.split("-")[0]


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write manifest.csv, and manifest.json with the class list and notes, into `folder`."""
    write_sidecar(folder, manifest.classes, manifest.notes)
    with files.csv_table(folder / TABLE, COLUMNS) as add:
        for sample in manifest.samples:
            add(row_fields(sample))


def write_sidecar(folder: Path, classes: Sequence[str], notes: Mapping[str, Any]) -> None:
    """Write manifest.json alone."""
    files.write_json(folder / SIDECAR, {"classes": list(classes), "notes": dict(notes)})


def row_fields(s: Sample) -> tuple[str, ...]:
    """The sample as a row of manifest.csv."""
    params = canonical_json(s.params) if s.derived else ""
    seed = "" if s.seed is None else str(s.seed)
    return (s.id, s.path, s.label, s.split, s.group, s.parent, s.transform, params, seed)


_CANONICAL = json.JSONEncoder(sort_keys=True, allow_nan=False, ensure_ascii=False)


def canonical_json(params: Mapping[str, Any]) -> str:
    """Drawn numbers as JSON: keys sorted, floats that read back exactly, no NaN."""
    return _CANONICAL.encode(params)


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest in `folder`. Raises InputError that names the file and the line."""
    table, side = folder / TABLE, folder / SIDECAR
    for path in (table, side):
        if not path.is_file():
            raise InputError(f"{path}: no such file; run the stage that writes it (`dvc repro`)")
    try:
        classes, notes = _side(files.read_json(side))
        with table.open(encoding="utf-8", newline="") as stream:
            lines = list(read_rows(stream))
        header = lines[0] if lines else []
        if tuple(header) != COLUMNS:
            raise InputError(f"columns must be {','.join(COLUMNS)}, got {','.join(header[:12])}")
        samples = tuple(_sample(line, number) for number, line in enumerate(lines[1:], start=2))
        return Manifest(classes, samples, notes)
    except (ValueError, csv.Error) as error:
        raise InputError(f"{table}: {error}") from error


def _side(data: Any) -> tuple[tuple[str, ...], Mapping[str, Any]]:
    """Classes and notes of manifest.json, which a stranger may have written."""
    given = data if isinstance(data, dict) else {}
    classes, notes = given.get("classes"), given.get("notes", {})
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise InputError(f"{SIDECAR}: classes must be a list of names, got {str(classes)[:80]}")
    rejected = notes.get("rejected", []) if isinstance(notes, dict) else None
    if not isinstance(rejected, list) or not all(map(_is_rejected, rejected)):
        raise InputError(f"{SIDECAR}: notes.rejected must list a path and a reason for each file")
    return tuple(classes), notes


def _is_rejected(entry: Any) -> bool:
    wanted = ("path", "reason")
    return isinstance(entry, dict) and all(isinstance(entry.get(key), str) for key in wanted)


def _sample(row: list[str], line: int) -> Sample:
    if len(row) != len(COLUMNS):
        raise InputError(f"line {line} must have {len(COLUMNS)} fields, got {len(row)}")
    ident, path, label, split, group, parent, transform, params, seed = row
    drawn = files.parse_json(params) if params else {}
    if not isinstance(drawn, dict):
        raise InputError(f"line {line}: params must be a JSON object, got {params[:80]}")
    number = int(seed) if seed else None
    return Sample(ident, path, label, split, group, parent, transform, drawn, number)
