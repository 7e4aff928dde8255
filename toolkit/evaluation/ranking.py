"""Decisions at thresholds that were chosen on other images: what ranking is judged by."""

from collections.abc import Sequence

import numpy as np

from toolkit.errors import InputError
from toolkit.evaluation.results import RunResult
from toolkit.metrics.arrays import Labels
from toolkit.metrics.decisions import decide_on, decide_out_of_fold
from toolkit.metrics.predictions import Predictions

FOLDS = 5
"""Folds of the test images in which a threshold is chosen where there are no valid predictions."""


def at_thresholds(runs: Sequence[RunResult]) -> list[Predictions] | None:
    """Return the runs' predictions at thresholds; None unless each run allows it.

    The threshold of a run is chosen on its valid predictions; where there are none out of fold, on
    the others for each fold of a cross-fitted run, else for each fifth of the test images. None
    without scores, or with too few images of a class.
    """
    try:
        return [_at_threshold(run) for run in runs]
    except InputError:
        return None


def _at_threshold(run: RunResult) -> Predictions:
    if run.predictions.folds is not None:
        return decide_out_of_fold(run.predictions, run.predictions.folds)
    if run.valid is not None and run.valid.scores is not None:
        return decide_on(run.predictions, run.valid)
    return decide_out_of_fold(run.predictions, _folds(run.predictions))


def _folds(predictions: Predictions) -> Labels:
    """Deal the images of each class, by id, to FOLDS folds, [N]."""
    order = np.lexsort((np.array(predictions.ids), predictions.actual_index))
    folds = np.empty(len(order), dtype=np.int64)
    folds[order] = np.arange(len(order)) % FOLDS
    return folds
