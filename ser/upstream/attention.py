"""Self-attention of the encoders, by torch's fused kernel."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def split_heads(x: Tensor, heads: int) -> Tensor:
    """``(B, F, D)`` to ``(B, H, F, D / H)``."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def self_attention(module: nn.Module, x: Tensor, bias: Tensor | None) -> Tensor:
    """Multi-head self-attention with the weights of a transformers module.

    Args:
        module: has ``q_proj``, ``k_proj``, ``v_proj``, ``out_proj`` and ``num_heads``.
        x: ``(B, F, D)``.
        bias: added to the scores, broadcast to ``(B, H, F, F)``; None for nothing.
    """
    q, k, v = (
        split_heads(project(x), module.num_heads) for project in (module.q_proj, module.k_proj, module.v_proj)
    )
    attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    return module.out_proj(attended.transpose(1, 2).flatten(2))
