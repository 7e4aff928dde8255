"""Label errors are found by the images, and labels that cannot be judged are reported."""

import sys

import numpy as np
import pytest

from tests.helpers import audits
from toolkit.checks import confident, labels
from toolkit.checks.base import DuplicateSet
from toolkit.datasets import folders
from toolkit.datasets.faces import draw
from toolkit.errors import InputError
from toolkit.io import files, images
from toolkit.io.manifest import Sample

CLASSES = draw.LABELS
LIMITS = images.ImageLimits()


def cloud(counts, seed=0, apart=2.0):
    """Return Gaussian clusters, one per class: vectors, labels, groups."""
    rng = np.random.default_rng(seed)
    labels = [name for name, n in counts.items() for _ in range(n)]
    places = {name: apart * np.eye(6)[at] for at, name in enumerate(counts)}
    vectors = rng.normal(0, 0.5, (len(labels), 6)) + [places[label] for label in labels]
    return vectors.astype(np.float32), labels, np.arange(len(labels))


@pytest.fixture
def needs_cleanlab():
    pytest.importorskip("cleanlab", reason="cleanlab is not installed: the extra `labels`")


@pytest.mark.usefixtures("needs_cleanlab")
def test_planted_errors_are_found_and_come_first(tmp_path):
    """Of 240 drawn faces, 40 of the rare class, 12 are in the wrong folder."""
    wrong = [("with_mask", n) for n in range(10)] + [("without_mask", n) for n in range(2)]
    for path, data in draw.draw_images(dict(zip(CLASSES, (200, 40), strict=True)), size=48, seed=1,
                                       workers=1):  # fmt: skip
        label = path.parent.name
        moved = (label, int(path.stem)) in wrong
        home = CLASSES[1 - CLASSES.index(label)] if moved else label
        files.write_file(
            tmp_path / "photos" / home / f"{'wrong' if moved else 'right'}-{path.name}", data
        )
    findings = audits.run(tmp_path / "photos", label_errors="warn").findings_of("label_errors")
    right = ["wrong" in finding.paths[0] for finding in findings]
    assert sum(right) >= 6
    assert all(right[:4])
    assert [finding.score for finding in findings] == sorted(finding.score for finding in findings)
    assert "looks like with_mask: its label without_mask has probability 0." in findings[0].message


@pytest.mark.usefixtures("needs_cleanlab")
def test_of_three_classes_the_right_one_is_named():
    vectors, labels, groups = cloud({"a": 60, "b": 40, "c": 25})
    labels[3], labels[110] = "c", "a"
    result = confident.find_label_issues(vectors, labels, groups)
    assert {(issue.index, issue.predicted) for issue in result.issues} == {(3, "a"), (110, "c")}
    assert result.auc > 0.9
    assert result.too_small == {}


@pytest.mark.usefixtures("needs_cleanlab")
def test_the_answer_is_the_same_each_time_and_with_any_number_of_workers():
    data = cloud({"a": 60, "b": 30}, apart=0.8)
    once = confident.find_label_issues(*data)
    assert once == confident.find_label_issues(*data, workers=3)
    assert once.issues


def test_an_image_is_judged_by_a_classifier_that_saw_no_duplicate_of_it():
    """Random images, four files each: only a duplicate in training could predict the class."""
    rng = np.random.default_rng(0)
    vectors = np.repeat(rng.normal(size=(60, 6)), 4, axis=0)
    actual = np.repeat(np.arange(60) % 2, 4)
    groups = np.repeat(np.arange(60), 4)

    def accuracy(groups):
        probabilities = confident.out_of_fold_probabilities(vectors, actual, groups, seed=0)
        return (probabilities.argmax(axis=1) == actual).mean()

    assert accuracy(np.arange(240)) > 0.9
    assert accuracy(groups) < 0.65


