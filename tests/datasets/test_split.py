"""Counts are met exactly, groups stay whole, and a source's test images stay in test."""

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.datasets import params
from toolkit.datasets.split import assign_splits, choose_folds, choose_split, group_samples
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
    with pytest.raises(InputError, match=r"source, but 12 images lie in no split; set prepare"):
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
        InputError, match=r"b \(30 images of 2 groups that stay whole for train, valid, test\); add"
    ):
        split(samples, FRACTIONS, [rare[:15], rare[15:]])


def own(train, valid=None, test=None):
    """Samples that lie in the source's own splits."""
    return [
        sample
        for name, counts in (("train", train), ("valid", valid), ("test", test))
        for sample in make_samples(counts or {}, name)
    ]


def choose(samples):
    """The choice, the counts of the split that it leads to, and what was said."""
    settings = params.PrepareParams(seed=3)
    choice = choose_split(samples, sorted({s.label for s in samples}), settings)
    used = [
        replace(s, label=choice.rename.get(s.label, s.label))
        for s in samples
        if choice.rename.get(s.label, s.label) not in choice.leave_out
    ]
    assigned = split(used, choice.split)
    assert sum(map(len, assigned.values())) == len(used)
    return choice, count_labels(assigned), "; ".join(choice.said)


def test_a_split_that_the_source_does_not_have_is_cut_from_train():
    choice, counts, said = choose(own({"a": 40, "b": 12}, {"a": 13, "b": 4}))
    assert choice.split == "source"
    assert counts == {
        "train": {"a": 32, "b": 10},
        "valid": {"a": 13, "b": 4},
        "test": {"a": 8, "b": 2},
    }
    assert said == "there is no test split: 10 images of train become test (prepare.test_fraction)"


@pytest.mark.parametrize("where", ["train", "valid", "test"])
def test_a_lone_split_is_one_pool(where):
    _, counts, said = choose(make_samples({"a": 40, "b": 20}, where))
    assert counts["test"] == {"a": 6, "b": 3}
    assert said == (
        f"all images lie in {where}: all are split anew, 70% train, 15% valid and 15% test"
    )


def test_images_in_no_split_beside_others_are_split_anew_with_them():
    samples = [*own({"a": 9, "b": 9}, None, {"a": 9, "b": 9}), *make_samples({"a": 2, "b": 2})]
    choice, _, said = choose(samples)
    assert isinstance(choice.split, params.ByFractions)
    assert said.startswith("some images lie in no split: all are split anew")


def test_a_class_that_splits_of_the_source_lack_is_cut_from_train():
    _, counts, said = choose(own({"0": 20, "180": 8}, {"0": 6}, {"0": 5}))
    assert counts == {"train": {"0": 20, "180": 4}, "valid": {"0": 6, "180": 2},
                      "test": {"0": 5, "180": 2}}  # fmt: skip
    assert said.startswith("class '180' has no image in valid and test: of its 8 in train 2 become")
    assert "prepare.split to {fractions" in said
    assert "fetch.classes to {leave_out: ['180']}" in said


def test_a_class_that_train_lacks_is_left_out():
    samples = own({"a": 9, "b": 9}, None, {"a": 3, "b": 3, "c": 5})
    choice, *_ = choose(samples)
    assert choice.leave_out["c"].startswith("5 images in test, none in train: only fractions")
    with pytest.raises(InputError, match=r"c \(5 images in test, none .*\); add .* \['c'\]"):
        split(samples, "source")


def test_a_lone_image_in_train_is_the_reason_that_is_told_and_not_those_in_test():
    samples = own({"a": 6, "b": 1}, test={"a": 3, "b": 5})
    why = (
        r"b \(1 image in train for train, valid, as the images in test stay there\); add images, or"
    )
    with pytest.raises(InputError, match=f"{why} split all images anew by --layout any/class"):
        choose(samples)


def test_a_class_that_test_lacks_is_said_where_images_are_tested_in_folds():
    choice = choose_folds(own({"a": 6, "b": 8}, test={"a": 3}), ("a", "b"))
    assert choice.said[-1].endswith("the images of test stay apart, where there is none of b")


def test_one_class_in_two_spellings_gets_one_name():
    choice, counts, said = choose(own({"Cat": 9, "dog": 9}, {"cat": 3, "Dog ": 3}))
    assert choice.rename == {"cat": "Cat", "Dog ": "dog"}
    assert counts["valid"] == {"Cat": 3, "dog": 3}
    assert "class 'cat' is 'Cat' in another split: fetch.classes renames it" in said


