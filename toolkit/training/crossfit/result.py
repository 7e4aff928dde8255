"""What a cross-fit ends with, whatever is trained, and the run that it becomes."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from toolkit.metrics.arrays import Floats, Labels
from toolkit.metrics.decisions import choose_decisions
from toolkit.metrics.params import EvaluateParams
from toolkit.metrics.predictions import Predictions
from toolkit.training import runs
from toolkit.training.dataset import LabeledFolder
from toolkit.training.runs import HeldOut, Run
from toolkit.training.state import FitResult

SaveFold = Callable[[int, Mapping[str, Tensor]], str]
"""Writes the weights of a fold's network, which has this number, and returns their sha256."""


@dataclass(frozen=True, eq=False)
class CrossFit:
    """What the networks of folds make of the images, and the network that is trained on all.

    `held_out` are the scores [N, K] of the originals, in their order, each by the network that is
    trained without its fold. `folds` are the sha256 of the folds' weights. `rows` of the arm are
    what the network `result` is trained on. `learning` has the G-mean by the number of images of
    the rarest class that are trained on, for frozen networks and an arm without new images.
    """

    held_out: Floats
    folds: tuple[str, ...]
    rows: Labels
    result: FitResult
    learning: tuple[tuple[int, float], ...] = ()


def write_cross_fit(
    building: Path, folder: LabeledFolder, run: Run, crossed: CrossFit, weights: bytes
) -> Run:
    """Write the run, beside its folds; its decisions are chosen on the held-out images."""
    division = run.seed % folder.table.divisions
    originals = [sample for sample in folder.samples if not sample.derived]
    predicted = Predictions(
        run.classes,
        tuple(sample.id for sample in originals),
        tuple(sample.label for sample in originals),
        tuple(run.classes[index] for index in crossed.held_out.argmax(axis=1)),
        crossed.held_out,
        folds=np.array([sample.folds[division] for sample in originals]),
    )
    trained = Counter(folder.samples[row].label for row in crossed.rows)
    update = {
        "counts": {name: trained[name] for name in run.classes},
        "valid": folder.originals_sha256,
        "decisions": choose_decisions(predicted, EvaluateParams(positive=run.rarest)),
        "learning": crossed.learning,
        "held_out": HeldOut(
            division=division, folds=len(crossed.folds), weights_sha256=crossed.folds
        ),
    }
    run = run.model_copy(update=update)
    runs.write_run(building, run, weights, predicted)
    return run
