"""Checkpoints that nobody goes on with, and archives that were unpacked."""

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
class SavedFolder:
    """A folder of a checkpoint, of a finished training's note, or unpacked; `size` in bytes."""

    folder: Path
    size: int
    days: float


def find_saved(place: Path, days: float = 0) -> list[SavedFolder]:
    """Return what was saved in `place` and not touched for `days`, the oldest first."""
    now, saved = time.time(), list[SavedFolder]()
    for folder in place.glob("[!.]*/"):
        try:
            statuses = [path.stat() for path in (folder, *folder.iterdir())]
            sizes = [path.lstat().st_size for path in folder.rglob("*") if path.is_file()]
        except FileNotFoundError:  # a training is replacing its checkpoint now
            continue
        age = (now - max(status.st_mtime for status in statuses)) / DAY
        if age >= days:
            saved.append(SavedFolder(folder, sum(sizes), max(0.0, age)))
    return sorted(saved, key=lambda one: (-one.days, one.folder))


def remove_saved(saved: SavedFolder) -> bool:
    """Remove a folder; return False where another process is at work in it."""
    try:
        with files.exclusive(saved.folder):
            shutil.rmtree(saved.folder, ignore_errors=True)
    except InputError:
        return False
    return True
