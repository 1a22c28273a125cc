"""The clustered bootstrap of a difference: the same draws of clusters for both systems, seeds drawn beside.

A draw takes C of the C clusters with replacement, each whole, for all systems alike: what is hard for both
cancels in the difference. Where a system was trained with several seeds, they are drawn as well, crossed with
the clusters, so that the interval holds what another training would have changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ser.scoring.intervals import bootstrap, percentile_interval
from ser.scoring.measure import Measured, number
from ser.scoring.schema import Bootstrap

# Told apart from the stream of the clusters' draws.
SEEDS_STREAM = 7


@dataclass(frozen=True)
class Drawn:
    """A metric of a system, and what it is in every draw.

    Attributes:
        value: mean over seeds; NaN where undefined.
        draws: ``(D,)``.
        clusters: C, of which a draw takes C.
    """

    value: float
    draws: np.ndarray
    clusters: int


@dataclass(frozen=True)
class Estimate:
    """A value with its interval, and for a difference the p of "it is 0".

    Attributes:
        value: None when undefined.
        low: lower end of the interval; None when there is none.
        high: upper end.
        undefined: draws in which it is undefined, left out.
        p: two-sided; None without an interval.
    """

    value: float | None
    low: float | None
    high: float | None
    undefined: int
    p: float | None


def draw_seeds(seeds: Sequence[int], how: Bootstrap) -> np.ndarray:
    """Weight of each of n seeds in every draw ``(D, n)``; a row adds up to 1.

    n - 1 of the n seeds are taken with replacement: the variance of the drawn mean is then s^2 / n, with s^2
    the seeds' sample variance, which n of n would make too small by (n - 1) / n: by half for two seeds
    (Rao & Wu 1988). One seed is always itself: it says nothing of other seeds.

    Systems with the same list of seeds see the same draws of seeds, those with other lists independent ones.
    """
    size = len(seeds)
    if size == 1:
        return np.ones((how.draws, 1))
    generator = np.random.default_rng([how.seed, SEEDS_STREAM, *seeds])
    taken = generator.integers(size, size=(how.draws, size - 1))
    return (taken[:, :, None] == np.arange(size)).sum(1) / (size - 1)


def drawn(measured: Measured, metric: str, seeds: Sequence[int], how: Bootstrap) -> Drawn:
    """A metric of a system in draws of clusters crossed with draws of seeds (Owen 2007).

        value of draw b = sum_k v_bk metric(sum_c w_bc T_kc)

    w_bc is how often cluster c was taken, v_bk the weight of seed k, T_kc the sums of seed k in cluster c.
    With one seed these are the draws of ``ser score``.
    """

    def statistic(counts: np.ndarray) -> np.ndarray:
        return np.stack([each(counts) for each in measured.statistics[metric]], axis=1)

    values = bootstrap(statistic, measured.clusters, how.draws, how.seed)
    weights = draw_seeds(seeds, how)
    # A seed that is not drawn may be undefined.
    together = np.where(weights > 0, weights * values, 0.0).sum(1)
    return Drawn(float(np.mean(measured.by_seed[metric])), together, measured.clusters)


def estimate(one: Drawn, how: Bootstrap) -> Estimate:
    """The metric with its percentile interval."""
    return _estimate(one.value, one.draws, one.clusters, how, tested=False)


def difference(one: Drawn, other: Drawn, how: Bootstrap) -> Estimate:
    """``one`` less ``other`` with interval and p; both were drawn over the same clusters.

    Raises:
        ValueError: when they were not.
    """
    if one.clusters != other.clusters:
        raise ValueError(f"drawn over {one.clusters} and {other.clusters} clusters")
    return _estimate(one.value - other.value, one.draws - other.draws, one.clusters, how, tested=True)


def two_sided_p(draws: np.ndarray) -> float:
    """p of "the difference is 0" from its defined draws ``(B,)``.

        p = min(1, 2 (1 + min(#{d*_b <= 0}, #{d*_b >= 0})) / (B + 1))

    The level at which the percentile interval ends at 0 (Efron & Tibshirani 1993, section 15.4; the + 1 is
    that of Davison & Hinkley 1997, section 4.2): no p is below 2 / (B + 1).

    >>> two_sided_p(np.array([1.0] * 999)), two_sided_p(np.zeros(9))
    (0.002, 1.0)
    """
    side = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    return min(1.0, 2 * (1 + side) / (draws.size + 1))


def least_p(how: Bootstrap) -> float:
    """The least p that so many draws can give."""
    return 2 / (how.draws + 1)


def _estimate(value: float, draws: np.ndarray, clusters: int, how: Bootstrap, tested: bool) -> Estimate:
    interval, value = percentile_interval(draws, clusters, how.level), number(value)
    if value is None or interval.low is None:
        return Estimate(value, None, None, interval.undefined, None)
    p = two_sided_p(draws[~np.isnan(draws)]) if tested else None
    return Estimate(value, interval.low, interval.high, interval.undefined, p)
