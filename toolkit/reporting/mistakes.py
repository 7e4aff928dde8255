"""Write the pictures of mistakes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from toolkit.evaluation.results import MISTAKES_COLUMNS
from toolkit.io import csv, files
from toolkit.io.images import Pixels, encode_jpeg, resize
from toolkit.metrics.mistakes import ExplainedExample

SIDE = 128
"""Height and width of a picture in pixels, at most: a page holds many of them."""


QUALITY = 85


# --- the files --------------------------------------------------------------------------------


def write_mistakes(folder: Path, explained: Sequence[ExplainedExample]) -> None:
    """Write mistakes.csv (results.MISTAKES_COLUMNS) and a JPEG for each of its rows: 00.jpg, ...

    A picture shows the photo, and at its right the same in grey under the heatmap.
    """
    lines = []
    for number, item in enumerate(explained):
        name, of = f"{number:02d}.jpg", item.example
        files.write_file(
            folder / name, encode_jpeg(overlay_picture(item.photo, item.heatmap), QUALITY)
        )
        score = repr(of.score)
        lines.append([name, of.id, item.path, of.actual, of.predicted, score, of.kind])
    files.write_file(folder / "mistakes.csv", csv.csv_text(MISTAKES_COLUMNS, lines))


def overlay_picture(photo: Pixels, heatmap: npt.NDArray[np.float32]) -> Pixels:
    """Photo and overlay side by side, each at most 128 px high and wide: uint8 [S, 2 S, 3].

    `photo` is uint8 [S, S, 3], `heatmap` [S, S]. The overlay is half grey photo, half viridis:
    its lightness grows with the heat, so it reads in print and without colour vision too.
    """
    from matplotlib import colormaps

    grey = photo.mean(axis=2, keepdims=True)
    colours = colormaps["viridis"](heatmap)[..., :3] * 255
    overlay = np.rint((grey + colours) / 2).astype(np.uint8)
    size = min(len(photo), SIDE)
    return np.hstack([resize(part, size) for part in (photo, overlay)])
