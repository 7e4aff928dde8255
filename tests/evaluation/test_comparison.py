"""Arms set against the baseline and the control, and the verdicts."""

import dataclasses

import numpy as np
import pytest

from toolkit.errors import InputError
from toolkit.evaluation import ranking
from toolkit.evaluation.comparison import compare_results
from toolkit.evaluation.results import HISTORY, RunResult
from toolkit.evaluation.verdict import comparison_notes
from toolkit.metrics.classification import compute_metrics
from toolkit.metrics.intervals import confidence_intervals
from toolkit.metrics.predictions import Predictions
from toolkit.metrics.significance import holm

IMAGES = (500, 90)


def predicted(recalls, seed, images=IMAGES):
    """Networks that find these shares of the classes, each missing other images."""
    rng = np.random.default_rng(seed)
    actual = np.repeat([0, 1], images)
    right = rng.random(len(actual)) < np.array(recalls)[actual]
    score = np.where(right == (actual == 1), 0.8, 0.2)
    names, labels = np.array(["a", "b"]), np.where(right, actual, 1 - actual)
    ids, scores = map(str, range(len(actual))), np.stack([1 - score, score], axis=1)
    return Predictions(("a", "b"), tuple(ids), tuple(names[actual]), tuple(names[labels]), scores)


def result(arm, seed=0, recalls=(0.95, 0.8), recipe="net", *, trained=True, images=IMAGES):
    number = sum(map(ord, arm)) + seed
    outcome = predicted(recalls, number, images)
    history = dict.fromkeys(HISTORY, (1.0,)) if trained else None
    return RunResult(arm, recipe, seed, compute_metrics(outcome, "b"), outcome, "b", history)


def arms(**recalls):
    """Three seeds of each arm."""
    return [result(arm, seed, of_arm) for arm, of_arm in recalls.items() for seed in range(3)]


BASE, GOOD, BAD = (0.95, 0.6), (0.96, 0.85), (0.9, 0.3)


@pytest.mark.parametrize(
    ("recalls", "verdict"), [(GOOD, "better"), (BAD, "worse"), (BASE, "not yet known")]
)
def test_a_verdict_says_what_is_certain(recalls, verdict):
    (contrast,) = compare_results(arms(original=BASE, augmented=recalls)).contrasts
    assert (contrast.verdict, contrast.scope, contrast.seeds) == (verdict, "training", (3, 3))
    assert (contrast.tested.low <= 0 <= contrast.tested.high) == (verdict == "not yet known")


FOLDS = np.arange(sum(IMAGES)) % 5


