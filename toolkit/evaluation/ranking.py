"""Decisions at thresholds that were chosen on other images: what ranking is judged by."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from toolkit.errors import InputError
from toolkit.evaluation.results import RunResult
from toolkit.metrics.arrays import Labels
from toolkit.metrics.decisions import decide_at_threshold
from toolkit.metrics.params import EvaluateParams
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
        return _decide(run.predictions, run.valid)
    return decide_out_of_fold(run.predictions, _folds(run.predictions))


def _decide(predictions: Predictions, tuning: Predictions) -> Predictions:
    settings = EvaluateParams(positive=rarest_class(tuning))
    return decide_at_threshold(predictions, tuning, settings)


def rarest_class(predictions: Predictions) -> str:
    """Return the class with the fewest images."""
    return min(predictions.classes, key=predictions.actual.count)


def decide_out_of_fold(predictions: Predictions, folds: Labels) -> Predictions:
    """Return what `decide_at_threshold` does: each fold [N] on the images of the others."""
    return apply_out_of_fold(predictions, folds, _decide)


def apply_out_of_fold(
    predictions: Predictions,
    folds: Labels,
    apply: Callable[[Predictions, Predictions], Predictions],
) -> Predictions:
    """Return `apply(own, others)` for the images of each fold [N], tuned on those of the others.

    So no image has a part in what is done to it.
    """
    predicted = np.empty(len(folds), dtype=object)
    scores = np.empty_like(predictions.required_scores("a decision"))
    for fold in np.unique(folds):
        own, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        applied = apply(_rows(predictions, own), _rows(predictions, others))
        predicted[own], scores[own] = applied.predicted, applied.required_scores("a decision")
    return replace(predictions, predicted=tuple(predicted), scores=scores)


def _rows(predictions: Predictions, rows: Labels) -> Predictions:
    ids, actual, predicted = (
        tuple(values[row] for row in rows)
        for values in (predictions.ids, predictions.actual, predictions.predicted)
    )
    scores = predictions.required_scores("a decision")[rows]
    return Predictions(predictions.classes, ids, actual, predicted, scores)


def _folds(predictions: Predictions) -> Labels:
    """Deal the images of each class, by id, to FOLDS folds, [N]."""
    order = np.lexsort((np.array(predictions.ids), predictions.actual_index))
    folds = np.empty(len(order), dtype=np.int64)
    folds[order] = np.arange(len(order)) % FOLDS
    return folds
