"""Sweeps: which experiments they are, and what comes of them; test_pipeline.py runs one."""

import csv
import io

import pytest

from toolkit.errors import InputError
from toolkit.evaluation.results import HISTORY, RunResult
from toolkit.evaluation.sweep import (
    EFFECT_COLUMNS,
    POINT_COLUMNS,
    SweepPoint,
    TransformEffect,
    compare_targets,
    compare_transforms,
    effect_table,
    effects_csv,
    point_table,
    points_csv,
    sweep_points,
    transform_effects,
)
from toolkit.metrics import classification
from toolkit.metrics.predictions import Predictions
from toolkit.pipeline import params
from toolkit.pipeline.sweep import ablation_experiments, parse_targets, target_experiments
from toolkit.reporting.plots.sweep import ablation_figure, response_figure

POLICY = [{"transform": t} for t in ("rotate", "sharpness", "autocontrast", "sharpness")]


def settings(arms=("original", "augmented"), without=(), policy=POLICY) -> params.Params:
    return params.parse_params({
        "fetch": {"source": "facemask"},
        "augment": {"arms": {"augmented": {"policy": policy, "without": list(without)}}},
        "train": {"recipes": {"small": {"network": "resnet18", "epochs": 1}}},
        "compare": {"arms": list(arms), "recipes": ["small"], "seeds": [0, 1, 2]},
    })  # fmt: skip


def result(arm: str, seed: int, hits: int, recipe: str = "small") -> RunResult:
    """`hits` of 40 images of the rare class are experiments, and 100 others."""
    actual = ("other",) * 100 + ("rare",) * 40
    predicted = ("other",) * 100 + ("rare",) * hits + ("other",) * (40 - hits)
    predictions = Predictions(("other", "rare"), tuple(map(str, range(140))), actual, predicted)
    history = dict.fromkeys(HISTORY, (1.0,))
    metrics = classification.compute_metrics(predictions, "rare")
    return RunResult(arm, recipe, seed, metrics, predictions, "rare", history)


def runs(arm: str, hits: int, recipe: str = "small") -> list[RunResult]:
    """Three seeds, which differ a little."""
    return [result(arm, seed, hits + seed - 1, recipe) for seed in (0, 1, 2)]


@pytest.fixture(scope="module")
def points() -> list[SweepPoint]:
    original = [*runs("original", 20), *runs("original", 22, "large")]
    results = {
        target: [*original, *runs("augmented", hits), *runs("augmented", 21, "large")]
        for target, hits in ((60, 20), (120, 38))
    }
    return sweep_points(compare_targets(results, settings().compare))


@pytest.fixture(scope="module")
def effects() -> list[TransformEffect]:
    results = {
        None: [*runs("original", 5), *runs("augmented", 30)],
        "rotate": [*runs("original", 5), *runs("augmented", 12)],
        "blur": [*runs("original", 5), *runs("augmented", 38)],
        "flip": [*runs("original", 5), *runs("augmented", 30)],
    }
    return transform_effects(compare_transforms(results, "augmented", settings().compare))


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_targets_are_read_in_ascending_order():
    assert parse_targets("120, 60,500,60") == (60, 120, 500)


@pytest.mark.parametrize("text", ["", "60,", "60,a", "0", "-3", "1.5", "60;120"])
def test_what_is_no_list_of_targets_is_refused(text):
    with pytest.raises(InputError, match=r"--target must be numbers of images such as 60,120"):
        parse_targets(text)


def test_each_target_is_an_experiment():
    experiments = target_experiments(settings(), (60, 120), "dose")
    assert [(e.name, e.changes) for e in experiments.values()] == [
        ("dose-60", {"augment.target": 60}),
        ("dose-120", {"augment.target": 120}),
    ]


def test_a_target_without_an_arm_that_has_new_images_is_refused():
    with pytest.raises(InputError, match=r"compare.arms must name an arm of augment.arms, got or"):
        target_experiments(settings(arms=["original"]), (60,), "dose")


def test_each_transform_is_left_out_once_beside_what_is_left_out_already():
    experiments = ablation_experiments(settings(without=["rotate"]), "augmented", "less")
    assert {key: (e.name, e.changes) for key, e in experiments.items()} == {
        None: ("less-augmented", {}),
        "sharpness": (
            "less-augmented-without-sharpness",
            {"augment.arms.augmented.without": ["rotate", "sharpness"]},
        ),
        "autocontrast": (
            "less-augmented-without-autocontrast",
            {"augment.arms.augmented.without": ["rotate", "autocontrast"]},
        ),
    }


