"""What the columns of another tool's table mean: by their usual names, or as a person says.

Nothing here is a guess in silence: what was understood is said, and where two readings fit, the
table is refused with the option that decides.
"""

import csv
import io
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from toolkit.errors import InputError
from toolkit.io.csv import CUT, parse_table, unescape_formula, whole_lines

SCORE = "score_"
"""How the columns with scores begin; the class follows."""
ERROR = "error"
"""The column of `toolkit predict` that says why a file could not be read."""
SHOWN = 12  # columns or labels that a message lists

SUFFIXES = ("", "_label", "_labels", "_class", "_classes", "_name", "_category", "_index", "_idx")
ACTUAL = {
    name + suffix
    for name in (
        "actual", "true", "truth", "ground_truth", "groundtruth", "gt", "target", "targets", "obs",
        "observed", "expected", "reference", "references", "y_true", "ytrue", "y_test", "y",
        "label", "labels", "real",
    )
    for suffix in SUFFIXES
}  # fmt: skip
PREDICTED = {
    name + suffix
    for name in (
        "predicted", "pred", "preds", "prediction", "predictions", "y_pred", "ypred", "y_hat",
        "yhat", "y_predicted", "response", "top1", "top_1", "scored", "output",
        "estimate", "guess",
    )
    for suffix in SUFFIXES
}  # fmt: skip
ROLES = {"actual": (ACTUAL, {"class", "category"}), "predicted": (PREDICTED, set[str]())}
"""The usual names of both columns, and names that count where there is none of these."""
EITHER = {"label", "labels", "label_name", "class", "category"}
"""Names of the actual classes that some tools give to the predicted ones."""
IDS = (
    "id", "image_id", "img_id", "sample_id", "filepath", "file_path", "path", "image_path",
    "img_path", "filename", "file_name", "file", "image_name", "img_name", "image_file", "fname",
)  # fmt: skip
WEAK_IDS = ("image", "img", "name", "key", "index", "idx", "row_index")
"""Names of ids that may be something else: they count where no value occurs twice."""


@dataclass(frozen=True)
class ToldColumns:
    """What a person says of a table: names of columns, the first that there is; none: usual names.

    `logits` says that scores which are no probabilities are logits. `positive` is the class that a
    lone probability belongs to.
    """

    actual: tuple[str, ...] = ()
    predicted: tuple[str, ...] = ()
    id: tuple[str, ...] = ()
    logits: bool = False
    positive: str | None = None


Names: TypeAlias = "str | Sequence[str] | None"
USUAL = ToldColumns()
"""Nothing is said: columns are found by their usual names."""


def as_names(names: Names) -> tuple[str, ...]:
    """Return one name, several or none as a tuple."""
    return (names,) if isinstance(names, str) else tuple(names or ())


