"""What weights are chosen by: a validation metric as a function of the weights of the mean."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ser.metrics import categorical

ClassMetric = Literal["macro-F1", "UAR"]


class ClassObjective:
    """UAR or macro-F1 of the class of the largest mean posterior: constant but for steps.

    Along a line w + t d of weights, the posteriors of an utterance are K straight lines in t, and its class
    changes where their upper envelope bends. All steps of the metric along the line are therefore known
    exactly, as in minimum error rate training (Och 2003).

    Args:
        probabilities: ``(M, N, K)`` of the members.
        truth: class indices ``(N,)``.
        metric: which.
    """

    def __init__(self, probabilities: np.ndarray, truth: np.ndarray, metric: ClassMetric) -> None:
        self.probabilities, self.truth, self.metric = probabilities, truth, metric
        self.members, _, self.classes = probabilities.shape
        self.support = np.bincount(truth, minlength=self.classes)

    def score(self, combined: np.ndarray) -> float:
        """The metric of posteriors ``(N, K)``."""
        counts = categorical.confusion(self.truth, combined.argmax(1), self.classes)
        return float(categorical.METRICS[self.metric](counts))

    def value(self, weights: np.ndarray) -> float:
        """The metric of weights ``(M,)``."""
        return self.score(np.tensordot(weights, self.probabilities, axes=1))

    def likelihood(self, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """Log-likelihood of the truth, each class weighing the same, and its gradient ``(M,)``.

        It is smooth and concave in the weights; its maximum is where the search for steps begins.
        """
        of_truth = np.take_along_axis(self.probabilities, self.truth[None, :, None], 2)[..., 0]
        of_truth = of_truth.clip(1e-12)
        mass = 1 / (self.support[self.truth] * np.count_nonzero(self.support))
        mixture = weights @ of_truth
        return float(mass @ np.log(mixture)), of_truth @ (mass / mixture)

    def best_along(self, weights: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """The weights of the best metric on a line inside the simplex; the middle of the widest best piece.

        Args:
            weights: a point ``(M,)``.
            direction: ``(M,)`` with the sum 0.
        """
        falling, rising = direction < 0, direction > 0
        high = float((weights[falling] / -direction[falling]).min(initial=np.inf))
        low = -float((weights[rising] / direction[rising]).min(initial=np.inf))
        if not low < high < np.inf:
            return weights
        times, metrics = self._pieces(weights, direction, low, high)
        widths = np.diff(times)
        # Rounding decides what is in a piece as narrow as that.
        metrics = np.where(widths > 1e-9 * (high - low), metrics, -np.inf)
        best = np.flatnonzero(metrics >= metrics.max() - 1e-12)
        piece = best[widths[best].argmax()]
        found = weights + direction * (times[piece] + times[piece + 1]) / 2
        found = found.clip(0)
        return found / found.sum()

    def _pieces(
        self, weights: np.ndarray, direction: np.ndarray, low: float, high: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where the metric may change, E + 2 times with both ends, and its value in the E + 1 pieces."""
        start = np.tensordot(weights + low * direction, self.probabilities, axes=1)
        slope = np.tensordot(direction, self.probabilities, axes=1)
        first, times, rows, before, after = envelope(start, slope, high - low)
        order = np.argsort(times, kind="stable")
        times, rows, before, after = times[order], rows[order], before[order], after[order]
        right, predicted = self._counts(first), np.bincount(first, minlength=self.classes)
        events, truth = np.arange(len(times)), self.truth[rows]
        steps_right = np.zeros((len(times) + 1, self.classes), np.int64)
        steps_predicted = np.zeros_like(steps_right)
        steps_right[0], steps_predicted[0] = right, predicted
        steps_right[events + 1, before] -= truth == before
        steps_right[events + 1, after] += truth == after
        steps_predicted[events + 1, before] -= 1
        steps_predicted[events + 1, after] += 1
        metrics = self._metric(steps_right.cumsum(0), steps_predicted.cumsum(0))
        return np.concatenate([[low], low + times, [high]]), metrics

    def _counts(self, predicted: np.ndarray) -> np.ndarray:
        """Utterances of each class that are right, ``(K,)``."""
        return np.bincount(self.truth[predicted == self.truth], minlength=self.classes)

    def _metric(self, right: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """The metric of counts ``(..., K)``, as ``ser.metrics.categorical`` defines it."""
        total = self.support + (predicted if self.metric == "macro-F1" else 0)
        hits = 2 * right if self.metric == "macro-F1" else right
        values = np.divide(hits, total, out=np.zeros(right.shape), where=total > 0)
        return values.sum(-1) / (np.broadcast_to(total, right.shape) > 0).sum(-1)


def envelope(
    start: np.ndarray, slope: np.ndarray, end: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Which of K lines is the highest between 0 and ``end``, for N utterances at once.

    Args:
        start: heights at 0, ``(N, K)``.
        slope: ``(N, K)``.
        end: above 0.

    Returns:
        The highest right after 0 ``(N,)``, and the changes: times, utterances, lines before and after,
        each ``(E,)``, those of an utterance in the order of time.
    """
    highest = start == start.max(1, keepdims=True)
    line = np.where(highest, slope, -np.inf).argmax(1)
    first, now, rows = line.copy(), np.zeros(len(line)), np.arange(len(line))
    found: list[tuple[np.ndarray, ...]] = []
    for _ in range(start.shape[1] - 1):
        at, steeper = line[rows], slope[rows] - slope[rows, line[rows]][:, None]
        behind = start[rows, at][:, None] - start[rows]
        times = np.divide(behind, steeper, out=np.full(behind.shape, np.inf), where=steeper > 0)
        times = np.maximum(times, now[rows][:, None])
        soonest = times.min(1)
        # Of lines that cross at once, the steepest is the highest afterwards.
        following = np.where(times == soonest[:, None], steeper, -np.inf).argmax(1)
        going = soonest < end
        rows, at, following, soonest = rows[going], at[going], following[going], soonest[going]
        if not len(rows):
            break
        found.append((soonest, rows, at, following))
        line[rows], now[rows] = following, soonest
    if not found:
        none = np.zeros(0, np.int64)
        return first, np.zeros(0), none, none, none
    times, changed, before, after = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return first, times, changed, before, after


class ConcordanceObjective:
    """Mean CCC over attributes of the mean of the members' values: smooth in the weights.

        CCC(w) = 2 c'w / (w'C w + v + (m'w - r)^2)

    with m the members' means, C their covariances, c their covariances with the labels, r and v the labels'
    mean and variance; all over the utterances that have the label.

    Args:
        values: ``(M, N, A)`` of the members.
        labels: ``(N, A)``, NaN where there is none; two or more of every attribute.
    """

    def __init__(self, values: np.ndarray, labels: np.ndarray) -> None:
        self.members = len(values)
        self._moments = []
        for column in range(labels.shape[1]):
            known = ~np.isnan(labels[:, column])
            x, y = values[:, known, column], labels[known, column]
            means, centred, target = x.mean(1), x - x.mean(1, keepdims=True), y - y.mean()
            covariances = centred @ centred.T / len(y)
            self._moments.append(
                (means - y.mean(), covariances, centred @ target / len(y), float(target @ target / len(y)))
            )

    def value(self, weights: np.ndarray) -> float:
        """The metric of weights ``(M,)``."""
        return self.value_and_gradient(weights)[0]

    def value_and_gradient(self, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """The metric of weights ``(M,)``, and its gradient ``(M,)``."""
        total, gradient = 0.0, np.zeros(self.members)
        for distances, covariances, with_labels, variance in self._moments:
            shift, spread = weights @ distances, covariances @ weights
            bottom = max(weights @ spread + variance + shift**2, 1e-12)
            top = 2 * weights @ with_labels
            total += top / bottom
            # m'w - r = (m - r)'w where the weights' sum is 1.
            gradient += 2 * with_labels / bottom - top / bottom**2 * (2 * spread + 2 * shift * distances)
        return total / len(self._moments), gradient / len(self._moments)
