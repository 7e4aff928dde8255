"""Near-duplicates among many images: pairs that show one picture, without trying all pairs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from toolkit.checks import hashing
from toolkit.checks.hashing import Copies, Floats, Variants
from toolkit.io import parallel

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

RADIUS = 0.5
"""How far apart the signatures of one picture may lie; unrelated pictures are 1.4 apart."""
NEAREST = 40
"""At most so many are compared with an image: where all are alike, copies are the nearest."""
AXES = 14
"""Of the signature, that the tree is built on: those behind add little to a distance."""
BLOCK, SEEN = 500, 2000
"""Images asked about at a time, and looked at to find the common patterns."""
PAIRS = 1000
"""Pairs compared at a time."""
DOUBTFUL = 0.15
"""So much less than enough may a pair agree one way round to be tried the other way round."""
PARTICULAR = 0.9
"""How far two pictures must agree in what is not common to the folder (`hashing.patterns`)."""

Rows = npt.NDArray[np.int64]
Look = Callable[[Rows], Copies]
"""The copies of some images, by their rows: not all of them need to be in memory."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of rows, `first` below `second`, in their order, and how far they agree.

    `tried`: how many pairs were compared to find them.
    """

    first: Rows
    second: Rows
    agreement: Floats
    tried: int


def pairs(look: Look, images: int, lowest: float, processes: int = 1) -> Pairs:
    """All pairs of so many images that agree by `lowest` or more, mirrored or not.

    A k-d tree (SciPy's) over the first AXES of the signatures gives the NEAREST within RADIUS;
    each is then compared. Memory grows with the images, not with the pairs tried.
    """
    from scipy.spatial import cKDTree

    blocks = [np.arange(at, min(at + BLOCK, images)) for at in range(0, images, BLOCK)]
    vectors = np.concatenate([hashing.signatures(look(rows)) for rows in blocks])
    common = hashing.patterns(look(np.arange(0, images, -(-images // SEEN))))
    tree = cKDTree(vectors[:, :AXES])
    search = partial(_search, look, tree, vectors, lowest, common)
    return _best(list(parallel.ordered_map(search, blocks, processes)))


def _search(
    look: Look,
    tree: "cKDTree",
    vectors: Floats,
    lowest: float,
    common: Floats | None,
    rows: Rows,
) -> Pairs:
    """The pairs of these rows with those behind them; one that agrees mirrored too, twice."""
    block, start = look(rows), int(rows[0])
    found, tried = [(rows[:0], rows[:0], vectors[:0, 0])], 0
    for asked in (block, hashing.mirrored(block)):
        near = _near(tree, vectors, hashing.signatures(asked), start)
        tried += len(near[0])
        whole, own = Queries(asked, None), Queries(asked, common)
        for first, second in _batches(*near):
            others = look(second)
            agree = whole.agreement(first - start, others, lowest)
            good = np.flatnonzero(agree >= lowest)
            if common is not None:
                particular = own.agreement(first[good] - start, others[good], PARTICULAR)
                good = good[particular >= PARTICULAR]
            found.append((first[good], second[good], agree[good]))
    first, second, agreement = (np.concatenate(column) for column in zip(*found, strict=True))
    return Pairs(first, second, agreement, tried)


def _near(tree: "cKDTree", vectors: Floats, asked: Floats, start: int) -> tuple[Rows, Rows]:
    """Pairs (asked, other), other behind it, whose signatures lie within RADIUS."""
    most = min(NEAREST + 1, len(vectors))  # it finds itself too
    _, others = tree.query(asked[:, :AXES], most, distance_upper_bound=RADIUS)
    first = np.repeat(np.arange(len(asked)), most)
    second = others.ravel()
    behind = (second > first + start) & (second < len(vectors))
    first, second = first[behind], second[behind]
    gaps = asked[first] - vectors[second]  # in all axes
    kept = np.square(gaps).sum(axis=1) <= RADIUS**2
    return first[kept] + start, second[kept]


def _batches(first: Rows, second: Rows) -> Iterator[tuple[Rows, Rows]]:
    for at in range(0, len(first), PAIRS):
        yield first[at : at + PAIRS], second[at : at + PAIRS]


class Queries:
    """The copies that are asked about, and their ways, made once: without `common` patterns."""

    def __init__(self, copies: Copies, common: Floats | None) -> None:
        """Keep them; the ways are made when they are asked for."""
        self._copies, self._common = copies, common

    @cached_property
    def _ways(self) -> Variants:
        return hashing.variants(self._copies, self._common)

    def agreement(self, first: Rows, others: Copies, enough: float) -> Floats:
        """`hashing.agreement` of copies[first] and the others; exact where near `enough`.

        One way round first, which settles most pairs. `first` is sorted.
        """
        agree = np.empty(len(first), dtype=np.float32)
        if not len(first):
            return agree
        wanted = hashing.without(hashing.compared_pixels(others), self._common)
        starts = np.flatnonzero(np.diff(first, prepend=-1))
        for part in map(slice, starts, [*starts[1:], len(first)]):
            one = slice(first[part.start], first[part.start] + 1)
            own = Variants(self._ways.parts[one], self._ways.inverse[one])
            agree[part] = hashing.explained(own, wanted[part])
        doubtful = np.flatnonzero((agree < enough) & (agree >= enough - DOUBTFUL))
        back = hashing.agreement(self._copies[first[doubtful]], others[doubtful], self._common)
        agree[doubtful] = back
        return agree


def _best(parts: Sequence[Pairs]) -> Pairs:
    """In the order of the rows; of a pair that agrees both ways, the better."""
    first, second, agree = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("first", "second", "agreement")
    )
    order = np.lexsort((-agree, second, first))
    first, second, agree = first[order], second[order], agree[order]
    new = np.ones(len(first), dtype=bool)
    new[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    return Pairs(first[new], second[new], agree[new], sum(part.tried for part in parts))


def duplicate_groups(found: Pairs, images: int) -> list[tuple[Rows, float]]:
    """The rows that pairs join, directly or through others, and the weakest of these pairs.

    Rows are sorted, groups by their first row.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(found.first)), (found.first, found.second)), (images, images))
    parts, part = connected_components(graph, directed=False)
    weakest = np.ones(parts, dtype=np.float32)
    np.minimum.at(weakest, part[found.first], found.agreement)
    joined = np.unique(np.concatenate([found.first, found.second]))
    order = joined[np.argsort(part[joined], kind="stable")]
    cuts = np.flatnonzero(np.diff(part[order])) + 1
    members = np.split(order, cuts) if len(order) else []
    return sorted(((rows, float(weakest[part[rows[0]]])) for rows in members), key=_first)


def _first(group: tuple[Rows, float]) -> int:
    return int(group[0][0])
