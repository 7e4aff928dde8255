"""params.yaml: presets are valid, and every mistake is one message that names the key."""

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from toolkit.errors import InputError
from toolkit.metrics.params import CompareParams
from toolkit.pipeline import params, project

BASE = {
    "fetch": {"source": "synthetic", "counts": {"with_mask": 3, "without_mask": 2}},
    "train": {"recipes": {"a": {"network": "resnet18", "epochs": 1}}},
    "compare": {"arms": ["original"], "recipes": ["a"], "seeds": [0]},
}


def changed(key: str, value: object) -> dict:
    data = copy.deepcopy(BASE)
    *path, last = key.split(".")
    place: Any = data
    for part in path:
        place = place.setdefault(part, {})
    place[last] = value
    return data


def test_defaults_fill_what_is_left_out():
    settings = params.parse_params(copy.deepcopy(BASE))
    assert settings.train.recipes["a"].learning_rate == 0.001
    assert settings.augment.target == "auto"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("fetch.count", 1, "fetch.count is not a known key"),
        ("fetch.source", "kagle", r"fetch.source must be one of 'synthetic'.*got 'kagle'"),
        ("fetch.size", "big", "fetch.size must be a valid integer.*got 'big'"),
        ("fetch.counts", {"with_mask": 0}, "fetch.counts.with_mask must be greater than or equal"),
        ("oops", 1, "oops is not a known key"),
        (
            "evaluate.threshold",
            {"rule": "best"},
            "evaluate.threshold.rule must be one of 'gmean'.*got 'best'",
        ),
        ("compare.control", "copies", r"compare.control must name some of .*got 'copies'"),
        (
            "compare.primary",
            {"recipe": "a", "arm": "copies", "against": "original"},
            r"compare.primary.arm must name some of \[\], got 'copies'",
        ),
        (
            "compare.primary",
            {"recipe": "b", "arm": "original", "against": "original"},
            r"compare.primary.recipe must name some of \['a'\], got 'b'",
        ),
        ("compare.margin", 0.7, "compare.margin must be less than or equal to 0.5"),
        (
            "augment.arms",
            {"m": {"policy": [{"transform": "rotate", "weight": -1}]}},
            r"augment.arms.m.policy\[0\].weight must be greater than 0, got -1",
        ),
        ("augment.arms", {"original": {"policy": "homework"}}, "augment: the arm 'original'"),
        ("augment.target", -3, "augment.target must be .*got -3"),
        ("prepare.split", "by hand", "prepare.split must be 'auto' or 'source' or a mapping, got"),
        (
            "prepare.split",
            {"fractions": {"train": 0.9, "valid": 0.2, "test": 0.2}},
            "prepare.split.fractions: train, valid and test must add up to at most 1",
        ),
        ("train.recipes.a", {"network": "resnet18"}, "train.recipes.a.epochs is missing"),
        *(
            (f"train.recipes.a.{key}", value, f"train.recipes.a.{key}.* must be {rule}")
            for key, value, rule in (
                ("epochs", "5", "a valid integer"),
                ("epochs", True, "a valid integer"),
                ("learning_rate", float("inf"), "a finite number"),
                ("learning_rate", float("nan"), "a finite number"),
                ("learning_rate", "0.1", "a valid number"),
                ("loss_weights", [1, 1, 0], "greater than 0"),
                ("loss_weights", [1, -1, 1], "greater than 0"),
                ("loss_weights", [float("nan"), 1, 1], "a finite number"),
                ("plateau", {"floor": float("inf")}, "a finite number"),
            )
        ),
        ("audit.thresholds", {"enormous": float("inf")}, ".*enormous must be a finite number"),
        ("compare.seeds", [0, 0, 1], "compare.seeds must be a list in which nothing is repeated"),
        ("compare.seeds", [True], r"compare.seeds\[0\] must be a valid integer"),
        ("compare.seeds", [2**32], r"compare.seeds\[0\] must be less than 4294967296"),
        ("compare.arms", ["original"] * 2, "compare.arms must be a list in which nothing is"),
        ("compare.recipes", ["a", "a"], "compare.recipes must be a list in which nothing is"),
        ("train.recipes.a b", {}, "train.recipes.a b"),
        ("compare.arms", ["ori"], r"compare.arms must name some of .*'augmented'.*got 'ori'"),
        ("compare.baseline", "none", "compare.baseline must name some of"),
    ],
)
def test_a_mistake_is_named_by_its_key(key, value, message):
    with pytest.raises(InputError, match=rf"^params.yaml: {message}"):
        params.parse_params(changed(key, value))


