"""Remedies: decisions from other folds, verdicts, and what is said about them."""

import dataclasses

import numpy as np
import pytest

from toolkit.evaluation import advice, judgment, remedies
from toolkit.evaluation.advice import Advice
from toolkit.evaluation.judgment import judge
from toolkit.evaluation.remedies import HeldOutImages, HeldOutScores
from toolkit.metrics import significance
from toolkit.metrics.significance import Difference, VarianceParts


def images(common=100, rare=20, repeats=2):
    n = common + rare
    labels = np.array([0] * common + [1] * rare)
    rng = np.random.default_rng(0)
    folds = tuple(rng.permutation(n) % 5 for _ in range(repeats))
    ids = tuple(f"{number}.png" for number in range(n))
    return HeldOutImages(ids, ("common", "rare"), labels, folds, "rare")


def scores(about, shift, prior=0.0, seed=1):
    """Return scores whose log-odds are `shift` higher for the rare class, and `prior` in all."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(size=len(about.labels)) + shift * (about.labels - 0.5) + prior
    of_rare = 1 / (1 + np.exp(-odds))
    return np.stack([1 - of_rare, of_rare], axis=1)


def compare(about, **of_remedies):
    held_out = [
        HeldOutScores(name, (of,) * len(about.folds), tuned=name in ("threshold", "recommended"))
        for name, of in of_remedies.items()
    ]
    return remedies.compare_remedies(about, held_out, list(of_remedies)[-1], resamples=300)


def test_a_threshold_is_chosen_without_the_images_it_decides_about():
    about = images()
    folds, of_rare = about.folds[0], scores(about, 3.0)
    decided = remedies.decide(about, of_rare, folds, tuned=True)
    for fold in range(5):
        others = folds != fold
        odds = np.log(of_rare[others, 1] / of_rare[others, 0])
        kept = about.labels[others] == 1

        def smoothed(cut, odds=odds, kept=kept):
            above = 1 / (1 + np.exp(cut - odds))
            return above[kept].mean() * (1 - above[~kept]).mean()

        cut = max(np.arange(-12, 12.01, 0.05), key=smoothed)
        expected = np.log(of_rare[:, 1] / of_rare[:, 0]) >= cut
        for row in np.flatnonzero(folds == fold):
            assert (decided.predicted[row] == "rare") == expected[row]


def test_with_three_classes_scores_are_divided_by_the_classes_frequencies():
    labels = np.array([0] * 80 + [1] * 16 + [2] * 4)
    about = HeldOutImages(
        tuple(map(str, range(100))), ("a", "b", "c"), labels, (np.arange(100) % 2,), "c"
    )
    prior = np.tile([0.8, 0.16, 0.04], (100, 1))
    prior[99] = [0.6, 0.2, 0.2]
    decided = remedies.decide(about, prior, about.folds[0], tuned=True)
    assert decided.predicted[99] == "c"
    assert remedies.decide(about, prior, about.folds[0], tuned=False).predicted[99] == "a"


def test_a_shifted_prior_is_a_moved_threshold_and_nothing_learned():
    about = images(500, 60)
    rare = scores(about, 4.0, prior=-3.0)
    compared = compare(about, nothing=rare, threshold=rare, recommended=scores(about, 4.0))
    result = compared["recommended"]
    assert result.verdict == judgment.BETTER
    assert result.ranking is not None
    assert abs(result.ranking.value) < 1e-9
    assert result.ranking_verdict == judgment.EQUAL
    assert compared.chosen == "threshold"


def test_a_better_ranking_is_better_in_both_statements():
    about = images(500, 100)
    compared = compare(about, nothing=scores(about, 2.0), recommended=scores(about, 6.0))
    result = compared["recommended"]
    assert (result.verdict, result.ranking_verdict) == (judgment.BETTER, judgment.BETTER)
    assert compared.chosen == "recommended"


def test_as_many_images_are_named_as_are_wrong():
    about = images(500, 60)
    errors = compare(about, nothing=scores(about, 3.0))["nothing"].errors
    assert len(errors.missed) == errors.rare - round(errors.found)
    assert len(errors.alarmed) == round(errors.alarms)
    worst = [image.score for image in errors.missed]
    assert worst == sorted(worst)


@pytest.mark.parametrize(
    ("low", "high", "p", "verdict"),
    [
        (0.01, 0.09, 0.01, judgment.BETTER),
        (-0.09, -0.01, 0.01, judgment.WORSE),
        (-0.01, 0.015, 0.7, judgment.EQUAL),
        (0.001, 0.015, 0.01, judgment.EQUAL),  # a difference, but one that does not matter
        (-0.03, 0.09, 0.3, judgment.UNKNOWN),
    ],
)
def test_verdicts(low, high, p, verdict):
    middle = (low + high) / 2
    parts = VarianceParts((1, 1), None, 1e-4, (0.0, 0.0), 50)
    difference = Difference(0.5 + middle, 0.5, low, high, p, parts)
    assert judge(difference, p, 0.02) == verdict


def test_what_chance_does_in_training_is_seen_between_the_folds():
    """Networks of some folds that are worse by chance widen the intervals of a trained remedy."""
    about = images(500, 60)
    base, other = scores(about, 3.0), scores(about, 3.3, seed=1)
    other[about.folds[0] == 2] = other[about.folds[0] == 2][:, ::-1]

    def of(*, random):
        held = [
            HeldOutScores(name, (given,) * len(about.folds), random=name == "b" and random)
            for name, given in (("a", base), ("b", other), ("c", base))
        ]
        return remedies.compare_remedies(about, held, "b", resamples=200)

    frozen, network = of(random=False), of(random=True)
    for name, wider in (("b", 1.2), ("c", 1.0)):
        one, two = (found[name] for found in (frozen, network))
        widths = [found.difference.high - found.difference.low for found in (one, two)]
        assert widths[1] >= wider * widths[0]
        assert (two.interval[1] - two.interval[0]) >= (one.interval[1] - one.interval[0])
    assert frozen["c"].difference == network["c"].difference


def test_only_the_declared_comparison_is_not_corrected():
    about = images(500, 60)
    base = scores(about, 3.0)
    others = {name: scores(about, 3.3, seed=seed) for seed, name in enumerate("abc")}
    compared = compare(about, nothing=base, **others)
    exploratory = [compared[name].difference.p for name in "ab"]
    assert compared["c"].p == compared["c"].difference.p
    assert [compared[name].p for name in "ab"] == pytest.approx(significance.holm(exploratory))


def test_the_error_is_extrapolated_as_a_power_of_the_number_of_images():
    measured = {n: 1 - 0.8 * n**-0.5 for n in (10, 20, 40, 80)}
    assert remedies.extrapolate_gmean(measured, 160) == pytest.approx(1 - 0.8 * 160**-0.5)


def advise(about, compared):
    return Advice("photos", compared, {"common": 500, "rare": 60}, "a backbone", 96, 5, 2,
                  {30: 0.8, 60: 0.9, 120: 0.95})  # fmt: skip


def test_the_advice_says_what_is_found_and_that_only_the_threshold_moved():
    about = images(500, 60)
    rare = scores(about, 4.0, prior=-3.0)
    compared = compare(about, nothing=rare, threshold=rare, recommended=scores(about, 4.0))
    text = " ".join(advice.advice_sentences(advise(about, compared)))
    found = round(compared["threshold"].errors.found)
    assert "Choose a threshold." in text
    assert f"finds {found} of 60 images of 'rare' instead of" in text
    assert "60 -> 120 images of the rare class would bring about +0.050" in text


def test_what_helps_by_less_than_the_margin_is_not_denied():
    about = images(400, 100)
    names, held_out = ("nothing", "copies"), (scores(about, 2.0), scores(about, 3.0))
    remedied = [
        HeldOutScores(*of) for of in zip(names, ((of,) * 2 for of in held_out), strict=True)
    ]
    tested = remedies.compare_remedies(about, remedied, "copies", resamples=300)["copies"]
    margin = tested.difference.value + 1e-3
    little = remedies.compare_remedies(about, remedied, "copies", margin=margin, resamples=300)
    found = advise(about, little)
    assert (little.chosen, little["copies"].verdict) == ("nothing", "better")
    assert (advice.headline(found), advice.badge(found)) == (advice.LITTLE, "Little to gain")


def test_weak_features_are_called_weak():
    about = images(100, 60)
    compared = compare(about, nothing=scores(about, 0.5))
    text = " ".join(advice.advice_sentences(advise(about, compared)))
    assert "weak on these photos: try a larger --size" in text


def test_remedies_that_never_recognize_a_class_say_nothing():
    about = images(100, 20)
    never = np.tile([0.9, 0.1], (120, 1)) + scores(about, 0.0) * 1e-9
    held_out = [HeldOutScores(name, (never,) * 2) for name in ("nothing", "copies", "photo")]
    compared = remedies.compare_remedies(about, held_out, "copies", "copies", resamples=200)
    found = dataclasses.replace(advise(about, compared), learning={10: 0.0, 20: 0.0, 40: 0.0})
    assert advice.headline(found) == "Not yet known: no remedy recognizes every class"
    assert advice.badge(found) == "Not yet known"
    assert advice.advice_summary(found)["take"] is None
    text = " ".join(advice.advice_sentences(found))
    assert "no harm" not in text
    assert "next to nothing" not in text
    assert "*" not in str(advice.advice_table(found))


def test_doing_nothing_is_called_harmless_only_where_every_remedy_is_known_not_to_help():
    few, many = images(40, 10), images(1500, 400)
    said = [
        advice.headline(advise(about, compare(about, nothing=of, copies=other)))
        for about in (few, many)
        for of, other in [(scores(about, 6.0), scores(about, 6.0, seed=2))]
    ]
    assert said == [
        "Do nothing about the imbalance yet: no remedy is known to help",
        "Do nothing about the imbalance: with pretrained features it does no harm",
    ]


def test_advice_from_scratch_names_the_weights_and_no_features():
    about = images(1500, 400)
    of = [scores(about, 6.0), scores(about, 6.0, seed=2)]
    on_features = advise(about, compare(about, nothing=of[0], copies=of[1]))
    found = dataclasses.replace(on_features, backbone=None, network="a network", learning={})
    text = " ".join(advice.advice_sentences(found))
    assert "Do nothing about the imbalance: with networks from scratch it does no harm." in text
    assert "install the weights of the pretrained network, and run this again" in text
    assert "eatures" not in text
    assert advice.expected_sentence({"a": 9}, "a", 2, scratch=True).endswith("from scratch vary")


def test_where_training_is_random_its_luck_is_counted():
    """Networks that differ from division to division have wider intervals than heads that do."""
    found = {}
    for repeats, random in ((2, True), (2, False)):
        about = images(500, 60, repeats)
        lucky = tuple(scores(about, gap) for gap in (6.0, 3.0)[:repeats])
        held_out = [
            HeldOutScores("nothing", (scores(about, 1.0, seed=9),) * repeats),
            HeldOutScores("trained", lucky, tuned=True, random=random),
        ]
        compared = remedies.compare_remedies(about, held_out, "trained", resamples=200)
        found[repeats, random] = compared["trained"]
    assert found[2, False].verdict == judgment.BETTER
    widths = [
        [np.ptp(of.interval), of.difference.high - of.difference.low]
        for of in (found[2, True], found[2, False])
    ]
    assert widths[0][0] > widths[1][0]
    assert widths[0][1] >= widths[1][1]


def test_what_new_images_bring_is_said_against_plain_copies():
    about = images(500, 100)
    base, better = scores(about, 2.0), scores(about, 6.0)
    held_out = [
        HeldOutScores(name, (of,) * 2)
        for name, of in (("nothing", base), ("copies", base), ("photo", better))
    ]
    compared = remedies.compare_remedies(about, held_out, "photo", "copies", resamples=300)
    assert compared["copies"].beyond_control is None
    assert compared["photo"].control_verdict == judgment.BETTER
    text = " ".join(advice.advice_sentences(advise(about, compared)))
    assert "New images teach more than plain copies: +0." in text


def test_images_of_one_group_count_as_one_sample():
    """Each image four times over is no more evidence than once, if the four are one patient's."""
    once = images(100, 40)
    rows = np.repeat(np.arange(140), 4)
    ids = tuple(f"{number}-{copy}" for number in range(140) for copy in range(4))
    folds = tuple(of[rows] for of in once.folds)
    alone = HeldOutImages(ids, once.classes, once.labels[rows], folds, "rare")
    grouped = dataclasses.replace(alone, groups=rows)
    widths = []
    for about, chosen in ((once, np.arange(140)), (alone, rows), (grouped, rows)):
        result = compare(
            about, nothing=scores(once, 1.0)[chosen], recommended=scores(once, 3.0)[chosen]
        )
        widths.append(np.ptp(result["nothing"].interval))
        widths.append(result["recommended"].difference.high - result["recommended"].difference.low)
    assert widths[4:] == pytest.approx(widths[:2], rel=0.15)
    assert widths[2:4] == pytest.approx(np.array(widths[:2]) / 2, rel=0.15)
