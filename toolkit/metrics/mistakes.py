"""The test images that are worth looking at: confident mistakes and hard images."""

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
    """A test image of the kind "mistake" or "hardest", and the score of the class `label`.

    `label` is the predicted class of a mistake and the actual class of a hard image.
    """

    kind: str
    id: str
    actual: str
    predicted: str
    label: str
    score: float


@dataclass(frozen=True, eq=False)
class ExplainedExample:
    """An example with its path in the manifest, its image, and a heatmap of its label's score.

    photo: uint8 [H, W, 3]; heatmap: float32 [H, W], 0 to 1.
    """

    example: HardExample
    path: str
    photo: Pixels
    heatmap: npt.NDArray[np.float32]


def choose_examples(
    predictions: Predictions, positive: str | None = None
) -> tuple[HardExample, ...]:
    """Return the 8 most confident mistakes, then the 8 hardest images of the rare class.

    The hardest are those with the lowest score of their actual class, whatever was predicted. The
    rare class is `positive`, or else the one with the fewest images, of equals the one with the
    lowest recall. Equal scores keep the order of the predictions. Without scores there are none.
    """
    if predictions.scores is None:
        return ()
    actual, predicted = predictions.actual_index, predictions.predicted_index
    rows = np.arange(len(actual))
    rare = predictions.classes.index(positive or _rarest(predictions))
    kinds = {
        "mistake": (actual != predicted, predicted, -predictions.scores[rows, predicted]),
        "hardest": (actual == rare, actual, predictions.scores[rows, actual]),
    }
    return tuple(
        _example(predictions, kind, row, label[row])
        for kind, (members, label, order) in kinds.items()
        for row in rows[members][np.argsort(order[members], kind="stable")][:MOST]
    )


def _rarest(predictions: Predictions) -> str:
    images = Counter(predictions.actual)
    pairs = zip(predictions.actual, predictions.predicted, strict=True)
    correct = Counter(actual for actual, predicted in pairs if actual == predicted)
    return min(images, key=lambda name: (images[name], correct[name], name))


def _example(predictions: Predictions, kind: str, row: int, label: int) -> HardExample:
    scores = np.asarray(predictions.scores)
    names = (predictions.actual[row], predictions.predicted[row], predictions.classes[label])
    return HardExample(kind, predictions.ids[row], *names, float(scores[row, label]))
