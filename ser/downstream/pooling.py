"""Statistics over time, on frames with their lengths.

Extraction computes the same statistics once for every layer (ser.features); a model reads them
from arks. These functions are the definition that both are tested against.
"""

from __future__ import annotations

import torch
from torch import Tensor


def frame_mask(lengths: Tensor, frames: int) -> Tensor:
    """True where a frame is real: (B,) lengths -> (B, F)."""
    return torch.arange(frames, device=lengths.device)[None] < lengths[:, None]


def masked_mean(x: Tensor, lengths: Tensor) -> Tensor:
    """Mean over real frames: (B, F, ...) and (B,) -> (B, ...)."""
    mask = frame_mask(lengths, x.shape[1]).reshape(x.shape[:2] + (1,) * (x.dim() - 2))
    count = lengths.reshape((-1,) + (1,) * (x.dim() - 2))
    return x.masked_fill(~mask, 0).sum(1) / count


def masked_std(x: Tensor, lengths: Tensor) -> Tensor:
    """Population standard deviation over real frames: (B, F, ...) and (B,) -> (B, ...)."""
    centred = x - masked_mean(x, lengths)[:, None]
    return masked_mean(centred.square(), lengths).sqrt()


def pooled_statistics(layers: Tensor, lengths: Tensor) -> Tensor:
    """Mean and deviation of every layer: (B, F, L, D) and (B,) -> (B, 2, L, D)."""
    return torch.stack([masked_mean(layers, lengths), masked_std(layers, lengths)], dim=1)