def cross_fitted(*, learning_rate=1.0, shift=0):
    """Two divisions of each arm into five folds; those of one arm are shifted."""
    history = dict.fromkeys(HISTORY, (learning_rate,))
    for run in arms(original=BASE, augmented=GOOD):
        folds = (FOLDS + np.arange(len(FOLDS)) // 5 * run.seed) % 5
        folds = np.roll(folds, shift) if run.arm == "original" else folds
        outcome = dataclasses.replace(run.predictions, folds=folds)
        if run.seed < 2:
            yield dataclasses.replace(run, predictions=outcome, history=history)


def test_cross_fitted_runs_average_the_divisions_into_folds():
    compared = compare_results(list(cross_fitted(learning_rate=0.0)))
    (contrast,) = compared.contrasts
    assert (contrast.scope, contrast.verdict) == ("folds", "better")
    assert all(of.parts.training is None for of in contrast.differences.values())
    assert any("divisions into folds are averaged" in note for note in comparison_notes(compared))


@pytest.mark.parametrize("shift", [0, 1])
def test_the_networks_of_folds_show_what_training_does_by_chance(shift):
    """A network of one fold that is far worse, by chance, widens the interval of the difference."""
    frozen = compare_results(list(cross_fitted(learning_rate=0.0)))
    trained = compare_results(list(cross_fitted(shift=shift)))
    bad = list(cross_fitted(shift=shift))
    worst = bad[2].predictions
    labels = np.array(worst.predicted, dtype=object)
    labels[worst.folds == 3] = "a"
    bad[2] = dataclasses.replace(
        bad[2], predictions=dataclasses.replace(worst, predicted=tuple(labels))
    )
    (one,), (two,), (three,) = (of.contrasts for of in (frozen, trained, compare_results(bad)))
    assert two.tested.parts.folds == 5
    widths = [of.as_predicted.high - of.as_predicted.low for of in (one, two, three)]
    assert widths[0] <= widths[1] < widths[2]
    assert any("seen between the folds" in note for note in comparison_notes(trained))


def test_one_training_run_each_gives_no_verdict_whatever_the_difference():
    """The two networks differ beyond doubt; two other runs might not."""
    results = [result("original", recalls=BASE), result("augmented", recalls=GOOD)]
    (contrast,) = compare_results(results).contrasts
    assert contrast.tested.low > 0.05
    assert contrast.p < 0.001
    assert (contrast.scope, contrast.verdict) == ("networks", "not yet known")


@pytest.mark.parametrize("seeds", [2, 7, 10])
def test_equal_predictions_have_an_interval_and_are_practically_equal(seeds):
    """The same predictions in all runs: nothing differs, but on other images something might."""
    same = predicted(BASE, 0)
    runs = [dataclasses.replace(result("original", seed), predictions=same) for seed in range(2)]
    runs += [dataclasses.replace(result("new", seed), predictions=same) for seed in range(seeds)]
    (contrast,) = compare_results(runs).contrasts
    assert contrast.verdict == contrast.verdict_as_predicted == "practically equal"
    (wary,) = compare_results(runs, margin=0.001).contrasts
    assert wary.verdict == "not yet known"
    for name, difference in contrast.differences.items():
        assert difference.value == 0
        assert difference.low < 0 < difference.high, name


@pytest.mark.parametrize("recalls", [BASE, (1.0, 0.02)])
def test_one_number_has_one_interval_wherever_it_stands(recalls):
    """One run, or the same network several times, has the intervals of its evaluation."""
    run = result("original", recalls=recalls)
    expected = confidence_intervals(run.predictions, "b")
    for copies in (1, 2):
        runs = [dataclasses.replace(run, seed=seed) for seed in range(copies)]
        (estimate,) = compare_results(runs).estimates
        for name in {*estimate.intervals} - {"threshold_gmean"}:
            assert estimate.intervals[name] == pytest.approx(expected[name], abs=1e-12), name


def test_two_arms_at_a_gmean_of_zero_say_nothing():
    runs = arms(original=(1, 0), augmented=(1, 0))
    bare = [
        dataclasses.replace(run, predictions=dataclasses.replace(run.predictions, scores=None))
        for run in runs
    ]
    (contrast,) = compare_results(bare).contrasts
    assert contrast.tested.value == 0
    assert contrast.verdict == "not yet known"
    assert np.isnan(contrast.detectable)


def test_an_area_has_the_interval_that_its_evaluation_has():
    run = result("original", images=(300, 5))
    (estimate,) = compare_results([run]).estimates
    expected = confidence_intervals(run.predictions, "b")["roc_auc"]
    assert estimate.intervals["roc_auc"] == pytest.approx(expected)


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_perfect_area_of_five_images_is_no_point(seeds):
    runs = [result("original", seed, (1.0, 1.0), images=(300, 5)) for seed in range(seeds)]
    (estimate,) = compare_results(runs).estimates
    assert estimate.intervals["roc_auc"] == pytest.approx((0.566, 1.0), abs=0.001)


def test_predictions_of_two_tools_are_judged_as_they_are():
    results = [
        result("a", recalls=BASE, trained=False),
        result("b", recalls=GOOD, trained=False),
    ]
    (contrast,) = compare_results(results, "a").contrasts
    assert (contrast.scope, contrast.verdict) == ("networks", "better")


def test_the_difference_is_that_of_the_means_over_seeds():
    results = arms(original=BASE, augmented=GOOD)
    compared = compare_results(results)
    means = {
        arm: np.mean([r.metrics["gmean"] for r in results if r.arm == arm])
        for arm in ("original", "augmented")
    }
    assert [row.arm for row in compared.estimates] == ["original", "augmented"]
    for row in compared.estimates:
        assert row.mean("gmean") == pytest.approx(means[row.arm])
        low, high = row.intervals["gmean"]
        assert low < means[row.arm] < high
    assert compared.contrasts[0].tested.value == pytest.approx(
        means["augmented"] - means["original"]
    )


def test_every_class_and_the_area_are_compared_too():
    compared = compare_results(arms(original=BASE, augmented=GOOD))
    assert compared.metrics == (
        "gmean", "accuracy", "balanced_accuracy", "recall", "recall_a", "recall_b",
        "threshold_gmean", "roc_auc",
    )  # fmt: skip
    assert compared.test_images == {"a": 500, "b": 90}


def test_runs_of_one_seed_are_paired_for_mcnemar():
    results = arms(original=BASE, augmented=GOOD)
    (contrast,) = compare_results(results).contrasts
    assert len(contrast.mcnemar) == 3
    right = [
        [x == y for x, y in zip(r.predictions.actual, r.predictions.predicted, strict=True)]
        for r in (results[0], results[3])
    ]
    assert contrast.mcnemar[0].only_arm == sum(b and not a for a, b in zip(*right, strict=True))


def test_the_control_is_a_second_arm_to_stand_against():
    results = arms(original=BASE, duplicated=GOOD, augmented=GOOD)
    compared = compare_results(results, control="duplicated")
    pairs = [(c.arm, c.against, c.verdict) for c in compared.contrasts]
    assert pairs == [
        ("duplicated", "original", "better"),
        ("augmented", "original", "better"),
        ("augmented", "duplicated", "not yet known"),
    ]
    assert len(compared.against("duplicated")) == 1


def test_many_comparisons_raise_the_bar():
    """Holm's correction over all but the primary one, recipes and arms."""
    alone = compare_results(
        [result("a", 0, BASE, trained=False), result("b", 0, (0.95, 0.72), trained=False)], "a"
    )
    among = compare_results(
        [
            result(arm, 0, recalls, recipe, trained=False)
            for recipe in ("p", "q")
            for arm, recalls in {"a": BASE, "b": (0.95, 0.72), "c": BASE, "d": BASE}.items()
        ],
        "a",
    )
    first, *others = among.contrasts
    assert first.primary
    assert first.p == first.tested.p == pytest.approx(alone.contrasts[0].p, abs=0.02)
    assert [of.tests for of in others] == [5] * 5
    assert [of.p for of in others] == pytest.approx(holm([of.tested.p for of in others]))


def test_the_primary_contrast_is_the_one_that_was_named():
    runs = arms(original=BASE, duplicated=BASE, augmented=GOOD)
    named = ("net", "augmented", "duplicated")
    compared = compare_results(runs, control="duplicated", primary=named)
    assert [c.primary for c in compared.contrasts] == [False, False, True]
    gone = compare_results(runs, primary=("other", "augmented", "original"))
    assert not any(c.primary for c in gone.contrasts)
    assert "other, is not among these results" in gone.warnings[0]


# --- ranking, and the threshold ---------------------------------------------------------------


def scored(arm, seed, gap, prior=0.0, images=IMAGES, valid=True):
    """A run whose log-odds of b are `gap` apart and `prior` higher in all; images are shared."""
    parts = []
    for split in ("valid", "test"):
        actual = np.repeat([0, 1], images)
        shared = np.random.default_rng(len(split)).standard_normal(len(actual))
        own = np.random.default_rng([seed, len(arm), len(split)]).standard_normal(len(actual))
        odds = shared + 0.1 * own + gap * (actual - 0.5) + prior
        of_b = 1 / (1 + np.exp(-odds))
        names = np.array(["a", "b"])
        ids = tuple(f"{split}-{n}" for n in range(len(actual)))
        columns = tuple(names[actual]), tuple(names[(of_b > 0.5).astype(int)])
        parts.append(Predictions(("a", "b"), ids, *columns, np.stack([1 - of_b, of_b], axis=1)))
    history = dict.fromkeys(HISTORY, (1.0,))
    tuning = parts[0] if valid else None
    return RunResult(arm, "net", seed, {}, parts[1], "b", history, tuning)


@pytest.mark.parametrize("valid", [True, False])
def test_a_gain_of_the_threshold_alone_is_no_gain(valid):
    """The arm's scores are those of the baseline, two log-odds higher: it finds more at .5."""
    runs = [scored("original", seed, 3.0, -2.0, valid=valid) for seed in range(4)]
    runs += [
        dataclasses.replace(scored("original", seed, 3.0, valid=valid), arm="augmented")
        for seed in range(4)
    ]
    (contrast,) = compare_results(runs).contrasts
    assert contrast.as_predicted.value > 0.1
    assert contrast.verdict_as_predicted == "better"
    assert contrast.verdict == "practically equal"
    assert contrast.tested.value == pytest.approx(0, abs=0.01)
    assert contrast.differences["roc_auc"].value == pytest.approx(0)


def test_what_is_learned_is_seen_in_the_ranking():
    runs = [scored("original", seed, 2.0) for seed in range(3)]
    runs += [scored("augmented", seed, 4.0, -2.0) for seed in range(3)]
    (contrast,) = compare_results(runs).contrasts
    assert (contrast.verdict, contrast.metric) == ("better", "threshold_gmean")


def test_a_threshold_is_not_chosen_on_the_images_that_it_decides_about():
    run = scored("original", 0, 2.0, valid=False)
    (decided,) = ranking.at_thresholds([run])
    outcome = run.predictions
    row = outcome.ids.index("test-589")
    scores = outcome.scores.copy()
    scores[row] = [0.999, 0.001]
    moved = dataclasses.replace(run, predictions=dataclasses.replace(outcome, scores=scores))
    (after,) = ranking.at_thresholds([moved])
    fold = [n for n in range(590) if n != row and ranking._folds(outcome)[n] ==
            ranking._folds(outcome)[row]]  # fmt: skip
    assert [after.predicted[n] for n in fold] == [decided.predicted[n] for n in fold]


def test_with_three_classes_a_changed_balance_is_no_gain_either():
    """The scores of rare classes are higher by a factor, as after training with more of them."""
    actual = np.repeat([0, 1, 2], [300, 100, 60])
    names, runs = np.array(["a", "b", "c"]), []
    for arm, factors in (("original", (20, 3, 1)), ("augmented", (1, 1, 1))):
        for seed in range(2):
            parts = []
            for split in (0, 1):
                rng = np.random.default_rng(split)
                scores = np.exp(rng.standard_normal((460, 3)) + 3 * np.eye(3)[actual]) * factors
                scores /= scores.sum(axis=1, keepdims=True)
                labels = names[scores.argmax(axis=1)]
                ids = tuple(f"{split}-{n}" for n in range(460))
                parts.append(
                    Predictions(tuple(names), ids, tuple(names[actual]), tuple(labels), scores)
                )
            runs.append(RunResult(arm, "net", seed, {}, parts[0], None, None, parts[1]))
    (contrast,) = compare_results(runs, resamples=500).contrasts
    assert contrast.verdict_as_predicted == "better"
    assert contrast.verdict == "practically equal"


def test_without_scores_the_decisions_as_predicted_are_judged():
    runs = [
        dataclasses.replace(run, predictions=dataclasses.replace(run.predictions, scores=None))
        for run in arms(original=BASE, augmented=GOOD)
    ]
    (contrast,) = compare_results(runs).contrasts
    assert (contrast.metric, contrast.verdict) == ("gmean", "better")


def test_images_may_stand_in_another_order():
    one, other = result("a", trained=False), result("b", trained=False)
    order = np.random.default_rng(0).permutation(590)
    predictions = other.predictions
    columns = (predictions.ids, predictions.actual, predictions.predicted)
    texts = [tuple(np.array(column)[order]) for column in columns]
    mixed = Predictions(predictions.classes, *texts, scores=predictions.scores[order])
    shuffled = dataclasses.replace(other, predictions=mixed)
    assert (
        compare_results([one, other], "a").contrasts
        == compare_results([one, shuffled], "a").contrasts
    )


def test_the_same_results_give_the_same_numbers():
    results = arms(original=BASE, augmented=GOOD)
    assert compare_results(results) == compare_results(results)
    assert compare_results(results, seed=1) != compare_results(results)


def test_more_than_two_classes_need_no_positive():
    actual = np.repeat([0, 1, 2], [50, 40, 30])
    names = np.array(["a", "b", "c"])
    results = []
    for arm, share in (("original", 0.4), ("augmented", 0.9)):
        for seed in range(3):
            rng = np.random.default_rng(seed)
            labels = np.where(rng.random(120) < share, actual, (actual + 1) % 3)
            columns = tuple(map(str, range(120))), tuple(names[actual]), tuple(names[labels])
            outcome = Predictions(tuple(names), *columns)
            results.append(RunResult(arm, "net", seed, compute_metrics(outcome), outcome))
    (contrast,) = compare_results(results).contrasts
    assert contrast.verdict == "better"
    assert "recall_c" in contrast.differences


def test_many_small_classes_tell_networks_apart_as_mcnemar_does():
    """Ten classes of ten images: one network is right about 17 others, the other about 5."""
    names = np.array(list("abcdefghij"))
    actual = np.repeat(np.arange(10), 10)
    wrong = np.isin(np.arange(100), [10 * k + n for n in range(2) for k in range(10)][:17])
    missed = [wrong, np.isin(np.arange(100), [10 * k + 9 for k in range(5)])]
    results = [
        RunResult(arm, "net", 0, {}, Predictions(tuple(names), *columns))
        for arm, miss in zip("ab", missed, strict=True)
        for columns in [
            (
                tuple(map(str, range(100))),
                tuple(names[actual]),
                tuple(names[np.where(miss, (actual + 1) % 10, actual)]),
            )
        ]
    ]
    (contrast,) = compare_results(results, "a").contrasts
    assert contrast.mcnemar[0].p == pytest.approx(0.017, abs=0.001)
    assert 0.002 < contrast.tested.p < 0.05
    assert contrast.verdict == "better"


def test_a_recipe_without_the_baseline_is_refused():
    with pytest.raises(
        InputError, match=r"recipe 'net' has no result of the baseline 'x'.*its arms"
    ):
        compare_results([result("original")], "x")


def test_a_run_given_twice_is_refused():
    with pytest.raises(InputError, match="the run original-net-0 occurs 2 times"):
        compare_results([result("original")] * 2)


def test_other_test_images_are_refused():
    with pytest.raises(InputError, match="not on the same test images: 590 and 340 images"):
        compare_results([result("original"), result("augmented", images=(300, 40))])


def test_other_classes_are_refused():
    wider = predicted(BASE, 0)
    scores = np.hstack([wider.scores, np.zeros((590, 1))])
    wider = dataclasses.replace(wider, classes=("a", "b", "c"), scores=scores)
    with pytest.raises(InputError, match=r"different classes: \['a', 'b'\] and \['a', 'b', 'c'\]"):
        compare_results([result("original"), dataclasses.replace(result("x"), predictions=wider)])


def test_nothing_to_compare_is_refused():
    with pytest.raises(InputError, match="no results to compare"):
        compare_results([])


def test_the_spread_over_the_seeds_is_their_standard_deviation():
    (one,) = compare_results([result("original")]).estimates
    assert one.std("gmean") is None
    (three,) = compare_results(arms(original=BASE)).estimates
    assert three.std("gmean") == pytest.approx(np.std(three.values["gmean"], ddof=1))


def test_a_class_without_test_images_leaves_nothing_to_compare():
    with pytest.raises(InputError, match=r"class 'b' has no images.*G-mean"):
        compare_results([result("original", images=(30, 0)), result("augmented", images=(30, 0))])


def test_a_comparison_is_shown_in_one_line():
    results = arms(original=BASE, augmented=GOOD, flipped=BASE)
    expected = "Comparison(baseline='original', 1 recipes x 3 arms; 1 better, 1 not yet known)"
    assert repr(compare_results(results)) == expected
    assert "1 arms; no contrasts" in repr(compare_results(arms(original=BASE)))


def made(arm, seed=0, unfinished="", **conditions):
    return dataclasses.replace(result(arm, seed), conditions=conditions, unfinished=unfinished)


def test_conditions_that_runs_do_not_share_are_said():
    results = [
        made("original", 0, device="cpu", precision="float32"),
        made("original", 1, device="cpu", precision="float32"),
        made("augmented", 0, device="cuda", precision="float32"),
    ]
    assert compare_results(results).warnings == (
        "Runs differ in more than arm and seed, device: cpu (2, such as original-net-0), "
        "cuda (1, such as augmented-net-0).",
    )
    assert compare_results(results[:2]).warnings == ()


def test_an_unfinished_run_is_said():
    results = [made("original"), made("augmented", unfinished="3 of 8 epochs")]
    compared = compare_results(results)
    assert compared.warnings == ("augmented-net-0 is unfinished: 3 of 8 epochs.",)
    assert comparison_notes(compared)[0] == compared.warnings[0]
