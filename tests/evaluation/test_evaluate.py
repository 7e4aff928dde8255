"""One evaluation: its numbers, its folder, and what is printed of it."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import balanced_accuracy_score, log_loss, precision_score
from typer.testing import CliRunner

from tests.helpers.arms import arm, settings
from tests.helpers.flips import flipped
from toolkit.cli.main import app
from toolkit.errors import InputError
from toolkit.evaluation import evaluate, results
from toolkit.evaluation.evaluate import Evaluation, RunOutputs
from toolkit.evaluation.results import HISTORY, RunKey, read_mistakes, read_result
from toolkit.metrics import calibration, predictions
from toolkit.metrics.classification import compute_metrics
from toolkit.metrics.intervals import confidence_intervals
from toolkit.metrics.mistakes import ExplainedExample, HardExample
from toolkit.metrics.params import EvaluateParams
from toolkit.metrics.predictions import Predictions
from toolkit.reporting import evaluation
from toolkit.training import train

KEY = RunKey("original", "net", 0)
YES = EvaluateParams(positive="yes", resamples=200)
NO = EvaluateParams(resamples=200)


def drawn(seed, n=60, rare=15, bias=1.0, classes=("no", "yes")):
    """Images that a network finds by and large, with its scores shifted against `yes`."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) < rare).astype(int)
    logits = rng.normal(0, 1.5, (n, len(classes)))
    logits[np.arange(n), labels] += 2
    logits[:, 0] += bias
    scores = softmax(2 * logits, axis=1)
    actual, predicted = (tuple(classes[k] for k in row) for row in (labels, scores.argmax(axis=1)))
    return Predictions(classes, tuple(f"{seed}-{k}" for k in range(n)), actual, predicted, scores)


def bare(predictions):
    return replace(predictions, scores=None)


def tuned(values):
    return [name for name in values if name.startswith(("thresh", "temper", "calib", "prior"))]


# --- the numbers ------------------------------------------------------------------------------


def test_without_valid_there_are_the_metrics_and_their_intervals():
    numbers = evaluate.evaluate_run(RunOutputs(KEY, drawn(0)), YES)
    assert numbers.metrics == compute_metrics(drawn(0), "yes")
    assert numbers.intervals == confidence_intervals(drawn(0), "yes", resamples=200)


def test_the_threshold_is_chosen_on_valid_and_used_on_test():
    """Here the highest threshold that finds every positive of valid."""
    test, valid = drawn(0), drawn(1)
    params = EvaluateParams(
        positive="yes", threshold={"rule": "recall", "recall": 1.0}, resamples=200
    )
    numbers = evaluate.evaluate_run(RunOutputs(KEY, test, valid), params)
    values = numbers.metrics
    positives = valid.scores[[name == "yes" for name in valid.actual], 1]
    below = max(score for score in valid.scores[:, 1] if score < positives.min())
    assert values["threshold"] == pytest.approx((below + positives.min()) / 2)
    predicted = np.where(test.scores[:, 1] >= values["threshold"], "yes", "no")
    assert values["threshold_balanced_accuracy"] == balanced_accuracy_score(test.actual, predicted)
    assert values["threshold_precision"] == precision_score(test.actual, predicted, pos_label="yes")
    low, high = numbers.intervals["threshold_gmean"]
    assert low < values["threshold_gmean"] < high


def test_temperature_and_prior_change_the_scores_of_test():
    test, valid = drawn(0), drawn(1)
    values = evaluate.evaluate_run(RunOutputs(KEY, test, valid, {"no": 45, "yes": 45}), YES).metrics
    temperature = values["temperature"]
    assert temperature == calibration.fit_temperature(valid)
    expected = log_loss(test.actual, calibration.apply_temperature(test, temperature).scores)
    assert values["calibrated_loss"] == pytest.approx(expected)
    target = {"no": 45, "yes": 15}
    corrected = calibration.correct_prior(test, {"no": 45, "yes": 45}, target)
    assert values["prior_gmean"] == compute_metrics(corrected)["gmean"]
    assert values["prior_brier"] == compute_metrics(corrected)["brier"]


@pytest.mark.parametrize("rule", [{"rule": "gmean"}, {"rule": "cost", "ratio": 3}])
def test_nothing_that_is_chosen_depends_on_test(rule):
    """Other test images, and the same with other labels, leave threshold and temperature alone."""
    test, params = drawn(0), EvaluateParams(positive="yes", threshold=rule, resamples=200)
    turned = Predictions(
        test.classes, test.ids, test.actual[::-1], test.predicted, test.scores[:, ::-1].copy()
    )
    each = [
        evaluate.evaluate_run(RunOutputs(KEY, part, drawn(1)), params).metrics
        for part in (test, turned, drawn(2))
    ]
    assert len({(values["threshold"], values["temperature"]) for values in each}) == 1
    assert len({values["threshold_gmean"] for values in each}) > 1