@dataclass(frozen=True)
class PredictionTable:
    """Rows of texts, each as long as the header, with the numbers of their lines.

    `said` tells what is not as usual, a phrase each: the separator, the encoding.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]
    said: tuple[str, ...] = ()

    def __getitem__(self, column: int) -> tuple[str, ...]:
        return tuple(row[column] for row in self.rows)

    def named(self, name: str) -> int:
        """Return the position of a column. Raises InputError if there are two of this name."""
        if self.header.count(name) > 1:
            raise InputError(f"column {name!r} occurs more than once; {self.listed}")
        return self.header.index(name)

    @cached_property
    def plain(self) -> tuple[str, ...]:
        """The names of the columns in one spelling: "Ground Truth" is "ground_truth"."""
        return tuple(map(plain_name, self.header))

    @property
    def listed(self) -> str:
        """The columns, for a message."""
        more = ", ..." if len(self.header) > SHOWN else ""
        return f"the columns are: {', '.join(self.header[:SHOWN])}{more}"


def read_table(data: bytes) -> PredictionTable:
    """Read a table: ours exactly, another as it is written (see `io.csv.parse_table`).

    Raises InputError for a table that is damaged or cut off.
    """
    text = data.decode("utf-8-sig", errors="replace")
    if set(ROLES) <= {*_first_row(text)}:
        return _our_table(data.decode("utf-8-sig"))
    table = parse_table(data)
    if not table.ended:
        raise InputError(CUT)
    rows, lines = (tuple(tuple(row) for _, row in table.rows), tuple(n for n, _ in table.rows))
    return PredictionTable(table.header, rows, lines, table.said)


def _first_row(text: str) -> list[str]:
    try:
        return next(filter(None, csv.reader(io.StringIO(text, newline=""), strict=True)), [])
    except csv.Error:
        return []


def _our_table(text: str) -> PredictionTable:
    reader = csv.reader(whole_lines(io.StringIO(text, newline="")), strict=True)
    rows = [(reader.line_num, tuple(map(unescape_formula, row))) for row in reader if row]
    (_, header), body = rows[0], rows[1:]
    for line, row in body:
        if len(row) != len(header):
            raise InputError(f"line {line} must have {len(header)} fields, got {len(row)}")
    kept, said = _without_errors(header, body)
    return PredictionTable(header, tuple(r for _, r in kept), tuple(n for n, _ in kept), said)


def _without_errors(
    header: Sequence[str], body: Sequence[tuple[int, tuple[str, ...]]]
) -> tuple[Sequence[tuple[int, tuple[str, ...]]], tuple[str, ...]]:
    """Leave out the rows of files that could not be read, which have an error and no prediction."""
    if ERROR not in header:
        return body, ()
    error, predicted = header.index(ERROR), header.index("predicted")
    kept = [(line, row) for line, row in body if row[predicted] or not row[error]]
    failed = len(body) - len(kept)
    return kept, (f"{failed} rows with an error are left out",) if failed else ()


# --- which column is what ---------------------------------------------------------------------


def plain_name(name: str) -> str:
    """Return the name of a column in lower case with an underscore between words."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", unicodedata.normalize("NFC", name))
    return re.sub(r"[\W_]+", "_", spaced).strip("_").casefold()


def _told(table: PredictionTable, names: Iterable[str]) -> list[int]:
    """Return the first of the columns that a person names; none if there is none of them."""
    return [table.named(name) for name in names if name in table.header][:1]


def _candidates(table: PredictionTable, role: str, columns: ToldColumns) -> list[int]:
    """Return the columns that may hold the actual or the predicted classes."""
    told: tuple[str, ...] = getattr(columns, role)
    if told or role in table.header:
        return _told(table, told or [role])
    usual, fallback = ROLES[role]
    found = [column for column, name in enumerate(table.plain) if name in usual]
    return found or [column for column, name in enumerate(table.plain) if name in fallback]


def find_label_columns(table: PredictionTable, columns: ToldColumns) -> tuple[int, int | None]:
    """Return the columns of the actual and of the predicted classes, None if there is none.

    Raises InputError where no column, or more than one, may hold the actual classes, and where
    more than one may hold the predicted ones.
    """
    actual, predicted = (_candidates(table, role, columns) for role in ROLES)
    if columns.predicted:
        actual = [column for column in actual if column not in predicted]
    predicted = [column for column in predicted if column not in actual]
    if not actual or (columns.predicted and not predicted):
        raise InputError(missing_column(table, "predicted" if actual else "actual", columns))
    if not predicted:
        return _only(table, "actual", actual), None
    keys = {column: {*map(label_key, {*table[column]})} for column in (*actual, *predicted)}
    pairs = [(a, p) for a in actual for p in predicted if keys[a] & keys[p]]
    if len(pairs) == 1:
        return pairs[0]
    return _only(table, "actual", actual), _only(table, "predicted", predicted)


def _only(table: PredictionTable, role: str, found: Sequence[int]) -> int:
    if len({table[column] for column in found}) > 1:
        names = ", ".join(repr(table.header[column]) for column in found)
        raise InputError(f"{names} may all be the {role} class; say which is with --{role}")
    return table.named(table.header[found[0]])