def test_a_class_in_two_spellings_that_cannot_be_split_is_left_out_in_both():
    samples = own({"a": 9, "b": 9, "One": 1}, {"a": 3, "b": 3, "one": 1})
    choice, *_ = choose(samples)
    assert (list(choice.leave_out), choice.rename) == (["One", "one"], {})


def test_spellings_in_one_split_are_two_classes():
    assert not choose(own({"Cat": 9, "cat": 9}, None, {"Cat": 3, "cat": 3}))[0].rename


def test_classes_that_cannot_be_split_are_left_out_with_their_numbers():
    choice, counts, said = choose(make_samples({"common": 60, "one": 1, "three": 3, "two": 2}))
    assert list(choice.leave_out) == ["one", "two"]
    assert counts["test"] == {"common": 9, "three": 1}
    assert said == (
        "left out by fetch.classes, for no split may lack a class: one (1 image for train, valid, "
        "test); two (2 images for train, valid, test)"
    )


def test_fewer_than_two_classes_that_can_be_split_are_refused():
    with pytest.raises(
        InputError, match=r"fewer than two .* b \(2 images for train, valid, test\)"
    ):
        choose(make_samples({"a": 60, "b": 2}))


def test_fractions_split_anew_whatever_the_source_says():
    samples = own({"a": 20, "b": 20}, None, {"a": 20})
    assert count_labels(split(samples, FRACTIONS))["test"] == {"a": 6, "b": 3}


@st.composite
def grouped(draw):
    """Groups of 1 to 9 images of one class or several, and fractions."""
    sets = st.lists(st.sampled_from("abc"), min_size=1, max_size=9)
    groups = draw(st.lists(sets, min_size=3, max_size=7))
    shares = draw(st.sampled_from([(0.7, 0.15, 0.15), (0.4, 0.3, 0.3), (0.9, 0.05, 0.05)]))
    samples = [
        Sample(f"{n}x{k}", f"{n}x{k}", label, group=f"g{n}")
        for n, labels in enumerate(groups)
        for k, label in enumerate(labels)
    ]
    return samples, {"fractions": dict(zip(("train", "valid", "test"), shares, strict=True))}


@given(drawn=grouped(), seed=st.integers(0, 2**32 - 1))
def test_every_image_lies_in_a_split_and_no_split_lacks_a_class_that_it_could_have(drawn, seed):
    samples, setting = drawn
    try:
        chosen = split(samples, setting, seed=seed)
    except InputError:
        assert not can_be_split(samples)
        return
    assert sorted(s.id for part in chosen.values() for s in part) == sorted(s.id for s in samples)
    groups = [{s.group for s in part} for part in chosen.values()]
    assert not (groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2])


def can_be_split(samples):
    """Whether there is any way to give each class to every split."""
    labels = [frozenset(s.label for s in group) for group in group_samples(samples, ())]
    classes = frozenset[str]().union(*labels)
    return any(
        all(
            classes
            == frozenset[str]().union(*(x for x, at in zip(labels, places, strict=True) if at == n))
            for n in range(3)
        )
        for places in itertools.product(range(3), repeat=len(labels))
    )


@given(drawn=grouped(), places=st.lists(st.sampled_from(["train", "valid", "test"]), min_size=7))
def test_what_is_chosen_can_be_done(drawn, places):
    samples = [replace(s, split=places[int(s.group[1:])]) for s in drawn[0]]
    refusal = ""
    try:
        choose(samples)
    except InputError as error:
        refusal = str(error)
    assert not refusal or refusal.startswith("fewer than two classes can be split")


def test_groups_that_the_source_divides_are_split_anew_where_nothing_would_be_left_to_train_on():
    """Each of nine patients of a class has images in train and in test."""
    samples = [
        Sample(f"{c}{n}{split}", f"{split}/{c}/{n}.png", c, split, f"{c}{n}")
        for c in "ab" for n in range(9) for split in ("train", "test")
    ]  # fmt: skip
    choice = choose_split(samples, "ab", params.PrepareParams())
    assert isinstance(choice.split, params.ByFractions)
    assert choice.leave_out == {}
    message = "18 groups lie in several of the splits test, train: all are split anew"
    assert choice.said[0].startswith(message)
    few = [s if s.path.endswith("8.png") else replace(s, group="") for s in samples]
    assert choose_split(few, "ab", params.PrepareParams()).split == "source"
