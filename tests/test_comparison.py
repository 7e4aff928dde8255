"""Results read back, and set against the baseline."""

import json

import numpy as np
import pytest

from toolkit import predictions
from toolkit.comparison import (
    compare,
    headline,
    markdown,
    notes,
    summary,
    table,
)
from toolkit.errors import InputError
from toolkit.metrics import evaluate
from toolkit.predictions import Predictions
from toolkit.results import HISTORY, Result, curves, read_history, read_result

HISTORY_TEXT = ",".join(HISTORY) + "\n1,0.7,0.6,0.8,0.5,0.001\n2,0.5,0.55,0.9,nan,0.0001\n"


def predicted(right_a, right_b, ids=None):
    """10 images of a and 5 of b, so many of each right."""
    actual = ("a",) * 10 + ("b",) * 5
    said = ("a",) * right_a + ("b",) * (10 - right_a) + ("b",) * right_b + ("a",) * (5 - right_b)
    return Predictions(("a", "b"), ids or tuple(f"i{n}" for n in range(15)), actual, said)


def result(arm, recipe="net", seed=0, right=(8, 4), positive="b"):
    outcome = predicted(*right)
    return Result(arm, recipe, seed, evaluate(outcome, positive), outcome, positive)


@pytest.fixture
def folder(tmp_path):
    """A folder as `evaluate` leaves it."""
    outcome = predicted(8, 4)
    predictions.write(tmp_path / "predictions.csv", outcome)
    (tmp_path / "history.csv").write_text(HISTORY_TEXT)
    values = {"arm": "original", "recipe": "net", "seed": 3, "positive": "b"}
    (tmp_path / "metrics.json").write_text(json.dumps({**values, **evaluate(outcome, "b")}))
    return tmp_path


def test_a_folder_says_itself_which_run_it_is(folder):
    read = read_result(folder)
    assert (str(read.key), read.positive) == ("original-net-3", "b")
    assert read.metrics == evaluate(predicted(8, 4), "b")
    assert read.history["epoch"] == (1, 2)
    assert read_result(folder / "predictions.csv").key == read.key


def test_a_file_of_predictions_is_an_arm_by_its_name(tmp_path):
    for name in ("mine.csv", "theirs/predictions.csv"):
        predictions.write(tmp_path / name, predicted(8, 4))
    mine, theirs = (
        read_result(tmp_path / name, "b") for name in ("mine.csv", "theirs/predictions.csv")
    )
    assert (str(mine.key), str(theirs.key)) == ("mine-predictions-0", "theirs-predictions-0")
    assert mine.metrics["recall"] == 0.8


def test_a_file_that_cannot_be_evaluated_is_named(tmp_path):
    predictions.write(tmp_path / "mine.csv", predicted(8, 4))
    with pytest.raises(InputError, match=r"mine\.csv: evaluate.positive must be one of"):
        read_result(tmp_path / "mine.csv", "c")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"arm": "x", "recipe": "y", "seed": "z"}'])
def test_damaged_metrics_are_refused_by_name(folder, text):
    (folder / "metrics.json").write_text(text)
    with pytest.raises(InputError, match=r"metrics\.json: not the metrics of a run.*evaluate"):
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


def test_differences_are_to_the_baseline_with_the_same_recipe():
    compared = compare(
        [
            result("augmented", "net", right=(8, 5)),
            result("original", "net", right=(8, 4)),
            result("original", "deep", right=(10, 5)),
            result("augmented", "deep", right=(9, 5)),
        ]
    )
    assert [(row.recipe, row.arm) for row in compared.rows] == [
        ("net", "original"), ("net", "augmented"), ("deep", "original"), ("deep", "augmented"),
    ]  # fmt: skip
    accuracy = [row.differences.get("accuracy") for row in compared.rows]
    assert accuracy == [None, pytest.approx(1 / 15), None, pytest.approx(-1 / 15)]
    assert compared.rows[1].differences["recall"] == pytest.approx(0.2)


def test_differences_pair_the_seeds_that_both_arms_have():
    """Seed 0 is in both arms: 5 against 4 of 5. The baseline's lucky seed 1 has no partner."""
    compared = compare(
        [result("original"), result("original", seed=1, right=(10, 5)),
         result("augmented", right=(8, 5))]
    )  # fmt: skip
    row = compared.rows[1]
    assert row.paired == (0,)
    assert row.differences["recall"] == pytest.approx(0.2)
    lonely = compare([result("original"), result("augmented", seed=9, right=(8, 5))])
    assert lonely.rows[1].paired == ()
    assert lonely.rows[1].differences["recall"] == pytest.approx(0.2)
    assert any("shares no seed" in note for note in notes(lonely))


def test_partly_shared_seeds_are_said():
    results = [result("original"), result("augmented"), result("augmented", seed=1)]
    assert notes(compare(results))[-1].startswith("Differences are over the seeds that an arm")


