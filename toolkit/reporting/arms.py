"""Read what `augment` and `probe` report about the new images of each arm."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from toolkit.errors import InputError, explain_error
from toolkit.io import files

T = TypeVar("T")

AucInterval = tuple[float, float, float]
"""Area under the ROC curve of a probe, and the ends of its 95% interval."""
Probes = Mapping[str, Mapping[str, AucInterval]]
"""By arm, and by transform or "all": how well new images can be distinguished from originals."""


class TransformSummary(NamedTuple):
    """Counts of new images, of those identical to their original, and of near-duplicates.

    `change` is the mean absolute difference from the original, in gray levels.
    """

    new: int
    identical: int
    near_duplicates: int
    change: float


def find_sheets(folder: Path | None, arms: Iterable[str], suffix: str) -> dict[str, Path]:
    """Return the files <arm><suffix> that exist in a folder, by arm."""
    paths = {arm: folder / f"{arm}{suffix}" for arm in arms} if folder else {}
    return {arm: path for arm, path in paths.items() if path.is_file()}


def read_probes(folder: Path | None, arms: Iterable[str]) -> dict[str, dict[str, AucInterval]]:
    """Read the result of the probe of each arm, for all new images and by transform.

    Raises InputError for a file that `toolkit probe` did not write.
    """
    return _read_all(find_sheets(folder, arms, ".json"), _probe, "the result of a probe", "probe")


def read_summaries(
    folder: Path | None, arms: Iterable[str]
) -> dict[str, dict[str, TransformSummary]]:
    """Read the summary of the new images of each arm, of all of them first, then by transform.

    Raises InputError for a file that `toolkit augment` did not write.
    """
    paths = find_sheets(folder, arms, "-summary.json")
    return _read_all(paths, _summary, "a summary of new images", "augment")


def _read_all(
    paths: Mapping[str, Path], parse: Callable[[Any], dict[str, T]], what: str, command: str
) -> dict[str, dict[str, T]]:
    """Parse the files, and leave out those without results."""
    parsed = {}
    for arm, path in paths.items():
        try:
            parsed[arm] = parse(files.read_sealed(path))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            message = f"{path}: not {what} ({explain_error(error)}); run `toolkit {command}` again"
            raise InputError(message) from error
    return {arm: parts for arm, parts in parsed.items() if parts}


def _probe(data: Any) -> dict[str, AucInterval]:
    """Return the intervals of all new images and by transform; empty if there were none."""
    parts = {"all": data, **data.get("by_transform", {})} if data["auc"] is not None else {}
    return {
        name: (float(part["auc"]), float(part["low"]), float(part["high"]))
        for name, part in parts.items()
    }


def _summary(data: Any) -> dict[str, TransformSummary]:
    parts = {"all": data, **data["transforms"]} if data["new"] else {}
    return {name: _transform_summary(part) for name, part in parts.items()}


def _transform_summary(part: Any) -> TransformSummary:
    counts = [int(part[key]) for key in ("new", "identical", "near_duplicates")]
    if not (counts[0] > 0 and all(0 <= count <= counts[0] for count in counts)):
        raise ValueError(f"{counts[0]} new images cannot have {counts[1:]} duplicates")
    return TransformSummary(counts[0], counts[1], counts[2], float(part["change"]))
