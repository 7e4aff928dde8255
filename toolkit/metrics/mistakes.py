"""The images worth a look: which they are, and the pictures of them that evaluation keeps."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from toolkit.io.images import Pixels
from toolkit.metrics.predictions import Predictions

MOST = 8
"""Images of each kind."""


@dataclass(frozen=True)
class HardExample:
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
class ExplainedExample:
    """A chosen image: its path in the manifest, the photo, and what spoke for the choice's label.

    photo: uint8 [H, W, 3]; heatmap: float32 [H, W], 0 to 1.
    """

    choice: HardExample
    path: str
    photo: Pixels
    heatmap: npt.NDArray[np.float32]


def choose_examples(
    predictions: Predictions, positive: str | None = None
) -> tuple[HardExample, ...]:
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


def _choice(predictions: Predictions, kind: str, row: int, label: int) -> HardExample:
    scores = np.asarray(predictions.scores)
    names = (predictions.actual[row], predictions.predicted[row], predictions.classes[label])
    return HardExample(kind, predictions.ids[row], *names, float(scores[row, label]))
