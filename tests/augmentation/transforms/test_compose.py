"""Groups of transforms, limits, policies by class: what they draw, write down, and do again."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng
from ruamel.yaml import YAML

from toolkit.augmentation import render
from toolkit.augmentation.params import ArmParams, AugmentParams, ByClass, EntryParams
from toolkit.augmentation.transforms import compose, parsing, presets
from toolkit.augmentation.transforms.policy import GROUPS, LIMITS
from toolkit.augmentation.transforms.presets import POLICIES
from toolkit.augmentation.transforms.registry import TRANSFORMS
from toolkit.errors import InputError
from toolkit.io import images
from toolkit.pipeline.params import parse_params

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
PICTURE = images.to_picture(PIXELS)
FLIPS = [
    {"transform": "horizontal_flip", "arguments": {"p": 1}},
    {"transform": "vertical_flip", "arguments": {"p": 1}},
]
TURNS = [{"transform": "rotate", "arguments": {"degrees": 90}}] * 3
CROPS = [{"transform": "resized_crop", "arguments": {"scale": [0.3, 1.0]}}] * 2


def make(*choices):
    return parsing.make_policy([EntryParams.model_validate(choice) for choice in choices])


def group(transform, of, limit=None, **arguments):
    return make({"transform": transform, "of": of, "arguments": arguments, "limit": limit or {}})


def drawn(policy, count=60):
    return [compose.sample_policy(policy, default_rng(seed), PICTURE) for seed in range(count)]


def names(params):
    return [step["transform"] for step in params["steps"]]


# --- groups -----------------------------------------------------------------------------------


def test_a_sequence_does_all_in_its_order():
    name, params = drawn(group("sequence", FLIPS))[0]
    assert (name, names(params)) == ("sequence", ["horizontal_flip", "vertical_flip"])
    assert np.array_equal(compose.apply_transform(name, PICTURE, params), PIXELS[::-1, ::-1])


def test_one_of_is_written_down_as_what_was_chosen():
    policy = group("one_of", [{"transform": "rotate", "weight": 3}, {"transform": "shear_x"}])
    counts = Counter(name for name, _ in drawn(policy, 2000))
    assert counts.keys() == {"rotate", "shear_x"}
    assert abs(counts["rotate"] - 1500) < 100


def test_k_of_n_takes_each_at_most_once_unless_it_may_repeat():
    of = [{"transform": name} for name in ("rotate", "shear_x", "equalize")]
    once = [names(params) for _, params in drawn(group("some_of", of, count=3))]
    assert all(sorted(steps) == ["equalize", "rotate", "shear_x"] for steps in once)
    assert len({tuple(steps) for steps in once}) == 6  # in any order
    often = [names(params) for _, params in drawn(group("some_of", of, count=2, replace=True))]
    assert any(len(set(steps)) == 1 for steps in often)


def test_k_may_be_drawn_too():
    counts = Counter(
        len(params["steps"])
        for _, params in drawn(group("some_of", [*FLIPS, *TURNS], count=[1, 3]), 600)
    )
    assert counts.keys() == {1, 2, 3}
    assert all(150 < n < 250 for n in counts.values())


def test_a_mix_is_the_sum_of_its_chains_in_their_shares():
    """float64 as the oracle: float32 may round the other way where the sum lies between two."""
    for name, params in drawn(POLICIES["augmix"], 10):
        shares = [params["original"], *(chain["weight"] for chain in params["chains"])]
        assert sum(shares) == pytest.approx(1, abs=1e-9)
        parts = [PIXELS.astype(float)]
        for chain in params["chains"]:
            assert 1 <= len(chain["steps"]) <= 3
            parts.append(np.asarray(compose.apply_transform("sequence", PICTURE, chain), float))
        expected = sum(share * part for share, part in zip(shares, parts, strict=True))
        mixed = np.asarray(compose.apply_transform(name, PICTURE, params))
        assert np.abs(mixed - expected).max() <= 0.5 + 1e-3


def test_shares_of_a_mix_are_those_of_a_flat_dirichlet_distribution():
    sampled = [params for _, params in drawn(POLICIES["augmix"], 1500)]
    assert np.mean([p["original"] for p in sampled]) == pytest.approx(0.5, abs=0.03)
    of_three = [p["chains"][0]["weight"] / (1 - p["original"]) for p in sampled]
    expected = np.random.default_rng(0).dirichlet([1, 1, 1], 20_000)[:, 0]
    deciles = np.linspace(0.1, 0.9, 9)
    assert np.quantile(of_three, deciles) == pytest.approx(np.quantile(expected, deciles), abs=0.04)


def test_groups_hold_groups_and_external_transforms():
    noise = {"transform": "albumentations.GaussNoise"}
    inner = {"transform": "some_of", "arguments": {"count": 1}, "of": [noise, *TURNS]}
    policy = group("sequence", [inner, {"transform": "equalize"}])
    for name, params in drawn(policy, 8):
        written = json.loads(json.dumps(params, allow_nan=False))
        once = compose.apply_transform(name, PICTURE, params)
        assert once == compose.apply_transform(name, PICTURE, written)
    assert {"albumentations", "cv2"} <= parsing.policy_versions(policy).keys()


def test_a_group_of_which_nothing_acts_is_the_parent_itself():
    still = {"transform": "horizontal_flip", "arguments": {"p": 0}}
    name, params = drawn(group("sequence", [still, {"transform": "identity"}]))[0]
    assert compose.apply_transform(name, PICTURE, params) is PICTURE


# --- limits -----------------------------------------------------------------------------------


def angles(params):
    return [abs(step["params"]["angle"]) for step in params["steps"]]


def test_a_limit_bounds_what_a_transform_draws_evenly():
    turn = {"transform": "rotate", "arguments": {"degrees": 90}, "limit": {"rotation": 10}}
    degrees = [params["angle"] for _, params in drawn(make(turn), 1000)]
    assert max(map(abs, degrees)) <= 10
    uniform = 10 / 3**0.5  # none piled up at the ends
    assert np.std(degrees) == pytest.approx(uniform, rel=0.1)


def test_a_limit_bounds_what_all_steps_do_together():
    free, kept = drawn(group("sequence", TURNS)), drawn(group("sequence", TURNS, {"rotation": 30}))
    assert max(sum(angles(params)) for _, params in free) > 90
    assert all(sum(angles(params)) <= 30 for _, params in kept)


def test_a_crop_is_kept_from_cutting_too_much_away():
    for _, params in drawn(group("sequence", CROPS, {"crop": 0.25})):
        left = [s["params"]["width"] * s["params"]["height"] / (40 * 30) for s in params["steps"]]
        assert sum(1 - share for share in left) <= 0.25 + 1e-9


@given(
    seed=st.integers(0, 2**32 - 1),
    name=st.sampled_from(["randaugment", "trivialaugment", "augmix"]),
    rotation=st.floats(1, 30),
    translation=st.floats(0.01, 0.5),
    shear=st.floats(0.01, 0.4),
)
def test_a_named_policy_within_limits(seed, name, rotation, translation, shear):
    limit = {"rotation": rotation, "translation": translation, "shear": shear}
    name, params = compose.sample_policy(
        make({"transform": name, "limit": limit}), default_rng(seed), PICTURE
    )
    for key, most in limit.items():
        assert compose._measure(key, name, params, PICTURE.size) <= most


def test_augmix_posterizes_and_solarizes_as_its_reference_code():
    """Of a level from 0.1 to 3: 4 - int(0.4 level) bits, and from 256 - int(25.6 level) on."""
    steps = [
        step
        for _, params in drawn(POLICIES["augmix"], 3000)
        for chain in params["chains"]
        for step in chain["steps"]
    ]
    bits = [s["params"]["bits"] for s in steps if s["transform"] == "posterize"]
    assert bits.count(4) + bits.count(3) == len(bits)
    assert bits.count(4) / len(bits) == pytest.approx(2.4 / 2.9, abs=0.03)
    assert len(bits) / len(steps) == pytest.approx(1 / 9, abs=0.01)
    thresholds = [s["params"]["threshold"] for s in steps if s["transform"] == "solarize"]
    assert (min(thresholds), max(thresholds)) == (180, 254)


def test_limits_of_groups_and_their_entries_both_hold():
    inner = {**TURNS[0], "limit": {"rotation": 20}}
    for _, params in drawn(group("sequence", [inner, inner], {"rotation": 25})):
        assert max(angles(params)) <= 20
        assert sum(angles(params)) <= 25


def test_a_limit_that_no_draw_keeps_is_said():
    wide = images.to_picture(np.zeros((10, 90, 3), np.uint8))
    crop = make({"transform": "resized_crop", "limit": {"crop": 0.1}})
    with pytest.raises(InputError, match=r"resized_crop: none of .* 90 x 10 .*'crop': 0.1.*loosen"):
        compose.sample_policy(crop, default_rng(0), wide)


def test_an_image_that_cannot_keep_the_limit_is_named(tmp_path):
    (tmp_path / "photos" / "a").mkdir(parents=True)
    wide = images.encode_png(np.zeros((10, 90, 3), np.uint8))
    (tmp_path / "photos" / "a" / "wide.png").write_bytes(wide)
    crop = make({"transform": "resized_crop", "limit": {"crop": 0.1}})
    with pytest.raises(InputError, match=r"^a/wide.png: resized_crop: none of"):
        rows(tmp_path / "photos", tmp_path / "out", crop, target=3)
    assert not (tmp_path / "out").exists()


def test_every_bound_names_a_limit_and_an_argument():
    for transform in TRANSFORMS.values():
        assert transform.bounds.keys() <= LIMITS.keys()
        assert {bound.argument for bound in transform.bounds.values()} <= transform.arguments.keys()


# --- mistakes ---------------------------------------------------------------------------------


MISTAKES = [
    ({"transform": "some_of"}, "of: some_of needs the list of entries"),
    ({"transform": "rotate", "of": FLIPS}, "of: rotate is made of no others; only one_of, seq"),
    ({"transform": "some_of", "of": FLIPS, "arguments": {"count": 3}}, "of: .*choose 3 of 2"),
    ({"transform": "some_of", "of": FLIPS, "arguments": {"count": 0}}, "arguments: .*count must"),
    ({"transform": "mix", "of": FLIPS, "arguments": {"depht": 1}}, "arguments: .*mean 'depth'"),
    ({"transform": "sequence", "of": [{**FLIPS[0], "weight": 2}]}, "of: a sequence applies all"),
    ({"transform": "one_of", "of": [*FLIPS, {"transform": "x"}]}, r"of\[2\].transform: unknown"),
    ({"transform": "rotate", "limit": {"rotate": 3}}, "limit: unknown limit 'rotate'.*rotation"),
    ({"transform": "rotate", "limit": {"rotation": -3}}, "limit: rotation must be degrees .* -3"),
    ({"transform": "rotate", "limit": {"rotation": True}}, "limit: rotation must be .* True"),
    ({"transform": "albumentations.Affine", "limit": {"crop": 0.1}}, "limit: cannot bound alb"),
    ({"transform": "homework", "arguments": {"p": 1}}, "transform: homework is a policy"),
]  # fmt: skip


@pytest.mark.parametrize(("choice", "message"), MISTAKES)
def test_a_mistake_is_named_by_its_key(choice, message):
    with pytest.raises(InputError, match=rf"^policy\[1\]\.{message}"):
        make(FLIPS[0], choice)


@pytest.mark.parametrize(("choice", "message"), MISTAKES)
def test_a_mistake_in_a_file_is_named_by_line_and_key(tmp_path, choice, message):
    path = tmp_path / "p.yaml"
    path.write_text(json.dumps([FLIPS[0], choice], indent=1))  # which is YAML
    with pytest.raises(InputError, match=rf"p\.yaml:\d+:\d+: \[1\]\.{message}") as caught:
        parsing.make_policy(path)
    line = int(str(caught.value).split("p.yaml:")[1].split(":")[0])
    assert line > path.read_text().splitlines().index(" },")


def test_a_mistake_of_an_arm_names_the_arm():
    arm = ArmParams.model_validate({"policy": [{"transform": "some_of"}]})
    with pytest.raises(InputError, match=r"^augment.arms.mine.policy\[0\].of: some_of needs"):
        parsing.make_arm_policy("mine", arm)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ([{**FLIPS[0], "of": [{"wieght": 1}]}], r"of\[0\].wieght is not a known key"),
        ([{**FLIPS[0], "of": [{"transform": "", "weight": 0}]}], r"of\[0\].weight must"),
        ([{**FLIPS[0], "of": [{"transform": "", "weight": 1e999}]}], r"of\[0\].weight must"),
        ({"by_class": {"a": [{"transform": 3}]}}, r"by_class.a\[0\].transform must be"),
        ({"by_class": {}}, "by_class must"),
        ({"by_clas": {}}, "by_clas is not a known key"),
    ],
)  # fmt: skip
def test_params_refuse_a_mistake_in_what_is_new(written, message):
    data = {"augment": {"arms": {"mine": {"policy": written}}}}
    with pytest.raises(InputError, match=rf"augment\.arms\.mine\.policy.*{message}"):
        parse_params(data)


values = st.none() | st.booleans() | st.integers(-1, 300) | st.floats() | st.text(max_size=3)
values |= st.lists(st.integers(0, 9) | st.floats(0, 1), max_size=3)
keys = st.sampled_from(
    ["p", "degrees", "scale", "count", "replace", "depth", "bits", "fraction", "x"]
)
leaf_names = st.sampled_from([*TRANSFORMS, *POLICIES, *GROUPS, "", "albumentations.Blur"])
bounds = st.dictionaries(st.sampled_from([*LIMITS, "x"]), values, max_size=2)


def written(inner):
    """A choice as someone may write it; often right, as all keys but `transform` are optional."""
    optional = {"weight": values, "arguments": st.dictionaries(keys, values, max_size=1)}
    optional |= {"limit": bounds, "of": st.lists(inner, max_size=3)}
    return st.fixed_dictionaries({"transform": leaf_names}, optional=optional)


@given(st.recursive(st.fixed_dictionaries({"transform": leaf_names}), written, max_leaves=6))
def test_whatever_is_written_is_a_policy_that_replays_or_one_mistake(tmp_path_factory, choice):
    path = tmp_path_factory.getbasetemp() / "whatever.yaml"
    YAML(typ="safe", pure=True).dump([choice], path)
    try:
        name, drawn_numbers = compose.sample_policy(
            parsing.make_policy(path), default_rng(7), PICTURE
        )
    except InputError as error:
        assert "whatever.yaml:" in str(error) or "loosen it" in str(error)  # noqa: PT017
        return
    numbers = json.loads(json.dumps(drawn_numbers, allow_nan=False))
    once = compose.apply_transform(name, PICTURE, drawn_numbers)
    assert once == compose.apply_transform(name, PICTURE, numbers)
    assert once.size == PICTURE.size


# --- policies by class ------------------------------------------------------------------------


def by_class(**written):
    return parsing.make_policy(ByClass.model_validate(written))


def rows(photos, out, policy, workers=1, target=16):
    wanted = AugmentParams(target=target)
    return render.augment_folder(photos, out, wanted, policy, workers=workers)


def test_each_class_gets_its_policy(photos, tmp_path):
    policy = by_class(by_class={"a": FLIPS[:1], "b": "duplicate"}, otherwise=FLIPS[1:])
    summary = rows(photos, tmp_path / "out", policy).summary
    assert summary.transforms == {"horizontal_flip": 4, "identity": 8, "vertical_flip": 10}
    assert summary.identical == {"a": 0, "b": 8, "c": 0}


def test_a_class_without_a_policy_is_said_before_anything_is_written(photos, tmp_path):
    with pytest.raises(InputError, match="nothing for class 'b', only for a: name it under by_cl"):
        rows(photos, tmp_path / "out", by_class(by_class={"a": FLIPS}))
    with pytest.raises(InputError, match="unknown class in by_class of the policy 'z'"):
        rows(photos, tmp_path / "out", by_class(by_class={"z": FLIPS}, otherwise="homework"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"by_class": {"a": "hom"}}, r"^policy.by_class.a: unknown policy 'hom'"),
        ({"by_class": {"a": FLIPS}, "otherwise": "x.yaml"}, "^policy.otherwise: unknown policy"),
        ({"by_class": {"a": [{"transform": "x"}]}}, r"^policy.by_class.a\[0\].transform: unknown"),
    ],
)
def test_a_mistake_in_the_policy_of_a_class_is_named(written, message):
    with pytest.raises(InputError, match=message):
        by_class(**written)


def test_transforms_are_left_out_of_groups_and_classes():
    of = [{"transform": "some_of", "arguments": {"count": 2}, "of": [*FLIPS, TURNS[0]]}]
    arm = {"policy": {"by_class": {"a": of}, "otherwise": "homework"}}
    policy = parsing.make_arm_policy("m", ArmParams.model_validate({**arm, "without": ["rotate"]}))
    assert "rotate" not in policy.names()
    left = [leaf.transform for leaf in policy.for_class("a").leaves()]
    assert left == [flip["transform"] for flip in FLIPS]
    two = ArmParams.model_validate({**arm, "without": ["rotate", "vertical_flip"]})
    with pytest.raises(InputError, match=r"arms.m.without: some_of cannot choose 2 of 1"):
        parsing.make_arm_policy("m", two)


# --- every policy -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_workers_do_not_change_a_byte_of_any_named_policy(photos, tmp_path, name):
    for workers in (1, 2):
        rows(photos, tmp_path / str(workers), name, workers)
    one, two = (
        {p.relative_to(tmp_path / k): p.read_bytes() for p in (tmp_path / k).rglob("*.*")}
        for k in ("1", "2")
    )
    assert one == two


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_a_named_policy_written_out_is_the_same_policy(tmp_path, name):
    (tmp_path / "p.yaml").write_text(presets.policy_text(name, presets.POLICIES[name]))
    assert parsing.make_policy(tmp_path / "p.yaml").entries == POLICIES[name].entries


def test_named_policies_have_no_mistake():
    for name, named in POLICIES.items():
        assert not any(parsing._find_mistake(entry) for entry in named.entries)
        assert parsing.make_policy(name) == named


def test_policies_and_transforms_share_no_name():
    assert not set(POLICIES) & (set(TRANSFORMS) | set(GROUPS))


def test_the_presets_are_what_their_papers_say():
    (rand,) = parsing.make_policy("randaugment").entries
    assert (rand.transform, rand.arguments) == ("some_of", {"count": 2, "replace": True})
    assert len(rand.of) == 14
    assert len(parsing.make_policy("trivialaugment").entries) == 14
    (mix,) = parsing.make_policy("augmix").entries
    assert (mix.transform, mix.arguments) == ("mix", {"chains": 3, "depth": [1, 3]})
    spoiled = {"brightness", "contrast", "saturation", "sharpness"}  # what AugMix is tested on
    assert not spoiled & set(parsing.make_policy("augmix").names())


# --- the documentation ------------------------------------------------------------------------

DOCUMENT = Path(__file__).parents[3] / "docs" / "policies.md"


def test_examples_of_the_documentation_are_policies(tmp_path):
    examples = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(examples) == 4
    for example in examples:
        (tmp_path / "p.yaml").write_text(example)
        parsing.make_policy(tmp_path / "p.yaml")


def test_the_documentation_has_every_name_and_default():
    text = DOCUMENT.read_text()
    table = [line for line in text.splitlines() if line.startswith("|")]
    for name in (*TRANSFORMS, *GROUPS, *LIMITS, *POLICIES):
        assert f"`{name}`" in text, name
    for name, transform in TRANSFORMS.items():
        row = next(line for line in table if f"`{name}`" in line)
        for key, argument in transform.arguments.items():
            default = [0.75, 1.333] if key == "ratio" else argument.default
            assert f"`{key}: {default}`" in row, row


def test_a_policy_by_class_is_written_out_and_read_again(tmp_path):
    (tmp_path / "p.yaml").write_text(
        "by_class:\n  a:\n  - {transform: mix, limit: {rotation: 5}, of: [{transform: rotate}]}\n"
        "otherwise: augmix\n"
    )
    policy = parsing.make_policy(tmp_path / "p.yaml")
    (tmp_path / "again.yaml").write_text(presets.policy_text("p", policy))
    again = parsing.make_policy(tmp_path / "again.yaml")
    assert again.by_class == policy.by_class
    assert again.names() == policy.names()