@pytest.mark.usefixtures("needs_cleanlab")
def test_small_classes_are_named_and_left_out():
    """Duplicates count once."""
    vectors, labels, groups = cloud({"a": 40, "b": 30, "c": 19, "d": 40})
    groups[-40:] = 89
    result = confident.find_label_issues(vectors, labels, groups)
    assert result.too_small == {"c": 19, "d": 1}
    assert result.auc is not None
    assert not any(labels[issue.index] in "cd" for issue in result.issues)


def test_a_single_class_that_is_large_enough_is_not_judged():
    assert confident.find_label_issues(*cloud({"a": 40, "b": 5})) == confident.LabelIssues(
        (), None, {"b": 5}
    )
    nothing = np.zeros((0, 6), np.float32), [], np.zeros(0, np.int64)
    assert confident.find_label_issues(*nothing) == confident.LabelIssues((), None, {})


def test_inseparable_classes_have_no_label_issues():
    result = confident.find_label_issues(*cloud({"a": 60, "b": 60}, apart=0))
    assert result.issues == ()
    assert result.auc < confident.MIN_AUC


def test_what_does_not_decode_is_left_out(tmp_path):
    folder = audits.fill(tmp_path / "photos", {"a": 3})
    (folder / "a" / "001.png").write_bytes(b"no picture")
    indices, vectors = confident.file_features(
        folder, ["a/000.png", "a/001.png", "a/002.png"], LIMITS
    )
    assert indices.tolist() == [0, 2]
    assert vectors.shape == (2, 234)
    assert vectors.dtype == np.float32


def test_the_audit_says_what_could_not_be_judged(tmp_path):
    pytest.importorskip("cleanlab", reason="cleanlab is not installed: the extra `labels`")
    folder = audits.fill(tmp_path / "photos", {"a": 22, "b": 21, "c": 3})
    result = audits.run(folder, label_errors="fail")
    messages = [f.message for f in result.findings_of("label_errors")]
    assert (
        messages[0]
        == "class c has 3 distinct images: too few to judge its labels, at least 20 are needed"
    )
    assert messages[1].startswith(
        "no label errors are reported: the classifier barely separates the classes"
    )
    assert not result.failures


def test_similar_images_are_different_pictures(tmp_path):
    """A crowd counted as one picture here, while its images went to different splits."""
    pytest.importorskip("cleanlab", reason="cleanlab is not installed: the extra `labels`")
    folder = audits.fill(tmp_path / "photos", {"flawed": 25, "good": 0})
    rng = np.random.default_rng(7)
    part = audits.picture(rng).astype(float)
    for k in range(60):
        alike = (0.76 * part + 0.24 * audits.picture(rng)).astype(np.uint8)
        audits.put(folder / "good" / f"{k}.png", images.encode_png(alike))
    result = audits.run(folder, label_errors="warn")
    assert max(len(finding.paths) for finding in result.findings_of("near_duplicates")) > 20
    assert not any("distinct" in f.message for f in result.findings_of("label_errors"))


def test_labels_are_not_checked_unless_asked(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    folder = audits.fill(tmp_path / "photos", {"a": 3, "b": 3})
    assert audits.run(folder).checks["label_errors"].action == "skip"


def test_without_cleanlab_the_audit_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    folder = audits.fill(tmp_path / "photos", {"a": 3, "b": 3})
    assert len(folders.scan(folder).samples) == 6
    with pytest.raises(
        InputError, match=r"label errors: this needs .*pip install 'imbalanced-images\[labels\]'"
    ):
        audits.run(folder, label_errors="warn")


def test_images_of_one_group_are_held_out_together():
    """Two patients with copies of one picture count as one; a crowd that looks alike does not."""
    groups = ("1", "1", "2", "2", "3", "")
    samples = [Sample(f"id{n}", f"a/{n}.png", "a", group=group) for n, group in enumerate(groups)]
    copies = DuplicateSet((1, 2), 1.0, exact=True)
    crowd = DuplicateSet((0, 4), 0.96, exact=False, crowd=True)
    assert labels._held_out_together(samples, [copies, crowd]).tolist() == [0, 0, 0, 0, 4, 5]
