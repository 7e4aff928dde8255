"""Folds are stratified, keep groups whole, and are the same for the same seed."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.datasets.folds import assign_folds
from toolkit.errors import InputError


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_each_fold_has_its_part_of_every_class_and_groups_are_whole(seed, folds):
    labels = ["a"] * 60 + ["b"] * 20
    groups = [str(number // 2) for number in range(80)]
    assigned = assign_folds(labels, groups, folds, np.random.default_rng(seed))
    for name, n in (("a", 60), ("b", 20)):
        counts = Counter(f for f, label in zip(assigned, labels, strict=True) if label == name)
        assert set(counts) == set(range(folds))
        assert max(counts.values()) - min(counts.values()) <= 2
        assert sum(counts.values()) == n
    assert all(assigned[0::2] == assigned[1::2])


def test_the_same_seed_gives_the_same_folds():
    labels, groups = ["a", "b"] * 10, [str(n) for n in range(20)]
    one, same, other = (
        assign_folds(labels, groups, 5, np.random.default_rng(seed)).tolist() for seed in (1, 1, 2)
    )
    assert one == same != other


def test_a_class_with_fewer_images_than_folds_is_refused():
    with pytest.raises(InputError, match="class 'b' has 2 different images, too few for 3 folds"):
        assign_folds(["a"] * 9 + ["b"] * 3, [*"123456789", "x", "x", "y"], 3,
                     np.random.default_rng(0))  # fmt: skip
