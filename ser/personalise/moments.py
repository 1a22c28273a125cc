"""Mean and standard deviation of each speaker's labels or predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Moments:
    """Count, mean and population standard deviation of A attributes by speaker.

    Attributes:
        count: utterances that have a value, ``(S, A)``.
        mean: ``(S, A)``, NaN where there is none.
        deviation: ``(S, A)``, NaN where there is none, 0 for one utterance.
    """

    count: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray

    def shrunk(self, weight: float) -> Moments:
        """Statistics drawn towards those of all speakers, the more the fewer utterances a speaker has.

            mean_s'     = (n_s mean_s + w mean)   / (n_s + w)
            variance_s' = (n_s var_s  + w var)    / (n_s + w)

        ``mean`` is the mean of the speakers' means and ``var`` the variance within speakers, pooled: ``w``
        counts as many utterances of a speaker like any other. A reconstruction has no say here: the paper
        does not shrink.

        Args:
            weight: ``w``; 0 changes nothing.
        """
        if weight == 0:
            return self
        total = self.count.sum(0)
        share = self.count / (self.count + weight)
        mean = np.nanmean(self.mean, axis=0)
        variance = np.nansum(self.count * self.deviation**2, axis=0) / total
        known = self.count > 0
        own_mean, own_variance = np.where(known, self.mean, 0), np.where(known, self.deviation**2, 0)
        return Moments(
            self.count,
            share * own_mean + (1 - share) * mean,
            np.sqrt(share * own_variance + (1 - share) * variance),
        )


def moments(values: np.ndarray, speaker: np.ndarray, num_speakers: int) -> Moments:
    """Moments of values ``(N, A)`` within speaker indices ``(N,)``; NaN stands for no value.

    Two passes: the deviations are of centred values, so that a large mean cancels nothing.

    Raises:
        ValueError: when the lengths differ.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or speaker.shape != values.shape[:1]:
        raise ValueError(f"values {values.shape} and speakers {speaker.shape}, not (N, A) and (N,)")
    known = ~np.isnan(values)

    def summed(terms: np.ndarray) -> np.ndarray:
        columns = [np.bincount(speaker, column, num_speakers) for column in terms.T]
        return np.stack(columns, axis=1)

    count = summed(known.astype(np.float64))
    with np.errstate(invalid="ignore"):
        mean = summed(np.where(known, values, 0)) / count
        centred = np.where(known, values - mean[speaker], 0)
        # A speaker whose values are all alike has no deviation, whatever rounding leaves of it.
        deviation = np.sqrt(summed(centred**2) / count)
        deviation = np.where(deviation <= 1e-12 * np.maximum(1, np.abs(mean)), 0, deviation)
    return Moments(count, mean, np.where(count > 0, deviation, np.nan))
