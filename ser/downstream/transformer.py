"""A Transformer as interpreter: it reads the speaker's vector and the utterance's statistics as tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ser.core.errors import UserError

ATTENTION_HEADS = 4


class TransformerInterpreter(nn.Module):
    """[summary; token 1; ...; token T] -> Transformer encoder -> the summary's output -> linear.

    Every token has a linear map of its own onto the common width, whose bias tells its place; the summary
    is a learned token. In place of summing speaker and utterance, attention decides what of the speaker
    changes the reading of the utterance. A variation of this project (the papers have no Transformer here).

    Args:
        sizes: widths of the tokens, which are given one after the other.
        width: of the Transformer; its feed-forward part is twice as wide.
        depth: layers.
        dropout: in the layers.
        outputs: classes plus attributes.

    Raises:
        UserError: for a width that attention heads cannot share.
    """

    def __init__(self, sizes: Sequence[int], width: int, depth: int, dropout: float, outputs: int) -> None:
        super().__init__()
        if width % ATTENTION_HEADS:
            raise UserError(
                f"model.hidden must be a multiple of {ATTENTION_HEADS} for a Transformer", value=width
            )
        self.sizes = list(sizes)
        self.tokens = nn.ModuleList(nn.Linear(size, width) for size in sizes)
        self.summary = nn.Parameter(torch.zeros(width))
        layer = nn.TransformerEncoderLayer(
            width, ATTENTION_HEADS, 2 * width, dropout, "gelu", batch_first=True, norm_first=True
        )
        norm = nn.LayerNorm(width)
        self.encoder = nn.TransformerEncoder(layer, depth, norm, enable_nested_tensor=False)
        self.last = nn.Linear(width, outputs)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, vectors: Tensor) -> Tensor:
        """Tokens one after the other ``(B, sum of sizes)`` -> ``(B, outputs)``."""
        parts = zip(self.tokens, vectors.split(self.sizes, dim=1), strict=True)
        tokens = [self.summary.expand(len(vectors), -1), *(project(part) for project, part in parts)]
        return self.last(self.encoder(torch.stack(tokens, dim=1))[:, 0])
