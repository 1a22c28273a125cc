"""Standardising pooled statistics: by the training set's moments or quantiles, by speaker, or not at all."""

from __future__ import annotations

import math
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
        return (x - self.mean).div_(self.deviation)


class NormalScores(nn.Module):
    """Each dimension mapped through its training distribution onto a normal one (van der Waerden scores).

    Functionals such as eGeMAPS have heavy tails, which moments follow and ranks do not. Between the
    stored quantiles the map is linear; beyond the training range it is constant. Not affine: it
    belongs on pooled statistics, not on frames.

    Args:
        shape: (statistics, L, D).
        levels: number of stored quantiles.
    """

    def __init__(self, shape: Sequence[int], levels: int = 101) -> None:
        super().__init__()
        self.register_buffer("quantiles", torch.zeros(math.prod(shape), levels))

    def fit(self, batches: Iterable[Tensor]) -> None:
        """Set the quantiles from batches (B, statistics, L, D)."""
        x = torch.cat([batch.flatten(1) for batch in batches]).T.contiguous()
        levels = torch.linspace(0, 1, self.quantiles.shape[1], dtype=x.dtype)
        # torch.quantile bounds the size of its input, so dimensions go in portions.
        portions = x.split(max(1, 2**23 // max(1, x.shape[1])))
        self.quantiles.copy_(torch.cat([torch.quantile(part, levels, dim=1).T for part in portions]))

    def forward(self, x: Tensor) -> Tensor:
        """(B, statistics, L, D) -> the same shape, values within +-3.1."""
        flat, last = x.flatten(1).T.contiguous(), self.quantiles.shape[1] - 1
        # Where quantiles are tied, the middle of the tie is the value's rank.
        rank = (self._rank(flat, last) - self._mirrored_rank(flat, last) + last) / 2
        scores = torch.special.ndtri((rank / last).clamp(1e-3, 1 - 1e-3))
        return scores.T.reshape(x.shape)

    def _rank(self, x: Tensor, last: int) -> Tensor:
        """Position of each value among its dimension's quantiles, interpolated; of a tie, the right end."""
        upper = torch.searchsorted(self.quantiles, x, right=True).clamp(1, last)
        low, high = self.quantiles.gather(1, upper - 1), self.quantiles.gather(1, upper)
        step = ((x - low) / (high - low).clamp_min(1e-30)).clamp(0, 1)
        return upper - 1 + step

    def _mirrored_rank(self, x: Tensor, last: int) -> Tensor:
        """The same from above, so that a tie gives its left end, counted from the top."""
        mirrored = NormalScores((1,), last + 1)
        mirrored.quantiles = -self.quantiles.flip(1)
        return mirrored._rank(-x, last)


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
