"""The sentences and the table of a comparison, and the scalars of summary.json."""

import dataclasses

from tests.evaluation.test_comparison import BAD, BASE, GOOD, arms, result, scored
from toolkit.evaluation.comparison import compare_results
from toolkit.evaluation.verdict import (
    comparison_markdown,
    comparison_notes,
    comparison_table,
    counts_sentence,
    design_sentence,
    format_p,
    images_to_settle,
    interval_ends,
    metric_title,
    summarize_comparison,
    verdict_headline,
    verdict_sentence,
)


def test_a_verdict_states_the_ranking_first_and_the_decisions_beside_it():
    (contrast,) = compare_results(arms(original=BASE, augmented=GOOD)).contrasts
    text = verdict_sentence(contrast)
    assert text.startswith(
        "augmented against original, net: better (primary). In ranking: G-mean at threshold +0."
    )
    assert "(95% interval +0." in text
    assert "p < 0.001" in text or "p = 0.0" in text
    assert "; ROC AUC +0." in text
    assert " At .5: G-mean +0." in text
    assert text.endswith(", better.")


def test_what_is_not_yet_known_says_what_would_settle_it():
    (contrast,) = compare_results(arms(original=BASE, augmented=BASE)).contrasts
    sentence = verdict_sentence(contrast)
    assert f"A true difference of {contrast.detectable:.3f} would have been detected" in sentence
    assert f"A difference of {contrast.to_settle:.3f} would be settled by " in sentence
    seeds = contrast.tested.runs_needed(contrast.to_settle, contrast.tests)
    images = images_to_settle(contrast)
    assert not seeds or f"{seeds} seeds of each arm" in sentence
    assert not images or f"{images} test images of 'b'" in sentence


def test_a_moved_threshold_is_said_to_be_one():
    runs = [scored("original", seed, 3.0, -2.0) for seed in range(4)]
    runs += [dataclasses.replace(scored("original", s, 3.0), arm="augmented") for s in range(4)]
    (contrast,) = compare_results(runs).contrasts
    text = verdict_sentence(contrast)
    assert "net: practically equal (primary)" in text
    assert text.endswith("The threshold moved, nothing was learned; choose a threshold instead.")


def test_two_gmeans_of_zero_claim_nothing():
    runs = [
        dataclasses.replace(run, predictions=dataclasses.replace(run.predictions, scores=None))
        for run in arms(original=(1, 0), augmented=(1, 0))
    ]
    (contrast,) = compare_results(runs).contrasts
    text = verdict_sentence(contrast)
    assert text.endswith("two G-means of 0 say nothing.")
    assert "detected" not in text


def test_one_seed_asks_for_more():
    (contrast,) = compare_results([result("original"), result("augmented", recalls=GOOD)]).contrasts
    text = verdict_sentence(contrast)
    assert ": not yet known (primary). These networks differ by G-mean +0." in text
    assert text.endswith("Train at least three seeds.")


def test_the_headline_is_the_primary_contrast_then_a_sentence_per_arm():
    results = arms(original=BASE, augmented=GOOD, flipped=BAD)
    others = [result(arm, s, BASE, "other") for arm in ("original", "augmented") for s in range(3)]
    others += [result(arm, s, BASE, "last") for arm in ("original", "augmented") for s in range(3)]
    first, third, second = verdict_headline(compare_results([*results, *others]))
    assert first.startswith("augmented against original, net: better (primary). ")
    assert second.startswith("augmented against original: not yet known with other (G-mean ")
    assert third.startswith("flipped against original, net: worse (exploratory). ")


def test_the_declared_contrast_is_said_in_images_too():
    compared = compare_results(arms(original=BASE, augmented=GOOD))
    (primary,) = compared.contrasts
    arm = next(of for of in compared.leaderboard if of.arm == "augmented")
    assert counts_sentence(compared).startswith(
        f"With net, augmented finds {arm.found:.0f} of {arm.rare} images of {primary.rare[0]!r} "
        "where original finds "
    )
    assert counts_sentence(compare_results(arms(original=BASE))) == ""


def test_the_headline_is_about_the_arms_and_not_about_the_control():
    results = arms(original=BASE, duplicated=GOOD, augmented=GOOD)
    first, second = verdict_headline(compare_results(results, control="duplicated"))
    assert first.startswith("augmented against original, net: better")
    assert second.startswith("augmented against duplicated, net: not yet known")
    (only,) = verdict_headline(compare_results(results[:6], control="duplicated"))
    assert only.startswith("duplicated against original")


