"""The sentences and the table of a comparison, and the scalars of summary.json."""

from tests.evaluation.test_comparison import BAD, BASE, GOOD, arms, result
from toolkit.evaluation.comparison import compare_results
from toolkit.evaluation.verdict import (
    comparison_markdown,
    comparison_notes,
    comparison_table,
    format_p,
    metric_title,
    summarize_comparison,
    verdict_headline,
    verdict_sentence,
)


def test_a_conclusive_verdict_states_difference_interval_and_p_value():
    (contrast,) = compare_results(arms(original=BASE, augmented=GOOD)).contrasts
    text = verdict_sentence(contrast)
    assert text.startswith("augmented against original, net: better. G-mean +0.1")
    assert "(95% interval +0." in text
    assert "p < 0.001" in text or "p = 0.0" in text


def test_an_inconclusive_verdict_states_the_detectable_difference():
    (contrast,) = compare_results(arms(original=BASE, augmented=BASE)).contrasts
    sentence = verdict_sentence(contrast)
    assert ": inconclusive. G-mean " in sentence
    assert f"A true difference of {contrast.detectable:.3f} would have been detected" in sentence


def test_one_seed_asks_for_more():
    (contrast,) = compare_results([result("original"), result("augmented", recalls=GOOD)]).contrasts
    assert ": inconclusive. These networks differ by G-mean +0." in verdict_sentence(contrast)
    assert "Train at least three seeds" in verdict_sentence(contrast)


def test_the_headline_has_one_sentence_per_arm():
    results = arms(original=BASE, augmented=GOOD, flipped=BAD)
    others = [result("original", s, BASE, "other") for s in range(3)]
    others += [result("augmented", s, BASE, "other") for s in range(3)]
    first, second = verdict_headline(compare_results([*results, *others]))
    assert first.startswith("augmented against original: better with net (G-mean +0.")
    assert "; inconclusive with other (G-mean " in first
    assert second.startswith("flipped against original, net: worse. ")


def test_the_headline_is_about_the_arms_and_not_about_the_control():
    results = arms(original=BASE, duplicated=GOOD, augmented=GOOD)
    first, second = verdict_headline(compare_results(results, control="duplicated"))
    assert first.startswith("augmented against original, net: better")
    assert second.startswith("augmented against duplicated, net: inconclusive")
    (only,) = verdict_headline(compare_results(results[:6], control="duplicated"))
    assert only.startswith("duplicated against original")


def test_the_table_has_a_row_per_arm():
    header, base, other = comparison_table(compare_results(arms(original=BASE, augmented=GOOD)))
    assert header == [
        "recipe", "arm", "seeds", "G-mean", "accuracy", "recall of b",
        "G-mean against original", "p", "verdict",
    ]  # fmt: skip
    assert base[-3:] == ["baseline", "", ""]
    assert (other[:3], other[-1]) == (["net", "augmented", "3"], "better")
    assert all(" to " in cell for cell in other[3:7])


def test_notes_state_what_the_intervals_account_for():
    notes = " ".join(comparison_notes(compare_results(arms(original=BASE, augmented=GOOD))))
    assert "Class 'b' has 90 test images, so each of them is 0.011 of its recall." in notes
    assert "3 seeds: intervals account for the sampling of the test images and" in notes
    one = " ".join(comparison_notes(compare_results([result("original"), result("augmented")])))
    assert "the sampling of the test images only" in one


def test_notes_say_that_two_images_are_too_few_for_an_area():
    compared = compare_results([result("original", images=(300, 2))])
    assert "too few to compare ROC AUCs" in " ".join(comparison_notes(compared))
    assert "roc_auc" not in compared.metrics


def test_notes_warn_of_a_class_that_is_never_predicted_correctly():
    notes = " ".join(comparison_notes(compare_results(arms(original=(1, 0), augmented=GOOD))))
    assert "G-mean of 0" in notes


def test_the_summary_is_scalars_by_recipe_and_arm():
    compared = compare_results(
        arms(original=BASE, duplicated=GOOD, augmented=GOOD), control="duplicated"
    )
    scalars = summarize_comparison(compared)["net"]["augmented"]
    assert all(isinstance(value, int | float | str) for value in scalars.values())
    assert scalars["verdict"] == "better"
    assert scalars["verdict_against_duplicated"] == "inconclusive"
    assert (
        scalars["gmean_difference_low"]
        < scalars["gmean_difference"]
        < scalars["gmean_difference_high"]
    )
    assert "verdict" not in summarize_comparison(compared)["net"]["original"]


def test_markdown_escapes_names():
    results = arms(original=BASE) + [result("a|b<i>", s, GOOD) for s in range(3)]
    text = comparison_markdown(compare_results(results))
    assert "a\\|b&lt;i>" in text
    assert text.splitlines()[1].startswith("| --- | --- | ---:")


def test_a_class_may_be_called_like_a_metric():
    assert metric_title("recall_recall_low") == "recall of recall_low"
    assert metric_title("accuracy") == "accuracy"


def test_p_values_have_significant_digits():
    assert [format_p(p) for p in (0.00001, 0.0312, 0.312)] == ["< 0.001", "0.031", "0.31"]


def test_a_test_split_too_small_for_any_difference_is_reported():
    """Two seeds that differ by half: the interval ends where G-means do."""
    recalls = {("original", 0): 0.2, ("original", 1): 0.9, ("augmented", 0): 0.3}
    results = [result(arm, seed, (0.9, share)) for (arm, seed), share in recalls.items()]
    results.append(result("augmented", 1, (0.9, 0.95)))
    (contrast,) = compare_results(results).contrasts
    assert (contrast.tested.low, contrast.tested.high) == (-1, 1)
    assert verdict_sentence(contrast).endswith("No true difference, however large, would have been "
                                       "detected 4 times in 5.")  # fmt: skip
