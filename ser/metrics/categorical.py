"""Metrics of classification, as functions of a confusion matrix.

Every function takes counts of shape ``(..., K, K)``, rows the reference and columns the prediction,
and works on the last two axes, so that a thousand bootstrap draws are one call. Counts may be
floats. Conventions, all of them scikit-learn's defaults:

- recall of a class that is absent from the reference is undefined (NaN), and UAR is the mean over
  the classes that are present (``balanced_accuracy_score``);
- precision of a class that is never predicted is undefined (NaN);
- F1 = 2 TP / (2 TP + FP + FN) is undefined only for a class that is in neither, and macro-F1 is the
  mean over the others (``f1_score(average="macro")``).

Without a single utterance everything is NaN.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def confusion(reference: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Count pairs of classes.

    Args:
        reference: class indices ``(N,)``.
        predicted: class indices ``(N,)``.
        num_classes: K.

    Returns:
        Integer counts ``(K, K)``, rows the reference.

    Raises:
        ValueError: when the lengths differ or an index is outside ``0 .. K - 1``.

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    cells = cell_indices(reference, predicted, num_classes)
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def cell_indices(reference: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """The flat index ``reference * K + predicted`` of each utterance's cell, ``(N,)``, checked."""
    reference, predicted = np.asarray(reference), np.asarray(predicted)
    if reference.shape != predicted.shape or reference.ndim != 1:
        raise ValueError(f"class indices of shapes {reference.shape} and {predicted.shape}, not both (N,)")
    for name, indices in (("reference", reference), ("predicted", predicted)):
        if indices.size and not np.issubdtype(indices.dtype, np.integer):
            raise ValueError(f"{name} class indices are {indices.dtype}, not integers")
        if indices.size and (indices.min() < 0 or indices.max() >= num_classes):
            raise ValueError(f"{name} class index outside 0 .. {num_classes - 1}")
    return reference.astype(np.int64) * num_classes + predicted.astype(np.int64)


def recall(counts: np.ndarray) -> np.ndarray:
    """Recall of each class ``(..., K)``; NaN for a class absent from the reference."""
    return _ratio(_diagonal(counts), counts.sum(-1))


def precision(counts: np.ndarray) -> np.ndarray:
    """Precision of each class ``(..., K)``; NaN for a class that is never predicted."""
    return _ratio(_diagonal(counts), counts.sum(-2))


def f1(counts: np.ndarray) -> np.ndarray:
    """F1 of each class ``(..., K)``; NaN for a class in neither reference nor prediction."""
    return _ratio(2 * _diagonal(counts), counts.sum(-1) + counts.sum(-2))


def uar(counts: np.ndarray) -> np.ndarray:
    """Unweighted average recall ``(...)``: the mean over the classes present in the reference."""
    return _mean_of_defined(recall(counts))


def wa(counts: np.ndarray) -> np.ndarray:
    """Weighted accuracy ``(...)``: the share of utterances that are right."""
    return _ratio(_diagonal(counts).sum(-1), counts.sum((-2, -1)))


def macro_f1(counts: np.ndarray) -> np.ndarray:
    """Mean F1 ``(...)`` over the classes in reference or prediction."""
    return _mean_of_defined(f1(counts))


def weighted_f1(counts: np.ndarray) -> np.ndarray:
    """F1 averaged with each class's share of the reference ``(...)``."""
    support = counts.sum(-1)
    return _ratio((np.nan_to_num(f1(counts)) * support).sum(-1), support.sum(-1))


METRICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "UAR": uar,
    "WA": wa,
    "macro-F1": macro_f1,
    "weighted F1": weighted_f1,
}


def _diagonal(counts: np.ndarray) -> np.ndarray:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """The quotient, NaN where the denominator is 0."""
    numerator, denominator = np.asarray(numerator, float), np.asarray(denominator, float)
    undefined = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    return np.divide(numerator, denominator, out=undefined, where=denominator != 0)[()]


def _mean_of_defined(values: np.ndarray) -> np.ndarray:
    """The mean over the last axis without NaN; NaN where all are."""
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values, 0.0).sum(-1), defined.sum(-1))
