"""Find near-duplicates among many images without comparing all pairs."""

import hashlib
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
FEW, HELD, COPIES, PROBES = 20, 0.7, 0.8, 4000
"""Rows up to which a group is copies of one image; of a larger one, the fraction of rows held by
close pairs or of similar pairs that makes it that, and pairs that the latter is measured on."""
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
    """Sorted pairs of rows, `first` < `second`, and their similarity.

    `compared` counts the pairs that were tried, `patterns` are what all images have in common.
    """

    first: Rows
    second: Rows
    similarity: Floats
    compared: int = 0
    patterns: Floats | None = None

    def among(self, rows: Rows) -> "Pairs":
        """Return the pairs of these connected rows."""
        return self._chosen(np.isin(self.first, rows))

    def at_least(self, similarity: float) -> "Pairs":
        """Return the pairs of this similarity."""
        return self._chosen(self.similarity >= similarity)

    def _chosen(self, mask: npt.NDArray[np.bool_]) -> "Pairs":
        columns = (self.first[mask], self.second[mask], self.similarity[mask])
        return Pairs(*columns, self.compared, self.patterns)


def find_pairs(load: Loader, images: int, threshold: float, processes: int = 1) -> Pairs:
    """Find all pairs of images whose similarity, mirrored or not, reaches the threshold.

    A k-d tree (SciPy) over the first AXES of the signatures gives the NEAREST within RADIUS; a pair
    is compared if either image has the other among these. The result does not depend on the order
    of the rows. Memory grows with the images, not with the pairs compared.
    """
    from scipy.spatial import cKDTree

    if images < 2:
        return _merged([], np.arange(images), 0, None)
    order = _canonical_order(load, images)
    loaded = partial(_load_in, load, order)
    blocks = _slices(np.arange(images), BLOCK)
    vectors = np.concatenate([hashing.signatures(loaded(rows)) for rows in blocks])
    patterns = hashing.common_patterns(loaded(np.arange(0, images, -(-images // SAMPLED))))
    search = partial(_search, loaded, cKDTree(vectors[:, :AXES]), vectors)
    candidates = np.unique(np.concatenate([*parallel.ordered_map(search, blocks, processes)]))
    compare = partial(_compare, loaded, images, threshold, patterns)
    parts = [*parallel.ordered_map(compare, _slices(candidates, PAIRS), processes)]
    return _merged(parts, order, len(candidates), patterns)


def _canonical_order(load: Loader, images: int) -> Rows:
    """Return the rows by a hash of their descriptors: file names must not decide anything."""
    hashes = [
        hashlib.blake2b(descriptor.tobytes(), digest_size=8).digest()
        for rows in _slices(np.arange(images), BLOCK)
        for descriptor in load(rows)
    ]
    return np.argsort(np.array(hashes, dtype="S8").view(">u8"), kind="stable")


def _load_in(load: Loader, order: Rows, rows: Rows) -> Descriptors:
    return load(order[rows])


def _slices(rows: Rows, length: int) -> list[Rows]:
    return [rows[at : at + length] for at in range(0, len(rows), length)]


def _search(load: Loader, tree: "cKDTree", vectors: Floats, rows: Rows) -> Rows:
    """Return the candidates of these rows: pairs as numbers (see `_compare`)."""
    block = load(rows)
    return np.concatenate(
        [
            _near(tree, vectors, hashing.signatures(queries), rows) * 2 + flipped
            for flipped, queries in enumerate((block, hashing.mirrored(block)))
        ]
    )


def _near(tree: "cKDTree", vectors: Floats, queries: Floats, rows: Rows) -> Rows:
    """Return lower row * images + higher row of pairs whose signatures lie within RADIUS."""
    images = len(vectors)
    count = min(NEAREST + 1, images)  # each query finds itself too
    _, others = tree.query(queries[:, :AXES], count, distance_upper_bound=RADIUS)
    query = np.repeat(np.arange(len(queries)), count)
    other = others.ravel()
    found = (other < images) & (other != rows[query])
    query, other = query[found], other[found]
    gaps = queries[query] - vectors[other]  # in all dimensions
    close = np.square(gaps).sum(axis=1) <= RADIUS**2
    one, other = rows[query[close]], other[close]
    return np.asarray(np.minimum(one, other) * images + np.maximum(one, other))


def _compare(
    load: Loader, images: int, threshold: float, patterns: Floats | None, candidates: Rows
) -> Pairs:
    """Compare sorted candidates: 2 * (lower row * images + higher row), + 1 if one is mirrored."""
    pair, flipped = np.divmod(candidates, 2)
    first, second = np.divmod(pair, images)
    similarity = np.zeros(len(pair), dtype=np.float32)
    for side in (0, 1):
        chosen = np.flatnonzero(flipped == side)
        rows, query = np.unique(first[chosen], return_inverse=True)
        queries = hashing.mirrored(load(rows)) if side else load(rows)
        similarity[chosen] = _similarity(queries, query, load(second[chosen]), threshold, patterns)
    good = similarity >= threshold
    return Pairs(first[good], second[good], similarity[good])


def _similarity(
    queries: Descriptors,
    query: Rows,
    others: Descriptors,
    threshold: float,
    patterns: Floats | None,
) -> Floats:
    """Compare queries[query] with others; 0 where they only share the `patterns`."""
    similarity = Queries(queries, None).similarity(query, others, threshold)
    if patterns is not None:
        good = np.flatnonzero(similarity >= threshold)
        rest = Queries(queries, patterns).similarity(query[good], others[good], MIN_PARTICULAR)
        similarity[good[rest < MIN_PARTICULAR]] = 0
    return similarity


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


def _merged(parts: Sequence[Pairs], order: Rows, compared: int, patterns: Floats | None) -> Pairs:
    """Sort the pairs by row; of one that was found twice, keep the higher similarity."""
    one, other, similarity = (
        np.concatenate([getattr(part, name) for part in parts] or [np.zeros(0, kind)])
        for name, kind in (("first", np.int64), ("second", np.int64), ("similarity", np.float32))
    )
    first, second = np.sort([order[one], order[other]], axis=0)
    ranked = np.lexsort((-similarity, second, first))
    first, second, similarity = first[ranked], second[ranked], similarity[ranked]
    new = np.ones(len(first), dtype=bool)
    new[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    return Pairs(first[new], second[new], similarity[new], compared, patterns)


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


def copies_and_crowds(
    load: Loader, pairs: Pairs, images: int, threshold: float
) -> Iterator[tuple[Rows, float, bool]]:
    """Yield groups of connected rows, their lowest similarity, and whether each is a crowd.

    Copies of one image agree with one another, or are held by close pairs, as the images of a
    moving camera are: most of them have a pair that lies at least three quarters of the way from
    the threshold to 1. A group of more than FEW rows of which neither is true is a crowd of similar
    images, chained by weak links. Copies in it, which closer pairs connect, are yielded after it.
    """
    yield from _parted(load, pairs, images, threshold, threshold)


def _parted(
    load: Loader, pairs: Pairs, images: int, threshold: float, level: float
) -> Iterator[tuple[Rows, float, bool]]:
    for rows, lowest in connected_groups(pairs, images):
        inside = pairs.among(rows)
        crowd = (
            len(rows) > FEW
            and _held(inside, _closer(_closer(threshold))) < HELD * len(rows)
            and agreement(load, rows, threshold, pairs.patterns) < COPIES
        )
        if not crowd or level == threshold:
            yield rows, lowest, crowd
        if crowd:
            closer = inside.at_least(_closer(level))
            yield from _parted(load, closer, images, threshold, _closer(level))


def _closer(level: float) -> float:
    return (1 + level) / 2


def _held(pairs: Pairs, level: float) -> int:
    """Return the number of rows that have a pair of at least this similarity."""
    close = pairs.at_least(level)
    return len(np.unique([close.first, close.second]))


def agreement(load: Loader, rows: Rows, threshold: float, patterns: Floats | None) -> float:
    """Return the fraction of the pairs of these rows that are similar.

    Of many pairs only some are compared: about PROBES, each row in equally many.
    """
    images = len(rows)
    rows = rows[_canonical_order(lambda chosen: load(rows[chosen]), images)]
    steps = np.arange(1, 1 + min(images // 2, -(-PROBES // images)))
    one = np.tile(np.arange(images), len(steps))
    other = (one + np.repeat(steps, images)) % images
    probes = np.unique(np.minimum(one, other) * images + np.maximum(one, other))
    candidates = np.sort(np.concatenate([2 * probes, 2 * probes + 1]))
    compare = partial(_compare, partial(_load_in, load, rows), images, threshold, patterns)
    parts = [compare(part) for part in _slices(candidates, PAIRS)]
    similar = np.concatenate([part.first * images + part.second for part in parts])
    return len(np.unique(similar)) / len(probes)


def _first(group: tuple[Rows, float]) -> int:
    return int(group[0][0])
