"""Evaluations read back from their files."""

import json

import pytest

from toolkit.errors import InputError
from toolkit.evaluation.results import (
    HISTORY,
    MISTAKES_COLUMNS,
    Mistake,
    RunKey,
    RunResult,
    history_csv,
    read_history,
    read_mistakes,
    read_result,
)
from toolkit.metrics import predictions
from toolkit.metrics.classification import compute_metrics
from toolkit.metrics.columns import ToldColumns
from toolkit.metrics.predictions import Predictions

HISTORY_TEXT = ",".join(HISTORY) + "\n1,0.7,0.6,0.8,0.5,0.001\n2,0.5,0.55,0.9,nan,0.0001\n"


def predicted(right_a, right_b):
    """10 images of a and 5 of b, so many of each right."""
    actual = ("a",) * 10 + ("b",) * 5
    labels = [*"a" * right_a, *"b" * (10 - right_a + right_b), *"a" * (5 - right_b)]
    return Predictions(("a", "b"), tuple(f"i{n}" for n in range(15)), actual, tuple(labels))


def result(arm, seed=0):
    outcome = predicted(8, 4)
    return RunResult(arm, "net", seed, compute_metrics(outcome, "b"), outcome, "b")


@pytest.fixture
def folder(tmp_path):
    """A folder as `evaluate` leaves it."""
    outcome = predicted(8, 4)
    predictions.write_predictions(tmp_path / "predictions.csv", outcome)
    (tmp_path / "history.csv").write_text(HISTORY_TEXT)
    write_metrics(tmp_path, **compute_metrics(outcome, "b"))
    return tmp_path


def write_metrics(folder, **values):
    key = {"arm": "original", "recipe": "net", "seed": 3, "positive": "b"}
    (folder / "metrics.json").write_text(json.dumps({**key, **values}))


def test_a_folder_says_itself_which_run_it_is(folder):
    read = read_result(folder)
    assert (str(read.key), read.positive) == ("original-net-3", "b")
    assert read.metrics == compute_metrics(predicted(8, 4), "b")
    assert read.history["epoch"] == (1, 2)
    assert read_result(folder / "predictions.csv").key == read.key


def test_a_key_has_a_title_for_people():
    assert RunKey("original", "net", 3).title == "original, net, seed 3"


def test_predictions_of_valid_are_read_where_there_are_some(folder):
    assert read_result(folder).valid is None
    predictions.write_predictions(folder / "valid_predictions.csv", predicted(10, 5))
    assert read_result(folder).valid.predicted == predicted(10, 5).predicted


def test_a_file_of_predictions_is_an_arm_by_its_name(tmp_path):
    for name in ("mine.csv", "theirs/predictions.csv"):
        predictions.write_predictions(tmp_path / name, predicted(8, 4))
    mine, theirs = (
        read_result(tmp_path / name, ToldColumns(positive="b"))
        for name in ("mine.csv", "theirs/predictions.csv")
    )
    assert (str(mine.key), str(theirs.key)) == ("mine-predictions-0", "theirs-predictions-0")
    assert mine.metrics["recall"] == 0.8


def test_a_file_of_predictions_may_be_given_an_arm_and_a_seed(tmp_path):
    predictions.write_predictions(tmp_path / "mine.csv", predicted(8, 4))
    read = read_result(tmp_path / "mine.csv", arm="ours", seed=7)
    assert str(read.key) == "ours-predictions-7"


def test_a_file_that_cannot_be_evaluated_is_named(tmp_path):
    predictions.write_predictions(tmp_path / "mine.csv", predicted(8, 4))
    with pytest.raises(
        InputError, match=r"mine\.csv: the positive class \(evaluate.positive\) must be"
    ):
        read_result(tmp_path / "mine.csv", ToldColumns(positive="c"))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"arm": "x", "recipe": "y", "seed": "z"}'])
def test_damaged_metrics_are_refused_by_name(folder, text):
    (folder / "metrics.json").write_text(text)
    with pytest.raises(InputError, match=r"metrics\.json: not the metrics of a run.*evaluate"):
        read_result(folder)


@pytest.mark.parametrize(("value", "name"), [(float("nan"), "NaN"), (float("-inf"), "-Infinity")])
def test_what_json_does_not_know_is_no_metric(folder, value, name):
    write_metrics(folder, **compute_metrics(predicted(8, 4)), temperature=value)
    with pytest.raises(InputError, match=rf"metrics\.json: .*\({name} is not a JSON number\)"):
        read_result(folder)


