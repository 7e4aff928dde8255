"""Tables of other tools: understood and said, or refused with the option that decides."""

import numpy as np
import pytest

from tests.helpers.tools import TOLD, TOOLS
from toolkit.errors import InputError
from toolkit.metrics.columns import ToldColumns, label_key, plain_name
from toolkit.metrics.predictions import read_predictions


@pytest.fixture
def read(tmp_path):
    """What the table holds, and what is said of it."""

    def function(text, **columns):
        path, said = tmp_path / "their.csv", []
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        told = {
            k: (v,) if isinstance(v, str) and k != "positive" else v for k, v in columns.items()
        }
        got = read_predictions(path, ToldColumns(**told), said.append)
        return got, said[0].removeprefix(f"{path}: ") if said else ""

    return function


@pytest.mark.parametrize("tool", TOOLS)
def test_the_tables_of_other_tools_are_understood(tool, read):
    text, (actual, predicted, scores), sentence = TOOLS[tool]
    got, said = read(text, **TOLD.get(tool, {}))
    assert (" ".join(got.actual), " ".join(got.predicted)) == (actual, predicted)
    assert (got.scores is None) == (scores is None)
    assert scores is None or np.abs(got.scores - scores).max() < 0.001
    assert sentence in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,name,class,confidence\n1.jpg,cat,0,0.9\n", "'predicted' is missing.*name it with"),
        (
            "filename,label,prob\n1.jpg,cat,0.9\n2.jpg,dog,0.9\n",
            "'label' may be the actual or the.*--actual label",
        ),
        ("label,cat,dog\ncat,0.9,0.1\ndog,0.1,0.9\n", "'label' may be the actual or the predicted"),
        ("label,image\ncat,x\ndog,y\n", "'label' is taken for the actual class"),
        ("image,cat,dog\n1.jpg,0.9,0.1\n", "column 'actual' is missing.*with --actual"),
        ("y_true,label,pred\na,b,a\nb,a,b\n", "'y_true', 'label' may all be the actual class"),
        ("y_true,pred,top1\na,b,a\nb,a,b\n", "'pred', 'top1' may all be the predicted class"),
        ("y_true,y_pred\n0,cat\n1,dog\n", "share no label .'0', '1'; 'cat', 'dog'.*--actual"),
        ("actual,predicted\ncat,dog\ncat,dog\n", "share no label"),
        ("y_true,prob\ncat,0.9\ndog,0.2\n", "probability of 'cat' or of 'dog'.*--positive"),
        ("y_true,prob\n0,3.5\n1,-2\n", "'prob' must be a probability, got 3.5.*--logits"),
        ("y_true,y_pred,cat,dog\ncat,cat,2.5,-1\ndog,cat,2,1\n", "add up to 1.*--logits"),
        ("y_true,y_pred,prob_a,prob_b\na,b,.5,.5\nc,b,.5,.5\n", "columns are missing: prob_c"),
        ("y_true,y_pred,a,b\na,b,0.5,0.5\nc,b,0.5,0.5\n", "columns are missing: c"),
        (
            "id;y_true;y_pred;a;b\n1;a;a;0,5;0.5\n2;b;a;1.5,0;0\n",
            "line 2: a must be a finite number, got '0,5'",
        ),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_with_the_option(read, text, message):
    with pytest.raises(InputError, match=rf"(?s)their\.csv: .*{message}"):
        read(text)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"actual": "x"}, "column 'x' of --actual is missing; the columns are: one, two"),
        ({"actual": "one", "predicted": ("x", "y")}, "column 'x' or 'y' of --predicted is missing"),
        ({"actual": "one", "predicted": "two", "id": "x"}, "column 'x' of --id is missing"),
    ],
)
def test_a_column_that_is_named_and_missing_is_refused(read, columns, message):
    with pytest.raises(InputError, match=message):
        read("one,two\na,b\nb,b\n", **columns)


def test_columns_that_are_named_are_taken(read):
    got, said = read(
        "label,guess,file\na,b,x\nb,b,y\n", actual=("gt", "label"), predicted="guess", id="file"
    )
    assert (got.ids, got.predicted) == (("x", "y"), ("b", "b"))
    assert said == "actual is 'label'; predicted is 'guess'; id is 'file'"


def test_ours_is_read_without_a_word(read):
    assert read("id,actual,predicted,score_a,score_b\n1,a,b,0.4,0.6\n2,b,b,0,1\n")[1] == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "1.0"), ("True", "1"), ("1", "LABEL_1"), ("Cat", "cat "), ("\xe9", "e\u0301")],
)
def test_spellings_of_a_label_are_one_and_said(read, one, other):
    got, said = read(f"y_true,y_pred\n{one},{other}\nx,x\n")
    assert len(got.classes) == 2
    assert got.actual == got.predicted
    assert "labels differ in spelling only" in said


