"""The streams of chance are numpy's, number for number."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from toolkit.augmentation import chance

WORD = st.integers(0, 2**32 - 1)


@given(st.lists(WORD, min_size=1, max_size=12), st.lists(WORD, max_size=4), st.integers(1, 9))
def test_seeds_are_numpys(words, more, count):
    expected = np.random.SeedSequence(words).generate_state(count).tolist()
    assert chance.Seeds(words).generate(count) == expected
    if len(words) >= 4:
        longer = np.random.SeedSequence([*words, *more]).generate_state(count).tolist()
        assert chance.Seeds(words).then(*more).generate(count) == longer
        assert chance.Seeds(words).generate(count) == expected


@given(st.lists(WORD, min_size=4, max_size=9), st.lists(WORD, min_size=1, max_size=20), WORD)
def test_many_sequences_at_once_are_those_one_by_one(words, each, last):
    expected = [tuple(chance.Seeds([*words, one, last]).generate(3)) for one in each]
    assert chance.Seeds(words).then(each, last).each(3) == expected
    assert chance.Seeds([*words, each, last]).each(3) == expected


@given(st.lists(WORD, max_size=20))
def test_many_generators_at_once_are_those_one_by_one(seeds):
    expected = [chance.Generator(seed).random() for seed in seeds]
    assert [generator.random() for generator in chance.generators(seeds)] == expected


@given(WORD, st.lists(st.one_of(st.none(), st.integers(1, 2**32)), max_size=30))
def test_draws_are_numpys_in_any_order_of_kinds(seed, kinds):
    """None stands for `random`, a number for `integers` below it."""
    ours, theirs = chance.Generator(seed), np.random.default_rng(seed)
    for kind in kinds:
        if kind is None:
            assert ours.random() == theirs.random()
        else:
            assert ours.integers(kind) == theirs.integers(kind)


@given(WORD, st.integers(0, 300))
def test_shuffles_are_numpys(seed, count):
    ours = chance.Generator(seed).permutation(count)
    assert ours == np.random.default_rng(seed).permutation(count).tolist()
