"""Checkpoints that nobody goes on with."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import InputError
from toolkit.io import files

OLD = 30
"""Days after which a training removes the checkpoints of others."""
DAY = 86_400  # seconds


@dataclass(frozen=True)
class SavedTraining:
    """A folder of a checkpoint, or of the note that a training was finished; `size` in bytes."""

    folder: Path
    size: int
    days: float


def find_saved(place: Path, days: float = 0) -> list[SavedTraining]:
    """Return what trainings saved in `place` and did not touch for `days`, the oldest first."""
    now, saved = time.time(), list[SavedTraining]()
    for folder in place.glob("[!.]*/"):
        try:
            statuses = [path.stat() for path in (folder, *folder.iterdir())]
        except FileNotFoundError:  # a training is replacing its checkpoint now
            continue
        age = (now - max(status.st_mtime for status in statuses)) / DAY
        if age >= days:
            size = sum(status.st_size for status in statuses[1:])
            saved.append(SavedTraining(folder, size, max(0.0, age)))
    return sorted(saved, key=lambda one: (-one.days, one.folder))


def remove_saved(saved: SavedTraining) -> bool:
    """Remove a folder; return False where a training is at work in it."""
    try:
        with files.exclusive(saved.folder):
            shutil.rmtree(saved.folder, ignore_errors=True)
    except InputError:
        return False
    return True
