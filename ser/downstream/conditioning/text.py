"""Words in a model: the sentence embedding t, or a learned vector n where there is none.

    e = (t - mean) / deviation,    n of "no text" in its place where there is no transcript
    concatenate       [x; e]
    cross_attention   [x; q + A(q, K, K)],   q = Q e,   K = tokens of the audio

A is multi-head attention (Vaswani et al. 2017). Of pooled features the tokens are P h_{s,l} + place_{s,l} for
statistic s of layer l, standardised: the text asks which layers and statistics to read, since there are no
frames to attend to. In fine-tuning they are P f_t of the utterance's own frames. The head's weights on what
is added start at zero, so that training starts from the model without words. Text conditioning is that of
Diatlova et al. (Odyssey 2024); the encoder and its fusion are open there and this project's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ser.core.errors import UserError
from ser.downstream.conditioning.side_config import ATTENTION_HEADS, TextConfig


class TextEmbedding(nn.Module):
    """e of embeddings, standardised by those of the training set.

    Args:
        dim: E.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("deviation", torch.ones(dim))
        self.no_text = nn.Parameter(torch.zeros(dim))

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

    def forward(self, text: Tensor) -> Tensor:
        """Embeddings ``(B, E)``, NaN where there is none, to e ``(B, E)``."""
        missing = text[:, :1].isnan()
        return torch.where(missing, self.no_text, (text.nan_to_num() - self.mean) / self.deviation)


class TextAttention(nn.Module):
    """q + A(q, K, K): what the words read of the audio.

    Args:
        text_dim: E.
        dim: D of what is read.
        width: W of the attention.
        places: number of tokens where each has a learned place, 0 where they have none.
    """

    def __init__(self, text_dim: int, dim: int, width: int, places: int = 0) -> None:
        super().__init__()
        self.query = nn.Linear(text_dim, width)
        self.tokens = nn.Linear(dim, width)
        self.place = nn.Parameter(torch.zeros(places, width)) if places else None
        self.attention = nn.MultiheadAttention(width, ATTENTION_HEADS, batch_first=True)

    def forward(self, e: Tensor, h: Tensor, mask: Tensor | None = None) -> Tensor:
        """e ``(B, E)`` and tokens ``(B, N, D)``, finite, of which ``mask (B, N)`` counts -> ``(B, W)``."""
        query, tokens = self.query(e)[:, None], self.tokens(h)
        if self.place is not None:
            tokens = tokens + self.place
        padding = None if mask is None else ~mask
        read, _ = self.attention(query, tokens, tokens, key_padding_mask=padding, need_weights=False)
        return (query + read)[:, 0]


class TextBranch(nn.Module):
    """Makes of embeddings what is set beside the utterance vector of pooled features.

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
        self.embedding, self.attention = TextEmbedding(text_dim), None
        self.width = text_dim  # by which the utterance vector grows
        if config.fusion == "cross_attention":
            if statistics * layers < 2:
                raise UserError(
                    "text.fusion cross_attention chooses among layers and statistics, and here is one",
                    value=f"{layers} layer, {statistics} statistic",
                    hint="Use text.fusion: concatenate, or model.pooling: std_per_layer",
                )
            self.width = config.width
            self.attention = TextAttention(text_dim, dim, config.width, statistics * layers)

    def forward(self, text: Tensor, standardised: Tensor) -> Tensor:
        """Embeddings ``(B, E)`` and features ``(B, S, L, D)`` -> ``(B, width)``."""
        e = self.embedding(text)
        return e if self.attention is None else self.attention(e, standardised.flatten(1, 2))