def missing_column(table: PredictionTable, role: str, columns: ToldColumns) -> str:
    """Return the message that no column holds the classes of this role."""
    told: tuple[str, ...] = getattr(columns, role)
    if told:
        return f"column {' or '.join(map(repr, told))} of --{role} is missing; {table.listed}"
    taken = [table.header[c] for c in _candidates(table, "actual", columns)]
    known = "" if role == "actual" else f" ({taken[0]!r} is taken for the actual class)"
    options = f"--{role}" if role == "actual" or taken == ["actual"] else "--actual and --predicted"
    return f"column {role!r} is missing{known}; {table.listed}; add it, or name it with {options}"


def find_id(
    table: PredictionTable, columns: ToldColumns, used: Sequence[int | None], said: list[str]
) -> int | None:
    """Return the column that tells the images apart, None if there is none.

    Raises InputError where a person names a column that is not there.
    """
    told = _told(table, columns.id or ["id"])
    if told:
        return told[0]
    if columns.id:
        names = " or ".join(map(repr, columns.id))
        raise InputError(f"column {names} of --id is missing; {table.listed}")
    usual = [table.plain.index(name) for name in (*IDS, *WEAK_IDS) if name in table.plain]
    free = [column for column in usual if column not in used]
    for column in free:
        if len({*table[column]}) == len(table.rows):
            return column
    if free and table.plain[free[0]] in IDS:
        said.append(f"{table.header[free[0]]!r} is no id, for some value occurs twice: rows count")
    return None


def read_classes(table: PredictionTable, column: int) -> tuple[str, ...]:
    """Return the labels [N] of a column. Raises InputError for one that is empty."""
    for line, label in zip(table.lines, table[column], strict=True):
        if not label:
            name = table.header[column]
            raise InputError(f"line {line}: {name} must be the name of a class, got nothing")
    return table[column]


def are_probabilities(truth: Iterable[str], guess: Iterable[str]) -> bool:
    """Return whether what is called the predicted class is a probability, as some write it."""
    values = [to_float(text) for text in guess]
    inside = all(0 <= value <= 1 for value in values)
    return len({*truth}) == 2 and inside and any(value not in (0, 1) for value in values)


def to_float(text: str) -> float:
    """Return the number that a text is, NaN for other texts."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def label_key(label: str) -> str:
    """Return what labels that are one class share: `1`, `1.0` and "LABEL_1", "Cat" and "cat "."""
    text = unicodedata.normalize("NFC", label).strip().casefold()
    text = {"true": "1", "false": "0"}.get(text, text)
    return re.sub(r"^(?:label_)?([+-]?\d+)(?:\.0*)?$", r"\1", text)


def same_spelling(
    table: PredictionTable, truth: tuple[str, ...], guess: tuple[str, ...] | None, said: list[str]
) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """Spell the labels of both columns alike, unless one column itself tells them apart."""
    declared = {name.removeprefix(SCORE) for name in table.header if name.startswith(SCORE)}
    if guess is None or {*truth, *guess} <= declared:
        return truth, guess
    spellings = defaultdict[str, list[str]](list)
    for label in dict.fromkeys((*truth, *guess)):
        spellings[label_key(label)].append(label)
    several = [of for of in spellings.values() if len(of) > 1]
    if not several or any(len({*of} & {*side}) > 1 for of in several for side in (truth, guess)):
        return truth, guess
    said.append(f"labels differ in spelling only, such as {several[0][0]!r} and {several[0][1]!r}")
    chosen = {label: min(of, key=len) for of in spellings.values() for label in of}
    return tuple(chosen[label] for label in truth), tuple(chosen[label] for label in guess)


def nothing_shared(
    table: PredictionTable, used: Mapping[str, int], truth: Iterable[str], guess: Iterable[str]
) -> str:
    """Return the message that actual and predicted classes are different things."""
    names = [table.header[used[role]] for role in ROLES]
    shown = [", ".join(map(repr, sorted({*labels})[:SHOWN])) for labels in (truth, guess)]
    return (
        f"the columns {names[0]!r} and {names[1]!r} share no label ({shown[0]}; {shown[1]}); "
        "name the right ones with --actual and --predicted, or write the same labels in both"
    )
