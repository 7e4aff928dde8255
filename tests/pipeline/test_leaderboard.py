"""Seeds are added to a project until its primary contrast is settled."""

from importlib import resources

import numpy as np
import pytest
from ruamel.yaml import YAML

from toolkit.errors import InputError
from toolkit.evaluation.comparison import compare_results, look_at_primary
from toolkit.evaluation.results import HISTORY, RunResult
from toolkit.evaluation.verdict import comparison_notes
from toolkit.metrics.predictions import Predictions
from toolkit.pipeline import params, seeds
from toolkit.pipeline.experiments import run_dvc
from toolkit.pipeline.seeds import check_more_seeds, name_seeds, plan_in_params
from toolkit.pipeline.steps import leaderboard as step
from toolkit.pipeline.timing import TimeBudget, TimeUpError

PARAMS = """# Mine.
fetch: {source: facemask}
prepare:
  split: {fractions: {train: 0.6, valid: 0.2, test: 0.2}}  # as I like it
augment: {arms: {augmented: {policy: homework}}}
train:
  recipes:
    net: {network: resnet18, epochs: 1}   # small
compare:
  arms: [original, augmented]
  recipes: [net]
  seeds: [0, 7, 2]  # three
"""


@pytest.fixture
def path(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS)
    return tmp_path / "params.yaml"


def run(arm, seed, hits):
    """A run that finds so many of 40 rare images, other ones with each seed."""
    actual = ("a",) * 100 + ("b",) * 40
    found = np.random.default_rng([seed, hits]).permutation(40) < hits
    predicted = ("a",) * 100 + tuple("b" if one else "a" for one in found)
    predictions = Predictions(("a", "b"), tuple(map(str, range(140))), actual, predicted)
    return RunResult(arm, "net", seed, {}, predictions, "b", dict.fromkeys(HISTORY, (1.0,)))


def added(path, hits, budget=None):
    """Return the leaderboard, what was said, and how often DVC would have run."""
    said, reproduced = [], []

    def read():
        compare = params.read_settings(path).compare
        results = [
            run(arm, seed, hits[arm] + seed % 3) for arm in compare.arms for seed in compare.seeds
        ]
        compared = compare_results(results, resamples=200)
        return step.Leaderboard(look_at_primary(compared, compare.looks), {})

    budget = budget or TimeBudget(until_sure=True, say=said.append)
    found = step._until_sure(budget, lambda: reproduced.append(1), read, path)
    return found, said, len(reproduced)


def test_a_clear_difference_takes_the_seeds_that_are_there(path):
    found, said, reproduced = added(path, {"original": 10, "augmented": 36})
    assert said[-1] == "3 seeds of each arm: better"
    assert reproduced == 2  # the runs, and what depends on the plan
    assert params.read_settings(path).compare.looks == [3, 6, 12, 24, 50]
    assert found.comparison.look.level < 0.05
    assert "Look 1 of at most 5" in " ".join(comparison_notes(found.comparison))


def test_seeds_are_added_by_the_plan_until_it_is_sure_or_the_looks_are_over(path):
    _, said, _ = added(path, {"original": 24, "augmented": 24})
    compare = params.read_settings(path).compare
    assert said[1] == "3 seeds of each arm: not yet known"
    assert len(compare.seeds) in compare.looks[1:]
    assert compare.seeds[:5] == [0, 7, 2, 1, 3]
    text = path.read_text()
    assert all(comment in text for comment in ("# Mine.", "# as I like it", "# small"))


def test_without_time_for_more_there_is_one_look_at_the_usual_level(path):
    budget = TimeBudget(0.0, until_sure=True)
    found, _, reproduced = added(path, {"original": 24, "augmented": 25}, budget)
    assert params.read_settings(path).compare.looks == []
    assert (found.comparison.look.planned, reproduced) == (1, 1)


def test_divisions_into_folds_are_added_with_the_seeds(path):
    text = path.read_text().replace(
        "resnet18, epochs: 1", "efficientnet_lite0, epochs: 1, frozen: true"
    )
    settings = params.parse_params(YAML(typ="safe").load(text))
    with pytest.raises(
        InputError, match=r"recipes\.net is frozen: all seeds give the same network"
    ):
        check_more_seeds(settings)
    folds = "{folds: 5, repeats: 3}"
    path.write_text(text.replace("{fractions: {train: 0.6, valid: 0.2, test: 0.2}}", folds)
                    .replace("[0, 7, 2]", "[0, 1, 2]"))  # fmt: skip
    check_more_seeds(params.read_settings(path))
    plan_in_params(path, (3, 6))
    name_seeds(path, 6)
    settings = params.read_settings(path)
    assert settings.prepare.split.repeats == 6
    assert settings.compare.seeds == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("preset", ["quick", "folder", "elpv"])
