"""Near-duplicates among many images: pairs that show one picture, without trying all."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from toolkit import fingerprints
from toolkit.fingerprints import Copies, Floats

RADIUS = 0.5
"""How far apart the signatures of one picture may lie; unrelated pictures are 1.4 apart."""
AXES = 14
"""Of the signature, that the tree is built on: those behind add little to a distance."""
BLOCK = 2000
"""Images asked about at a time."""
PAIRS = 4000
"""Pairs compared at a time."""

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


def pairs(look: Look, images: int, lowest: float, workers: int = 1) -> Pairs:
    """All pairs of so many images that agree by `lowest` or more, mirrored or not.

    A k-d tree (SciPy's) over the first AXES of the signatures gives those within RADIUS in all
    axes; each is then compared. Memory grows with the images, not with the pairs tried.
    """
    from scipy.spatial import cKDTree

    blocks = [np.arange(at, min(at + BLOCK, images)) for at in range(0, images, BLOCK)]
    vectors = np.concatenate([fingerprints.signatures(look(rows)) for rows in blocks])
    tree = cKDTree(vectors[:, :AXES])
    found, tried = [], 0
    for rows in blocks:
        block, start = look(rows), int(rows[0])
        for flipped in (False, True):
            asked = fingerprints.mirrored(block) if flipped else block
            near = _near(tree, vectors, fingerprints.signatures(asked), start, workers)
            tried += len(near[0])
            for first, second in _batches(*near):
                agree = fingerprints.agreement(asked[first - start], look(second))
                kept = agree >= lowest
                found.append((first[kept], second[kept], agree[kept]))
    return Pairs(*_best(found), tried)


def _near(
    tree: "object", vectors: Floats, asked: Floats, start: int, workers: int
) -> tuple[Rows, Rows]:
    """Pairs (asked, other), other behind it, whose signatures lie within RADIUS."""
    lists = tree.query_ball_point(  # type: ignore[attr-defined]
        asked[:, :AXES], RADIUS, workers=workers, return_sorted=True
    )
    counts = np.array([len(rows) for rows in lists], dtype=np.int64)
    first = np.repeat(np.arange(len(asked)), counts)
    second = np.fromiter((row for rows in lists for row in rows), np.int64, int(counts.sum()))
    behind = second > first + start
    first, second = first[behind], second[behind]
    kept = np.zeros(len(first), dtype=bool)
    for at in range(0, len(first), 100 * PAIRS):  # the distance in all axes, in bounded memory
        part = slice(at, at + 100 * PAIRS)
        gaps = asked[first[part]] - vectors[second[part]]
        kept[part] = np.square(gaps).sum(axis=1) <= RADIUS**2
    return first[kept] + start, second[kept]


def _batches(first: Rows, second: Rows) -> Iterator[tuple[Rows, Rows]]:
    for at in range(0, len(first), PAIRS):
        yield first[at : at + PAIRS], second[at : at + PAIRS]


def _best(found: Sequence[tuple[Rows, Rows, Floats]]) -> tuple[Rows, Rows, Floats]:
    """In the order of the rows; of a pair that agrees both ways, the better."""
    if not found:
        none = np.zeros(0, dtype=np.int64)
        return none, none, none.astype(np.float32)
    first, second, agree = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((-agree, second, first))
    first, second, agree = first[order], second[order], agree[order]
    new = np.ones(len(first), dtype=bool)
    new[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    return first[new], second[new], agree[new]


def groups(found: Pairs, images: int) -> list[tuple[Rows, float]]:
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
