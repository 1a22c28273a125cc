"""The network that a memory is, and its inner loss: what Titans writes with, and reads from.

    M(k)     = n(silu(... n(silu(k W_1)) ...)) W_L   fast weights W_1 ... W_L, one set a memory
    l(M; x)  = || M(k) - v ||^2                      the associative memory's loss (Titans, section 3.1)

n scales to length 1, as keys are: so a step means the same to every layer, however its weights have grown.
Without it two layers diverged now and then in training. It is this project's; Titans leaves M open.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

EPSILON = 1e-3


def recall(weights: Sequence[Tensor], keys: Tensor) -> Tensor:
    """M(k) of one memory: ``weights`` L times ``(W, W)``, keys ``(N, W)`` -> ``(N, W)``."""
    x = keys
    for number, weight in enumerate(weights):
        x = (F.normalize(F.silu(x), dim=-1, eps=EPSILON) if number else x) @ weight
    return x


def losses(weights: Sequence[Tensor], keys: Tensor, values: Tensor) -> Tensor:
    """l(M; x_t) of every token of one memory: ``(N,)``."""
    return (recall(weights, keys) - values).square().sum(-1)


def recall_each(weights: Sequence[Tensor], keys: Tensor) -> Tensor:
    """M_b(k) of B memories: ``weights`` L times ``(B, W, W)``, keys ``(B, N, W)`` -> ``(B, N, W)``."""
    return torch.func.vmap(recall)(tuple(weights), keys)


def weighted_gradients(
    weights: Sequence[Tensor], keys: Tensor, values: Tensor, *sums: Tensor
) -> list[tuple[Tensor, ...]]:
    """sum_t c_t grad l(M; x_t), for several weightings c of the tokens at once.

    A weighted sum of gradients is the gradient of the weighted sum: no token's gradient is ever written
    down, and a chunk costs one pass forward and one backward a weighting, however long it is.

    Args:
        weights: L times ``(B, W, W)``.
        keys: ``(B, N, W)``.
        values: ``(B, N, W)``.
        sums: weightings, ``(B, N)`` each.

    Returns:
        for each weighting L times ``(B, W, W)``; differentiable in every argument.
    """

    def of_one(weights: tuple[Tensor, ...], keys: Tensor, values: Tensor, *sums: Tensor) -> list:
        _, pull = torch.func.vjp(lambda m: losses(m, keys, values), weights)
        return [pull(c)[0] for c in sums]

    return torch.func.vmap(of_one)(tuple(weights), keys, values, *sums)