def test_the_params_of_a_preset_stay_readable(tmp_path, preset):
    """As `init` writes them: lists line by line, with comments beside and between."""
    text = (resources.files("toolkit.pipeline") / "presets" / f"{preset}.yaml").read_text()
    data, path = YAML().load(text), tmp_path / "params.yaml"
    for block in (False, True):
        if block:
            data["compare"]["seeds"].fa.set_block_style()
        with path.open("w") as stream:
            YAML().dump(data, stream)
        before = YAML(typ="safe").load(path)
        first = len(before["compare"]["seeds"])
        plan_in_params(path, (first, 2 * first))
        name_seeds(path, 2 * first)
        after = YAML(typ="safe").load(path)
        assert after["compare"].pop("looks") == [first, 2 * first]
        seeds, known = after["compare"].pop("seeds"), before["compare"].pop("seeds")
        assert (seeds[:first], len(set(seeds))) == (known, 2 * first)
        if "folds" in before["prepare"]["split"]:
            assert after["prepare"]["split"].pop("repeats") == 2 * first
            before["prepare"]["split"].pop("repeats")
        assert after == before


def test_a_change_that_comments_would_spoil_is_refused_and_nothing_is_written(tmp_path):
    """A list in one line in place of a longer one: ruamel puts the next key's comment too far."""
    text = """compare:
  seeds:                  # one
  - 0
  - 1
  primary:                                       # two
    recipe: net
    arm: augmented
"""
    path = tmp_path / "params.yaml"
    path.write_text(text)
    data = YAML().load(text)
    data["compare"]["seeds"] = seeds._in_one_line([0, 1, 2])
    with pytest.raises(InputError, match=r"set compare.seeds to \[0, 1, 2\] and .* by hand"):
        seeds._write(path, data)
    assert path.read_text() == text


def test_a_number_of_seeds_that_is_no_look_is_refused(path):
    plan_in_params(path, (2, 4))
    with pytest.raises(InputError, match=r"compare.seeds must be .* one of .*looks \[2, 4\]"):
        params.read_settings(path)


@pytest.mark.parametrize("looks", [[3], [6, 3], [3, 3], [1, 3]])
def test_looks_rise_from_two_seeds(looks):
    text = PARAMS.replace("seeds: [0, 7, 2]", f"seeds: [0, 7, 2]\n  looks: {looks}")
    with pytest.raises(InputError, match=r"compare\.looks"):
        params.parse_params(YAML(typ="safe").load(text))


def within(path, stops=()):
    """Return which remedies are done, what was said, and what DVC would have run.

    The time is up in the stages `stops`.
    """
    head = "    head: {network: efficientnet_lite0, epochs: 1, frozen: true}\ncompare:"
    path.write_text(
        PARAMS.replace("recipes: [net]", "recipes: [net, head]").replace("compare:", head)
    )
    said, ran = [], []

    def reproduce(*stages, seconds=None):
        ran.extend(stages or ["all"])
        if {*stages} & {*stops}:
            raise TimeUpError

    budget = TimeBudget(600.0, say=said.append)
    return step._within(budget, params.read_settings(path), reproduce), said, ran


def test_with_a_limit_of_time_cheap_remedies_come_first(path):
    done, said, ran = within(path)
    wanted = [(recipe, arm) for recipe in ("head", "net") for arm in ("original", "augmented")]
    assert done == wanted
    trained = [f"train@{arm}-{recipe}" for recipe, arm in wanted]
    each = [stage for train in trained for stage in (train, "--single-item", "evaluate")]
    assert ran == ["prepare", *each, "all"]
    listed = "head with original, head with augmented, net with original, net with augmented"
    assert said == [f"at most 10 min, the cheap ones first: {listed}"]


def test_remedies_without_time_are_left_out_and_named(path):
    done, said, ran = within(path, ["train@original-net"])
    assert done == [("head", "original"), ("head", "augmented")]
    assert ran[-1] == "train@original-net"
    assert "left out: net with original, net with augmented; what was begun is kept" in said[-1]
    with pytest.raises(InputError, match="--max-minutes 10: no remedy was done; what was begun"):
        within(path, ["prepare"])


def test_dvc_is_interrupted_when_the_time_is_up(tmp_path):
    with pytest.raises(TimeUpError):
        run_dvc(tmp_path, tmp_path / "log", "version", seconds=0.001)