def test_without_a_positive_class_or_with_three_there_is_no_threshold():
    three = ("no", "yes", "zebra")
    assert "threshold" not in evaluate.evaluate_run(RunOutputs(KEY, drawn(0), drawn(1)), NO).metrics
    parts = [drawn(seed, classes=three) for seed in (0, 1)]
    for part in parts:  # a class without test images is refused
        object.__setattr__(part, "actual", (*part.actual[:-1], "zebra"))
    values = evaluate.evaluate_run(RunOutputs(KEY, *parts), YES).metrics
    assert tuned(values) == ["temperature", *(f"calibrated_{n}" for n in ("loss", "brier", "ece"))]


def test_without_known_training_counts_there_is_no_prior_correction():
    assert (
        "prior_loss" not in evaluate.evaluate_run(RunOutputs(KEY, drawn(0), drawn(1)), YES).metrics
    )


def test_tuning_on_test_is_refused():
    with pytest.raises(InputError, match="valid and test share the image '0-0'"):
        evaluate.evaluate_run(RunOutputs(KEY, drawn(0), drawn(0)), YES)


def test_equal_settings_give_equal_numbers_and_another_seed_other_intervals():
    first, second, other = (
        evaluate.evaluate_run(RunOutputs(KEY, drawn(0)), EvaluateParams(resamples=200, seed=seed))
        for seed in (0, 0, 1)
    )
    assert first == second
    assert first.metrics == other.metrics
    assert first.intervals["gmean"] != other.intervals["gmean"]


# --- the folder -------------------------------------------------------------------------------


@pytest.fixture
def past(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text(",".join(HISTORY) + "\n1,1,1,1,1,1\n")
    return path


def test_an_evaluation_leaves_its_files_and_they_read_back(tmp_path, past):
    choice = HardExample("mistake", "0-3", "yes", "no", "no", 0.9)
    zeros = np.zeros((32, 32))
    shown = ExplainedExample(choice, "yes/3.png", zeros[..., None].repeat(3, 2).astype("u1"), zeros)
    run = RunOutputs(KEY, drawn(0), drawn(1), {"no": 9, "yes": 9}, past, [shown])
    output = tmp_path / "reports" / "original-net-0"
    for _ in range(2):  # the second time it replaces its own folder
        numbers = evaluation.write_evaluation(output, run, YES)
    assert sorted(path.name for path in output.iterdir()) == [
        "confusion_matrix.csv", "confusion_matrix.png", "curves.png", "history.csv",
        "metrics.json", "mistakes", "predictions.csv", "reliability.csv", "valid_predictions.csv",
    ]  # fmt: skip
    read = read_result(output)
    assert (read.metrics, read.key, read.positive) == (numbers.metrics, KEY, "yes")
    assert np.array_equal(read.valid.scores, drawn(1).scores)
    (mistake,) = read_mistakes(output)
    assert (mistake.id, mistake.path, mistake.score) == ("0-3", "yes/3.png", 0.9)
    assert mistake.file == output / "mistakes" / "00.jpg"


def test_a_frozen_network_has_no_curves_by_epoch(tmp_path, past):
    past.write_text(past.read_text().replace("1,1\n", "1,0\n"))
    evaluation.write_evaluation(tmp_path / "out", RunOutputs(KEY, drawn(0), history=past), YES)
    assert (tmp_path / "out" / "history.csv").is_file()
    assert not (tmp_path / "out" / "curves.png").exists()


def test_predictions_alone_leave_what_can_be_known_of_them(tmp_path):
    values = evaluation.write_evaluation(
        tmp_path / "out", RunOutputs(KEY, bare(drawn(0))), NO
    ).metrics
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "confusion_matrix.csv", "confusion_matrix.png", "metrics.json", "predictions.csv",
    ]  # fmt: skip
    assert "loss" not in values
    assert read_mistakes(tmp_path / "out") == ()


def test_a_run_without_mistakes_says_so(tmp_path, past):
    evaluation.write_evaluation(
        tmp_path / "out", RunOutputs(KEY, drawn(0), history=past, explained=()), NO
    )
    assert [path.name for path in (tmp_path / "out" / "mistakes").iterdir()] == ["mistakes.csv"]
    assert read_mistakes(tmp_path / "out") == ()


