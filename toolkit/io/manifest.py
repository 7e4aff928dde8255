"""The manifest: the table of images that every stage reads and writes."""

import csv
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from toolkit.errors import InputError
from toolkit.io import files, inside
from toolkit.io.csv import read_rows
from toolkit.io.notebook import html_table

SPLITS = ("train", "valid", "test")
COLUMNS = ("id", "path", "label", "split", "group", "parent", "transform", "params", "seed")
WEIGHT, FOLD = "weight", "fold_"
"""Columns that come last: weight where some image does not count once in training, and fold_1,
fold_2, ... where images are divided into folds."""
TABLE, SIDECAR = "manifest.csv", "manifest.json"
KEYS = ("classes", "notes", "tables")  # of manifest.json
MAX_SIDECAR = 1_000_000_000  # bytes: it lists every file that was rejected
_CANONICAL = json.JSONEncoder(sort_keys=True, allow_nan=False, ensure_ascii=False)


@dataclass(frozen=True)
class Sample:
    """One image, with its label and its origin.

    `path` is relative to the manifest's folder, with forward slashes; that of an original may begin
    with ".." (see `inside`). `id` is the sha256 of the
    file (see `unique_ids` for equal files), `split` one of SPLITS, or "" before the data is split.
    Samples of one `group` must share a split. A derived sample has the id of its `parent`, the
    `transform`, the parameters sampled for it, and the seed that they were sampled from. `folds`
    has the fold, from 0, of each division for cross-fitting; none if the data are split otherwise.
    In training an image of `weight` 2 counts like two of weight 1.
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
    folds: tuple[int, ...] = ()
    weight: float = 1.0

    @property
    def derived(self) -> bool:
        """Whether the image was made from another."""
        return bool(self.parent)


@dataclass(frozen=True)
class Manifest:
    """The class names, in alphabetical order, and the samples.

    Raises InputError for duplicate ids or paths, unknown labels or splits, a weight that is no
    number above 0, a child that is not in its parent's split, class and folds, a child in valid or
    test, and a group in several folds of a division: no manifest can describe a leak.
    Paths must be in normal form; only originals' may lead to another folder, for reading.
    """

    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Validate classes and samples."""
        if list(self.classes) != sorted(set(self.classes)):
            raise InputError(f"classes must be alphabetical and distinct, got {list(self.classes)}")
        for label in self.classes:
            if not is_file_name(label):
                message = "the name of a class must be a valid folder name"
                raise InputError(f"{message}, without '/', got {label!r}")
        for name in ("id", "path"):
            counts = Counter(getattr(sample, name) for sample in self.samples)
            duplicate = next((value for value, count in counts.items() if count > 1), None)
            if duplicate is not None:
                raise InputError(f"{name} {duplicate!r} is more than once in the manifest")
        for sample in self.samples:
            problem = self._row_problem(sample) or (sample.derived and self._child_problem(sample))
            if problem:
                raise InputError(f"manifest row {sample.path!r}: {problem}")
        self._check_folds()

    def _check_folds(self) -> None:
        of_group: dict[str, tuple[int, ...]] = {}
        divided = [sample for sample in self.samples if sample.folds]
        divisions = self.divisions
        for sample in divided:
            folds, place = sample.folds, f"manifest row {sample.path!r}"
            if len(folds) != divisions or min(folds) < 0:
                message = f"must have {divisions} folds, numbered from 0, got {folds}"
                raise InputError(f"{place}: {message}")
            known = of_group.setdefault(sample.group or sample.id, folds)
            if known != folds:
                raise InputError(f"{place}: its group lies in the folds {known}, got {folds}")

    def _row_problem(self, sample: Sample) -> str | None:
        if sample.label not in self.classes:
            return f"label must be one of {list(self.classes)}, got {sample.label!r}"
        if sample.split not in ("", *SPLITS):
            return f"split must be one of {list(SPLITS)} or empty, got {sample.split!r}"
        if not (math.isfinite(sample.weight) and sample.weight > 0):
            return f"weight must be a number above 0, got {sample.weight}"
        return self._file_problem(sample)

    def _file_problem(self, sample: Sample) -> str | None:
        try:
            parts = inside.relative_parts(sample.path, leading=not sample.derived)
        except InputError as error:
            return str(error)
        if "/".join(parts) != sample.path or not parts:
            return f"the path must be in normal form and name a file, got {sample.path[:200]!r}"
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
            places = f"{sample.split}/{sample.label} and {parent.split}/{parent.label}"
            return f"it must share split and label with its parent, got {places}"
        if parent.folds != sample.folds:
            return f"it must share its parent's folds, {parent.folds}, got {sample.folds}"
        return None

    @property
    def divisions(self) -> int:
        """How many times the images are divided into folds."""
        return next((len(sample.folds) for sample in self.samples if sample.folds), 0)

    @cached_property
    def weighted(self) -> bool:
        """Whether some image does not count once in training."""
        return any(sample.weight != 1 for sample in self.samples)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of its manifest.csv."""
        return column_names(self.divisions, weighted=self.weighted)

    @cached_property
    def by_id(self) -> Mapping[str, Sample]:
        """The samples by id."""
        return {sample.id: sample for sample in self.samples}

    def __repr__(self) -> str:
        return f"Manifest({len(self.samples)} images: {self.counts()})"

    def _repr_html_(self) -> str:
        splits = sorted({sample.split for sample in self.samples})
        rows = [[split or "all", *self.counts(split).values()] for split in splits]
        return html_table([["split", *self.classes], *rows])

    def counts(self, split: str | None = None) -> dict[str, int]:
        """Count the images of each class, in one split or in all; classes may have 0."""
        counts = Counter(s.label for s in self.samples if split is None or s.split == split)
        return {name: counts[name] for name in self.classes}


def is_file_name(text: str) -> bool:
    """Return whether a file can have this name, which is no path to another folder."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return False
    return 0 < size <= 255 and text not in (".", "..") and not {"/", "\0"} & set(text)


