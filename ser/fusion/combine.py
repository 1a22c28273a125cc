"""Rules that make one prediction of several members' predictions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import rankdata


def weighted(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """sum_m w_m x_m: posteriors stay posteriors, and values stay in the labels' units.

    Args:
        values: ``(M, N, C)``.
        weights: ``(M,)``, not negative, with the sum 1.

    Returns:
        ``(N, C)``.
    """
    return np.tensordot(weights, values, axes=1)


def uniform(count: int) -> np.ndarray:
    """The weights of the plain mean, ``(M,)``."""
    return np.full(count, 1 / count)


def mean(values: np.ndarray) -> np.ndarray:
    """The members' plain mean: ``(M, N, C)`` -> ``(N, C)``."""
    return weighted(values, uniform(len(values)))


def vote(probabilities: np.ndarray) -> np.ndarray:
    """Majority vote: each class's share of the members' votes, ties broken by the mean posterior.

        p_k = (v_k + mean_k / 2) / (M + 1/2)

    A mean posterior is worth half a vote, so that it decides between equals and nothing else.

    Args:
        probabilities: ``(M, N, K)``.

    Returns:
        ``(N, K)``, with sums of 1.
    """
    winners = probabilities.argmax(2)
    votes = np.eye(probabilities.shape[2])[winners].sum(0)
    return _settled(votes, probabilities, len(probabilities))


def borda(probabilities: np.ndarray) -> np.ndarray:
    """Rank fusion (Borda count): a member gives its r-th best class K - r points, equals the mean of theirs.

        p_k = (b_k + mean_k / 2) / (M K (K - 1) / 2 + 1/2)

    A mean posterior is worth half a point, the least by which points can differ.

    Args:
        probabilities: ``(M, N, K)``.

    Returns:
        ``(N, K)``, with sums of 1.
    """
    members, _, classes = probabilities.shape
    points = (rankdata(probabilities, axis=2) - 1).sum(0)
    return _settled(points, probabilities, members * classes * (classes - 1) / 2)


def _settled(counts: np.ndarray, probabilities: np.ndarray, total: float) -> np.ndarray:
    """Counts ``(N, K)`` with the sum ``total`` as shares, the mean posterior between equals."""
    return (counts + probabilities.mean(0) / 2) / (total + 0.5)


# Rules without weights, for posteriors.
RULES: dict[str, Callable[[np.ndarray], np.ndarray]] = {"mean": mean, "rank": borda, "vote": vote}
