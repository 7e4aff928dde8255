"""Time to spend, and how long runs took, from the notes beside checkpoints: outputs hold no times.

A run that was interrupted, or made on another machine, has none. Torch is not needed.
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.errors import InputError
from toolkit.evaluation.results import RunKey
from toolkit.io import files
from toolkit.pipeline import paths
from toolkit.progress import ignore
from toolkit.training.params import FINISHED

SIDE = "run.json"
PLANNED = 0.8
"""Part of the time left that is planned with: times are estimates."""


@dataclass(frozen=True)
class TimeBudget:
    """Time to spend, in seconds by the clock from `started`, all of it or `until_sure`.

    `say` is told beforehand what it is spent on.
    """

    seconds: float = math.inf
    until_sure: bool = False
    say: Callable[[str], object] = ignore
    started: float = field(default_factory=time.monotonic)

    @property
    def limited(self) -> bool:
        """Whether there is a limit of time, and so time to spend."""
        return math.isfinite(self.seconds)

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.started + self.seconds - time.monotonic()

    def affords(self, seconds: float) -> bool:
        """Return whether there is time for what is expected to take so long."""
        return seconds <= PLANNED * self.left


class TimeUpError(Exception):
    """The time is up, in the middle of what was begun."""


def training_seconds(keys: Iterable[RunKey]) -> dict[RunKey, float]:
    """Return the seconds of each run of the working folder by the clock, where they are known."""
    noted = dict(map(_read_note, paths.CHECKPOINTS.glob(f"*/{FINISHED}")))
    sides = {key: paths.MODELS / key.place / SIDE for key in keys}
    hashes = {key: files.sha256(side) for key, side in sides.items() if side.is_file()}
    return {key: seconds for key, run in hashes.items() if (seconds := noted.get(run))}


def arm_seconds(keys: Iterable[RunKey]) -> dict[tuple[str, str], float]:
    """Return the mean seconds of a run of each recipe and arm, where one is known."""
    several: dict[tuple[str, str], list[float]] = {}
    for key, seconds in training_seconds(keys).items():
        several.setdefault((key.recipe, key.arm), []).append(seconds)
    return {of: sum(seconds) / len(seconds) for of, seconds in several.items()}


def _read_note(path: Path) -> tuple[str, float | None]:
    try:
        note = files.read_json(path)
        return str(note["run"]), float(note["seconds"])
    except (InputError, OSError, ValueError, KeyError, TypeError):
        return "", None
