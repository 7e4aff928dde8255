"""decisions.csv: what a person decided about single images, and the manifest that follows it."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from toolkit.datasets.split import group_samples
from toolkit.datasets.tables.parsing import MAX_TABLE, SEVERAL, LabelTable, parse_labels
from toolkit.errors import InputError
from toolkit.io import inside
from toolkit.io.csv import CUT, parse_table
from toolkit.io.manifest import Manifest, Sample, content_hash, prepared_stem

KEEP, DROP, RELABEL, SAME_GROUP = KINDS = ("keep", "drop", "relabel", "same group")
UNDECIDED = "undecided"
"""What a row without a decision is counted as."""
REVIEW_COLUMNS = ("path", "decision", "label", "group", "sha256", "note")
"""Columns of the table: `label` goes with relabel, `group` with same group, `note` with people."""
MOST_PROBLEMS = 5


@dataclass(frozen=True)
class ImageDecision:
    """A row: `kind` is one of KINDS, or "" for none yet; `sha256` may be ""."""

    line: int
    path: str
    kind: str
    label: str = ""
    group: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class DecisionTable:
    """The rows of a table of decisions, its path for messages, and the sha256 of the file."""

    path: Path
    rows: tuple[ImageDecision, ...] = field(repr=False)
    sha256: str


@dataclass(frozen=True)
class DecidedImages:
    """A manifest as it was decided, and what else follows.

    `settled` are ids of images that a person wants as they are now, whatever the audit flags;
    `left_out` has path and reason of each dropped one. `counts` has the images of each kind, and
    `sha256` that of the table; both are empty without a table.
    """

    manifest: Manifest
    settled: frozenset[str] = frozenset()
    left_out: tuple[Mapping[str, str], ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    sha256: str = ""


def follow_decisions(raw: Manifest, decisions: DecisionTable | None) -> DecidedImages:
    """Return images as a table of decisions wants them; as they are where there is none.

    What is dropped is gone, also from notes["rejected"]; what is relabeled has its new label; the
    groups of images of one group are one. notes["read"] says how many. Raises InputError for rows
    that do nothing: an image that is not there or has changed, a class that is none.
    A path of a prepared image, as tables of mistakes have it, names the raw one.
    """
    if decisions is None:
        return DecidedImages(raw)
    decisions = _name_raw_images(raw, decisions)
    _check_rows(raw, decisions)
    by_path = {sample.path: sample for sample in raw.samples}
    of_kind = {kind: [row for row in decisions.rows if row.kind == kind] for kind in ("", *KINDS)}
    dropped = {row.path for row in of_kind[DROP]}
    labels = {row.path: row.label for row in of_kind[RELABEL]}
    kept = [
        replace(sample, label=labels.get(sample.path, sample.label))
        for sample in raw.samples
        if sample.path not in dropped
    ]
    groups = defaultdict[str, list[str]](list)
    for row in of_kind[SAME_GROUP]:
        groups[row.group].append(by_path[row.path].id)
    counts = {kind or UNDECIDED: len({row.path for row in rows}) for kind, rows in of_kind.items()}
    counts = {kind: counts[kind] for kind in (*KINDS, UNDECIDED) if counts[kind]}
    reason = f"dropped by {decisions.path.name}"
    rejected = [file for file in raw.notes.get("rejected", ()) if file["path"] not in dropped]
    changes = Counter(f"{by_path[path].label} -> {label}" for path, label in labels.items())
    read = [raw.notes["read"]] if raw.notes.get("read") else []
    said = "; ".join([*read, _describe(decisions.path, counts, changes)])
    return DecidedImages(
        Manifest(
            raw.classes,
            tuple(_join_groups(kept, groups)),
            {**raw.notes, "rejected": rejected, "read": said},
        ),
        frozenset(by_path[row.path].id for kind in (KEEP, RELABEL) for row in of_kind[kind]),
        tuple({"path": path, "reason": reason} for path in sorted(dropped)),
        counts,
        decisions.sha256,
    )


def _name_raw_images(raw: Manifest, decisions: DecisionTable) -> DecisionTable:
    """Return rows that name a prepared image with the path of the raw one that it was made of.

    Its name says which: the beginning of the sha256. Raises InputError where that makes two
    decisions about one image.
    """
    there = {sample.path for sample in raw.samples}
    stems = {prepared_stem(sample): sample.path for sample in raw.samples}
    rows = tuple(
        replace(row, path=stems[stem], sha256="")
        if row.path not in there and (stem := PurePosixPath(row.path).stem) in stems
        else row
        for row in decisions.rows
    )
    try:
        _check_contradictions(rows)
    except InputError as error:
        raise InputError(f"{decisions.path}: {error}") from error
    return replace(decisions, rows=rows)


def _describe(path: Path, counts: Mapping[str, int], changes: Mapping[str, int]) -> str:
    """Say how many images were decided in which way, and from which class to which."""
    listed = ", ".join(f"{change} ({n})" for change, n in sorted(changes.items()))
    words = [
        f"{n} {kind}" + (f": {listed}" if kind == RELABEL else "") for kind, n in counts.items()
    ]
    return f"{path.name}: {', '.join(words) or 'no decision'}"


def _join_groups(samples: Sequence[Sample], groups: Mapping[str, Sequence[str]]) -> list[Sample]:
    """Return samples of which those with ids of one of the `groups` share one, all of theirs."""
    if not groups:
        return [*samples]
    name_of = {ident: name for name, idents in groups.items() for ident in idents}
    joined = dict[str, str]()
    for members in group_samples(samples, groups.values()):
        names = sorted({name_of[sample.id] for sample in members if sample.id in name_of})
        if names:  # no group of the source is called that
            joined |= {sample.id: f"{SAME_GROUP} {names[0]}" for sample in members}
    return [replace(sample, group=joined.get(sample.id, sample.group)) for sample in samples]


# --- rows and images --------------------------------------------------------------------------


def _check_rows(raw: Manifest, decisions: DecisionTable) -> None:
    """Raise InputError, which names the first rows, for those that do nothing to these images."""
    samples = {sample.path: sample for sample in raw.samples}
    reasons = {file["path"]: file["reason"] for file in raw.notes.get("rejected", ())}
    problems = dict[ImageDecision, str]()
    for row in decisions.rows:
        if row.kind and (problem := _row_problem(row, samples.get(row.path), reasons, raw.classes)):
            problems[row] = problem
    if problems:
        raise InputError(f"{decisions.path}: {_list_problems(problems, samples)}; {REMEDY}")


NO_SUCH_IMAGE = "no such image in the folder"
REMEDY = "mend or remove such rows; if the table is of another folder, leave it out"


def _row_problem(
    row: ImageDecision,
    sample: Sample | None,
    rejected: Mapping[str, str],
    classes: Sequence[str],
) -> str:
    """Say why a row does nothing, "" if it does something."""
    if sample is None and row.path in rejected:
        unread = f"it is not used ({rejected[row.path]}), and can only be dropped"
        return "" if row.kind == DROP else unread
    if sample is None:
        return NO_SUCH_IMAGE
    digest = content_hash(sample)
    if row.sha256 and row.sha256 != digest:
        return f"changed since it was decided: its sha256 is {digest[:12]}..., not {row.sha256!r}"
    if row.kind == RELABEL and row.label == sample.label:
        return f"its class is {row.label!r} already; write {KEEP} to confirm it"
    if row.kind == RELABEL and row.label not in classes:
        return f"label must be one of {', '.join(classes)}, got {row.label!r}"
    return ""


def _list_problems(problems: Mapping[ImageDecision, str], paths: Iterable[str]) -> str:
    listed = [
        f"line {row.line} ({row.path[:200]!r}): {problem}"
        + (_suggest(row.path, paths) if problem == NO_SUCH_IMAGE else "")
        for row, problem in list(problems.items())[:MOST_PROBLEMS]
    ]
    more = len(problems) - MOST_PROBLEMS
    return "; ".join([*listed, *([f"and {more} more such rows"] if more > 0 else [])])


def _suggest(path: str, paths: Iterable[str]) -> str:
    """Name an image that has the same name in another folder, if there is one."""
    name = PurePosixPath(path).name
    same = next((other for other in paths if PurePosixPath(other).name == name), "")
    return f" (did you mean {same!r}?)" if same else ""


# --- the table --------------------------------------------------------------------------------


def read_decision_table(table: Path | str | None) -> DecisionTable | None:
    """Read a table with the columns `path` and `decision`, or an export of Label Studio (JSON).

    There is none where `table` is None or "".

    The other REVIEW_COLUMNS may be missing, and stand in any order. Raises InputError that names
    the file and the line, for a table that is cut off, other columns or decisions, and rows that
    contradict one another, as do groups of one image.
    """
    if not table:
        return None
    path = Path(table)
    try:
        data = inside.read_file(path, MAX_TABLE)
        if path.suffix.lower() == ".json":
            rows = _from_label_studio(parse_labels(path.name, data))
        else:
            rows = _from_table(data)
        _check_contradictions(rows)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return DecisionTable(path, tuple(rows), hashlib.sha256(data).hexdigest())


def _from_table(data: bytes) -> list[ImageDecision]:
    table = parse_table(data)
    if not table.ended:
        raise InputError(CUT)
    if {"path", "decision"} - {*table.header} or {*table.header} - {*REVIEW_COLUMNS}:
        raise InputError(
            f"must have the columns path and decision, and may have "
            f"{', '.join(REVIEW_COLUMNS[2:])}, got {', '.join(table.header)[:200]}"
        )
    rows = (dict(zip(table.header, fields, strict=True)) for _, fields in table.rows)
    return [_row(line, row) for (line, _), row in zip(table.rows, rows, strict=True)]


def _row(line: int, fields: Mapping[str, str]) -> ImageDecision:
    """Return a row. Raises InputError for another decision, and for a field that it lacks."""
    kind, label, group = (fields.get(name, "") for name in ("decision", "label", "group"))
    kind = kind.casefold().replace("_", " ")
    where = f"line {line} ({fields['path'][:200]!r})"
    if kind not in ("", *KINDS):
        raise InputError(
            f"{where}: decision must be {', '.join(KINDS)} or empty, got {fields['decision']!r}"
        )
    for name, value, goes_with in (("label", label, RELABEL), ("group", group, SAME_GROUP)):
        if bool(value) != (kind == goes_with):
            got = f"{name} {value!r} with decision {kind!r}" if value else f"{kind} without {name}"
            raise InputError(f"{where}: {name} goes with decision {goes_with!r}, got {got}")
    path = "/".join(inside.relative_parts(fields["path"], where))
    return ImageDecision(line, path, kind, label, group, fields.get("sha256", "").lower())


def _from_label_studio(table: LabelTable) -> list[ImageDecision]:
    """Return the rows of tasks that `audit --export label-studio` wrote and people annotated.

    A task says keep or drop, or the class that the image has; annotations that differ are refused.
    """
    if {"path", "given"} - {*table.header}:
        raise InputError(
            "must be an export of tasks that `toolkit audit --export label-studio` wrote, with "
            f"path and given in their data, got {', '.join(table.header)[:200]}"
        )
    return [_of_task(line, dict(zip(table.header, row, strict=True))) for line, row in table.rows]


def _of_task(number: int, task: Mapping[str, str]) -> ImageDecision:
    label, kind = task.get("label", ""), task.get("decision", "")
    if SEVERAL in (label, kind):
        raise InputError(f"task {number} ({task['path'][:200]!r}): its annotations differ")
    if label and not kind:
        kind = KEEP if label == task["given"] else RELABEL
    fields = {"path": task["path"], "decision": kind, "sha256": task.get("sha256", "")}
    return _row(number, fields | ({"label": label} if kind == RELABEL else {}))


def _check_contradictions(rows: Iterable[ImageDecision]) -> None:
    """Raise InputError for two decisions about one image, and for groups of one image."""
    first, groups = dict[str, ImageDecision](), defaultdict[str, dict[str, ImageDecision]](dict)
    for row in rows:
        if row.kind == SAME_GROUP:
            groups[row.group][row.path] = row
        elif row.kind and _contradicts(first.setdefault(row.path, row), row):
            raise _two_decisions(first[row.path], row)
    for name, members in groups.items():
        for row in members.values():
            if row.path in first and first[row.path].kind == DROP:
                raise _two_decisions(first[row.path], row)
        if len(members) == 1:
            (row,) = members.values()
            raise InputError(
                f"line {row.line} ({row.path[:200]!r}): no other image has the group {name!r}; "
                f"give a second one the same, or remove the row"
            )


def _contradicts(one: ImageDecision, other: ImageDecision) -> bool:
    return (one.kind, one.label) != (other.kind, other.label)


def _two_decisions(one: ImageDecision, other: ImageDecision) -> InputError:
    words = [f"{row.kind} {row.label or row.group}".strip() for row in (one, other)]
    both = f"{words[0]!r} in line {one.line} and {words[1]!r} in line {other.line}"
    return InputError(f"{one.path[:200]!r} has two decisions, {both}; leave one of them")
