"""Find near-duplicates among many images without comparing all pairs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from toolkit.checks import hashing
from toolkit.checks.hashing import Descriptors, Floats, Tangents
from toolkit.io import parallel

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

RADIUS = 0.5
"""Largest distance between the signatures of duplicates; unrelated images are 1.4 apart."""
NEAREST = 40
"""Candidates per image, at most: in a crowd of similar images, duplicates are the nearest."""
AXES = 14
"""Dimensions of a signature that the tree uses: the others add little to a distance."""
BLOCK, SAMPLED = 500, 2000
"""Images per query, and images that the common patterns are computed from."""
PAIRS = 1000
"""Pairs compared at a time."""
DOUBTFUL = 0.15
"""A pair that misses the threshold by less than this in one direction is tried in the other."""
MIN_PARTICULAR = 0.9
"""Similarity that duplicates need in what is not common to the folder (`common_patterns`)."""

Rows = npt.NDArray[np.int64]
Loader = Callable[[Rows], Descriptors]
"""Returns the descriptors of the given rows: not all of them need to be in memory."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Sorted pairs of rows, `first` < `second`, their similarity, and how many were `compared`."""

    first: Rows
    second: Rows
    similarity: Floats
    compared: int


def find_pairs(load: Loader, images: int, threshold: float, processes: int = 1) -> Pairs:
    """Find all pairs of images whose similarity, mirrored or not, reaches the threshold.

    A k-d tree (SciPy) over the first AXES of the signatures gives the NEAREST within RADIUS; each
    of these is compared. Memory grows with the images, not with the pairs compared.
    """
    from scipy.spatial import cKDTree

    blocks = [np.arange(at, min(at + BLOCK, images)) for at in range(0, images, BLOCK)]
    vectors = np.concatenate([hashing.signatures(load(rows)) for rows in blocks])
    patterns = hashing.common_patterns(load(np.arange(0, images, -(-images // SAMPLED))))
    tree = cKDTree(vectors[:, :AXES])
    search = partial(_search, load, tree, vectors, threshold, patterns)
    return _merged(list(parallel.ordered_map(search, blocks, processes)))


def _search(
    load: Loader,
    tree: "cKDTree",
    vectors: Floats,
    threshold: float,
    patterns: Floats | None,
    rows: Rows,
) -> Pairs:
    """Find the pairs of these rows with later ones; a pair may be found twice, once mirrored."""
    block, start = load(rows), int(rows[0])
    parts, compared = [(rows[:0], rows[:0], vectors[:0, 0])], 0
    for queries in (block, hashing.mirrored(block)):
        near = _near(tree, vectors, hashing.signatures(queries), start)
        compared += len(near[0])
        whole, particular = Queries(queries, None), Queries(queries, patterns)
        for first, second in _batches(*near):
            others = load(second)
            similarity = whole.similarity(first - start, others, threshold)
            good = np.flatnonzero(similarity >= threshold)
            if patterns is not None:
                rest = particular.similarity(first[good] - start, others[good], MIN_PARTICULAR)
                good = good[rest >= MIN_PARTICULAR]
            parts.append((first[good], second[good], similarity[good]))
    first, second, similarity = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Pairs(first, second, similarity, compared)


def _near(tree: "cKDTree", vectors: Floats, queries: Floats, start: int) -> tuple[Rows, Rows]:
    """Return pairs of a query and a later row whose signatures lie within RADIUS."""
    count = min(NEAREST + 1, len(vectors))  # each query finds itself too
    _, others = tree.query(queries[:, :AXES], count, distance_upper_bound=RADIUS)
    first = np.repeat(np.arange(len(queries)), count)
    second = others.ravel()
    later = (second > first + start) & (second < len(vectors))
    first, second = first[later], second[later]
    gaps = queries[first] - vectors[second]  # in all dimensions
    close = np.square(gaps).sum(axis=1) <= RADIUS**2
    return first[close] + start, second[close]


def _batches(first: Rows, second: Rows) -> Iterator[tuple[Rows, Rows]]:
    for at in range(0, len(first), PAIRS):
        yield first[at : at + PAIRS], second[at : at + PAIRS]


class Queries:
    """Descriptors to compare others with, and their tangents, without the common `patterns`."""

    def __init__(self, descriptors: Descriptors, patterns: Floats | None) -> None:
        """Keep the descriptors; their tangents are computed once, on first use."""
        self._descriptors, self._patterns = descriptors, patterns

    @cached_property
    def _tangents(self) -> Tangents:
        return hashing.tangents(self._descriptors, self._patterns)

    def similarity(self, first: Rows, others: Descriptors, threshold: float) -> Floats:
        """Compute `hashing.similarity` of descriptors[first] and others, exact near the threshold.

        One direction comes first and settles most pairs. `first` must be sorted.
        """
        similarity = np.empty(len(first), dtype=np.float32)
        if not len(first):
            return similarity
        targets = hashing.project_out(hashing.compared_pixels(others), self._patterns)
        starts = np.flatnonzero(np.diff(first, prepend=-1))
        for part in map(slice, starts, [*starts[1:], len(first)]):
            one = slice(first[part.start], first[part.start] + 1)
            tangents = Tangents(self._tangents.directions[one], self._tangents.inverse[one])
            similarity[part] = hashing.explained_fraction(tangents, targets[part])
        doubtful = np.flatnonzero((similarity < threshold) & (similarity >= threshold - DOUBTFUL))
        similarity[doubtful] = hashing.similarity(
            self._descriptors[first[doubtful]], others[doubtful], self._patterns
        )
        return similarity


def _merged(parts: Sequence[Pairs]) -> Pairs:
    """Sort the pairs by row; of one that was found twice, keep the higher similarity."""
    first, second, similarity = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("first", "second", "similarity")
    )
    order = np.lexsort((-similarity, second, first))
    first, second, similarity = first[order], second[order], similarity[order]
    new = np.ones(len(first), dtype=bool)
    new[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    compared = sum(part.compared for part in parts)
    return Pairs(first[new], second[new], similarity[new], compared)


def connected_groups(pairs: Pairs, images: int) -> list[tuple[Rows, float]]:
    """Return the rows that pairs connect, directly or not, each group with its lowest similarity.

    Rows are sorted, and groups by their first row.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs.first)), (pairs.first, pairs.second)), (images, images))
    groups, group = connected_components(graph, directed=False)
    lowest = np.ones(groups, dtype=np.float32)
    np.minimum.at(lowest, group[pairs.first], pairs.similarity)
    members = np.unique(np.concatenate([pairs.first, pairs.second]))
    order = members[np.argsort(group[members], kind="stable")]
    cuts = np.flatnonzero(np.diff(group[order])) + 1
    parts = np.split(order, cuts) if len(order) else []
    return sorted(((rows, float(lowest[group[rows[0]]])) for rows in parts), key=_first)


def _first(group: tuple[Rows, float]) -> int:
    return int(group[0][0])
