"""Counts are met exactly, groups stay whole, and a source's test images stay in test."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.datasets import params
from toolkit.datasets.split import assign_splits, group_samples
from toolkit.errors import InputError
from toolkit.io.manifest import Sample

COUNTS = {"train": {"a": 5, "b": 2}, "valid": {"a": 2, "b": 1}, "test": 2}


def make_samples(n: dict[str, int], split: str = "", group: str = "") -> list[Sample]:
    return [
        Sample(f"{split}{c}{k}", f"{split}{c}{k}", c, split, group and f"{group}{c}{k // 2}")
        for c, m in n.items()
        for k in range(m)
    ]


def split(samples, setting, together=(), seed=0):
    settings = params.PrepareParams.model_validate({"split": setting})
    groups = group_samples(samples, together)
    rng = np.random.default_rng(seed)
    return assign_splits(groups, sorted({s.label for s in samples}), settings, rng)


def count_labels(chosen):
    return {name: Counter(s.label for s in samples) for name, samples in chosen.items()}


def test_counts_are_met_exactly():
    chosen = split(make_samples({"a": 20, "b": 9}), {"counts": COUNTS})
    assert count_labels(chosen) == {"train": {"a": 5, "b": 2}, "valid": {"a": 2, "b": 1},
                               "test": {"a": 2, "b": 2}}  # fmt: skip


@given(seed=st.integers(0, 2**32 - 1), data=st.data())
def test_a_group_never_crosses_a_split(seed, data):
    samples = make_samples({"a": 30, "b": 12})
    ids = [s.id for s in samples]
    together = data.draw(st.lists(st.lists(st.sampled_from(ids), min_size=2, max_size=4)))
    chosen = split(samples, {"fractions": {"train": 0.6, "valid": 0.2, "test": 0.2}}, [], seed)
    assert sum(len(part) for part in chosen.values()) == 42
    try:
        chosen = split(samples, {"counts": COUNTS}, together, seed)
    except InputError:
        return  # the groups are too large to meet the counts: refused, not bent
    place = {s.id: name for name, part in chosen.items() for s in part}
    for group in group_samples(samples, together):
        assert len({place.get(s.id) for s in group}) == 1


def test_equal_files_of_two_patients_keep_both_patients_together():
    """Patient 1 has the files x and y, patient 2 a copy of x and z."""
    ids = {"x": "1", "y": "1", "x-2": "2", "z": "2", "w": "3"}
    samples = [Sample(ident, f"{ident}.png", "a", group=group) for ident, group in ids.items()]
    assert [len(group) for group in group_samples(samples, ())] == [4, 1]


def test_samples_with_one_group_value_stay_together():
    chosen = split(
        make_samples({"a": 20, "b": 20}, group="g"), {"counts": {"train": 4, "valid": 4, "test": 4}}
    )
    place = {}
    for name, part in chosen.items():
        for sample in part:
            assert place.setdefault(sample.group, name) == name


def test_another_seed_chooses_others():
    samples = make_samples({"a": 20, "b": 9})
    first, again, other = (split(samples, {"counts": COUNTS}, seed=s) for s in (0, 0, 1))
    assert first == again != other


def test_too_few_images_names_class_and_numbers():
    with pytest.raises(InputError, match="class 'b' has 3 usable images, but 5 were requested"):
        split(make_samples({"a": 20, "b": 3}), {"counts": COUNTS})


def test_counts_must_name_every_class():
    with pytest.raises(InputError, match=r"counts.train must name the classes \['a', 'b', 'c'\]"):
        split(make_samples({"a": 20, "b": 9, "c": 9}), {"counts": COUNTS})


def test_the_sources_own_splits_are_kept():
    samples = make_samples({"a": 8, "b": 4}, "train") + make_samples({"a": 3, "b": 3}, "test")
    chosen = split(samples, "source")
    assert count_labels(chosen)["test"] == {"a": 3, "b": 3}
    assert count_labels(chosen)["valid"] == {"a": 2, "b": 1}
    assert all(s.split == "train" for s in (*chosen["train"], *chosen["valid"]))


def test_counts_never_take_a_test_image_for_train():
    samples = make_samples({"a": 8, "b": 4}, "train") + make_samples({"a": 8, "b": 8}, "test")
    chosen = split(samples, {"counts": COUNTS})
    assert all(s.split == "test" for s in chosen["test"])
    assert all(s.split == "train" for s in (*chosen["train"], *chosen["valid"]))


def test_a_picture_in_train_and_test_stays_in_test_only():
    samples = make_samples({"a": 8, "b": 4}, "train") + make_samples({"a": 3, "b": 3}, "test")
    chosen = split(samples, "source", [("traina0", "testa0")])
    assert "testa0" in {s.id for s in chosen["test"]}
    assert "traina0" not in {s.id for part in chosen.values() for s in part}


def test_missing_source_splits_are_an_error():
    with pytest.raises(InputError, match="do not lie in train/ and test/ folders"):
        split(make_samples({"a": 8, "b": 4}), "source")


@given(rare=st.integers(3, 60), seed=st.integers(0, 2**32 - 1), data=st.data())
def test_fractions_that_add_up_to_one_leave_no_image_over(rare, seed, data):
    samples = make_samples({"a": 40, "b": rare})
    sizes = st.lists(st.sampled_from([s.id for s in samples]), min_size=2, max_size=9)
    together = data.draw(st.lists(sizes, max_size=6))
    try:
        chosen = split(samples, FRACTIONS, together, seed)
    except InputError:
        return  # too few different pictures of a class
    assert sorted(s.id for part in chosen.values() for s in part) == sorted(s.id for s in samples)


FRACTIONS = {"fractions": {"train": 0.7, "valid": 0.15, "test": 0.15}}


def test_of_thirty_rare_images_thirty_are_used():
    chosen = split(make_samples({"a": 100, "b": 30}), FRACTIONS)
    assert {name: part["b"] for name, part in count_labels(chosen).items()} == {
        "train": 22,
        "valid": 4,
        "test": 4,
    }


def test_a_fraction_of_zero_is_an_empty_split():
    chosen = split(
        make_samples({"a": 20, "b": 9}), {"fractions": {"train": 0.8, "valid": 0.2, "test": 0}}
    )
    assert {name: len(part) for name, part in chosen.items()} == {
        "train": 23,
        "valid": 6,
        "test": 0,
    }


def test_groups_larger_than_their_share_lie_in_every_split():
    """Three pictures of ten copies each: no share of 15% has room for one."""
    samples = make_samples({"a": 100, "b": 30})
    rare = [s.id for s in samples if s.label == "b"]
    chosen = split(samples, FRACTIONS, [rare[:10], rare[10:20], rare[20:]])
    assert {part["b"] for part in count_labels(chosen).values()} == {10}


def test_a_class_of_too_few_pictures_is_named_with_what_to_do():
    samples = make_samples({"a": 100, "b": 30})
    rare = [s.id for s in samples if s.label == "b"]
    with pytest.raises(
        InputError, match=r"no image of class 'b', which has 30 usable images of 2 different"
    ):
        split(samples, FRACTIONS, [rare[:15], rare[15:]])


def test_a_class_that_a_split_of_the_source_lacks_is_named():
    samples = make_samples({"a": 8, "b": 8}, "train") + make_samples({"a": 3}, "test")
    with pytest.raises(InputError, match=r"class 'b' has no usable image in test; set prepare"):
        split(samples, "source")
