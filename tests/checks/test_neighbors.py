"""The search finds the pairs and groups that comparing everything would find."""

import itertools

import numpy as np
import pytest

from tests.helpers import audits
from toolkit.checks import hashing, neighbors
from toolkit.io import images


@pytest.fixture(scope="module")
def descriptors():
    """Descriptors of 90 images, every third of which is a noisy copy of the one before."""
    rng = np.random.default_rng(0)
    pictures = [audits.picture(rng) for _ in range(90)]
    for k in range(2, 90, 3):
        pictures[k] = np.clip(pictures[k - 1] + rng.normal(0, 9, (48, 48, 3)), 0, 255).astype("u1")
    pictures[50] = pictures[1][:, ::-1]
    return np.stack([hashing.descriptor(images.to_picture(picture)) for picture in pictures])


def test_the_pairs_are_those_of_comparing_all(descriptors):
    pairs = neighbors.find_pairs(descriptors.__getitem__, len(descriptors), 0.95)
    first, second = np.array(list(itertools.combinations(range(len(descriptors)), 2))).T
    similarity = np.maximum(
        hashing.similarity(descriptors[first], descriptors[second]),
        hashing.similarity(hashing.mirrored(descriptors[first]), descriptors[second]),
    )
    expected = similarity >= 0.95
    assert pairs.first.tolist() == first[expected].tolist()
    assert pairs.second.tolist() == second[expected].tolist()
    assert pairs.similarity == pytest.approx(similarity[expected], abs=1e-4)
    assert expected.sum() >= 30


def test_pairs_do_not_depend_on_processes_and_blocks(descriptors, monkeypatch):
    whole = neighbors.find_pairs(descriptors.__getitem__, len(descriptors), 0.95)
    monkeypatch.setattr(neighbors, "BLOCK", 1)
    parts = neighbors.find_pairs(descriptors.__getitem__, len(descriptors), 0.95, processes=2)
    assert whole.first.tolist() == parts.first.tolist()
    assert whole.second.tolist() == parts.second.tolist()


def test_groups_are_connected_pairs_with_their_lowest_similarity():
    first, second = np.array([0, 1, 5, 2]), np.array([4, 4, 6, 1])
    similarity = np.array([0.99, 0.96, 0.97, 0.98], dtype=np.float32)
    groups = neighbors.connected_groups(neighbors.Pairs(first, second, similarity, 4), 8)
    assert [rows.tolist() for rows, _ in groups] == [[0, 1, 2, 4], [5, 6]]
    assert [round(lowest, 2) for _, lowest in groups] == [0.96, 0.97]


def test_without_pairs_there_are_no_groups():
    none = np.zeros(0, dtype=np.int64)
    pairs = neighbors.Pairs(none, none, none.astype(np.float32), 0)
    assert neighbors.connected_groups(pairs, 3) == []


def test_a_copy_is_similar_and_another_image_is_not(descriptors):
    one = descriptors[:1]
    assert hashing.similarity(one, one) == pytest.approx(1, abs=1e-3)
    assert hashing.similarity(one, descriptors[3:4]) < 0.5


def test_signatures_are_unit_vectors_and_change_with_a_flip(descriptors):
    vectors = hashing.signatures(descriptors)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert not np.allclose(hashing.signatures(hashing.mirrored(descriptors)), vectors)
