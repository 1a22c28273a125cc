"""Metrics of attributes: concordance, mean absolute error, Pearson correlation.

Concordance is computed by audmetric, the field's reference. Conventions:

- fewer than two utterances: CCC and PCC are undefined (NaN);
- reference and prediction constant and equal: CCC is undefined (0/0, as in audmetric); one of them
  constant: CCC is 0;
- reference or prediction constant: PCC is undefined.
"""

from __future__ import annotations

import audmetric
import numpy as np


def ccc(reference: np.ndarray, predicted: np.ndarray) -> float:
    """Concordance correlation coefficient (Lin, 1989) of two ``(N,)`` arrays.

        CCC = 2 cov(x, y) / (var x + var y + (mean x - mean y)^2),  population moments

    Raises:
        ValueError: when the lengths differ or a value is not finite.

    >>> round(ccc(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 1.0])), 4)
    0.6667
    """
    reference, predicted = checked(reference, predicted)
    if reference.size >= 2 and (np.ptp(reference) == 0 or np.ptp(predicted) == 0):
        # audmetric's rounded means turn 30 times 0.1 against itself into a CCC of 1.
        return float("nan") if np.array_equal(reference, predicted) else 0.0
    return audmetric.concordance_cc(reference, predicted)


def mae(reference: np.ndarray, predicted: np.ndarray) -> float:
    """Mean absolute error of two ``(N,)`` arrays, in the label's units; NaN without utterances.

    Raises:
        ValueError: when the lengths differ or a value is not finite.
    """
    reference, predicted = checked(reference, predicted)
    return float(np.abs(reference - predicted).mean()) if reference.size else float("nan")


def pcc(reference: np.ndarray, predicted: np.ndarray) -> float:
    """Pearson's correlation coefficient of two ``(N,)`` arrays.

    Raises:
        ValueError: when the lengths differ or a value is not finite.
    """
    reference, predicted = checked(reference, predicted)
    if reference.size < 2 or np.ptp(reference) == 0 or np.ptp(predicted) == 0:
        return float("nan")
    return audmetric.pearson_cc(reference, predicted)


def checked(reference: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 ``(N,)``.

    Raises:
        ValueError: when the shapes are not the same ``(N,)`` or a value is not finite.
    """
    reference, predicted = np.asarray(reference, np.float64), np.asarray(predicted, np.float64)
    if reference.shape != predicted.shape or reference.ndim != 1:
        raise ValueError(f"values of shapes {reference.shape} and {predicted.shape}, not both (N,)")
    for name, values in (("reference", reference), ("predicted", predicted)):
        if not np.isfinite(values).all():
            where = int(np.flatnonzero(~np.isfinite(values))[0])
            raise ValueError(f"{name} value {where} is {values[where]}")
    return reference, predicted
