"""Merging an upstream's layers into one: a learned softmax-weighted sum, or one chosen layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ser.core.errors import UserError


class LayerWeights(nn.Module):
    """Softmax-weighted sum of layers, h = sum_l softmax(a)_l h_l (SUPERB, Yang et al. 2021).

    Args:
        num_layers: L.
    """

    def __init__(self, num_layers: int) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(num_layers))

    def weights(self) -> Tensor:
        """The weights (L,), positive, summing to one."""
        return self.scores.softmax(0)

    def forward(self, x: Tensor) -> Tensor:
        """(..., L, D) -> (..., D)."""
        return (x * self.weights()[:, None]).sum(-2)

    def merge(self, states: Sequence[Tensor], lengths: Tensor) -> Tensor:
        """The same of L hidden states ``(B, F, D)``: frames ``(B, F, D)``. ``lengths`` do not matter."""
        return sum(weight * state for weight, state in zip(self.weights(), states, strict=True))


class SingleLayer(nn.Module):
    """One layer of L, by number; negative numbers count from the end.

    Raises:
        UserError: when the upstream has no such layer.
    """

    def __init__(self, num_layers: int, layer: int) -> None:
        super().__init__()
        if not -num_layers <= layer < num_layers:
            raise UserError(
                f"the upstream has {num_layers} layers", value=layer, hint=f"Use 0 to {num_layers - 1}"
            )
        self.num_layers, self.layer = num_layers, layer % num_layers

    def weights(self) -> Tensor:
        """One-hot weights (L,)."""
        return torch.nn.functional.one_hot(torch.tensor(self.layer), self.num_layers).float()

    def forward(self, x: Tensor) -> Tensor:
        """(..., L, D) -> (..., D)."""
        return x[..., self.layer, :]

    def merge(self, states: Sequence[Tensor], lengths: Tensor) -> Tensor:
        """The layer's hidden state ``(B, F, D)``. ``lengths`` do not matter."""
        return states[self.layer]
