"""What `advise` spends minutes on: networks within a budget, and divisions until it is sure."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.helpers import arms
from toolkit.errors import InputError
from toolkit.pipeline import candidates, trained
from toolkit.pipeline.candidates import Candidate
from toolkit.pipeline.timing import PLANNED, TimeBudget, TimeUpError
from toolkit.pipeline.trained import TrainableImages
from toolkit.training import dataset
from toolkit.training.crossfit.trained import fit_rows, score_rows


def small(images, seed=0):
    """Return a job for pictures of 32 px that takes a moment."""
    job = trained.network_job(0.125, seed)
    recipe = job.recipe.model_copy(update={"epochs": 1, "size": 32, "batch": 8})
    settings = job.settings.model_copy(update={"device": "cpu", "precision": "float32"})
    return replace(job, recipe=recipe, settings=settings)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    data = arms.tensors(tmp_path_factory.mktemp("p"), {"a": 8, "b": 4})
    none = np.empty(0, dtype=np.int64)
    return TrainableImages(data, data.labels.numpy(), (8, 8), none)


def test_a_class_is_filled_up_by_copies_or_by_new_images_of_what_is_trained_on(photos):
    usable = np.array([0, 1, 2, 3, 8, 9])  # half of each class
    rows = photos.rows(usable)
    assert np.bincount(rows).tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 2, 2]
    new = replace(photos, parents=np.array([8, 9, 10, 11, 11]))
    assert new.rows(usable).tolist() == [*usable, 12, 13]


def test_balanced_batches_take_as_many_rows_as_there_are_images(photos, monkeypatch):
    balanced = replace(photos, balanced=True)
    assert (photos.rows_an_epoch(), balanced.rows_an_epoch()) == (16, 12)
    jobs = []

    def fit(data, rows, originals, job):
        jobs.append((np.bincount(data.labels[rows]).tolist(), len(originals), job.recipe))
        raise TimeUpError

    monkeypatch.setattr(trained, "fit_rows", fit)
    for images in (photos, balanced):
        with pytest.raises(TimeUpError):
            trained._fit_fold(images, [np.arange(12) % 2], small(images), (0, 0), print)
    assert [(*of, recipe.match_steps) for *of, recipe in jobs] == [
        ([4, 4], 6, False), ([4, 4], 6, True),
    ]  # fmt: skip


def test_what_an_image_is_decides_nothing_that_scores_it(photos):
    """Other pixels in one fold: only networks of the other folds are others."""
    job, rows = small(photos), np.arange(12)
    inside, others = rows[rows % 3 == 1], rows[rows % 3 != 1]
    pixels = photos.data.images.clone()
    pixels[inside] = 255 - pixels[inside]
    changed = replace(photos, data=replace(photos.data, images=pixels))
    before, after, other = (
        fit_rows(of.data, of.rows(some), some, job)
        for of, some in ((photos, others), (changed, others), (changed, rows))
    )
    for name, weight in before.weights.items():
        assert weight.equal(after.weights[name])
    assert before.history == after.history
    assert not before.weights["conv1.weight"].equal(other.weights["conv1.weight"])


def test_each_image_is_scored_by_the_network_of_its_fold(photos):
    job, folds = small(photos), np.arange(12) % 2
    scores, seconds = trained.cross_fit_networks(
        photos, [folds], job, TimeBudget(), lambda items, *_: items
    )
    assert scores[0].shape == (12, 2)
    assert scores[0].sum(axis=1) == pytest.approx(1)
    assert seconds > 0
    others = np.flatnonzero(folds != 0)
    fit = fit_rows(photos.data, photos.rows(others), others, job)
    own = np.flatnonzero(folds == 0)
    expected = score_rows(photos.data, own, fit.weights, job)
    np.testing.assert_allclose(scores[0][own], expected, atol=1e-6)


def test_networks_end_where_the_time_is_up(photos):
    with pytest.raises(TimeUpError):
        trained.cross_fit_networks(
            photos, [np.arange(12) % 2], small(photos), TimeBudget(0.0), lambda items, *_: items
        )


@pytest.mark.parametrize(
    ("seconds", "width", "needed"),
    [(900, 1, 800), (799, 0.5, 400), (100, 0.125, 100), (99, None, 100)],
)
def test_the_widest_network_that_the_time_allows_is_taken(seconds, width, needed):
    job, expected = trained.widest_within(seconds, 0, lambda job: 800 * job.recipe.width)
    assert (job.recipe.width if job else None) == width
    assert expected == needed


def test_too_little_time_for_networks_is_said_with_the_minutes_that_would_do(photos):
    said = []
    budget = TimeBudget(0.0, say=said.append)
    found = candidates.choose_networks({"trained": photos}, 10, budget, 0, lambda items, *_: items)
    assert not found
    assert said[0].startswith("no networks are trained: 10 trainings need --max-minutes ")


NAMES = "nothing", "balanced", "copies", "photo"


def planned(photos, minutes, monkeypatch):
    """Plan from scratch where a network of full width takes 8 minutes, and an eighth of it one."""

    def expected(several, job, fits):
        return 60 * 8 * job.recipe.width * len(several) * fits

    monkeypatch.setattr(trained, "expected_seconds", expected)
    said = []
    budget = TimeBudget(60 * minutes / PLANNED, say=said.append)
    images_of = dict.fromkeys(NAMES, photos)
    plan = candidates.plan_from_scratch(images_of, 5, 2, budget, 0, lambda items, *_: items)
    return plan, said


@pytest.mark.parametrize(
    ("minutes", "names", "repeats", "network"),
    [
        (330, NAMES, 2, "resnet18, 12 epochs"),
        (45, NAMES, 2, "resnet18, 0.125 of its channels, 12 epochs"),
        (35, NAMES[:3], 2, "resnet18, 0.125 of its channels, 12 epochs"),
        (25, NAMES[:2], 2, "resnet18, 0.125 of its channels, 12 epochs"),
        (15, NAMES[:2], 1, "resnet18, 0.125 of its channels, 12 epochs"),
    ],
)
def test_what_says_most_is_trained_from_scratch_first(
    photos, monkeypatch, minutes, names, repeats, network
):
    plan, said = planned(photos, minutes, monkeypatch)
    assert tuple(one.name for one in (*plan.first, *plan.slow)) == names
    assert [one.name for one in plan.first] == [*NAMES[:2]]
    assert (plan.repeats, plan.network) == (repeats, network)
    assert [one.tuned for one in plan.first] == [False, True]
    assert said[-1].startswith(f"{5 * repeats * len(names)} networks are trained (resnet18, ")
    left_out = [line for line in said if line.startswith("left out: ")]
    assert len(left_out) == (len(names) < 4)
    assert ("the photos are divided into folds once, not 2 times" in said) == (repeats < 2)


def test_time_too_short_for_any_network_from_scratch_is_an_error_with_the_minutes(
    photos, monkeypatch
):
    with pytest.raises(InputError, match="networks from scratch need --max-minutes 13 for so many"):
        planned(photos, 8, monkeypatch)


def test_the_time_is_never_up_for_what_advice_needs(photos, monkeypatch):
    asked = []
    monkeypatch.setattr(trained, "cross_fit_networks", lambda *of: asked.append(of[3]))
    plan, _ = planned(photos, 45, monkeypatch)
    for one in (*plan.first, *plan.slow):
        one.fit([], 0)
    plan.first[0].fit([], 2)  # more divisions than were planned
    assert [budget.limited for budget in asked] == [False, False, True, True, True]


@pytest.mark.parametrize(
    ("budget", "rounds"),
    [
        (TimeBudget(), (2,)),
        (TimeBudget(until_sure=True), (2, 4, 8, 16)),
        (TimeBudget(60.0), (16,)),
        (TimeBudget(60.0, until_sure=True), (2, 4, 8, 16)),
        (TimeBudget(0.0), (2,)),
    ],
)
def test_repeats_are_planned_by_the_time_before_any_result(budget, rounds):
    assert candidates.plan_rounds(2, 1.0, replace(budget, started=time.monotonic())) == rounds


def test_divisions_that_were_fitted_before_are_not_fitted_again():
    asked = []

    def fit(divisions, first):
        asked.append((first, len(divisions)))
        return [np.ones((4, 2)) for _ in divisions], 0.5

    one, folds = Candidate("one", fit, tuned=True, seconds=1.0), np.arange(4) % 2
    held = candidates.cross_fit_candidates([one], [folds] * 2, {})
    held = candidates.cross_fit_candidates([one], [folds] * 5, held)
    assert asked == [(0, 2), (2, 3)]
    assert len(held["one"].repeats) == 5
    assert held["one"].seconds == 2.0


def test_rows_of_data_are_data(photos):
    some = dataset.Rows(photos.data, torch.tensor([3, 3, 9]), 2)
    images, labels = next(some.take([torch.tensor([2, 0])]))
    assert labels.tolist() == [1, 0]
    assert images[1].equal(photos.data.images[3])
    assert some.labels.tolist() == [0, 0, 1]
