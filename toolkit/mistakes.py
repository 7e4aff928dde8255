"""The images worth a look: which they are, and the pictures of them that evaluation keeps."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from toolkit import codec, csv_files, files
from toolkit.codec import Pixels
from toolkit.predictions import Predictions
from toolkit.results import MISTAKES_COLUMNS

MOST = 8
"""Images of each kind."""
SIDE = 128
"""Height and width of a picture in pixels, at most: a page holds many of them."""
QUALITY = 85


@dataclass(frozen=True)
class Choice:
    """An image to look at: a "mistake" or one of the "hardest", and the `score` of `label`.

    `label` is the predicted class of a mistake, the actual one of a hard image.
    """

    kind: str
    id: str
    actual: str
    predicted: str
    label: str
    score: float


@dataclass(frozen=True, eq=False)
class Explained:
    """A chosen image: its path in the manifest, the photo, and what spoke for the choice's label.

    photo: uint8 [H, W, 3]; heatmap: float32 [H, W], 0 to 1.
    """

    choice: Choice
    path: str
    photo: Pixels
    heatmap: npt.NDArray[np.float32]


def choose(predictions: Predictions, positive: str | None = None) -> tuple[Choice, ...]:
    """The 8 mistakes with the highest scores, then the 8 hardest images of the rare class.

    The hardest are those with the lowest score of their actual class, found or not. The rare class
    is `positive`, or else the one with the fewest images (of equals the one found least often).
    Equal scores keep the order of the predictions. None without scores.
    """
    if predictions.scores is None:
        return ()
    actual, predicted = predictions.actual_index, predictions.predicted_index
    rows = np.arange(len(actual))
    rare = predictions.classes.index(positive or _rarest(predictions))
    shown = {
        "mistake": (actual != predicted, predicted, -predictions.scores[rows, predicted]),
        "hardest": (actual == rare, actual, predictions.scores[rows, actual]),
    }
    return tuple(
        _choice(predictions, kind, row, label[row])
        for kind, (among, label, order) in shown.items()
        for row in rows[among][np.argsort(order[among], kind="stable")][:MOST]
    )


def _rarest(predictions: Predictions) -> str:
    images = Counter(predictions.actual)
    pairs = zip(predictions.actual, predictions.predicted, strict=True)
    found = Counter(actual for actual, predicted in pairs if actual == predicted)
    return min(images, key=lambda name: (images[name], found[name], name))


def _choice(predictions: Predictions, kind: str, row: int, label: int) -> Choice:
    scores = np.asarray(predictions.scores)
    names = (predictions.actual[row], predictions.predicted[row], predictions.classes[label])
    return Choice(kind, predictions.ids[row], *names, float(scores[row, label]))


# --- the files --------------------------------------------------------------------------------


def write(folder: Path, explained: Sequence[Explained]) -> None:
    """Write mistakes.csv (results.MISTAKES_COLUMNS) and a JPEG for each of its rows: 00.jpg, ...

    A picture shows the photo, and at its right the same in grey under the heatmap.
    """
    lines = []
    for number, item in enumerate(explained):
        name, of = f"{number:02d}.jpg", item.choice
        files.write(folder / name, codec.encode_jpeg(picture(item.photo, item.heatmap), QUALITY))
        score = repr(of.score)
        lines.append([name, of.id, item.path, of.actual, of.predicted, score, of.kind])
    files.write(folder / "mistakes.csv", csv_files.text(MISTAKES_COLUMNS, lines))


def picture(photo: Pixels, heatmap: npt.NDArray[np.float32]) -> Pixels:
    """Photo and overlay side by side, each at most 128 px high and wide: uint8 [S, 2 S, 3].

    `photo` is uint8 [S, S, 3], `heatmap` [S, S]. The overlay is half grey photo, half viridis:
    its lightness grows with the heat, so it reads in print and without colour vision too.
    """
    from matplotlib import colormaps

    grey = photo.mean(axis=2, keepdims=True)
    colours = colormaps["viridis"](heatmap)[..., :3] * 255
    overlay = np.rint((grey + colours) / 2).astype(np.uint8)
    size = min(len(photo), SIDE)
    return np.hstack([codec.resize(part, size) for part in (photo, overlay)])