def test_transforms_of_groups_are_left_out_too():
    experiments = ablation_experiments(settings(policy="augmix"), "augmented", "less")
    assert list(experiments)[:3] == [None, "autocontrast", "equalize"]
    assert len(experiments) == 10


PAIR = [{"transform": "some_of", "of": POLICY[:2]}]


@pytest.mark.parametrize(
    ("arm", "policy", "message"),
    [
        ("augmented", PAIR, "augmented.without: some_of cannot choose 2 of 1 entries"),
        ("augmentet", POLICY, "unknown arm 'augmentet' .did you mean 'augmented'"),
        ("original", POLICY, "unknown arm 'original'.*choose one of augmented"),
        ("augmented", "duplicate", "augmented has one transform, identity: nothing to leave out"),
    ],
)
def test_an_arm_that_cannot_lose_a_transform_is_refused(arm, policy, message):
    with pytest.raises(InputError, match=message):
        ablation_experiments(settings(policy=policy), arm, "less")


def test_the_original_arm_stands_once_and_others_at_each_target(points):
    assert [(p.recipe, p.arm, p.target, p.seeds) for p in points] == [
        ("small", "original", None, 3),
        ("small", "augmented", 60, 3),
        ("small", "augmented", 120, 3),
        ("large", "original", None, 3),
        ("large", "augmented", 60, 3),
        ("large", "augmented", 120, 3),
    ]


def test_a_point_is_the_mean_over_seeds_and_set_against_the_baseline(points):
    means = {p.target: sum((h / 40) ** 0.5 for h in hits) / 3
             for p, hits in zip(points[:3], [(19, 20, 21), (19, 20, 21), (37, 38, 39)], strict=True)
             }  # fmt: skip
    assert [p.gmean for p in points[:3]] == pytest.approx(list(means.values()))
    assert points[0].contrast is None
    assert points[2].contrast.tested.value == pytest.approx(means[120] - means[None])
    assert points[2].low < points[2].gmean < points[2].high
    assert [p.contrast.verdict for p in points[1:3]] == ["not yet known", "better"]


def test_all_doses_are_corrected_together(points):
    alone = points[2].contrast.tested.p
    assert points[2].contrast.p == pytest.approx(4 * alone)  # the least of four


def test_the_table_of_targets_has_its_columns(points):
    rows = table(points_csv(points))
    assert tuple(rows[0]) == POINT_COLUMNS
    assert (rows[0]["target"], rows[0]["difference"], rows[0]["verdict"]) == ("", "", "")
    assert float(rows[2]["difference"]) == pytest.approx(points[2].contrast.tested.value, abs=1e-6)
    assert rows[2]["verdict"] == "better"
    assert point_table(points)[1][-2:] == ["baseline", ""]


def test_a_transform_helps_where_the_policy_is_better_with_it(effects):
    assert {e.transform: row[-1] for e, row in zip(effects, effect_table(effects)[1:],
                                                   strict=True)} == {
        "rotate": "helps", "blur": "harms", "flip": "not yet known",
    }  # fmt: skip
    rotate = effects[0]
    assert rotate.contrast.tested.value == pytest.approx(rotate.whole - rotate.without)
    assert rotate.whole == pytest.approx(sum((h / 40) ** 0.5 for h in (29, 30, 31)) / 3)


def test_the_table_of_transforms_has_its_columns(effects):
    rows = table(effects_csv(effects))
    assert tuple(rows[0]) == EFFECT_COLUMNS
    assert [row["effect"] for row in rows] == ["helps", "harms", "not yet known"]
    assert rows[0]["seeds"] == "3"


def test_pictures_depend_on_the_numbers_alone(points, effects):
    for draw, numbers in (
        (response_figure, points),
        (ablation_figure, effects),
    ):
        assert draw(numbers) == draw(numbers)
        assert draw(numbers).startswith(b"\x89PNG")
        assert draw(numbers) != draw(numbers[:2])


def test_one_target_makes_a_picture(points):
    assert response_figure(points[:2]).startswith(b"\x89PNG")