def test_the_table_has_a_row_per_arm():
    header, base, other = comparison_table(compare_results(arms(original=BASE, augmented=GOOD)))
    assert header == [
        "recipe", "arm", "seeds", "G-mean at threshold", "G-mean", "accuracy", "recall of b",
        "G-mean at threshold against original", "p", "verdict", "at .5",
    ]  # fmt: skip
    assert base[-4:] == ["baseline", "", "", ""]
    assert (other[:3], other[-2:]) == (["net", "augmented", "3"], ["better", "better"])
    assert all(" to " in cell for cell in other[3:8])


def test_notes_state_what_the_intervals_account_for():
    notes = " ".join(comparison_notes(compare_results(arms(original=BASE, augmented=GOOD))))
    assert "Class 'b' has 90 test images, so each of them is 0.011 of its recall." in notes
    assert "3 seeds: intervals account for the sampling of the test images and" in notes
    one = " ".join(comparison_notes(compare_results([result("original"), result("augmented")])))
    assert "the sampling of the test images only" in one
    assert "There is no control: name an arm of plain copies in compare.control" in one


def test_notes_say_which_comparison_was_declared_and_how_the_others_are_corrected():
    results = arms(original=BASE, duplicated=GOOD, augmented=GOOD)
    notes = " ".join(comparison_notes(compare_results(results, control="duplicated")))
    assert "The primary contrast is tested at 5% without correction" in notes
    assert "p-values of the 2 exploratory comparisons are Holm-corrected." in notes
    assert "no control" not in notes


def test_an_interval_that_ends_at_its_value_says_why():
    notes = " ".join(comparison_notes(compare_results(arms(original=(1, 0.9), augmented=(1, 1)))))
    assert "ends at its own value does so because metrics end there: 1." in notes


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
    summary = summarize_comparison(compared)
    scalars = summary["net"]["augmented"]
    assert all(isinstance(value, int | float | str) for value in scalars.values())
    assert (scalars["verdict"], scalars["role"]) == ("better", "primary")
    assert scalars["role_against_duplicated"] == "exploratory"
    assert scalars["verdict_as_predicted"] == "better"
    assert {"seeds_to_settle_against_duplicated", "images_to_settle_against_duplicated"} & {
        *scalars
    }
    assert scalars["threshold_gmean_difference"] > 0 < scalars["roc_auc_difference"]
    assert scalars["verdict_against_duplicated"] == "not yet known"
    assert "verdict" not in summary["net"]["original"]


def test_the_summary_begins_with_the_primary_contrast():
    """The first columns of `dvc exp show`."""
    compared = compare_results(arms(original=BASE, augmented=GOOD))
    summary = summarize_comparison(compared)
    first = ["gmean", "recall", "threshold_gmean", "verdict"]
    assert [*summary] == [*first, "net"]
    assert all(summary[key] == summary["net"]["augmented"][key] for key in first)
    assert [*summary["net"]["augmented"]][:3] == first[:3]
    assert "verdict" not in summarize_comparison(compare_results(arms(original=BASE)))


def test_a_recipe_may_be_called_like_a_key_of_the_summary():
    results = [dataclasses.replace(of, recipe="gmean") for of in arms(original=BASE)]
    assert [*summarize_comparison(compare_results(results))["gmean"]] == ["original"]


def test_intervals_hold_their_values_and_stand_by_themselves():
    compared = compare_results(
        arms(original=BASE, duplicated=GOOD, augmented=GOOD), control="duplicated"
    )
    summary, intervals = summarize_comparison(compared), interval_ends(compared)
    for arm, ends in intervals["net"].items():
        scalars = summary["net"][arm]
        assert all(low < scalars[key] < high for key, (low, high) in ends.items())
        assert not [key for key in scalars if key.endswith(("_low", "_high"))]
    assert {"gmean", "threshold_gmean_difference", "gmean_difference_against_duplicated"} <= {
        *intervals["net"]["augmented"]
    }


def test_a_design_says_beforehand_what_it_will_find():
    text = design_sentence({"a": 500, "b": 90}, 3)
    assert text.startswith("With 90 test images of 'b' and 3 seeds a true difference in G-mean is ")
    assert "from 0.04 if training hardly varies, and from 0.14 if runs of an arm vary" in text
    assert "not possible: name at least three seeds" in design_sentence({"a": 500, "b": 90}, 1)


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
    text = verdict_sentence(contrast)
    assert "No true difference, however large, would have been detected 4 times in 5." in text
    assert text.endswith("Not even 50 seeds of each arm would settle a difference of 0.081.")
