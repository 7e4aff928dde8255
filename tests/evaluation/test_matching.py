"""Tables of several tools on one test set."""

import numpy as np
import pytest

from toolkit.evaluation.matching import match_results
from toolkit.evaluation.results import RunResult
from toolkit.metrics.predictions import Predictions

OURS = ("test/cat/0.jpg", "test/cat/1.jpg", "test/dog/0.jpg")


def run(ids, labels="aab", classes=("a", "b"), scores=None):
    labels = tuple(classes["ab".index(label)] for label in labels)
    predictions = Predictions(tuple(sorted(classes)), tuple(ids), labels, labels, scores)
    return RunResult("arm", "recipe", 0, {"accuracy": 1.0}, predictions)


@pytest.mark.parametrize(
    ("ids", "by"),
    [
        (OURS, None),
        (["C:\\data\\test\\" + i[5:].replace("/", "\\") for i in OURS], "their last 3 parts"),
        (["/mnt/x/" + i[5:] for i in OURS], "their last 2 parts"),
        (["./" + i for i in OURS], "their last 3 parts"),
        ([i[5:-4] for i in OURS], "their last 2 parts without extension"),
        ([i.replace(".jpg", ".png") for i in OURS], "their last 3 parts without extension"),
        (["1", "2", "3"], None),
        (["x/0.jpg", "y/0.jpg", "x/1.jpg"], None),
    ],
)
def test_paths_are_compared_by_the_most_that_is_common(ids, by):
    (_, matched), said = match_results([run(OURS), run(ids)])
    assert matched.predictions.ids == (tuple(ids) if by is None else OURS)
    assert said == (
        [] if by is None else [f"arm-recipe-0 and arm-recipe-0: ids are compared by {by}"]
    )


def test_file_names_are_enough_where_they_are_distinct():
    ids = ("a/1.jpg", "a/2.jpg", "b/3.jpg")
    (_, matched), said = match_results([run(ids), run([i[2:] for i in reversed(ids)])])
    assert matched.predictions.ids == ids[::-1]
    assert "by file name" in said[0]


def test_an_image_more_does_not_hide_what_the_others_are():
    (_, matched), _ = match_results([run(OURS), run([f"/x/{i}" for i in OURS[:2]], "ab")])
    assert matched.predictions.ids == OURS[:2]


def test_labels_are_spelled_as_in_the_first():
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    other = run(OURS, classes=("1.0", "2.0"), scores=scores)
    (_, matched), said = match_results([run(OURS, classes=("1", "2")), other])
    assert matched.predictions.actual == ("1", "1", "2")
    assert matched.predictions.scores.tolist() == scores.tolist()
    assert said[0].endswith("labels differ in spelling only")
