"""Sample and Manifest: the table that every stage reads and writes."""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from toolkit import files
from toolkit.errors import InputError

SPLITS = ("train", "valid", "test")
COLUMNS = ("id", "path", "label", "split", "group", "parent", "transform", "params", "seed")
TABLE, SIDE = "manifest.csv", "manifest.json"


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
        if not sample.path or PurePosixPath(sample.path).is_absolute():
            return "path must be relative to the manifest's folder"
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


def unique_ids(hashes: Iterable[str]) -> list[str]:
    """Ids for files of these sha256 values: the hash, and for its n-th repetition `hash-n`."""
    seen: Counter[str] = Counter()
    ids = []
    for value in hashes:
        seen[value] += 1
        ids.append(ident(value, seen[value]))
    return ids


def ident(digest: str, copy: int) -> str:
    """The id of the `copy`-th file (from 1) of this sha256."""
    return digest if copy == 1 else f"{digest}-{copy}"


def content_hash(sample: Sample) -> str:
    """The sha256 that the sample's file must have."""
    return sample.id.split("-")[0]


def write(folder: Path, manifest: Manifest) -> None:
    """Write manifest.csv, and manifest.json with the class list and notes, into `folder`."""
    write_side(folder, manifest.classes, manifest.notes)
    with files.table(folder / TABLE, COLUMNS) as add:
        for sample in manifest.samples:
            add(fields(sample))


def write_side(folder: Path, classes: Sequence[str], notes: Mapping[str, Any]) -> None:
    """Write manifest.json alone."""
    side = {"classes": list(classes), "notes": dict(notes)}
    files.write(folder / SIDE, json.dumps(side, indent=2, ensure_ascii=False) + "\n")


def fields(s: Sample) -> tuple[str, ...]:
    """The sample as a row of manifest.csv."""
    params = canonical(s.params) if s.derived else ""
    seed = "" if s.seed is None else str(s.seed)
    return (s.id, s.path, s.label, s.split, s.group, s.parent, s.transform, params, seed)


_CANONICAL = json.JSONEncoder(sort_keys=True, allow_nan=False, ensure_ascii=False)


def canonical(params: Mapping[str, Any]) -> str:
    """Drawn numbers as JSON: keys sorted, floats that read back exactly, no NaN."""
    return _CANONICAL.encode(params)


def read(folder: Path) -> Manifest:
    """Read the manifest in `folder`. Raises InputError that names the file and the line."""
    table, side = folder / TABLE, folder / SIDE
    for path in (table, side):
        if not path.is_file():
            raise InputError(f"{path}: no such file; run the stage that writes it (`dvc repro`)")
    try:
        notes = json.loads(side.read_text(encoding="utf-8"))
        with table.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream))
        header = rows[0] if rows else []
        if tuple(header) != COLUMNS:
            raise InputError(f"columns must be {','.join(COLUMNS)}, got {','.join(header[:12])}")
        samples = tuple(_sample(row, line) for line, row in enumerate(rows[1:], start=2))
        return Manifest(tuple(notes["classes"]), samples, notes.get("notes", {}))
    except (ValueError, KeyError, IndexError, TypeError, csv.Error) as error:
        raise InputError(f"{table}: {error}") from error


def _sample(row: list[str], line: int) -> Sample:
    if len(row) != len(COLUMNS):
        raise InputError(f"line {line} must have {len(COLUMNS)} fields, got {len(row)}")
    ident, path, label, split, group, parent, transform, params, seed = row
    drawn = json.loads(params) if params else {}
    number = int(seed) if seed else None
    return Sample(ident, path, label, split, group, parent, transform, drawn, number)