def test_a_missing_file_says_what_writes_one(tmp_path):
    with pytest.raises(InputError, match=r"no such file; run this in .*`toolkit init` makes one"):
        params.load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not valid YAML"),
        ("- 1", "must be a mapping"),
        ("a: 1\na: 2", "not valid YAML"),
        ("a: !!python/object/apply:os.system [id]", "not valid YAML: could not determine"),
        ("[" * 100, "nested more than 50 levels deep"),
        ("[" * 100_000, "nested more than 50 levels deep"),
        ("a: &a [*a]", "the alias 'a' has no anchor before it"),
        ("x" * 1_000_001, "1,000,001 characters are more than 1,000,000"),
        ("a: \0", "not valid YAML"),
    ],
)
def test_broken_yaml_is_refused(tmp_path, text, message):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        params.load_params(tmp_path / "params.yaml")


def test_a_billion_laughs_are_refused_at_once(tmp_path):
    lines = ["a0: &a0 [lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
    (tmp_path / "params.yaml").write_text("\n".join(lines))
    with pytest.raises(InputError, match="with its aliases more than 100,000 values"):
        params.load_params(tmp_path / "params.yaml")


TEXT = """# a comment
fetch: {source: synthetic, counts: {with_mask: 3, without_mask: 2}}
train:
  recipes: &all
    a:
      network: resnet18
      epochs: many
compare: {arms: [original], recipes: [a], seeds: [0]}
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("", "", r"7:7: train\.recipes\.a\.epochs must be a valid integer"),
        ("many", "1\n      epoch: 2", r"8:7: train\.recipes\.a\.epoch is not a known key"),
        ("many\ncompare: {arms: [original]", "1\ncompare: {arms: [4]", "8:18: compare.arms"),
        ("      epochs: many\n", "", r"5:5: train\.recipes\.a\.epochs is missing"),
        ("seeds: [0]", "sads: [0]", "8:43: compare.sads is not a known key"),
    ],
)
def test_a_mistake_is_named_with_line_and_column(tmp_path, old, new, message):
    text = TEXT.replace(old, new) if old else TEXT
    (tmp_path / "params.yaml").write_text(text.replace("many", "1") if "seeds" in old else text)
    with pytest.raises(InputError, match=rf"params\.yaml:{message}"):
        params.load_params(tmp_path / "params.yaml")


KEYS = ("fetch", "source", "counts", "size", "audit", "limits", "prepare", "split", "augment",
        "arms", "policy", "train", "recipes", "a", "network", "compare", "seeds",
        "transform", "of", "limit", "by_class", "otherwise")  # fmt: skip
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
leaves |= st.sampled_from(["synthetic", "folder", "resnet18", "original", "homework"])
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.integers() | st.text(max_size=3), inner)
    ),
    max_leaves=12,
)


@given(section=st.sampled_from(sorted(params.Params.model_fields)), data=trees)
def test_whatever_stands_there_is_settings_or_one_mistake(section, data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "p.yaml"
    YAML(typ="safe", pure=True).dump(BASE | {section: data}, path)
    try:
        params.load_params(path)
    except InputError as error:
        assert str(error).startswith(f"{path}:")  # noqa: PT017


@pytest.mark.parametrize("preset", project.PRESETS)
def test_presets_are_valid_and_name_the_primary_contrast_that_the_rule_would(preset):
    settings = params.load_params(Path(project.__file__).parent / "presets" / f"{preset}.yaml")
    compare = settings.compare
    assert (compare.primary is None) == (len(compare.arms) == 1)
    assert compare.declared == compare.model_copy(update={"primary": None}).declared


def test_the_primary_contrast_is_the_first_arm_besides_the_control_unless_it_is_named():
    named = {"recipe": "b", "arm": "augmented", "against": "duplicated"}
    section = {"arms": ["original", "duplicated", "augmented"], "recipes": ["a", "b"], "seeds": [0]}
    by_rule = CompareParams(**section, control="duplicated")
    assert by_rule.declared == ("a", "augmented", "original")
    assert CompareParams(**section, primary=named).declared == ("b", "augmented", "duplicated")
    assert CompareParams(**section | {"arms": ["original"]}).declared is None


def test_folds_go_with_any_recipe_and_a_seed_for_each_division():
    data = changed("prepare.split", {"folds": 5})
    data["compare"]["seeds"] = [0, 1]
    assert not params.parse_params(data).train.recipes["a"].frozen
    data["compare"]["seeds"] = [0, 2]
    with pytest.raises(InputError, match=r"leave division 1 of prepare.split.repeats 2 unused"):
        params.parse_params(data)
