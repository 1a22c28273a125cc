"""From frames to the utterance vector: mean or mean and deviation, of plain or of attentive weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ser.downstream.finetune.config import PoolingConfig
from ser.downstream.pooling import frame_mask, masked_mean

# Least variance: the square root has no finite slope at 0, where frames are constant or there is one.
LEAST_VARIANCE = 1e-5


class FrameAttention(nn.Module):
    """Weights over time, w = softmax(v . tanh(W h + b)), of an utterance's own frames.

    Source: Okabe, Koshinaka and Shinoda, Interspeech 2018, arXiv 1803.10963, equations 2 and 3, in the form
    of the Odyssey 2024 baseline: W is (D, D), v starts as N(0, 1), torch's initial values for W and b.

    Args:
        dim: D, of a frame.
        width: rows of W.
    """

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(dim, width)
        self.vector = nn.Parameter(torch.randn(width))

    def forward(self, h: Tensor, mask: Tensor) -> Tensor:
        """Frames ``(B, F, D)``, finite everywhere, and ``mask (B, F)`` to weights ``(B, F)``."""
        scores = torch.tanh(self.hidden(h)) @ self.vector
        return scores.masked_fill(~mask, float("-inf")).softmax(1)


class FramePooling(nn.Module):
    """Frames f (B, F, D) to an utterance vector.

        h     = LSTM(f), where there is one, else f        (B, F, H)
        w     = 1 / F, or softmax(v . tanh(W h + b))       (B, F)    ``mean``, ``mean+std`` / ``attention``,
        mu    = sum_t w_t h_t                              (B, H)    ``attentive``
        sigma = sqrt(max(sum_t w_t (h_t - mu)^2, 1e-5))    (B, H)    ``mean+std`` and ``attentive``
        v     = mu, or [mu; sigma]                         (B, dim)

    Sums are over an utterance's own frames, in float32. ``attentive`` is attentive statistics pooling (Okabe
    et al. 2018); the floor under the variance is the Odyssey 2024 baseline's: below it sigma is constant, and
    its gradient 0. The LSTM runs forward alone, so no frame hears the padding behind it; with width 192
    and ``mean`` it is the back end of Pan et al. (Interspeech 2024).

    Args:
        config: the method and its widths.
        dim: D.

    Attributes:
        dim: of the utterance vector.
    """

    def __init__(self, config: PoolingConfig, dim: int) -> None:
        super().__init__()
        width = config.lstm or dim
        self.lstm = nn.LSTM(dim, width, batch_first=True) if config.lstm else None
        attentive = config.method in ("attention", "attentive")
        self.attention = FrameAttention(width, config.width or width) if attentive else None
        self.deviation = config.method in ("mean+std", "attentive")
        self.dim = 2 * width if self.deviation else width

    @property
    def linear(self) -> bool:
        """Whether v is the plain mean of f: then pooling commutes with a weighted sum of layers."""
        return self.lstm is None and self.attention is None and not self.deviation

    def forward(self, f: Tensor, lengths: Tensor) -> Tensor:
        """Frames ``(B, F, D)``, whatever beyond ``lengths (B,)``, to ``(B, dim)``, float32."""
        with torch.autocast(f.device.type, enabled=False):
            f = f.float()
            if self.linear:
                return masked_mean(f, lengths)
            mask = frame_mask(lengths, f.shape[1])
            h = f.masked_fill(~mask[..., None], 0)
            if self.lstm is not None:
                h = self.lstm(h)[0]
            w = mask / lengths[:, None] if self.attention is None else self.attention(h, mask)
            mean = torch.einsum("bf,bfh->bh", w, h)
            if not self.deviation:
                return mean
            variance = torch.einsum("bf,bfh->bh", w, (h - mean[:, None]).square())
            return torch.cat([mean, variance.clamp_min(LEAST_VARIANCE).sqrt()], dim=1)