def test_the_confusion_matrix_has_its_classes_names(tmp_path):
    nasty = "<img src=x onerror=alert(1)>"
    strange = Predictions((nasty, "a,b"), ("1", "2"), (nasty, "a,b"), (nasty, nasty))
    evaluation.write_evaluation(tmp_path / "out", RunOutputs(KEY, strange), NO)
    text = (tmp_path / "out" / "confusion_matrix.csv").read_text(encoding="utf-8")
    assert text == f'actual,{nasty},"a,b"\n{nasty},1,0\n"a,b",1,0\n'


def test_an_evaluation_does_not_replace_a_folder_of_another(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    with pytest.raises(InputError, match="was not written by the toolkit"):
        evaluation.write_evaluation(tmp_path / "photos", RunOutputs(KEY, drawn(0)), NO)
    assert (tmp_path / "photos" / "a.jpg").exists()


def test_dvc_may_leave_a_gitignore_and_nothing_stays_from_before(tmp_path, past):
    output = tmp_path / "out"
    output.mkdir()
    (output / ".gitignore").write_text("/metrics.json\n")
    evaluation.write_evaluation(
        output, RunOutputs(KEY, drawn(0), drawn(1), history=past, explained=()), NO
    )
    evaluation.write_evaluation(output, RunOutputs(KEY, drawn(0)), NO)
    assert sorted(path.name for path in output.iterdir()) == [
        "confusion_matrix.csv", "confusion_matrix.png", "metrics.json", "predictions.csv",
        "reliability.csv",
    ]  # fmt: skip


# --- what is printed --------------------------------------------------------------------------


def test_the_table_is_short_and_names_the_classes():
    values = {"n": 9.0, "gmean": 0.5, "recall_a\x1b": 1.0}
    numbers = Evaluation(values, {"gmean": (0.25, 0.75)}, ("a\x1b", "b"))
    assert evaluate.metric_table(numbers) == [
        ["metric", "value", "95% interval"],
        ["G-mean", "0.5000", "0.2500 to 0.7500"],
        ["recall of a ", "1.0000", ""],
    ]


def test_an_evaluation_is_shown_in_one_line():
    numbers = Evaluation({"n": 9.0, "gmean": 0.5, "accuracy": 0.75}, {"gmean": (0.25, 0.75)})
    assert repr(numbers) == "Evaluation(accuracy 0.750, G-mean 0.500; 3 metrics)"


def test_the_recall_of_very_many_classes_is_not_printed():
    values = {"accuracy": 0.5} | {f"recall_{n}": 0.5 for n in range(50)}
    classes = tuple(str(n) for n in range(50))
    assert len(evaluate.metric_table(Evaluation(values, {}, classes))) == 2


def test_tuning_is_told_in_sentences():
    run = RunOutputs(KEY, drawn(0), drawn(1), {"no": 45, "yes": 45})
    result = evaluate.evaluate_run(run, YES)
    values, (threshold, temperature, prior) = result.metrics, result.notes
    assert threshold.startswith(
        f"threshold {values['threshold']:.4g} (chosen on valid, best smoothed G-m"
    )
    assert f"G-mean {values['gmean']:.4f} -> {values['threshold_gmean']:.4f}" in threshold
    assert f"ECE {values['ece']:.4f} -> {values['calibrated_ece']:.4f}" in temperature
    assert f"log loss {values['loss']:.4f} -> {values['prior_loss']:.4f}" in prior
    assert evaluate.evaluate_run(RunOutputs(KEY, drawn(0)), NO).notes == ()


def test_a_class_without_test_images_is_told_and_leaves_the_other_numbers(tmp_path):
    """Every number in metrics.json is one, and what is undefined is named."""
    test = drawn(0, rare=0)
    run = RunOutputs(KEY, test, drawn(1), {"no": 45, "yes": 45})
    numbers = evaluation.write_evaluation(tmp_path / "out", run, YES)
    content = json.loads((tmp_path / "out" / results.METRICS_FILE).read_text())
    assert {"accuracy", "threshold_accuracy", "calibrated_ece", "prior_loss"} < set(content)
    assert not {"gmean", "recall", "threshold_gmean", "prior_gmean"} & set(content)
    first, *_ = numbers.notes
    assert first.startswith("class 'yes' has no test images: its recall, the G-mean")
    assert read_result(tmp_path / "out").metrics["accuracy"] == numbers.metrics["accuracy"]


def test_the_bins_of_the_calibration_errors_give_the_errors_again(tmp_path):
    numbers = evaluation.write_evaluation(tmp_path / "out", RunOutputs(KEY, drawn(0)), YES)
    with (tmp_path / "out" / "reliability.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for of, name in (("", "ece"), ("yes", "ece_yes")):
        bins = [row for row in rows if row["of"] == of]
        gaps = [int(b["images"]) * abs(float(b["score"]) - float(b["fraction"])) for b in bins]
        assert sum(int(b["images"]) for b in bins) == 60
        assert sum(gaps) / 60 == pytest.approx(numbers.metrics[name])


# --- the command ------------------------------------------------------------------------------


def call(*arguments):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def test_a_run_is_evaluated_with_threshold_calibration_and_mistakes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = {
        name: arm(tmp_path / name, {"a": 8, "b": 4}, seed=seed)
        for seed, name in enumerate(("train", "valid", "test"))
    }
    train.train_one(
        folders["train"], folders["valid"], "r", settings(), seed=0, output=tmp_path / "run"
    )
    arguments = ("run", "--test", "test", "--output")
    outputs = [call(*arguments, name).output for name in ("x", "y")]
    assert "balanced accuracy" in outputs[0]
    assert "temperature" in outputs[0]
    first, second = ({p.relative_to(f): p.read_bytes() for p in f.rglob("*") if p.is_file()}
                     for f in (tmp_path / "x", tmp_path / "y"))  # fmt: skip
    assert first == second
    read = read_result(tmp_path / "x")
    assert str(read.key) == "train-r-0"
    assert len(read.valid.ids) == 12
    assert {mistake.kind for mistake in read_mistakes(tmp_path / "x")} >= {"hardest"}
    assert "prior_gmean" in read.metrics


def test_predictions_of_another_tool_are_tuned_on_others_of_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("test", "valid")):
        predictions.write_predictions(tmp_path / f"{name}.csv", drawn(seed))
    done = call("test.csv", "--valid-predictions", "valid.csv", "--output", "out")
    assert "temperature" in done.output
    assert read_result(tmp_path / "out").key == RunKey("test", "predictions", 0)
    assert "name the positive class with --positive" in done.output
    options = ("--positive", "yes", "--threshold", "cost:5", "--output", "out")
    done = call("test.csv", "--valid-predictions", "valid.csv", *options)
    assert (
        "(chosen on valid, lowest cost, a false negative costing 5 false positives): G-mean"
        in done.output
    )
    done = call("test.csv", "--valid-predictions", "test.csv", "--output", "other")
    assert "valid and test share the image" in str(done.exception)


def test_a_table_has_the_arm_recipe_and_seed_that_it_is_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("y_true,what\n" + 9 * "a,a\nb,b\nb,a\n")
    named = ("--arm", "mine", "--recipe", "theirs", "--seed", "3", "--predicted", "what")
    done = call("t.csv", "--output", "out", *named)
    assert "t.csv: actual is 'y_true'; predicted is 'what'" in done.stderr
    assert read_result(tmp_path / "out").key == RunKey("mine", "theirs", 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["."], "a run is tested on images"),
        ([".", "--test", "x", "--valid-predictions", "x.csv"], "a run is tested on images"),
        ([".", "--test", "x", "--actual", "y_true"], "a run has a name and no columns"),
        ([".", "--test", "x", "--seed", "1"], "a run has a name and no columns"),
        (["x.csv", "--arm", "a/b"], "--arm must be a file's name, got 'a/b'"),
        (["x.csv", "--test", "x"], "predictions are of test already"),
    ],
)
def test_options_that_do_not_go_together_are_refused(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").touch()
    done = call(*arguments, "--output", "never")
    assert message in str(done.exception)


def test_metrics_json_holds_scalars_and_the_intervals(tmp_path):
    evaluation.write_evaluation(tmp_path / "out", RunOutputs(KEY, drawn(0), drawn(1)), YES)
    content = json.loads((tmp_path / "out" / results.METRICS_FILE).read_text())
    assert list(content)[:4] == ["arm", "recipe", "seed", "positive"]
    assert list(content)[-4:] == ["intervals", "notes", "tables", "sha256"]
    assert list(content.pop("tables")) == ["predictions.csv", "valid_predictions.csv"]
    assert set(content.pop("intervals")) < set(content)
    assert all(isinstance(note, str) for note in content.pop("notes"))
    assert all(isinstance(value, str | int | float) for value in content.values())


@pytest.mark.parametrize("name", ["metrics.json", "predictions.csv", "valid_predictions.csv"])
def test_every_one_of_many_flipped_bits_is_noticed(tmp_path, name):
    evaluation.write_evaluation(tmp_path / "out", RunOutputs(KEY, drawn(0), drawn(1)), YES)
    for data in flipped((tmp_path / "out" / name).read_bytes(), 200):
        (tmp_path / "out" / name).write_bytes(data)
        with pytest.raises(InputError, match=name):
            results.read_result(tmp_path / "out")
