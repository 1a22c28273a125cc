"""Gender and words in an end-to-end model: what enters before the pooled vector, and what behind it.

    v     = pool(f);  text.fusion: cross_attention has [pool(f); q + A(q, K, K)],  K = P f_t     a micro-batch
    x     = g(v): by gender added, FiLM                                                        the whole batch
    input = [x; gender's vector, concatenated; e, text concatenated]                what the interpreter reads

Frames are at hand in the encoder's part alone, so the words read them there; everything else waits for the
vectors of the effective batch. See ``ser.downstream.conditioning`` for the parts and whose they are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ser.downstream.conditioning.gender import GenderBranch
from ser.downstream.conditioning.side import Side
from ser.downstream.conditioning.side_config import SideOptions
from ser.downstream.conditioning.text import TextAttention, TextEmbedding
from ser.downstream.pooling import frame_mask


class FrameReader(nn.Module):
    """What the words read of an utterance's own frames.

    Args:
        options: with ``text.fusion: cross_attention``.
        frame_dim: D of a frame.
    """

    def __init__(self, options: SideOptions, frame_dim: int) -> None:
        super().__init__()
        self.embedding = TextEmbedding(options.text_dim)
        self.attention = TextAttention(options.text_dim, frame_dim, options.text.width)
        self.dim = options.text.width

    def forward(self, text: Tensor, f: Tensor, lengths: Tensor) -> Tensor:
        """Embeddings ``(B, E)``, frames ``(B, F, D)``, whatever beyond ``lengths (B,)`` -> ``(B, dim)``."""
        with torch.autocast(f.device.type, enabled=False):
            mask = frame_mask(lengths, f.shape[1])
            return self.attention(self.embedding(text), f.float().masked_fill(~mask[..., None], 0), mask)


class VectorSide(nn.Module):
    """Gender, and words that are concatenated, on the pooled vectors.

    Args:
        options: of which one at least is on.
        dim: of the pooled vector.
    """

    def __init__(self, options: SideOptions, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.gender = GenderBranch(options.gender, dim) if options.gender.on else None
        self.embedding = TextEmbedding(options.text_dim) if options.text.fusion == "concatenate" else None

    @property
    def widths(self) -> list[int]:
        """By how much the interpreter's input is longer than v, part by part."""
        gender = 0 if self.gender is None else self.gender.width
        text = 0 if self.embedding is None else len(self.embedding.no_text)
        return [width for width in (gender, text) if width]

    def forward(self, v: Tensor, side: Side) -> Tensor:
        """v ``(B, dim + what the words have read)`` -> what the interpreter reads."""
        x, read, beside = v[:, : self.dim], v[:, self.dim :], []
        if self.gender is not None:
            x, vector = self.gender(x, side.gender)
            beside.append(vector)
        if self.embedding is not None:
            beside.append(self.embedding(side.text))
        return torch.cat([x, read, *beside], dim=1)

    def loss(self, v: Tensor, side: Side) -> Tensor:
        """The side task's weighted loss."""
        return v.sum() * 0 if self.gender is None else self.gender.loss(v[:, : self.dim], side.gender)