def test_recall_is_compared_only_where_all_mean_the_same_class():
    assert "recall" in compare([result("original"), result("augmented")]).metrics
    mixed = compare([result("original"), result("augmented", positive="a")])
    assert "recall" not in mixed.metrics
    assert mixed.positive is None


def test_the_summary_has_scalars_only_and_ranges_where_there_are_seeds():
    seeds = [result("original"), result("original", seed=1, right=(9, 5)), result("augmented")]
    found = summary(compare(seeds))["net"]
    assert found["original"]["recall"] == 0.9
    assert (found["original"]["recall_min"], found["original"]["recall_max"]) == (0.8, 1)
    assert "accuracy_difference" not in found["original"]
    assert found["augmented"]["seeds"] == 1
    assert found["augmented"]["gmean_difference"] == 0
    assert "gmean_min" not in found["augmented"]
    assert all(isinstance(value, int | float) for arm in found.values() for value in arm.values())


def test_the_table_shows_means_ranges_and_differences():
    header, first, second = table(
        compare([result("original"), result("original", seed=1, right=(9, 5)),
                 result("augmented", right=(8, 3))])
    )  # fmt: skip
    assert header[:5] == ["recipe", "arm", "seeds", "accuracy", "difference"]
    assert header[-2] == "recall of b"
    assert first == [
        "net", "original", "2", "0.8667 (0.8000 to 0.9333)", "baseline",
        "0.8743 (0.8000 to 0.9487)", "baseline", "0.9000 (0.8000 to 1.0000)", "baseline",
    ]  # fmt: skip
    assert second[2:5] == ["1", "0.7333", "-0.0667"]


def test_no_difference_has_no_minus_sign():
    rows = table(compare([result("original"), result("augmented")]))
    assert rows[2][4] == "+0.0000"


def test_the_notes_promise_nothing_about_luck():
    said = notes(compare([result("original"), result("augmented", right=(9, 5))]))
    assert said[0].startswith("1 seed: differences are point estimates on 15 test images")
    assert "no statement about luck" in said[0]
    assert said[1] == "'b' has 5 test images: each of them is 0.2000 of its recall."


def test_the_headline_is_one_sentence_an_arm():
    one = [result("original"), result("augmented", right=(8, 5))]
    assert headline(compare(one)) == [
        "augmented against original, net: G-mean 0.8944 (+0.0944), accuracy +0.0667."
    ]
    two = [*one, result("original", "deep"), result("augmented", "deep")]
    assert headline(compare(two)) == [
        "augmented against original: higher G-mean with 1 of 2 recipes (+0.0000 to +0.0944)."
    ]
    assert headline(compare(one[:1])) == []


def test_markdown_keeps_names_from_breaking_the_table():
    text = markdown(compare([result("original"), result("a|b\n<i>")]))
    header, rule, *_ = text.splitlines()
    assert header.count("|") == rule.count("|") == 10
    assert "a\\|b &lt;i>" in text


def test_another_baseline_may_be_named():
    compared = compare([result("original"), result("augmented")], baseline="augmented")
    assert compared.rows[0].arm == "augmented"


def test_a_missing_baseline_is_refused_with_the_arms_there_are():
    with pytest.raises(
        InputError, match=r"'net' has no result of the baseline 'original'.*\['x'\]"
    ):
        compare([result("x")])


def test_no_results_and_repeated_results_are_refused():
    with pytest.raises(InputError, match="no results to compare"):
        compare([])
    with pytest.raises(InputError, match="original-net-0 is given 2 times"):
        compare([result("original"), result("original")])


def test_results_on_other_images_are_refused_by_name():
    ids = tuple(f"j{n}" for n in range(15))
    other = predicted(8, 4, ids)
    found = Result("augmented", "net", 0, evaluate(other), other)
    with pytest.raises(InputError, match=r"original-net-0 and augmented-net-0 are not on the same"):
        compare([result("original"), found])


def test_the_order_of_the_images_does_not_matter():
    one = result("original")
    p = one.predictions
    turned = Predictions(p.classes, p.ids[::-1], p.actual[::-1], p.predicted[::-1])
    compare([one, Result("augmented", "net", 0, one.metrics, turned, "b")])


def test_curves_are_one_long_table(folder):
    text = curves([read_result(folder), result("augmented")])
    header, *rows = text.splitlines()
    assert header == f"run,arm,recipe,seed,{','.join(HISTORY)}"
    assert rows[0] == "original-net-3,original,net,3,1,0.7,0.6,0.8,0.5,0.001"
    assert rows[1].split(",")[4:] == ["2", "0.5", "0.55", "0.9", "nan", "0.0001"]
    assert np.isnan(read_history(folder / "history.csv")["valid_gmean"][1])
    assert len(rows) == 2
