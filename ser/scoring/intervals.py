"""Bootstrap intervals over clusters (speakers), from sums by cluster.

One draw takes S of the S clusters with replacement, each whole, utterances and all (the cluster
bootstrap: Davison & Hinkley 1997, section 3.8; Field & Welsh 2007). A draw is kept as how often
each cluster was taken; the metric of all draws then follows from one matrix product with the sums
of ``ser.metrics.sums``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
FEW_CLUSTERS = 20
# Above this share of undefined draws an interval would describe the lucky draws only.
MAX_UNDEFINED = 0.05
# Draws are made in blocks of at most this many cells, so that memory is bounded (32 MB).
BLOCK_CELLS = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A percentile interval.

    Attributes:
        low: lower end, or None when there is no interval (one cluster, or too many undefined draws).
        high: upper end, or None.
        undefined: number of draws in which the metric is undefined; they are left out.
    """

    low: float | None
    high: float | None
    undefined: int


def draw_counts(
    num_clusters: int, draws: int, seed: int, block_cells: int = BLOCK_CELLS
) -> Iterator[np.ndarray]:
    """How often each cluster is taken in each draw, in blocks ``(d, S)`` of float64.

    The draws depend on ``num_clusters``, ``draws`` and ``seed`` alone: systems that are scored on the
    same speakers see the same draws, and the size of a block changes nothing.
    """
    generator = np.random.default_rng(seed)
    block = max(1, block_cells // max(num_clusters, 1))
    for start in range(0, draws, block):
        size = min(block, draws - start)
        taken = generator.integers(num_clusters, size=(size, num_clusters))
        taken += np.arange(size)[:, None] * num_clusters
        counts = np.bincount(taken.ravel(), minlength=size * num_clusters)
        yield counts.reshape(size, num_clusters).astype(np.float64)


def bootstrap(
    statistic: Callable[[np.ndarray], np.ndarray], num_clusters: int, draws: int, seed: int
) -> np.ndarray:
    """Values of a statistic in every draw.

    Args:
        statistic: counts ``(d, S)`` -> values ``(d, M)``, M metrics at once, NaN where undefined.
        num_clusters: S.
        draws: number of draws D.
        seed: of the random numbers.

    Returns:
        ``(D, M)``.
    """
    return np.concatenate([statistic(counts) for counts in draw_counts(num_clusters, draws, seed)])


def percentile_interval(values: np.ndarray, num_clusters: int, level: float = LEVEL) -> Interval:
    """The central ``level`` of the defined values ``(D,)`` of a bootstrap over ``num_clusters``."""
    defined = values[~np.isnan(values)]
    undefined = int(values.size - defined.size)
    if num_clusters < 2 or defined.size == 0 or undefined > MAX_UNDEFINED * values.size:
        return Interval(None, None, undefined)
    tail = 50 * (1 - level)
    low, high = np.percentile(defined, [tail, 100 - tail])
    return Interval(float(low), float(high), undefined)


def mean_over_clusters(values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The statistic "mean of a value per cluster": values ``(S,)`` -> (counts ``(d, S)`` -> ``(d,)``).

    Clusters whose value is NaN count neither above nor below the line.
    """
    defined = ~np.isnan(values)
    filled = np.where(defined, values, 0.0)

    def statistic(counts: np.ndarray) -> np.ndarray:
        weight = counts @ defined.astype(np.float64)
        total = counts @ filled
        return np.divide(total, weight, out=np.full(len(counts), np.nan), where=weight > 0)

    return statistic
