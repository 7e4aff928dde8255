"""The learning curve: what heads are worth that are fitted on a part of the rare images.

Torch is not needed.
"""

from collections.abc import Sequence

import numpy as np

from toolkit.metrics import confusion
from toolkit.metrics.arrays import Labels
from toolkit.metrics.decisions import decide_out_of_fold
from toolkit.metrics.predictions import Predictions
from toolkit.training.pretrained import heads
from toolkit.training.pretrained.heads import TrainingSet

CURVE = (0.125, 0.25, 0.5, 1.0)
"""Fractions of the rare images that the learning curve is measured at."""
ORDERS = 3
"""In how many orders rare images are added: which ones come first is chance."""
MOST_OTHERS = 2000
"""Images of all other classes together that heads are fitted on: more would take minutes."""


def learning_curve(
    data: TrainingSet, divisions: Sequence[Labels], rare: int, rng: np.random.Generator
) -> dict[int, float]:
    """Return the G-mean by the number of images of the class `rare` that heads are fitted on.

    Heads are cross-fitted in each of the `divisions`, folds [N]; all images are tested, at
    thresholds of the other folds. Numbers with which some fold would lack the class are left out.
    """
    rows, others = np.flatnonzero(data.labels == rare), np.flatnonzero(data.labels != rare)
    orders = [rng.permutation(rows) for _ in range(ORDERS)]
    if len(others) > MOST_OTHERS:
        others = rng.permutation(others)[:MOST_OTHERS]
    measured = {}
    for count in sorted({max(2, round(part * len(rows))) for part in CURVE}):
        values = [
            value
            for order in (orders if count < len(rows) else orders[:1])
            for folds in divisions
            if (value := _gmean_with(data, folds, order[:count], others)) is not None
        ]
        if values:
            measured[count] = float(np.mean(values))
    return measured


def _gmean_with(data: TrainingSet, folds: Labels, rare: Labels, others: Labels) -> float | None:
    """Return the G-mean where only these images are trained on.

    None if the rare ones lie in a single fold, which would leave its head without the class.
    """
    if len(np.unique(folds[rare])) < 2:
        return None
    usable = np.zeros(len(folds), dtype=bool)
    usable[rare] = usable[others] = True
    scores = heads.cross_fit(data, folds, usable)
    names = tuple(map(str, range(data.classes)))
    actual, likeliest = (tuple(names[k] for k in of) for of in (data.labels, scores.argmax(axis=1)))
    ids = tuple(map(str, range(len(folds))))
    decided = decide_out_of_fold(Predictions(names, ids, actual, likeliest, scores), folds)
    return float(confusion.gmean(confusion.matrix_of(decided)))