def test_spellings_that_one_column_tells_apart_are_two_classes(read):
    assert read("y_true,y_pred\ncat,Cat\nCat,cat\ncat,cat\n")[0].classes == ("Cat", "cat")


@pytest.mark.parametrize(
    ("probs", "sentence", "of_b"),
    [
        ((0.1, 0.2, 0.9), "'prob' is the probability of 'b'", [0.1, 0.2, 0.9]),
        ((0.9, 0.8, 0.1), "'prob' is the probability of 'a'", [0.1, 0.2, 0.9]),
        ((0.9, 0.6, 0.7), "'prob' is the probability of the predicted class", [0.1, 0.4, 0.7]),
        ((0.7, 0.6, 0.8), "'prob' not used: it may be of a class or of the predicted one", None),
        ((0.3, 0.9, 0.5), "'prob' not used", None),
    ],
)
def test_a_lone_probability_is_of_what_the_predictions_say(read, probs, sentence, of_b):
    rows = "".join(f"a,{p},{prob}\n" for p, prob in zip("aab", probs, strict=True))
    got, said = read(f"y_true,y_pred,prob\n{rows}")
    assert sentence in said
    assert got.scores is None if of_b is None else np.allclose(got.scores[:, 1], of_b)


def test_a_class_is_positive_if_a_person_says_so(read):
    got, _ = read("y_true,prob\ncat,0.9\ndog,0.2\n", positive="cat")
    assert got.predicted == ("cat", "dog")


@pytest.mark.parametrize("name", ["prediction", "y_pred", "prob"])
def test_a_probability_may_stand_for_the_predicted_class(read, name):
    got, said = read(f"y_true,{name}\n0,0.2\n1,0.9\n")
    assert got.predicted == ("0", "1")
    assert f"'{name}' is the probability of '1'" in said


def test_logits_become_probabilities_if_a_person_says_so(read):
    got, said = read("actual,predicted,score_a,score_b\na,a,2,0\nb,b,0,1\n", logits=True)
    assert got.scores[:, 0] == pytest.approx([0.8808, 0.2689], abs=1e-4)
    assert said == "scores are logits"
    got, _ = read("y_true,logit\n0,-2\n1,1\n")
    assert got.scores[:, 1] == pytest.approx([0.1192, 0.7311], abs=1e-4)


def test_one_column_of_two_classes_is_enough(read):
    got, said = read("y_true,y_pred,prob_yes\nno,no,0.1\nyes,no,0.3\n")
    assert got.scores.tolist() == [[0.9, 0.1], [0.7, 0.3]]
    assert "'prob_yes' is the probability of 'yes'" in said


@pytest.mark.parametrize(
    "header",
    ["prob_{}", "P({})", "{}_prob", "Probability: {}", "probabilities.{}", "conf {}", "{}"],
)
def test_columns_of_scores_are_named_in_many_ways(read, header):
    """Also of a class that does not occur."""
    names = ",".join(header.format(name) for name in ("cat", "dog", "owl"))
    got, _ = read(f"y_true,y_pred,{names},loss\ncat,cat,0.8,0.1,0.1,3\ndog,cat,0.8,0.1,0.1,4\n")
    assert got.classes == ("cat", "dog", "owl")


@pytest.mark.parametrize("values", [("p0", "p1", 0.25, 0.75), ("a", "b", "25%", "75.0%"),
                                    ("P(a) %", "P(b) %", 25, "75,0"),
                                    ("a %", "b %", 25, "75,0")])  # fmt: skip
def test_numbers_of_classes_and_percent_are_understood(read, values):
    first, second, low, high = values
    got, _ = read(f"y_true;y_pred;{first};{second}\na;b;{low};{high}\nb;a;{high};{low}\n")
    assert got.scores.tolist() == [[0.25, 0.75], [0.75, 0.25]]


def test_ids_that_occur_twice_are_no_ids(read):
    got, said = read("filename,label,pred\n1.jpg,a,a\n1.jpg,b,a\n")
    assert got.ids == ("1", "2")
    assert "'filename' is no id" in said


def test_other_highest_scores_than_the_prediction_are_said(read):
    assert "in 1 of 2 rows another" in read("y,pred,a,b\na,b,1,0\nb,b,0,1\n")[1]


def test_names_of_columns_and_labels_have_one_plain_form():
    spelt = ("groundTruth", "Ground Truth", "ground_truth", "GROUND-TRUTH", " ground.truth ")
    assert {plain_name(name) for name in spelt} == {"ground_truth"}
    assert label_key("v1.0") == "v1.0"
