"""Words in a model on features: the sentence embedding t, or a learned vector n where there is none.

    e = (t - mean) / deviation,    n of "no text" in its place where there is no transcript
    concatenate       [x; e]
    cross_attention   [x; q + A(q, K, K)],   q = Q e,   K = tokens of the audio: P h_{s,l} + place_{s,l}

h_{s,l} is statistic s of layer l, standardised; A is multi-head attention (Vaswani et al. 2017). The text
asks which layers and statistics to read: pooled features have no frames to attend to. The head's weights
on what is added start at zero, so that training starts from the model without words. Text conditioning is
that of Diatlova et al. (Odyssey 2024); the encoder and its fusion are open there and this project's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ser.core.errors import UserError
from ser.downstream.conditioning.side_config import ATTENTION_HEADS, TextConfig


class TextBranch(nn.Module):
    """Makes of embeddings what is set beside the utterance vector.

    Args:
        config: fusion; not ``none``.
        text_dim: E.
        shape: (S, L, D) of the features.

    Raises:
        UserError: when there is one token only, so that attention has nothing to choose from.
    """

    def __init__(self, config: TextConfig, text_dim: int, shape: Sequence[int]) -> None:
        super().__init__()
        statistics, layers, dim = shape
        self.config, self.text_dim = config, text_dim
        self.register_buffer("mean", torch.zeros(text_dim))
        self.register_buffer("deviation", torch.ones(text_dim))
        self.no_text = nn.Parameter(torch.zeros(text_dim))
        if config.fusion == "cross_attention":
            if statistics * layers < 2:
                raise UserError(
                    "text.fusion cross_attention chooses among layers and statistics, and here is one",
                    value=f"{layers} layer, {statistics} statistic",
                    hint="Use text.fusion: concatenate, or model.pooling: std_per_layer",
                )
            self.query = nn.Linear(text_dim, config.width)
            self.tokens = nn.Linear(dim, config.width)
            self.place = nn.Parameter(torch.zeros(statistics * layers, config.width))
            self.attention = nn.MultiheadAttention(config.width, ATTENTION_HEADS, batch_first=True)

    @property
    def width(self) -> int:
        """By how much the utterance vector grows."""
        return self.text_dim if self.config.fusion == "concatenate" else self.config.width

    @torch.no_grad()
    def fit(self, text: Tensor) -> None:
        """Set mean and deviation from the training embeddings ``(N, E)``, NaN where there is no transcript.

        Raises:
            UserError: when no utterance has one.
        """
        known = text[~text[:, 0].isnan()].double()
        if not len(known):
            raise UserError("no training utterance has a transcript", hint="Set text.fusion: none")
        deviation = known.std(0, correction=0)
        self.mean.copy_(known.mean(0))
        self.deviation.copy_(torch.where(deviation > 1e-6, deviation, torch.ones_like(deviation)))

    def forward(self, text: Tensor, standardised: Tensor) -> Tensor:
        """Embeddings ``(B, E)`` and features ``(B, S, L, D)`` -> ``(B, width)``."""
        missing = text[:, :1].isnan()
        e = torch.where(missing, self.no_text, (text.nan_to_num() - self.mean) / self.deviation)
        if self.config.fusion == "concatenate":
            return e
        query, tokens = self.query(e)[:, None], self.tokens(standardised.flatten(1, 2)) + self.place
        read, _ = self.attention(query, tokens, tokens, need_weights=False)
        return (query + read)[:, 0]
