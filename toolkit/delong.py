"""Areas under ROC curves and how they vary together (DeLong, DeLong and Clarke-Pearson, 1988).

By sorting instead of comparing all pairs (Sun and Xu, 2014): N log N.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def auc(positive: Flags, scores: Floats) -> tuple[Floats, Floats]:
    """The AUCs [M] of M networks on the same N images, and their covariance [M, M].

    `positive` [N] says which images are of the class, `scores` [M, N] how sure each network is;
    equal scores count half. Raises ValueError for fewer than two images of either kind.
    """
    found, rest = int(positive.sum()), int((~positive).sum())
    if min(found, rest) < 2:
        raise ValueError(f"expected two images of either kind at least, got {found} and {rest}")
    pairs = [_components(row[positive], row[~positive]) for row in scores]
    inside, outside = (np.stack(parts) for parts in zip(*pairs, strict=True))
    covariance = np.cov(inside) / found + np.cov(outside) / rest
    return inside.mean(axis=1), np.atleast_2d(covariance)


def _components(inside: Floats, outside: Floats) -> tuple[Floats, Floats]:
    """For each image the share of the other kind that stands on its right side."""
    return _share_below(inside, outside), 1 - _share_below(outside, inside)


def _share_below(scores: Floats, others: Floats) -> Floats:
    ranked = np.sort(others)
    below = np.searchsorted(ranked, scores, "left") + np.searchsorted(ranked, scores, "right")
    return np.asarray(below / (2 * len(others)))
