"""Which remedy of a project to take; test_remedies.py has the advice on a folder of photos."""

from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.test_comparison import BASE, GOOD, arms, scored
from toolkit.evaluation import advice
from toolkit.evaluation.comparison import compare_results
from toolkit.evaluation.leaderboard import NOTHING, THRESHOLD
from toolkit.evaluation.verdict import moved_statement, settling_statement, verdict_title


def runs(arm, gap, prior=0.0, seeds=3, recipe="net"):
    return [replace(scored(arm, n, gap, prior), recipe=recipe) for n in range(seeds)]


def compared(*groups, **settings):
    return compare_results([run for of in groups for run in of], resamples=100, **settings)


@pytest.fixture(scope="module")
def better():
    """New images teach something."""
    return compared(runs("original", 2.0, -2.0), runs("augmented", 3.0))


@pytest.fixture(scope="module")
def moved():
    """New images move the threshold alone."""
    return compared(runs("original", 2.0, -2.0), runs("augmented", 2.0, 0.3))


def test_what_helps_is_named_with_counts_how_sure_it_is_and_what_was_declared(better):
    taken = advice.taken_standing(better)
    before = advice.nothing_standing(better, taken)
    (primary,) = better.contrasts
    assert advice.closing_sentences(better) == [
        "Take augmented.",
        f"It finds {taken.found:.0f} of 90 images of 'b' instead of {before.found:.0f}, with "
        f"{taken.alarms:.0f} false alarms in 500 instead of {before.alarms:.0f}.",
        f"G-mean {taken.gmean:.3f} ({taken.low:.3f} to {taken.high:.3f}), the best of 3 with a "
        f"probability of {taken.best:.0%}.",
        verdict_title(primary),
    ]
    assert (before.arm, before.title) == ("original", NOTHING)
    assert advice.remedy_badge(better) == "Better, and sure"


def test_where_the_threshold_moved_a_threshold_is_chosen_and_that_is_said(moved):
    (primary,) = moved.contrasts
    said = advice.closing_sentences(moved)
    assert advice.taken_standing(moved).title == THRESHOLD
    assert said[0] == "Choose a threshold."
    assert next(iter(moved_statement(primary))) in said
    assert advice.remedy_badge(moved) in ("A threshold is enough", "More is not known to help")


def test_what_would_settle_and_what_more_images_would_bring_is_said_last():
    few = [replace(run, learning=((30, 0.6), (60, 0.7))) for run in arms(original=BASE, more=BASE)]
    unknown = compare_results(few, resamples=100)
    (primary,) = unknown.contrasts
    more, *settling = advice.closing_sentences(unknown)[-2:]
    assert more.startswith("60 -> 120 images of 'b' would bring about +0.")
    assert settling == [*settling_statement(primary)]


@pytest.mark.parametrize(
    ("margin", "headline", "badge"),
    [
        (0.02, "Take net as it is: no remedy is known to help yet", "No remedy known to help"),
        (0.5, "Take net as it is: no remedy helps", "No remedy needed"),
    ],
)
def test_without_a_known_remedy_nothing_is_done(margin, headline, badge):
    same = compared(arms(original=BASE, augmented=BASE), margin=margin)
    assert advice.closing_sentences(same)[0] == f"{headline}."
    assert advice.closing_sentences(same)[1].startswith("The classifier finds ")
    assert advice.remedy_badge(same) == badge


def test_what_helps_by_less_than_the_margin_is_not_denied():
    results = [replace(r, predictions=replace(r.predictions, scores=None))
               for r in arms(original=BASE, augmented=GOOD)]  # fmt: skip
    gain = compare_results(results, resamples=100).contrasts[0].tested.value
    little = compare_results(results, resamples=100, margin=gain + 1e-3)
    assert little.contrasts[0].verdict == "better"
    assert (advice.remedy_headline(little), advice.remedy_badge(little)) == (
        "Take net as it is: what helps brings less than the margin", "Little to gain",
    )  # fmt: skip


def test_of_several_recipes_that_to_take_is_named(better):
    weak = [*runs("original", 0.5, recipe="weak"), *runs("augmented", 0.5, recipe="weak")]
    several = compared(runs("original", 2.0, -2.0), runs("augmented", 3.0), weak)
    assert advice.remedy_headline(several) == "With net, take augmented"
    assert advice.taken_contrast(several).recipe == "net"


def test_better_without_having_been_declared_is_exploratory():
    first = [run for recipe in ("weak", "net") for run in runs("original", 2.0, -2.0, 3, recipe)]
    both = compared(first, runs("augmented", 2.0, -2.0, 3, "weak"), runs("augmented", 4.0))
    assert advice.taken_contrast(both).verdict == "better"
    assert advice.remedy_badge(both) == "Better (exploratory)"
    assert verdict_title(advice.taken_contrast(both)) in advice.remedy_sentences(both)


def test_of_single_runs_more_seeds_are_asked_for():
    single = compared(runs("original", 2.0, seeds=1), runs("augmented", 2.0, seeds=1))
    assert "train at least three seeds" in " ".join(advice.closing_sentences(single))


def test_where_no_remedy_recognizes_every_class_none_is_taken():
    never = [
        replace(run, predictions=replace(run.predictions, scores=None, predicted=("a",) * 590))
        for run in (*runs("original", 2.0), *runs("augmented", 2.0))
    ]
    none = compare_results(never, resamples=200)
    assert advice.taken_standing(none) is advice.taken_errors(none, never) is None
    assert advice.closing_sentences(none)[0] == f"{advice.UNABLE}."
    assert advice.remedy_badge(none) == "Not yet known"


@pytest.mark.parametrize("shuffled", [False, True])
def test_errors_are_those_of_the_remedy_to_take(better, shuffled):
    results = [*runs("original", 2.0, -2.0), *runs("augmented", 3.0)]
    if shuffled:
        results[-1] = replace(results[-1], predictions=backwards(results[-1].predictions))
    errors, taken = advice.taken_errors(better, results), advice.taken_standing(better)
    assert (errors.found, errors.alarms) == pytest.approx((taken.found, taken.alarms))
    assert len(errors.missed) == round(taken.rare - taken.found)
    rare = dict(zip(results[0].predictions.ids, results[0].predictions.actual, strict=True))
    assert {rare[image.id] for image in errors.missed} == {"b"}
    assert {rare[image.id] for image in errors.alarmed} == {"a"}


def backwards(of):
    return replace(
        of,
        ids=of.ids[::-1],
        actual=of.actual[::-1],
        predicted=of.predicted[::-1],
        scores=np.ascontiguousarray(of.scores[::-1]),
    )
