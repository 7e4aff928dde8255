"""The threshold: known answers, and a search through all thresholds as oracle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import InputError
from toolkit.metrics import params, thresholds
from toolkit.metrics.predictions import Predictions

GMEAN = {"rule": "gmean"}


def rule(**fields):
    return params.EvaluateParams(threshold=fields)


def scored(positive, negative, ids=None, start=0):
    """Images of `yes` and of `no` with these scores of `yes`."""
    scores = np.array([*positive, *negative], dtype=float)
    actual = ("yes",) * len(positive) + ("no",) * len(negative)
    predicted = tuple("yes" if score > 0.5 else "no" for score in scores)
    ids = ids or tuple(f"i{start + n}" for n in range(len(actual)))
    columns = np.stack([1 - scores, scores], axis=1)
    return Predictions(("no", "yes"), ids, actual, predicted, columns)


def confusion(predictions, threshold):
    """Count true positives, false negatives, false positives and true negatives one by one."""
    decided = thresholds.apply_threshold(predictions, "yes", threshold)
    pairs = list(zip(decided.actual, decided.predicted, strict=True))
    return [pairs.count(pair) for pair in (("yes", "yes"), ("yes", "no"), ("no", "yes"),
                                           ("no", "no"))]  # fmt: skip


def gmean(predictions, threshold):
    tp, fn, fp, tn = confusion(predictions, threshold)
    return np.sqrt(tp * tn / ((tp + fn) * (fp + tn)))  # equal G-means are exactly equal


def recall(predictions, threshold):
    tp, fn, *_ = confusion(predictions, threshold)
    return tp / (tp + fn)


def cost(predictions, threshold, ratio):
    _, fn, fp, _ = confusion(predictions, threshold)
    return ratio * fn + fp


def all_thresholds(predictions):
    """One threshold for every way to divide the images: each score, and one above all."""
    return [*np.unique(predictions.scores[:, 1]), 2.0]


coarse = st.integers(0, 20).map(lambda n: n / 20)  # few values: many ties
images = st.builds(
    scored, st.lists(coarse, min_size=1, max_size=12), st.lists(coarse, min_size=1, max_size=12)
)


def test_the_rule_gmean_is_the_smoothed_threshold():
    predictions = scored([0.9, 0.6, 0.3], [0.1, 0.2, 0.7])
    chosen = thresholds.choose_threshold(predictions, "yes", rule(rule="gmean"))
    assert chosen == thresholds.smooth_threshold(predictions, "yes")


@given(images, st.sampled_from([0.25, 1, 3, 5]))
def test_no_threshold_is_cheaper(predictions, ratio):
    chosen = thresholds.choose_threshold(predictions, "yes", rule(rule="cost", ratio=ratio))
    least = min(cost(predictions, t, ratio) for t in all_thresholds(predictions))
    assert cost(predictions, chosen, ratio) == least


@given(images, st.sampled_from([0.05, 0.5, 0.7, 0.95, 1]))
def test_the_minimum_recall_is_reached_and_no_higher_threshold_reaches_it(predictions, minimum):
    chosen = thresholds.choose_threshold(predictions, "yes", rule(rule="recall", recall=minimum))
    assert recall(predictions, chosen) >= minimum
    higher = [t for t in all_thresholds(predictions) if t > chosen]
    reaching = [t for t in higher if recall(predictions, t) >= minimum]
    assert all(confusion(predictions, t) == confusion(predictions, chosen) for t in reaching)


@given(images, st.sampled_from([{"rule": "cost", "ratio": 3}, {"rule": "recall", "recall": 0.5}]))
def test_the_order_of_the_images_does_not_matter(predictions, chosen):
    pairs = list(zip(predictions.scores[:, 1], predictions.actual, strict=True))[::-1]
    turned = scored(*([s for s, a in pairs if a == name] for name in ("yes", "no")))
    assert thresholds.choose_threshold(
        turned, "yes", rule(**chosen)
    ) == thresholds.choose_threshold(predictions, "yes", rule(**chosen))


@pytest.mark.parametrize(
    ("positive", "negative", "expected"),
    [
        ([0.9, 0.6], [0.1, 0.2], 0.4),  # the middle of what divides them
        ([0.25, 0.75], [0.125, 0.375], 0.1875),  # the highest that finds both
        ([0.0], [0.0], 0.0),
    ],
)
def test_a_threshold_is_the_middle_of_a_gap(positive, negative, expected):
    settings = rule(rule="recall", recall=1)
    chosen = thresholds.choose_threshold(scored(positive, negative), "yes", settings)
    assert chosen == pytest.approx(expected, abs=1e-15)


def test_adjacent_floats_are_separated():
    low = 0.5
    high = np.nextafter(low, 1)
    predictions = scored([high], [low])
    chosen = thresholds.choose_threshold(predictions, "yes", rule(rule="cost", ratio=1))
    assert gmean(predictions, chosen) == 1


def test_a_threshold_may_lie_above_a_score_of_one():
    """False positives cost so much that nothing is predicted as positive."""
    predictions = scored([0.5, 1.0], [1.0])
    chosen = thresholds.choose_threshold(predictions, "yes", rule(rule="cost", ratio=0.01))
    assert confusion(predictions, chosen) == [0, 2, 0, 1]


def test_the_scores_of_the_other_class_may_be_the_positive_ones():
    predictions = scored([0.9, 0.7], [0.2, 0.4])
    chosen = thresholds.choose_threshold(predictions, "no", rule(rule="cost", ratio=1))
    assert chosen == pytest.approx(0.45)
    decided = thresholds.apply_threshold(predictions, "no", 0.7)
    assert decided.predicted == ("yes", "yes", "no", "yes")


def test_applying_keeps_images_and_scores_and_takes_the_threshold_itself():
    predictions = scored([0.25, 0.2], [0.1])
    decided = thresholds.apply_threshold(predictions, "yes", 0.25)
    assert decided.predicted == ("yes", "no", "no")
    assert (decided.ids, decided.actual) == (predictions.ids, predictions.actual)
    assert decided.scores is predictions.scores


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (GMEAN, "best smoothed G-mean"),
        ({"rule": "cost", "ratio": 5}, "lowest cost, a false negative costing 5 false positives"),
        ({"rule": "recall", "recall": 0.95}, "recall of at least 0.95"),
    ],
)
def test_every_rule_has_words(settings, words):
    assert thresholds.describe_rule(params.EvaluateParams(threshold=settings).threshold) == words
    assert settings["rule"] in {"gmean", *thresholds.RULES}


def test_a_class_without_valid_images_is_named():
    for positive, negative, name in (([0.5], [], "no"), ([], [0.5], "yes")):
        with pytest.raises(InputError, match=f"valid has no image of class '{name}', so no thresh"):
            thresholds.choose_threshold(scored(positive, negative), "yes", rule(rule="gmean"))


def test_a_positive_that_is_no_class_is_refused():
    with pytest.raises(InputError, match=r"two classes .* got 'maybe' of \['no', 'yes'\]"):
        thresholds.choose_threshold(scored([0.5], [0.5]), "maybe", rule(rule="gmean"))


# --- valid and test ---------------------------------------------------------------------------


def test_tuning_on_a_test_image_is_refused_by_name():
    valid, test = scored([0.9], [0.1, 0.2]), scored([0.8], [0.3], start=2)
    with pytest.raises(InputError, match=r"valid and test share the image 'i2', .*tune on others"):
        thresholds.check_disjoint(valid, test)
    thresholds.check_disjoint(valid, scored([0.8], [0.3], start=3))


def test_numbered_rows_are_refused_only_where_all_are_equal():
    valid = scored([0.9], [0.1], ids=("1", "2"))
    thresholds.check_disjoint(valid, scored([0.8], [0.1], ids=("1", "2")))
    thresholds.check_disjoint(valid, scored([0.9], [0.1, 0.2], ids=("1", "2", "3")))
    with pytest.raises(InputError, match="valid and test share all their rows"):
        thresholds.check_disjoint(valid, scored([0.9], [0.1], ids=("1", "2")))


def test_other_classes_and_missing_scores_are_refused():
    predictions = scored([0.9], [0.1])
    other = Predictions(("no", "si"), ("a",), ("no",), ("no",), np.array([[1.0, 0.0]]))
    bare = Predictions(("no", "yes"), ("a",), ("no",), ("no",))
    with pytest.raises(InputError, match=r"must be the same, got \['no', 'si'\] and \['no', 'yes'"):
        thresholds.check_disjoint(other, predictions)
    with pytest.raises(InputError, match="the valid predictions have no scores"):
        thresholds.check_disjoint(bare, predictions)
    with pytest.raises(InputError, match="the test predictions have no scores"):
        thresholds.check_disjoint(predictions, bare)


@pytest.mark.parametrize(
    "fields",
    [
        {"rule": "cost"},
        {"rule": "cost", "ratio": 0},
        {"rule": "cost", "ratio": float("inf")},
        {"rule": "recall", "recall": 1.5},
        {"rule": "gmean", "ratio": 5},
        {"rule": "best"},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(fields):
    with pytest.raises(ValueError, match="threshold"):
        params.EvaluateParams(threshold=fields)


def test_rules_are_read_from_the_command_line():
    assert thresholds.parse_rule("gmean") == params.GmeanRule(rule="gmean")
    assert thresholds.parse_rule("cost:5") == params.CostRule(rule="cost", ratio=5)
    assert thresholds.parse_rule("recall:0.95") == params.RecallRule(rule="recall", recall=0.95)


@pytest.mark.parametrize("text", ["cost", "cost:0", "recall:2", "gmean:1", "best", ":", "cost:x"])
def test_a_rule_on_the_command_line_that_makes_no_sense_is_refused(text):
    with pytest.raises(InputError, match=r"--threshold must be gmean, cost:RATIO .* got '"):
        thresholds.parse_rule(text)


def test_a_smoothed_threshold_is_the_middle_of_two_equal_groups():
    odds = np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])
    scores = 1 / (1 + np.exp(-odds - 0.5))
    labels = ("a",) * 3 + ("b",) * 3
    predictions = Predictions(
        ("a", "b"), tuple("123456"), labels, labels, np.stack([1 - scores, scores], axis=1)
    )
    threshold = thresholds.smooth_threshold(predictions, "b")
    assert np.log(threshold / (1 - threshold)) == pytest.approx(0.5, abs=0.03)


def test_a_smoothed_threshold_needs_both_classes():
    scores = np.array([[0.5, 0.5], [0.4, 0.6]])
    predictions = Predictions(("a", "b"), ("1", "2"), ("a", "a"), ("a", "b"), scores)
    with pytest.raises(InputError, match="no image of class 'b'"):
        thresholds.smooth_threshold(predictions, "b")


def test_a_smoothed_threshold_is_found_where_scores_are_tiny():
    scores = np.array([1e-9, 2e-9, 1e-7, 2e-7])
    labels = ("a", "a", "b", "b")
    columns = np.stack([1 - scores, scores], axis=1)
    threshold = thresholds.smooth_threshold(
        Predictions(("a", "b"), tuple("1234"), labels, labels, columns), "b"
    )
    assert 2e-9 < threshold < 1e-7


def test_factors_make_up_for_a_class_balance_and_need_every_class():
    """Three equal groups whose scores favor the first class tenfold."""
    rng = np.random.default_rng(0)
    actual = np.repeat([0, 1, 2], 200)
    plain = np.exp(rng.normal(size=(600, 3)) + 2 * np.eye(3)[actual])
    names = tuple("abc"[k] for k in actual)

    def predictions(weights):
        scores = plain * weights
        scores /= scores.sum(axis=1, keepdims=True)
        return Predictions(("a", "b", "c"), tuple(map(str, range(600))), names, names, scores)

    skewed = predictions(np.array([10.0, 1.0, 1.0]))
    factors = thresholds.class_factors(skewed)
    assert factors[1:] / factors[0] == pytest.approx([10, 10], rel=0.2)
    balanced = thresholds.apply_factors(
        predictions(1.0), thresholds.class_factors(predictions(1.0))
    )
    assert thresholds.apply_factors(skewed, factors).predicted == balanced.predicted
    few = Predictions(("a", "b"), ("1",), ("a",), ("a",), np.array([[0.5, 0.5]]))
    with pytest.raises(InputError, match="no image of class 'b'"):
        thresholds.class_factors(few)
