"""Files in which one bit is flipped, and files that a stranger changed on purpose."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.io import files


def flipped(data: bytes, count: int) -> Iterator[bytes]:
    """Yield `count` copies with one bit flipped: the first, the last, and others at random."""
    bits = np.random.default_rng(0).integers(0, 8 * len(data), count - 2).tolist()
    for bit in (0, 8 * len(data) - 1, *bits):
        copy = bytearray(data)
        copy[bit // 8] ^= 1 << bit % 8
        yield bytes(copy)


def forge(folder: Path, table: str | None = None, **fields: Any) -> None:
    """Change manifest.csv, or fields of manifest.json, as a stranger would who knows of hashes."""
    side = json.loads((folder / "manifest.json").read_text())
    del side["sha256"]
    if table is not None:
        (folder / "manifest.csv").write_text(table)
        side["tables"]["manifest.csv"] = files.sha256(folder / "manifest.csv")
    files.write_sealed(folder / "manifest.json", side | fields)
