"""Findings in the forms of other tools, as their documentation has them."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from toolkit.checks.findings import Audit, CheckOutcome, Finding
from toolkit.datasets.tables.decisions import read_decision_table
from toolkit.errors import InputError
from toolkit.io.manifest import Manifest, Sample
from toolkit.metrics.predictions import Predictions
from toolkit.reporting.exchange import FORMS, review_images

A, B, C = ("a" * 64, "b" * 64, "c" * 64)
MANIFEST = Manifest(
    ("cat", "dog"),
    (
        Sample(B, "dog/2 %.png", "dog", "test"),
        Sample(A, "cat/1.png", "cat"),
        Sample(C, "dog/3.png", "dog"),
    ),
)
OUTCOME = CheckOutcome("", "warn", None, None, 1)
AUDIT = Audit(
    {},
    (
        Finding("dark", "warn", "too dark", ("cat/1.png",), (A,), score=0.1),
        Finding("near_duplicates", "group", "alike", ("cat/1.png", "dog/2 %.png"), (A, B)),
        Finding("label_errors", "warn", "looks", ("dog/2 %.png",), (B,), (), 0.04, "cat"),
        Finding("imbalance", "warn", "3 to 1", ()),
        Finding("leaks", "warn", "2 groups", ("cat/1.png", "dog/3.png"), (A, C)),
    ),
    dict.fromkeys(("dark", "near_duplicates", "label_errors", "imbalance", "leaks"), OUTCOME),
)


@pytest.fixture
def images():
    return review_images(AUDIT, MANIFEST)


def test_findings_about_the_dataset_are_about_no_image(images):
    found = {image.path: [name for name, _ in image.findings] for image in images}
    flagged = ["dark", "near_duplicates"]
    assert found == {
        "cat/1.png": flagged,
        "dog/2 %.png": ["near_duplicates", "label_errors"],
        "dog/3.png": [],
    }


def test_the_table_to_fill_in_is_one_of_decisions_that_decides_nothing(images, tmp_path):
    (tmp_path / "d.csv").write_text(FORMS["decisions"](images, "photos"))
    table = read_decision_table(tmp_path / "d.csv")
    rows = [(row.path, row.kind, row.sha256) for row in table.rows]
    assert rows == [("cat/1.png", "", A), ("dog/2 %.png", "", B)]
    assert "dark: too dark; near_duplicates: set 1, alike" in (tmp_path / "d.csv").read_text()


def predictions(ids, *, actual=("cat", "dog", "dog")):
    scores = np.array([[0.9, 0.1], [0.75, 0.25], [0.2, 0.8]])
    return Predictions(("cat", "dog"), ids, actual, ("cat", "cat", "dog"), scores)


@pytest.mark.parametrize("ids", [(A, B, C), ("cat/1.png", "dog/2 %.png", "dog/3.png")])
def test_mistakes_of_a_network_are_findings_too(ids):
    audit = replace(AUDIT, findings=AUDIT.findings[:1])
    found = review_images(audit, MANIFEST, predictions(ids))
    assert [image.note for image in found] == [
        "dark: too dark", "mistake: predicted as cat (0.750)", "",
    ]  # fmt: skip
    assert [(image.predicted, image.quality) for image in found] == [
        ("", None), ("cat", 0.25), ("", None),
    ]  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(FORMS["cleanlab"](found, "photos"))))
    assert [row["is_label_issue"] for row in rows] == ["False"] * 3  # nobody doubts the label
    assert rows[1]["predicted_label"] == "cat"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (predictions(("x", "y", "z")), "of none of these images .of 'x', for one.: audit those"),
        (predictions((A, B, C), actual=("cat", "dog", "cat")), "dog/3.png is 'dog' here and 'cat'"),
    ],
)
def test_predictions_of_other_images_are_refused(table, message):
    with pytest.raises(InputError, match=message):
        review_images(AUDIT, MANIFEST, table)


def test_samples_of_fiftyone(images):
    samples = json.loads(FORMS["fiftyone"](images, "photos"))["samples"]
    assert [sample["filepath"] for sample in samples] == ["cat/1.png", "dog/2 %.png", "dog/3.png"]
    assert samples[1]["tags"] == ["test", "near_duplicates", "label_errors"]
    assert samples[1]["ground_truth"] == {"_cls": "Classification", "label": "dog"}
    assert samples[1]["predicted"] == {"_cls": "Classification", "label": "cat"}
    assert samples[2]["predicted"] is None


def test_tasks_of_label_studio(images):
    first, second = json.loads(FORMS["label-studio"](images, "photos"))
    assert second["data"] == {
        "image": "/data/local-files/?d=photos/dog/2%20%25.png",
        "path": "dog/2 %.png",
        "given": "dog",
        "findings": "near_duplicates: set 1, alike; label_errors: looks",
        "sha256": B,
    }
    (prediction,) = second["predictions"]
    assert prediction["result"] == [
        {
            "from_name": "label",
            "to_name": "image",
            "type": "choices",
            "value": {"choices": ["cat"]},
        }
    ]
    assert first["predictions"] == []


def test_tasks_that_nobody_annotated_come_back_undecided(images, tmp_path):
    (tmp_path / "tasks.json").write_text(FORMS["label-studio"](images, "photos"))
    rows = read_decision_table(tmp_path / "tasks.json").rows
    assert [(row.path, row.kind) for row in rows] == [("cat/1.png", ""), ("dog/2 %.png", "")]


def test_issues_of_cleanlab_have_the_columns_of_its_own(images):
    rows = [*csv.DictReader(io.StringIO(FORMS["cleanlab"](images, "photos")))]
    assert [row["is_label_issue"] for row in rows] == ["False", "True", "False"]
    assert rows[1] == {
        "path": "dog/2 %.png",
        "is_label_issue": "True",
        "label_quality": "0.04",
        "given_label": "dog",
        "predicted_label": "cat",
    }
