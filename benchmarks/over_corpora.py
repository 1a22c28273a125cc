"""Several corpora drawn alike, one value each: the interval of the mean, and the test that it is 0."""

from __future__ import annotations

import numpy as np
from scipy.stats import t as student
from scipy.stats import ttest_1samp


def half_width(values: np.ndarray) -> float:
    """Half of Student's 95 % interval of the mean of ``(n,)``; NaN for one value."""
    if len(values) < 2:
        return float("nan")
    return float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))


def interval(values: np.ndarray, digits: int = 4) -> str:
    """Student's 95 % interval of the mean of ``(n,)``; a dash for one value."""
    if len(values) < 2:
        return "-"
    mean, half = values.mean(), half_width(values)
    return f"[{mean - half:+.{digits}f}, {mean + half:+.{digits}f}]"


def p_of_zero(values: np.ndarray) -> str:
    """The two-sided p of the paired t-test; a dash for one value."""
    if len(values) < 2:
        return "-"
    p = ttest_1samp(values, 0).pvalue
    return "<.0001" if p < 0.0001 else f"{p:.4f}"
