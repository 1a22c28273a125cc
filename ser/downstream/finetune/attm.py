"""Attentive merging (AttM) of an encoder's layers: weights that depend on the utterance, then a bottleneck.

Source: Pan, Liu, Sailor and Wang, Interspeech 2024, arXiv 2406.10283. Initial values (all of W, W1, W2 from
N(0, 1), torch's own for the projection) are those of the authors' released code; the paper states none.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ser.core.errors import UserError
from ser.downstream.pooling import masked_mean


class AttentiveMerge(nn.Module):
    """L Transformer layers x (B, L, F, D) to one sequence of frames (B, F, D).

        a = mean over time of x                     (B, L, D)   of an utterance's own frames
        s = SiLU(a W)                               (B, L)      W (D, 1)
        w = sigmoid(SiLU(s W1) W2)                  (B, L)      W1 (L, L/2), W2 (L/2, L)
        y = [w_1 x_1; ...; w_L x_L]                 (B, F, L D) layer after layer
        f = Linear(SiLU(Linear(y)))                 (B, F, D)   L D -> L D / 4 -> D

    Halves and quarters are rounded down, to at least 1. The weights do not sum to one.

    Args:
        num_layers: L, the input of the first layer (hidden state 0) not among them.
        dim: D.

    Raises:
        UserError: when there is no Transformer layer.
    """

    def __init__(self, num_layers: int, dim: int) -> None:
        super().__init__()
        if num_layers < 1:
            raise UserError("AttM merges Transformer layers, and there are none", value="encoder.layer: attm")
        self.num_layers, self.dim = num_layers, dim
        squeezed, hidden = max(num_layers // 2, 1), max(num_layers * dim // 4, 1)
        self.w = nn.Parameter(torch.randn(dim, 1))
        self.w1 = nn.Parameter(torch.randn(num_layers, squeezed))
        self.w2 = nn.Parameter(torch.randn(squeezed, num_layers))
        self.project = nn.Sequential(nn.Linear(num_layers * dim, hidden), nn.SiLU(), nn.Linear(hidden, dim))

    def utterance_weights(self, layers: Sequence[Tensor], lengths: Tensor) -> Tensor:
        """w ``(B, L)``, each between 0 and 1.

        Args:
            layers: L tensors ``(B, F, D)``.
            lengths: ``(B,)`` frames.
        """
        a = torch.stack([masked_mean(x, lengths) for x in layers], dim=1)
        s = F.silu((a @ self.w).squeeze(-1))
        return torch.sigmoid(F.silu(s @ self.w1) @ self.w2)

    def merge(self, states: Sequence[Tensor], lengths: Tensor) -> Tensor:
        """Hidden states 0 to L, each ``(B, F, D)``, and ``lengths (B,)`` to frames ``(B, F, D)``."""
        layers = states[1:]
        weights = self.utterance_weights(layers, lengths)
        weighted = [w[:, None, None] * x for w, x in zip(weights.unbind(1), layers, strict=True)]
        return self.project(torch.cat(weighted, dim=-1))
