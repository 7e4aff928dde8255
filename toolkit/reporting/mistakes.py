"""Write the images of mistakes, each beside its explanation."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from toolkit.evaluation.results import MISTAKES_COLUMNS
from toolkit.io import csv, files
from toolkit.io.images import Pixels, encode_jpeg, resize
from toolkit.metrics.mistakes import ExplainedExample

SIDE, QUALITY = 128, 85
"""Height and width of each half in pixels, at most, and the JPEG quality."""


def write_mistakes(folder: Path, explained: Sequence[ExplainedExample]) -> None:
    """Write mistakes.csv with MISTAKES_COLUMNS, and a JPEG for each of its rows: 00.jpg, ...

    A JPEG shows the photo, and at its right the grayscale photo under the heatmap.
    """
    rows = []
    for number, item in enumerate(explained):
        name, example = f"{number:02d}.jpg", item.example
        pixels = overlay_picture(item.photo, item.heatmap)
        files.write_file(folder / name, encode_jpeg(pixels, QUALITY))
        labels = (example.actual, example.predicted, repr(example.score), example.kind)
        rows.append([name, example.id, item.path, *labels])
    files.write_file(folder / "mistakes.csv", csv.csv_text(MISTAKES_COLUMNS, rows))


def overlay_picture(photo: Pixels, heatmap: npt.NDArray[np.float32]) -> Pixels:
    """Return the photo and its overlay side by side, uint8 [S, 2 S, 3], S at most SIDE.

    `photo` is uint8 [S, S, 3], `heatmap` [S, S]. The overlay is half grayscale photo, half viridis:
    its lightness grows with the heat, so it can be read in print and without color vision.
    """
    from matplotlib import colormaps

    gray = photo.mean(axis=2, keepdims=True)
    colors = colormaps["viridis"](heatmap)[..., :3] * 255
    overlay = np.rint((gray + colors) / 2).astype(np.uint8)
    size = min(len(photo), SIDE)
    return np.hstack([resize(part, size) for part in (photo, overlay)])
