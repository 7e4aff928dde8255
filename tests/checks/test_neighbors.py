"""Pairs and groups are those that trying everything would find."""

import itertools

import numpy as np
import pytest

from tests.helpers import audits
from toolkit.checks import hashing, neighbors
from toolkit.io import images


@pytest.fixture(scope="module")
def copies():
    """90 pictures, of which each third one is a noisy copy of the one before."""
    rng = np.random.default_rng(0)
    pictures = [audits.picture(rng) for _ in range(90)]
    for k in range(2, 90, 3):
        pictures[k] = np.clip(pictures[k - 1] + rng.normal(0, 9, (48, 48, 3)), 0, 255).astype("u1")
    pictures[50] = pictures[1][:, ::-1]
    return np.stack([hashing.descriptor(images.to_picture(picture)) for picture in pictures])


def test_the_pairs_are_those_that_trying_all_would_find(copies):
    pairs = neighbors.find_pairs(copies.__getitem__, len(copies), 0.95)
    first, second = np.array(list(itertools.combinations(range(len(copies)), 2))).T
    agree = np.maximum(
        hashing.similarity(copies[first], copies[second]),
        hashing.similarity(hashing.mirrored(copies[first]), copies[second]),
    )
    expected = agree >= 0.95
    assert pairs.first.tolist() == first[expected].tolist()
    assert pairs.second.tolist() == second[expected].tolist()
    assert pairs.similarity == pytest.approx(agree[expected], abs=1e-4)
    assert expected.sum() >= 30


def test_they_are_the_same_with_several_processes_and_in_small_blocks(copies, monkeypatch):
    whole = neighbors.find_pairs(copies.__getitem__, len(copies), 0.95)
    monkeypatch.setattr(neighbors, "BLOCK", 1)
    parts = neighbors.find_pairs(copies.__getitem__, len(copies), 0.95, processes=2)
    assert whole.first.tolist() == parts.first.tolist()
    assert whole.second.tolist() == parts.second.tolist()


def test_groups_are_what_pairs_join_with_the_weakest_of_them():
    first, second = np.array([0, 1, 5, 2]), np.array([4, 4, 6, 1])
    agreement = np.array([0.99, 0.96, 0.97, 0.98], dtype=np.float32)
    groups = neighbors.connected_groups(neighbors.Pairs(first, second, agreement, 4), 8)
    assert [rows.tolist() for rows, _ in groups] == [[0, 1, 2, 4], [5, 6]]
    assert [round(weakest, 2) for _, weakest in groups] == [0.96, 0.97]


def test_without_pairs_there_are_no_groups():
    none = np.zeros(0, dtype=np.int64)
    pairs = neighbors.Pairs(none, none, none.astype(np.float32), 0)
    assert neighbors.connected_groups(pairs, 3) == []


def test_a_copy_agrees_wholly_and_noise_does_not(copies):
    one = copies[:1]
    assert hashing.similarity(one, one) == pytest.approx(1, abs=1e-3)
    assert hashing.similarity(one, copies[3:4]) < 0.5


def test_signatures_have_length_one_and_turn_with_the_picture(copies):
    vectors = hashing.signatures(copies)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert not np.allclose(hashing.signatures(hashing.mirrored(copies)), vectors)
