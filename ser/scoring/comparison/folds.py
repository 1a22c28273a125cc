"""Paired tests over folds: Student's t, and the exact sign-flip test with its floor.

Each fold gives one difference of two systems. Folds share training data, so that their differences are not
independent and both tests reject too often (Dietterich 1998; Nadeau & Bengio 2003): they are what the field
prints, beside the bootstrap over speakers.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ser.scoring.comparison.multiple import holm, rank_ranges

# All 2^n sign patterns are taken up to here; above, so many random ones.
EXACT_FOLDS = 16
RANDOM_FLIPS = 100_000
# Sums closer than this share of their size differ by rounding.
ROUNDING = 1e-9


@dataclass(frozen=True)
class FoldTest:
    """Two systems over the same folds.

    Attributes:
        folds: n.
        difference: mean over folds.
        deviation: standard deviation over folds (n - 1).
        t: Student's t; None when the differences do not vary.
        p_t: two-sided, n - 1 degrees of freedom.
        p_flip: of the sign-flip test, two-sided.
        floor: the least p that the sign-flip test can give with so many folds.
    """

    folds: int
    difference: float
    deviation: float
    t: float | None
    p_t: float
    p_flip: float
    floor: float


def fold_test(differences: Sequence[float], seed: int = 0) -> FoldTest:
    """Both tests of "the mean difference is 0".

        t = mean(d) / (sd(d) / sqrt(n))
        p_flip = share of the 2^n sign patterns s with |sum_i s_i d_i| >= |sum_i d_i|

    The sign-flip test (Fisher 1935, section 21) supposes that the differences are symmetric about 0, nothing
    else. Two of the patterns, all signs kept and all turned, are always counted: no p is below 2 / 2^n, which
    is .0625 at five folds. Above 16 folds 100,000 random patterns are taken, with (1 + b) / (1 + B).

    Args:
        differences: one for each fold ``(n,)``.
        seed: of random patterns.

    Raises:
        ValueError: for fewer than two folds or a value that is not finite.

    >>> fold_test([0.01, 0.02, 0.03, 0.02, 0.01]).p_flip
    0.0625
    """
    d = np.asarray(differences, float)
    if d.ndim != 1 or d.size < 2 or not np.isfinite(d).all():
        raise ValueError(f"not two or more finite differences: {differences!r}")
    t, p_t = None, 1.0 if not d.any() else 0.0
    if np.ptp(d) > ROUNDING * np.abs(d).max():
        found = stats.ttest_1samp(d, 0.0)
        t, p_t = float(found.statistic), float(found.pvalue)
    p_flip, floor = sign_flip(d, seed)
    return FoldTest(d.size, float(d.mean()), float(d.std(ddof=1)), t, p_t, p_flip, floor)


def sign_flip(differences: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Two-sided p of the sign-flip test of differences ``(n,)``, and the least that it can be."""
    size = differences.size
    if size <= EXACT_FOLDS:
        # The patterns with the first sign kept are half of all, and the other half mirrors them.
        signs = 1 - 2 * ((np.arange(2 ** (size - 1))[:, None] >> np.arange(size)) & 1)
        extra, floor = 0, 2 / 2**size
    else:
        signs = np.random.default_rng(seed).choice((-1, 1), size=(RANDOM_FLIPS, size))
        extra, floor = 1, 1 / (1 + RANDOM_FLIPS)
    least = abs(differences.sum()) - ROUNDING * np.abs(differences).sum()
    as_far = int((np.abs(signs @ differences) >= least).sum())
    return (extra + as_far) / (extra + len(signs)), floor


@dataclass(frozen=True)
class FoldRow:
    """A test in a family: ``one`` less ``other``, with p as it is and by Holm.

    Attributes:
        one: name of the system.
        other: name of the system it is compared with.
        test: both tests.
        p_t_holm: adjusted p of the t test; the family is all rows.
        p_flip_holm: adjusted p of the sign-flip test; the family is all rows.
    """

    one: str
    other: str
    test: FoldTest
    p_t_holm: float | None
    p_flip_holm: float | None


def fold_rows(
    scores: Mapping[str, Sequence[float]], pairs: Sequence[tuple[str, str]], seed: int = 0
) -> list[FoldRow]:
    """Tests of pairs of systems from their scores by fold; the pairs are one family.

    Args:
        scores: system -> its score in each fold, the folds in one order.
        pairs: systems, each less the one after it.
        seed: of random sign patterns.

    Raises:
        ValueError: where two systems have not the same number of folds.
    """
    tests = []
    for one, other in pairs:
        if len(scores[one]) != len(scores[other]):
            raise ValueError(f"{one} has {len(scores[one])} folds, {other} has {len(scores[other])}")
        tests.append(fold_test(np.subtract(scores[one], scores[other]), seed))
    by_t, by_flip = holm([test.p_t for test in tests]), holm([test.p_flip for test in tests])
    rows = zip(pairs, tests, by_t, by_flip, strict=True)
    return [FoldRow(one, other, test, p_t, p_flip) for (one, other), test, p_t, p_flip in rows]


def fold_ranks(
    scores: Mapping[str, Sequence[float]], test: str = "t", level: float = 0.95, seed: int = 0
) -> dict[str, tuple[int, int]]:
    """The ranks that each system may have, from tests of all pairs, Holm over all of them.

    Args:
        scores: system -> its score in each fold, greater is better.
        test: ``t`` or ``flip``.
        level: of confidence.
        seed: of random sign patterns.
    """
    names = list(scores)
    pairs = list(itertools.combinations(range(len(names)), 2))
    rows = fold_rows(scores, [(names[i], names[j]) for i, j in pairs], seed)
    adjusted = {
        pair: row.p_t_holm if test == "t" else row.p_flip_holm for pair, row in zip(pairs, rows, strict=True)
    }
    better = np.array([np.mean(scores[name]) for name in names])
    return dict(zip(names, rank_ranges(len(names), adjusted, better, level), strict=True))
