"""LABEL_CHECKS: labels that the pictures speak against (see `label_errors`)."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from toolkit import progress
from toolkit.checks import confident
from toolkit.checks.base import Check, CheckContext, DuplicateSets, Said
from toolkit.checks.confident import LabelIssues
from toolkit.checks.findings import Finding
from toolkit.checks.records import Measurements
from toolkit.io import images
from toolkit.metrics.scores import Labels


def look(
    folder: Path,
    table: Measurements,
    twins: Sequence[DuplicateSets],
    limits: images.ImageLimits,
    *,
    processes: int = 1,
    track: progress.Track = progress.silent,
) -> LabelIssues:
    """Judge the labels of all samples that decode; the doubts have the samples' numbers."""
    paths = [table.samples[n].path for n in table.readable]
    known, vectors = confident.measure_files(
        folder, paths, limits, processes=processes, track=track
    )
    numbers = table.readable[known]
    labels = [table.samples[n].label for n in numbers]
    shown = pictures(len(table.samples), twins)[numbers]
    judged = confident.find_label_issues(vectors, labels, shown, workers=processes)
    doubts = (replace(doubt, number=int(numbers[doubt.number])) for doubt in judged.doubts)
    return replace(judged, doubts=tuple(doubts))


def pictures(samples: int, twins: Sequence[DuplicateSets]) -> Labels:
    """For each sample the number of the picture that it shows: twins show the same."""
    found = np.arange(samples)
    for group in twins:  # the near ones come last, and hold the exact ones
        found[list(group.numbers)] = group.numbers[0]
    return found


def _label_errors(given: CheckContext) -> Said:
    if given.judged is None:
        return None, []
    doubts = given.judged.doubts
    found = [
        given.finding(
            "label_errors",
            [doubt.number],
            f"looks like {doubt.looks}: its label {given.table.samples[doubt.number].label} has "
            f"probability {doubt.confidence:.2f}, says a judge of AUC {given.judged.auc:.2f}",
            doubt.confidence,
        )
        for doubt in doubts
    ]
    notes = [Finding("label_errors", "warn", text, ()) for text in limitations(given.judged)]
    return (doubts[0].confidence if doubts else None), found + notes


def limitations(judged: LabelIssues) -> list[str]:
    """What could not be judged, in sentences."""
    said = [
        f"of {label} there are {n} different pictures: too few to judge labels by, "
        f"{confident.FEWEST} are needed"
        for label, n in judged.few.items()
    ]
    if judged.auc is not None and judged.auc < confident.LEAST:
        said.append(
            f"no label was doubted: what is measured hardly tells the classes apart (AUC "
            f"{judged.auc:.2f}, {confident.LEAST} is needed)"
        )
    return said


LABEL_CHECKS: dict[str, Check] = {
    "label_errors": Check(_label_errors, "looks like another class than its label says"),
}