def unique_ids(hashes: Iterable[str]) -> list[str]:
    """Return the ids of files with these sha256: the hash, and for its n-th file `hash-n`."""
    counts: Counter[str] = Counter()
    ids = []
    for digest in hashes:
        counts[digest] += 1
        ids.append(content_id(digest, counts[digest]))
    return ids


def content_id(digest: str, copy: int) -> str:
    """Return the id of the `copy`-th file, counted from 1, with this sha256."""
    return digest if copy == 1 else f"{digest}-{copy}"


def content_hash(sample: Sample) -> str:
    """Return the sha256 that the sample's file must have."""
    return sample.id.split("-")[0]


def prepared_stem(raw: Sample) -> str:
    """Return the name, without its ending, of the image that is prepared from a raw one."""
    digest, *copy = raw.id.split("-")
    return "-".join((digest[:16], *copy))


def write_manifest(folder: Path, manifest: Manifest, others: Sequence[str] = ()) -> None:
    """Write manifest.csv, and manifest.json with the classes and notes, into `folder`.

    `others`: tables there that manifest.json names the sha256 of as well.
    """
    folder.mkdir(parents=True, exist_ok=True)
    columns = manifest.columns
    with files.csv_table(folder / TABLE, columns) as add:
        for sample in manifest.samples:
            fields = row_fields(sample, weighted=manifest.weighted)
            add((*fields, *[""] * (len(columns) - len(fields))))
    write_sidecar(folder, manifest.classes, manifest.notes, (TABLE, *others))


def write_sidecar(
    folder: Path, classes: Sequence[str], notes: Mapping[str, Any], tables: Sequence[str] = (TABLE,)
) -> None:
    """Write manifest.json with the sha256 of the `tables` in the folder, and with its own."""
    hashes = {name: files.sha256(folder / name) for name in tables}
    fields = {"classes": list(classes), "notes": dict(notes), "tables": hashes}
    files.write_sealed(folder / SIDECAR, fields)


def check_table(folder: Path, name: str) -> None:
    """Raise InputError for a table that has another sha256 than manifest.json says, if it does."""
    if (folder / SIDECAR).is_file() and (folder / name).is_file():
        *_, tables = _read_sidecar(folder)
        _check_hash(folder / name, tables)


def column_names(divisions: int, *, weighted: bool) -> tuple[str, ...]:
    """Return the columns of a manifest.csv whose images are so many times divided into folds."""
    folds = (f"{FOLD}{number}" for number in range(1, divisions + 1))
    return (*COLUMNS, *[WEIGHT] * weighted, *folds)


def row_fields(s: Sample, *, weighted: bool) -> tuple[str, ...]:
    """Return the sample as a row of manifest.csv."""
    params = canonical_json(s.params) if s.derived else ""
    seed = "" if s.seed is None else str(s.seed)
    plain = (s.id, s.path, s.label, s.split, s.group, s.parent, s.transform, params, seed)
    return (*plain, *[repr(s.weight)] * weighted, *map(str, s.folds))


