"""What `augment` and `probe` say of each arm's new images, as the page reads it."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from toolkit.errors import InputError
from toolkit.io import files

T = TypeVar("T")

Separation = tuple[float, float, float]
"""Area under the ROC curve of a probe, and the ends of its 95 % interval."""
Probes = Mapping[str, Mapping[str, Separation]]
"""Arm -> transform, or "all" -> how well its new images can be told from originals."""


class TransformSummary(NamedTuple):
    """New images; of these, equal to their original and near-copies; mean change, grey levels."""

    new: int
    identical: int
    near_copies: int
    change: float


def read_sheets(folder: Path | None, arms: Iterable[str], ending: str) -> dict[str, Path]:
    """The pictures <arm><ending> beside the arms' folders, where there are any."""
    paths = {arm: folder / f"{arm}{ending}" for arm in arms} if folder else {}
    return {arm: path for arm, path in paths.items() if path.is_file()}


def read_probes(folder: Path | None, arms: Iterable[str]) -> dict[str, dict[str, Separation]]:
    """What the probe of each arm says of all new images, and by transform.

    Raises InputError for a file that is not what `probe` writes.
    """
    return _all(read_sheets(folder, arms, ".json"), _probe, "the answer of a probe", "probe")


def read_summaries(
    folder: Path | None, arms: Iterable[str]
) -> dict[str, dict[str, TransformSummary]]:
    """What was made in each arm, all of it first, then by transform.

    Raises InputError for a file that is not what `augment` writes.
    """
    paths = read_sheets(folder, arms, "-summary.json")
    return _all(paths, _summary, "a summary of new images", "augment")


def _all(
    paths: Mapping[str, Path], parse: Callable[[Any], dict[str, T]], what: str, command: str
) -> dict[str, dict[str, T]]:
    """What is in the files, less those that say nothing."""
    found = {}
    for arm, path in paths.items():
        try:
            found[arm] = parse(files.read_json(path))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            message = f"{path}: not {what} ({error}); run `toolkit {command}` again"
            raise InputError(message) from error
    return {arm: parts for arm, parts in found.items() if parts}


def _probe(found: Any) -> dict[str, Separation]:
    """By transform, and of all new images first; empty where there was nothing to tell apart."""
    parts = {"all": found, **found.get("by_transform", {})} if found["auc"] is not None else {}
    return {
        name: (float(part["auc"]), float(part["low"]), float(part["high"]))
        for name, part in parts.items()
    }


def _summary(found: Any) -> dict[str, TransformSummary]:
    parts = {"all": found, **found["transforms"]} if found["new"] else {}
    return {name: _made(part) for name, part in parts.items()}


def _made(part: Any) -> TransformSummary:
    counts = [int(part[key]) for key in ("new", "identical", "near_copies")]
    if not (counts[0] > 0 and all(0 <= count <= counts[0] for count in counts)):
        raise ValueError(f"{counts[0]} new images cannot have {counts[1:]} copies")
    return TransformSummary(counts[0], counts[1], counts[2], float(part["change"]))
