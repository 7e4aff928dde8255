"""LABEL_CHECKS: labels that the images contradict (see `confident`)."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from toolkit import progress
from toolkit.checks import confident
from toolkit.checks.base import (
    Check,
    CheckContext,
    CheckResult,
    DuplicateSet,
    Numbers,
)
from toolkit.checks.confident import LabelIssues
from toolkit.checks.findings import Finding
from toolkit.checks.records import Measurements
from toolkit.datasets.split import group_samples
from toolkit.io.images import ImageLimits
from toolkit.io.manifest import Sample


def check_labels(
    folder: Path,
    measurements: Measurements,
    duplicates: Sequence[DuplicateSet],
    limits: ImageLimits,
    *,
    processes: int = 1,
    track: progress.Track = progress.silent,
) -> LabelIssues:
    """Find probable label errors among all samples that decode; issues have the samples' indices.

    Raises InputError if cleanlab is not installed.
    """
    paths = [measurements.samples[index].path for index in measurements.readable]
    decoded, vectors = confident.file_features(
        folder, paths, limits, processes=processes, track=track
    )
    indices = measurements.readable[decoded]
    labels = [measurements.samples[index].label for index in indices]
    groups = _held_out_together(measurements.samples, duplicates)[indices]
    result = confident.find_label_issues(vectors, labels, groups, workers=processes)
    issues = (replace(issue, index=int(indices[issue.index])) for issue in result.issues)
    return replace(result, issues=tuple(issues))


def _held_out_together(samples: Sequence[Sample], duplicates: Sequence[DuplicateSet]) -> Numbers:
    """Return the index of the first sample, [N], that each one must share a fold with."""
    copies = [[samples[index].id for index in of.indices] for of in duplicates if not of.crowd]
    index = {sample.id: number for number, sample in enumerate(samples)}
    numbers = np.arange(len(samples), dtype=np.int64)
    for group in group_samples(samples, copies):
        rows = [index[sample.id] for sample in group]
        numbers[rows] = min(rows)
    return numbers


def _label_errors(context: CheckContext) -> CheckResult:
    result = context.label_issues
    if result is None:
        return None, []
    findings = [
        replace(
            context.finding(
                "label_errors",
                [issue.index],
                f"looks like {issue.predicted}: its label "
                f"{context.measurements.samples[issue.index].label} has probability "
                f"{issue.confidence:.2f} (classifier AUC {result.auc:.2f})",
                issue.confidence,
            ),
            predicted=issue.predicted,
        )
        for issue in result.issues
    ]
    notes = [Finding("label_errors", "warn", text, ()) for text in limitations(result)]
    return (result.issues[0].confidence if result.issues else None), findings + notes


def limitations(result: LabelIssues) -> list[str]:
    """Return sentences about the labels that could not be judged."""
    sentences = [
        f"class {label} has {n} distinct images: too few to judge its labels, at least "
        f"{confident.MIN_IMAGES} are needed"
        for label, n in result.too_small.items()
    ]
    if result.auc is not None and result.auc < confident.MIN_AUC:
        sentences.append(
            f"no label errors are reported: the classifier barely separates the classes (AUC "
            f"{result.auc:.2f}, at least {confident.MIN_AUC} is needed)"
        )
    return sentences


LABEL_CHECKS: dict[str, Check] = {
    "label_errors": Check(_label_errors, "the image looks like another class than its label"),
}
