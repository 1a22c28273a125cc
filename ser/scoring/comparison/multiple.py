"""Several tests at once: Holm's correction, the draws that it wants, and the ranks that they leave open."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

# As many as 'ser score' takes.
LEAST_DRAWS = 1000

# 1 - .95 is not .05 in floating point.
ROUNDING = 1e-12


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Adjusted p of a family of tests (Holm 1979).

        p~_(k) = max_{j <= k} min(1, (m - j + 1) p_(j)),   p_(1) <= ... <= p_(m)

    The chance of one false rejection or more in the family is at most the level, however the tests depend on
    each other.

    Args:
        p: of each test; None for one that could not be made, which is no member of the family.

    >>> holm([0.01, 0.04, None, 0.03])
    [0.03, 0.06, None, 0.06]
    """
    made = [i for i, value in enumerate(p) if value is not None]
    order = sorted(made, key=lambda i: p[i])
    adjusted: list[float | None] = [None] * len(p)
    largest = 0.0
    for place, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - place) * p[i]))
        adjusted[i] = largest
    return adjusted


def enough_draws(systems: int, level: float) -> int:
    """Draws of a bootstrap whose least p is half the level after Holm over all pairs, in whole thousands.

        2 m / (B + 1) <= (1 - level) / 2,   m = K (K - 1) / 2 pairs

    With fewer, no test could tell any two of many systems apart.

    Args:
        systems: K.
        level: of confidence, as .95.

    >>> enough_draws(5, 0.95), enough_draws(18, 0.95)
    (1000, 13000)
    """
    pairs = systems * (systems - 1) / 2
    return max(LEAST_DRAWS, LEAST_DRAWS * math.ceil(4 * pairs / (1 - level) / LEAST_DRAWS - ROUNDING))


def rank_ranges(
    systems: int, adjusted: Mapping[tuple[int, int], float | None], better: np.ndarray, level: float
) -> list[tuple[int, int]]:
    """The ranks that each system may have.

        lowest = 1 + number significantly better,  highest = K - number significantly worse

    Systems that no test tells apart share their ranks: ``1-3``. With p of all K (K - 1) / 2 pairs, adjusted
    as one family, all the ranges hold the true ranks at once with at least the level's chance (Mogstad,
    Romano, Shaikh & Wilhelm 2024, Review of Economic Studies 91(1): confidence sets for ranks from all
    pairwise tests under one family-wise error; Holm on two-sided tests is our choice of such tests).

    Args:
        systems: K.
        adjusted: pair ``(i, j)``, i < j -> adjusted p; None where there was no test.
        better: the systems' values ``(K,)``, greater is better.
        level: of confidence, as .95: an adjusted p of .05 or less tells two systems apart.

    >>> rank_ranges(3, {(0, 1): 0.2, (0, 2): 0.01, (1, 2): 0.3}, np.array([0.7, 0.6, 0.5]), 0.95)
    [(1, 2), (1, 3), (2, 3)]
    """
    above, below = [0] * systems, [0] * systems
    for (i, j), p in adjusted.items():
        if p is not None and p <= 1 - level + ROUNDING and better[i] != better[j]:
            winner, loser = (i, j) if better[i] > better[j] else (j, i)
            below[winner] += 1
            above[loser] += 1
    return [(1 + above[i], systems - below[i]) for i in range(systems)]


def rank_text(rank: tuple[int, int]) -> str:
    """``2``, or ``1-3`` for a tie."""
    low, high = rank
    return str(low) if low == high else f"{low}-{high}"
