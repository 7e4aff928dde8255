"""The page of predictions: each image with its class and probability, the least certain first."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toolkit.errors import InputError
from toolkit.io import images
from toolkit.io.text import shorten
from toolkit.metrics.arrays import Floats
from toolkit.metrics.decisions import Decisions
from toolkit.metrics.predictions import Predictions
from toolkit.reporting import gallery, html
from toolkit.reporting.gallery import InlineImage

MAX_PHOTOS = 200
"""Photos shown; the table has all."""


@dataclass(frozen=True)
class Photo:
    """A predicted file: its name, and a function that reads its bytes."""

    name: str
    content: Callable[[], bytes]


def prediction_page(
    predictions: Predictions, decisions: Decisions, photos: Sequence[Photo], title: str
) -> str:
    """Return the page as HTML. `photos` are in the order of the predictions.

    Raises InputError for a photo that can no longer be read, and without scores.
    """
    scores = predictions.required_scores("the page")
    order = np.argsort(certainty(scores, predictions.classes, decisions), kind="stable")
    counts = Counter(predictions.predicted)
    rows = [
        [photos[row].name, predictions.predicted[row], *(f"{p:.4f}" for p in scores[row])]
        for row in order
    ]
    failed = [[path, why] for path, why in predictions.problems.items()]
    return html.render_template(
        "predictions.html.j2",
        {
            "title": title,
            "total": len(predictions.ids),
            "counts": [(shorten(name, 40), counts[name]) for name in predictions.classes],
            "decided": decisions.positive and shorten(decisions.positive, 40),
            "threshold": decisions.calibrated_threshold,
            "pictures": [_picture(predictions, photos, row) for row in order[:MAX_PHOTOS]],
            "rows": [["file", "predicted", *predictions.classes], *rows],
            "failed": [["file", "reason"], *failed] if failed else [],
        },
    )


def certainty(scores: Floats, classes: Sequence[str], decisions: Decisions) -> Floats:
    """Return how far each image is from another class, [N]: of its score from the threshold.

    The distance is a fraction of the way from the threshold to 0 or 1. Without a threshold it is
    the difference of the two highest scores.
    """
    at = decisions.calibrated_threshold
    if decisions.positive is None or at is None:
        highest = np.sort(scores, axis=1)
        return np.asarray(highest[:, -1] - highest[:, -2])
    score = scores[:, list(classes).index(decisions.positive)]
    above = (score - at) / max(1 - at, 1e-9)
    below = (at - score) / max(at, 1e-9)
    return np.asarray(np.where(score >= at, above, below))


def _picture(predictions: Predictions, photos: Sequence[Photo], row: int) -> InlineImage:
    photo, label = photos[row], predictions.predicted[row]
    try:
        pixels = images.to_pixels(images.decode_reduced(photo.content(), gallery.SIDE))
    except InputError as error:
        raise InputError(f"{photo.name}: {error}; predict again") from error
    score = predictions.required_scores("the page")[row][predictions.classes.index(label)]
    lines = (shorten(label, 30), f"{score:.3f}", shorten(Path(photo.name).name, 30))
    return gallery.inline_middle(pixels, ", ".join(lines), lines)