@pytest.mark.parametrize("value", [None, "0.5", True])
def test_every_metric_must_be_a_finite_number(folder, value):
    write_metrics(folder, **compute_metrics(predicted(8, 4)), temperature=value)
    with pytest.raises(InputError, match=r"metrics\.json: .*temperature must be a finite number"):
        read_result(folder)


def test_a_folder_without_metrics_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"metrics\.json: no such file; `toolkit evaluate`"):
        read_result(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch,train_loss\n1,2\n", "columns are missing: valid_loss, valid_accuracy"),
        (HISTORY_TEXT + "3,x,0,0,0,0\n", "could not convert"),
        (HISTORY_TEXT + "3,1\n", "not a training history"),
    ],
)
def test_a_damaged_history_is_refused_by_name(tmp_path, text, message):
    path = tmp_path / "history.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"history\.csv: .*{message}"):
        read_history(path)


def test_curves_have_one_row_an_epoch_and_skip_what_was_not_trained(folder):
    text = history_csv([read_result(folder), result("augmented")])
    assert text.splitlines() == [
        "run,arm,recipe,seed,epoch,train_loss,valid_loss,valid_accuracy,valid_gmean,learning_rate",
        "original-net-3,original,net,3,1,0.7,0.6,0.8,0.5,0.001",
        "original-net-3,original,net,3,2,0.5,0.55,0.9,nan,0.0001",
    ]


# --- mistakes ---------------------------------------------------------------------------------

ROW = ["00.jpg", "i3", "b/03.png", "b", "a", "0.75", "mistake"]


def write_mistakes(folder, row=ROW):
    (folder / "mistakes").mkdir()
    (folder / "mistakes" / "00.jpg").touch()
    text = "".join(",".join(line) + "\n" for line in [MISTAKES_COLUMNS, row])
    (folder / "mistakes" / "mistakes.csv").write_text(text)


def test_mistakes_come_with_their_pictures(folder):
    write_mistakes(folder)
    picture = folder / "mistakes" / "00.jpg"
    assert read_mistakes(folder) == (Mistake(picture, "i3", "b/03.png", "b", "a", 0.75, "mistake"),)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["01.jpg", *ROW[1:]], "there is no picture '01.jpg'"),
        (["../00.jpg", *ROW[1:]], r"there is no picture '../00.jpg'"),
        ([*ROW[:5], "nan", "mistake"], "score must be a finite number"),
        ([*ROW[:5], "high", "mistake"], "could not convert"),
        (ROW[:4], "must have 7 fields, got 4"),
        (["x" * 20], "must have 7 fields, got 1"),
    ],
)
def test_damaged_mistakes_are_refused_by_name(folder, row, message):
    write_mistakes(folder, row)
    with pytest.raises(InputError, match=rf"mistakes\.csv: .*{message}.*evaluate` again"):
        read_mistakes(folder)


def test_a_picture_that_is_a_link_is_not_shown(folder, tmp_path):
    write_mistakes(folder)
    picture = folder / "mistakes" / "00.jpg"
    picture.rename(tmp_path / "private.jpg")
    picture.symlink_to(tmp_path / "private.jpg")
    with pytest.raises(InputError, match=r"there is no picture '00\.jpg'"):
        read_mistakes(folder)


@pytest.mark.parametrize("key", ["arm", "recipe"])
def test_names_that_lead_elsewhere_are_refused(folder, key):
    """They become parts of the names of files that are read."""
    path = folder / "metrics.json"
    metrics = json.loads(path.read_text())
    for name in ("../../x", "/etc", "", 3):
        path.write_text(json.dumps(metrics | {key: name}))
        with pytest.raises(InputError, match=f"{key} must be a file's name, got '"):
            read_result(folder)


def test_mistakes_without_their_header_are_refused(folder):
    write_mistakes(folder)
    for text in ("", "file,id\n"):
        (folder / "mistakes" / "mistakes.csv").write_text(text)
        with pytest.raises(InputError, match="columns must be file,id,path,actual"):
            read_mistakes(folder)


def test_a_run_that_an_older_version_evaluated_is_to_be_evaluated_again(folder):
    with pytest.raises(InputError, match=r"mistakes\.csv: no such file; run `toolkit evaluate`"):
        read_mistakes(folder)


def test_predictions_of_another_tool_have_no_mistakes_to_show(tmp_path):
    assert read_mistakes(tmp_path) == ()
