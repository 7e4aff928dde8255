"""The search finds the pairs and groups that comparing everything would find."""

import itertools

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies
from PIL import Image

from tests.conftest import noise
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


def lookalikes(rng, count, strength, side=64):
    """Draw the same soft picture with another fine texture on each."""
    at = (np.arange(side) + 0.5) / side
    part, pictures = noise(rng, side).mean(axis=2), []
    for _ in range(count):
        waves = zip(rng.integers(7, 10, (6, 2)), rng.uniform(0, 2 * np.pi, (6, 2)), strict=True)
        texture = sum(
            np.outer(np.cos(np.pi * f * at + p), np.cos(np.pi * g * at + q))
            for (f, g), (p, q) in waves
        )
        pictures.append(np.clip(part / 2 + 60 + strength * texture, 0, 255).astype(np.uint8))
    return pictures


def described(pictures):
    return np.stack([hashing.descriptor(Image.fromarray(picture)) for picture in pictures])


def found(descriptors, order):
    """Return the pairs among the reordered rows, in terms of the original ones."""
    pairs = neighbors.find_pairs(descriptors[order].__getitem__, len(order), 0.95)
    rows = np.sort([order[pairs.first], order[pairs.second]], axis=0).T
    return sorted(zip(rows.tolist(), pairs.similarity.tolist(), strict=True))


@pytest.fixture(scope="module")
def crowded():
    """Descriptors of 36 pictures, each with two copies that are shifted by 1 or 2 pixels."""
    rng = np.random.default_rng(3)
    pictures = lookalikes(rng, 36, 10)
    shifts = rng.integers(-2, 3, (72, 2))
    copies = [np.roll(pictures[k % 36], by, axis=(0, 1)) for k, by in enumerate(shifts)]
    return described([*pictures, *copies])


@hypothesis.settings(max_examples=15, deadline=None)
@hypothesis.given(seed=strategies.integers(0, 2**32 - 1))
def test_the_order_of_the_rows_does_not_matter(crowded, seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbors, "NEAREST", 6)
        order = np.random.default_rng(seed).permutation(len(crowded))
        assert found(crowded, order) == found(crowded, np.arange(len(crowded)))


def test_a_pair_is_tried_if_either_side_asks_for_it():
    """The original has 40 nearer neighbors than some of its copies, which have it among theirs."""
    pictures = lookalikes(np.random.default_rng(2), 160, 11)
    shifts = [(k % 5 - 2, k // 5 - 2) for k in range(20)]
    copies = [np.roll(pictures[7], by, axis=(0, 1)) for by in shifts]
    for ordered, original in (([*pictures, *copies], 7), ([*copies, *pictures], 27)):
        rows = described(ordered)
        groups = neighbors.connected_groups(neighbors.find_pairs(rows.__getitem__, 180, 0.95), 180)
        assert [len(group) for group, _ in groups if original in group] == [21]


def groups_of(pictures):
    rows = described(pictures)
    pairs = neighbors.find_pairs(rows.__getitem__, len(rows), 0.95)
    groups = neighbors.copies_and_crowds(rows.__getitem__, pairs, len(rows), 0.95)
    return [(len(group), crowd) for group, _, crowd in groups]


def test_pictures_whose_pairs_agree_are_copies_at_any_number():
    rng = np.random.default_rng(2)
    first = audits.picture(rng).astype(float)
    burst = [np.clip(first + rng.normal(0, 8, first.shape), 0, 255).astype("u1") for _ in range(90)]
    assert groups_of(burst) == [(90, False)]


def test_the_pictures_of_a_moving_camera_are_copies():
    """The first and the last show nothing in common."""
    scene = audits.picture(np.random.default_rng(2), 200)
    assert groups_of([scene[20:116, k : k + 96] for k in range(0, 100, 2)]) == [(50, False)]


def test_pictures_that_weak_links_chain_are_a_crowd():
    """Each turns by 0.17 radians from the one before: neighbors agree by .97, others less."""
    rng = np.random.default_rng(2)
    state, chain = audits.picture(rng) - 128.0, []
    for _ in range(40):
        state = np.cos(0.17) * state + np.sin(0.17) * (audits.picture(rng) - 128.0)
        chain.append(np.clip(128 + state, 0, 255).astype(np.uint8))
    assert groups_of(chain)[0] == (40, True)


def test_copies_are_found_in_a_crowd():
    rng = np.random.default_rng(5)
    first = audits.picture(rng).astype(float)
    crowd = [(0.78 * first + 0.22 * audits.picture(rng)).astype(np.uint8) for _ in range(120)]
    copies = [np.clip(crowd[4] + rng.normal(0, 3, first.shape), 0, 255) for _ in range(25)]
    groups = groups_of([*crowd, *(copy.astype(np.uint8) for copy in copies)])
    assert groups[0][1]
    assert (26, False) in groups


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
