"""Sufficient statistics by cluster, from which every metric of a bootstrap draw follows.

UAR and F1 are functions of confusion counts; CCC, PCC and MAE of seven sums. Counts and sums are
additive over clusters (speakers), so a draw that takes speaker s ``w[s]`` times has the sums
``w @ table``, and D draws are one matrix product ``(D, S) @ (S, columns)``: no utterance is
touched again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ser.metrics import categorical, continuous

# A variance below this share of its sum of squares is rounding, hence zero.
ROUNDING = 1e-12


@dataclass(frozen=True)
class ConfusionSums:
    """Confusion counts by cluster.

    Attributes:
        table: counts ``(S, K, K)``, float64 (exact for counts), rows of a matrix the reference.
    """

    table: np.ndarray

    @classmethod
    def of(
        cls,
        reference: np.ndarray,
        predicted: np.ndarray,
        clusters: np.ndarray,
        num_classes: int,
        num_clusters: int,
    ) -> ConfusionSums:
        """Count class indices ``(N,)`` within cluster indices ``(N,)``.

        Raises:
            ValueError: when lengths differ or an index is out of range.
        """
        cells = categorical.cell_indices(reference, predicted, num_classes)
        clusters = _checked_clusters(clusters, cells.size, num_clusters)
        flat = np.bincount(clusters * num_classes**2 + cells, minlength=num_clusters * num_classes**2)
        return cls(flat.reshape(num_clusters, num_classes, num_classes).astype(np.float64))

    def weighted(self, counts: np.ndarray) -> ConfusionSums:
        """The sums of draws: counts ``(D, S)`` of how often each cluster was drawn -> D rows."""
        size, classes = len(self.table), self.table.shape[-1]
        return ConfusionSums((counts @ self.table.reshape(size, -1)).reshape(len(counts), classes, classes))

    def metric(self, name: str) -> np.ndarray:
        """A metric of ``categorical.METRICS`` for each row, ``(S,)``."""
        return categorical.METRICS[name](self.table)


@dataclass(frozen=True)
class MomentSums:
    """Sums over utterances by cluster, of values centred on the global means.

    Centring costs one pass and saves the variance from cancellation when labels lie far from 0.

    Attributes:
        table: ``(S, 7)`` float64: n, sum x, sum y, sum x^2, sum y^2, sum xy, sum |x - y|, with x the
            centred reference, y the centred prediction, and the last of the values as they were.
        shift: global mean of the reference minus global mean of the prediction.
    """

    table: np.ndarray
    shift: float

    @classmethod
    def of(
        cls, reference: np.ndarray, predicted: np.ndarray, clusters: np.ndarray, num_clusters: int
    ) -> MomentSums:
        """Sum values ``(N,)`` within cluster indices ``(N,)``.

        Raises:
            ValueError: when lengths differ, a value is not finite or an index is out of range.
        """
        reference, predicted = continuous.checked(reference, predicted)
        clusters = _checked_clusters(clusters, reference.size, num_clusters)
        if reference.size == 0:
            return cls(np.zeros((num_clusters, 7)), 0.0)
        centre_x, centre_y = reference.mean(), predicted.mean()
        x, y = reference - centre_x, predicted - centre_y
        terms = (None, x, y, x * x, y * y, x * y, np.abs(reference - predicted))
        table = np.stack([np.bincount(clusters, term, num_clusters) for term in terms], axis=1)
        return cls(table.astype(np.float64), float(centre_x - centre_y))

    def weighted(self, counts: np.ndarray) -> MomentSums:
        """The sums of draws: counts ``(D, S)`` of how often each cluster was drawn -> D rows."""
        return MomentSums(counts @ self.table, self.shift)

    def metric(self, name: str) -> np.ndarray:
        """``"CCC"``, ``"PCC"`` or ``"MAE"`` for each row, ``(S,)``; NaN where undefined."""
        n, sum_x, sum_y, sum_xx, sum_yy, sum_xy, sum_error = self.table.T
        with np.errstate(divide="ignore", invalid="ignore"):
            if name == "MAE":
                return np.where(n > 0, sum_error / n, np.nan)
            variance_x, variance_y = _variance(n, sum_x, sum_xx), _variance(n, sum_y, sum_yy)
            covariance = sum_xy / n - (sum_x / n) * (sum_y / n)
            covariance = np.where((variance_x == 0) | (variance_y == 0), 0.0, covariance)
            if name == "PCC":
                value = covariance / np.sqrt(variance_x * variance_y)
            elif name == "CCC":
                distance = self.shift + (sum_x - sum_y) / n
                value = 2 * covariance / (variance_x + variance_y + distance**2)
            else:
                raise ValueError(f"no metric {name!r}; there are CCC, PCC, MAE")
        return np.where((n >= 2) & np.isfinite(value), value, np.nan)

    def constant(self) -> np.ndarray:
        """Whether the reference does not vary within each row, ``(S,)`` bool."""
        n, sum_x, _, sum_xx, *_ = self.table.T
        with np.errstate(divide="ignore", invalid="ignore"):
            return (n < 2) | (_variance(n, sum_x, sum_xx) == 0)


def _variance(n: np.ndarray, total: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Population variance from sums, exactly 0 where what is left is rounding."""
    variance = squares / n - (total / n) ** 2
    return np.where(variance <= ROUNDING * squares / n, 0.0, variance)


def _checked_clusters(clusters: np.ndarray, size: int, num_clusters: int) -> np.ndarray:
    """Cluster indices as int64 ``(N,)``."""
    clusters = np.asarray(clusters)
    if clusters.shape != (size,):
        raise ValueError(f"cluster indices of shape {clusters.shape} for {size} utterances")
    if size and (clusters.min() < 0 or clusters.max() >= num_clusters):
        raise ValueError(f"cluster index outside 0 .. {num_clusters - 1}")
    return clusters.astype(np.int64)