def canonical_json(params: Mapping[str, Any]) -> str:
    """Return parameters as JSON, with sorted keys and floats that read back exactly; no NaN."""
    return _CANONICAL.encode(params)


def read_manifest(folder: Path, *, inside_only: bool = False) -> Manifest:
    """Read the manifest in `folder`; with `inside_only` no path may lead to another folder.

    Raises InputError that names the file and the line.
    """
    table = folder / TABLE
    for path in (table, folder / SIDECAR):
        if not path.is_file():
            remedy = "name a folder that the toolkit wrote, or make it with `dvc repro`"
            raise InputError(f"{path}: no such file; {remedy}")
    classes, notes, tables = _read_sidecar(folder)
    _check_hash(table, tables)
    try:
        with table.open(encoding="utf-8", newline="") as stream:
            header, *rows = [*read_rows(stream)] or [[]]
        weighted = WEIGHT in header
        divisions = max(0, len(header) - len(COLUMNS) - weighted)
        if tuple(header) != column_names(divisions, weighted=weighted):
            raise InputError(f"columns must be {','.join(COLUMNS)}, got {','.join(header[:12])}")
        parse = partial(_parse_row, columns=len(header), weighted=weighted)
        samples = tuple(parse(row, line) for line, row in enumerate(rows, start=2))
        if inside_only:
            _check_inside(samples)
        return Manifest(classes, samples, notes)
    except (ValueError, csv.Error) as error:
        raise InputError(f"{table}: {error}") from error


def _check_inside(samples: Iterable[Sample]) -> None:
    for sample in samples:
        inside.relative_parts(sample.path, f"manifest row {sample.path[:200]!r}")


def _check_hash(table: Path, tables: Mapping[str, str]) -> None:
    if table.name in tables and files.sha256(table) != tables[table.name]:
        problem = f"changed since it was written (its sha256 is not the one in {SIDECAR})"
        remedy = f'if the change is yours, remove "tables" and "sha256" from {SIDECAR}'
        raise InputError(f"{table}: {problem}; write it anew or, {remedy}")


def _read_sidecar(folder: Path) -> tuple[tuple[str, ...], Mapping[str, Any], Mapping[str, str]]:
    """Return classes, notes and hashes of a manifest.json, which a stranger may have written."""
    path = folder / SIDECAR
    try:
        return _parse_sidecar(files.unseal(inside.read_file(path, MAX_SIDECAR)))
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


def _parse_sidecar(data: Any) -> tuple[tuple[str, ...], Mapping[str, Any], Mapping[str, str]]:
    fields = data if isinstance(data, dict) else {}
    if unknown := sorted(fields.keys() - set(KEYS)):
        raise InputError(f"the keys must be {', '.join(KEYS)}, got {unknown[0][:80]!r}")
    classes, notes, tables = (fields.get(key, {}) for key in KEYS)
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise InputError(f"classes must be a list of names, got {str(classes)[:80]}")
    for key in ("rejected", "left_out"):
        listed = notes.get(key, []) if isinstance(notes, dict) else None
        if not isinstance(listed, list) or not all(map(_is_rejected, listed)):
            raise InputError(f"notes.{key} must list a path and a reason for each file")
    if not isinstance(tables, dict):
        raise InputError(f"tables must be file names with their sha256, got {str(tables)[:80]}")
    return tuple(classes), notes, tables


def _is_rejected(entry: Any) -> bool:
    keys = ("path", "reason")
    return isinstance(entry, dict) and all(isinstance(entry.get(key), str) for key in keys)


def _parse_row(row: list[str], line: int, *, columns: int, weighted: bool) -> Sample:
    if len(row) != columns:
        raise InputError(f"line {line} must have {columns} fields, got {len(row)}")
    ident, path, label, split, group, parent, transform, params, seed, *others = row
    weights, folds = others[:weighted], others[weighted:]
    values = files.parse_json(params) if params else {}
    if not isinstance(values, dict):
        raise InputError(f"line {line}: params must be a JSON object, got {params[:80]}")
    number = int(seed) if seed else None
    # Images beside those of the folds, such as a test split of the source, have empty fields.
    divided = tuple(int(fold) for fold in folds) if any(folds) else ()
    weight = float(weights[0]) if weights else 1.0
    return Sample(
        ident, path, label, split, group, parent, transform, values, number, divided, weight
    )
