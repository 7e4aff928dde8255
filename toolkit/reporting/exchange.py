"""Images that are worth a look, in the forms of tools in which people look at them."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import quote

from toolkit.checks.findings import Audit
from toolkit.checks.params import AuditParams
from toolkit.datasets.tables.decisions import REVIEW_COLUMNS
from toolkit.errors import InputError
from toolkit.io.csv import csv_text
from toolkit.io.manifest import Manifest, Sample, content_hash
from toolkit.metrics.predictions import Predictions

MISTAKE = "mistake"
LOCAL_FILES = "/data/local-files/?d="
"""Where Label Studio serves the files of its local storage."""


@dataclass(frozen=True)
class ReviewImage:
    """An image with its path in the folder, and what was found: a name and a sentence each.

    `predicted` is the class that it looks like, by the audit or else by a network that is mistaken
    about it, and `quality` the probability of its own `label`, where these are known.
    """

    path: str
    label: str
    sha256: str
    split: str = ""
    findings: tuple[tuple[str, str], ...] = ()
    predicted: str = ""
    quality: float | None = None

    @property
    def note(self) -> str:
        """The findings in one line."""
        return "; ".join(f"{name}: {message}" for name, message in self.findings)


def review_images(
    audit: Audit, manifest: Manifest, predictions: Predictions | None = None
) -> list[ReviewImage]:
    """Return all images that were audited, by path, each with the findings about it.

    Findings about the whole dataset are not about an image. Sets of copies are numbered. With
    `predictions` of the images, by their ids or paths, mistakes are findings too. Raises InputError
    for predictions of none of the images, and of others than they are labeled with.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    labels = dict[str, tuple[str, float | None]]()
    if predictions is not None:
        for sample, row in _predicted_samples(manifest, predictions):
            name, own = predictions.predicted[row], _score(predictions, row, sample.label)
            if name != sample.label:
                score = _score(predictions, row, name)
                message = f"predicted as {name}" + ("" if score is None else f" ({score:.3f})")
                found[sample.id] = [(MISTAKE, message)]
                labels[sample.id] = name, own
    for check in (name for name in audit.checks if is_about_images(name)):
        for number, finding in enumerate(audit.findings_of(check), start=1):
            many = len(finding.samples) > 1
            message = f"set {number}, {finding.message}" if many else finding.message
            for ident in finding.samples:
                found.setdefault(ident, []).append((check, message))
            if finding.predicted:
                labels[finding.samples[0]] = finding.predicted, finding.score
    images = [
        ReviewImage(
            sample.path,
            sample.label,
            content_hash(sample),
            sample.split,
            tuple(found.get(sample.id, ())),
            *labels.get(sample.id, ("", None)),
        )
        for sample in manifest.samples
    ]
    return sorted(images, key=lambda image: image.path)


def _predicted_samples(
    manifest: Manifest, predictions: Predictions
) -> Iterator[tuple[Sample, int]]:
    """Yield the images that were predicted, each with its row in the predictions."""
    rows = {name: row for row, name in enumerate(predictions.ids)}
    pairs = [
        (sample, rows[name])
        for sample in manifest.samples
        if (name := sample.id if sample.id in rows else sample.path) in rows
    ]
    if not pairs:
        raise InputError(
            f"the predictions are of none of these images (of {predictions.ids[0]!r}, for one): "
            "audit those that were predicted, such as data/prepared/test"
        )
    for sample, row in pairs:
        if predictions.actual and predictions.actual[row] != sample.label:
            raise InputError(
                f"{sample.path} is {sample.label!r} here and {predictions.actual[row]!r} in the "
                "predictions; audit the images that were predicted"
            )
        yield sample, row


def _score(predictions: Predictions, row: int, label: str) -> float | None:
    if predictions.scores is None or label not in predictions.classes:
        return None
    return float(predictions.scores[row, predictions.classes.index(label)])


def is_about_images(check: str) -> bool:
    """Return whether a check flags images, which may be left out, and not the dataset."""
    field = AuditParams.model_fields.get(check)
    return field is not None and "drop" in get_args(field.annotation)


# --- the forms --------------------------------------------------------------------------------


def decision_rows(images: Sequence[ReviewImage], _folder: str) -> str:
    """Return the beginning of a table of decisions: a row, undecided, for each flagged image."""
    rows = [
        (image.path, "", "", "", image.sha256, image.note) for image in images if image.findings
    ]
    return csv_text(REVIEW_COLUMNS, rows)


def fiftyone_samples(images: Sequence[ReviewImage], _folder: str) -> str:
    """Return all images as samples of FiftyOne, tagged by split and findings.

    Paths are relative to the folder: `rel_dir` of FiftyOne's importer.
    """
    samples = [
        {
            "filepath": image.path,
            "tags": [
                *filter(None, [image.split]),
                *dict.fromkeys(name for name, _ in image.findings),
            ],
            "ground_truth": {"_cls": "Classification", "label": image.label},
            "predicted": {"_cls": "Classification", "label": image.predicted}
            if image.predicted
            else None,
            "label_quality": image.quality,
            "findings": [f"{name}: {message}" for name, message in image.findings],
            "sha256": image.sha256,
        }
        for image in images
    ]
    return _json({"samples": samples})


def label_studio_tasks(images: Sequence[ReviewImage], folder: str) -> str:
    """Return the flagged images as tasks of Label Studio, with the class that they look like.

    Images are addressed below `folder`, which lies in the document root of its local storage.
    """
    return _json([_task(image, folder) for image in images if image.findings])


def _task(image: ReviewImage, folder: str) -> dict[str, Any]:
    data = {
        "image": LOCAL_FILES + quote(f"{folder}/{image.path}"),
        "path": image.path,
        "given": image.label,
        "findings": image.note,
        "sha256": image.sha256,
    }
    chosen = {"choices": [image.predicted]}
    result = {"from_name": "label", "to_name": "image", "type": "choices", "value": chosen}
    guess = [{"model_version": "toolkit", "result": [result]}] if image.predicted else []
    return {"data": data, "predictions": guess}


def cleanlab_issues(images: Sequence[ReviewImage], _folder: str) -> str:
    """Return all images as rows of cleanlab's label issues, with names of classes.

    `label_quality` and `predicted_label` are known of flagged labels and of mistakes, and empty
    elsewhere.
    """
    header = ("path", "is_label_issue", "label_quality", "given_label", "predicted_label")
    rows = [
        (
            i.path,
            "label_errors" in dict(i.findings),
            "" if i.quality is None else i.quality,
            i.label,
            i.predicted,
        )
        for i in images
    ]
    return csv_text(header, rows)


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


FORMS: dict[str, Callable[[Sequence[ReviewImage], str], str]] = {
    "decisions": decision_rows,
    "fiftyone": fiftyone_samples,
    "label-studio": label_studio_tasks,
    "cleanlab": cleanlab_issues,
}
"""What images that are worth a look can be written as."""
