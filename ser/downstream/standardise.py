"""Standardising pooled statistics: by the training set, by speaker, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


class Standardiser(nn.Module):
    """z = (x - mean) / deviation for every statistic, layer and dimension, from the training set.

    The two are buffers of the model, so a checkpoint carries them. A dimension that is constant in
    training is centred and left unscaled, as scikit-learn's StandardScaler does.

    Args:
        shape: (statistics, L, D).
    """

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(*shape))
        self.register_buffer("deviation", torch.ones(*shape))

    def fit(self, batches: Iterable[Tensor]) -> None:
        """Set mean and deviation from batches (B, statistics, L, D), in one pass, in double precision."""
        count, mean, squares = 0, torch.zeros(()), torch.zeros(())
        for batch in batches:
            x = batch.double()
            # Chan et al.'s update: merges a batch's moments without subtracting large sums.
            n, m = len(x), x.mean(0)
            delta = m - mean
            mean = mean + delta * (n / (count + n))
            squares = squares + (x - m).square().sum(0) + delta.square() * (count * n / (count + n))
            count += n
        self.mean.copy_(mean)
        self.deviation.copy_(_safe_deviation(squares / count, mean))

    def forward(self, x: Tensor) -> Tensor:
        """(B, statistics, L, D) -> the same shape."""
        return (x - self.mean) / self.deviation


def by_speaker(x: Tensor, speakers: Sequence[str]) -> Tensor:
    """Standardise each speaker's utterances by that speaker's own mean and deviation.

    Transductive: a test speaker's statistics come from all of that speaker's audio, never from labels.

    Args:
        x: (N, statistics, L, D).
        speakers: the speaker of each of the N utterances.
    """
    rows: dict[str, list[int]] = {}
    for row, speaker in enumerate(speakers):
        rows.setdefault(speaker, []).append(row)
    result = torch.empty_like(x)
    for chosen in rows.values():
        part = x[chosen].double()
        mean = part.mean(0)
        variance = (part - mean).square().mean(0)
        result[chosen] = ((part - mean) / _safe_deviation(variance, mean)).to(x.dtype)
    return result


def _safe_deviation(variance: Tensor, mean: Tensor) -> Tensor:
    """The square root, or 1 where the variance is no more than rounding error of the mean."""
    constant = variance <= (1e-6 * mean.abs()).square() + 1e-24
    return torch.where(constant, torch.ones_like(variance), variance.sqrt())
