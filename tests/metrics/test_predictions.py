"""Predictions: the table, and the file of any tool."""

import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import InputError
from toolkit.metrics import predictions
from toolkit.metrics.predictions import Predictions

# Not the carriage return: Python 3.11 writes it without quotes, and refuses to read that.
NAMES = st.text(string.printable.replace("\r", "") + 'é猫"', min_size=1, max_size=8)


@pytest.fixture
def four():
    """Four images of two classes, three of them right."""
    scores = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.55, 0.45]])
    return Predictions(("a", "b"), tuple("wxyz"), tuple("aabb"), tuple("aaba"), scores)


@pytest.fixture
def csv_file(tmp_path):
    def write(text):
        path = tmp_path / "tool.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def same(one, other):
    names = ("classes", "ids", "actual", "predicted")
    texts = all(getattr(one, name) == getattr(other, name) for name in names)
    return texts and np.array_equal(one.scores, other.scores)


@given(names=st.lists(NAMES, min_size=2, max_size=4, unique=True), data=st.data())
def test_what_is_written_reads_back_exactly(names, data, tmp_path_factory):
    """Commas, quotes and line breaks in names; scores to the last bit; classes without images."""
    classes = tuple(sorted(names))
    labels = data.draw(st.lists(st.sampled_from(classes), min_size=1, max_size=6))
    raw = np.random.default_rng(len(labels)).random((len(labels), len(classes)))
    scores = raw / raw.sum(axis=1, keepdims=True)
    ids = tuple(f"{n},{label}" for n, label in enumerate(labels))
    written = Predictions(classes, ids, tuple(labels), tuple(reversed(labels)), scores)
    path = tmp_path_factory.mktemp("written") / "predictions.csv"
    predictions.write_predictions(path, written)
    assert same(predictions.read_predictions(path), written)
    first = path.read_bytes()
    predictions.write_predictions(path, predictions.read_predictions(path))
    assert path.read_bytes() == first


def test_a_file_without_ids_and_scores_is_enough(csv_file):
    read = predictions.read_predictions(csv_file("predicted,actual\nb,a\na,a\nb,b\n"))
    assert read.ids == ("1", "2", "3")
    assert read.classes == ("a", "b")
    assert read.scores is None
    assert read.predicted_index.tolist() == [1, 0, 1]
    assert read.actual_index.tolist() == [0, 0, 1]


def test_without_scores_the_file_is_as_plain(tmp_path):
    path = tmp_path / "plain.csv"
    predictions.write_predictions(path, Predictions(("a", "b"), ("1", "2"), ("a", "b"), ("b", "b")))
    assert path.read_text() == "id,actual,predicted\n1,a,b\n2,b,b\n"


def test_spreadsheets_may_add_a_mark_blank_lines_and_columns(csv_file):
    text = "\ufeffactual,predicted,comment\r\na,b,why\r\n\r\nb,b,\r\n"
    assert predictions.read_predictions(csv_file(text)).actual == ("a", "b")


def test_score_columns_keep_a_class_that_never_occurs(csv_file):
    read = predictions.read_predictions(
        csv_file("actual,predicted,score_c,score_b,score_a\na,b,0.1,0.5,0.4\nb,b,0,1,0\n")
    )
    assert read.classes == ("a", "b", "c")
    assert read.scores.tolist() == [[0.4, 0.5, 0.1], [0, 1, 0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty file"),
        ("\n\n", "empty file"),
        ("actual,predicted\n", "has a header but no predictions"),
        ("what,predicted\na,a\n", "column 'actual' is missing; the columns are: what, predicted"),
        ("actual,predicted,actual\na,b,a\n", "column 'actual' occurs more than once"),
        ("actual,predicted\na,b\nb\n", "line 3 must have 2 fields, got 1"),
        (
            "actual,predicted\na,b\nb,\n",
            "line 3: predicted must be the name of a class, got nothing",
        ),
        ("actual,predicted\na,a\n", "at least two classes"),
        ("id,actual,predicted\n7,a,b\n7,b,b\n", "id '7' occurs 2 times"),
        ("actual,predicted,score_a\na,b,1\n", "score columns are missing: score_b; give one"),
        ("actual,predicted,score_a,score_b\na,b,1,x\n", "line 2: score_b must be a finite number"),
        ("actual,predicted,score_a,score_b\na,b,nan,0\n", "score_a must be a finite number.*'nan'"),
        ("actual,predicted,score_a,score_b\na,b,3,-2\n", r"probabilities.*\[3.0, -2.0\].*softmax"),
        ("actual,predicted,score_a,score_b\na,b,2,1\n", "add up to 1"),
        ('actual,predicted\na,"b\n', "unexpected end of data"),
        (b"actual,predicted\n\xff,b\n", "not UTF-8"),
        (b"y_true;y_pred\n\x81;b\n", "not UTF-8"),
        ("y_true;y_pred\na;b", "the last line has no end"),
    ],
)
def test_a_bad_file_is_refused_by_name(csv_file, text, message):
    path = csv_file(text)
    with pytest.raises(InputError, match=rf"(?s)tool\.csv: .*{message}"):
        predictions.read_predictions(path)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv: no such file"):
        predictions.read_predictions(tmp_path / "none.csv")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InputError, match="it is a folder, not a file"):
        predictions.read_predictions(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ("b", "a")}, "alphabetical"),
        ({"ids": ("w",)}, "equally long, got 1, 4 and 4"),
        ({"actual": ("a", "a", "b", "c")}, r"one of \['a', 'b'\], got 'c'"),
        ({"scores": np.ones((4, 3)) / 3}, r"shape \[4, 2\], got \[4, 3\]"),
        ({"scores": np.full((4, 2), np.nan)}, "probabilities"),
    ],
)
def test_predictions_that_contradict_themselves_are_refused(four, change, message):
    fields = {name: getattr(four, name) for name in ("classes", "ids", "actual", "predicted")}
    with pytest.raises(InputError, match=message):
        Predictions(**{**fields, **change})


def test_predictions_are_shown_in_one_line(four):
    assert repr(four) == "Predictions(4 images, 2 classes, accuracy 0.750, with scores)"


def test_images_without_labels_have_paths_and_no_actual_class(tmp_path):
    scores = np.array([[0.75, 0.25]])
    some = Predictions(("a", "b"), ("x, y.png",), (), ("a",), scores, {"z.png": "no image"})
    assert predictions.predictions_csv(some) == (
        'path,predicted,score_a,score_b\n"x, y.png",a,0.75,0.25\n'
    )
    assert repr(some) == "Predictions(1 images, 2 classes, without labels, with scores)"
    with pytest.raises(InputError, match="the actual classes are not known"):
        _ = some.actual_index
