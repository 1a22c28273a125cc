"""emotion2vec's encoder: data2vec 2.0 for audio (Baevski et al. 2023; Ma et al. 2024, arXiv 2312.15185).

Seven convolutions without padding, each with LayerNorm over channels and GELU, give 50 frames a second, which
are normalised and projected: f. Positions come by a stack of grouped convolutions, with p_0 = f, added once:

    p_k = GELU(LN(conv_k(p_{k-1}))),   x = f + p_K

Learnt tokens are put before the frames, all is normalised, and blocks follow, with their norms behind:

    x <- LN(x + attention(x)),   x <- LN(x + W_2 GELU(W_1 x))

Attention has a bias for distance (ALiBi, Press et al. 2022, here symmetric): minus s_h |i - j| times a learnt
scale of the head, at least 0; nothing to and from the tokens. Written from the papers, the release's
config.yaml, the names and shapes of its tensors, and what FunASR computes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ser.upstream.attention import split_heads
from ser.upstream.base import Upstream, UpstreamInfo, attention_bias, zero_beyond
from ser.upstream.convolution import convolve, receptive_field
from ser.upstream.wav2vec2 import normalise

WAVE_EPSILON = 1e-5  # added to the waveform's variance, as fairseq does


@dataclass(frozen=True)
class Emotion2vecSizes:
    """Sizes of the architecture.

    Args:
        dim: width of a frame, D.
        heads: of attention.
        blocks: those of the prenet and the shared ones.
        feed_forward: width inside a block.
        tokens: learnt ones before the frames.
        convolutions: (channels, kernel, stride) of the front end.
        positions: convolutions of the position embedding.
        position_kernel: their kernel, odd.
        position_groups: their groups.
        epsilon: of the blocks' norms.
    """

    dim: int
    heads: int
    blocks: int
    feed_forward: int
    tokens: int
    convolutions: Sequence[tuple[int, int, int]]
    positions: int
    position_kernel: int
    position_groups: int
    epsilon: float


class Emotion2vecEncoder(Upstream):
    """The encoder; hidden states are the input of the first block and the output of each.

    Args:
        sizes: of the architecture.
        info: what it is.
        normalised: bring each waveform to zero mean and unit variance first.
    """

    def __init__(self, sizes: Emotion2vecSizes, info: UpstreamInfo, normalised: bool) -> None:
        super().__init__()
        self.info, self.normalised, dim = info, normalised, sizes.dim
        channels = [1, *(channels for channels, _, _ in sizes.convolutions)]
        self.convolutions = nn.ModuleList(
            Convolution(before, *spec) for before, spec in zip(channels, sizes.convolutions, strict=False)
        )
        self.feature_norm = nn.LayerNorm(channels[-1])
        self.feature_projection = nn.Linear(channels[-1], dim)
        self.positions = nn.ModuleList(
            nn.Conv1d(dim, dim, sizes.position_kernel, padding="same", groups=sizes.position_groups)
            for _ in range(sizes.positions)
        )
        self.extra_tokens = nn.Parameter(torch.zeros(1, sizes.tokens, dim))
        self.alibi_scale = nn.Parameter(torch.ones(1, 1, sizes.heads, 1, 1))
        self.input_norm = nn.LayerNorm(dim, eps=sizes.epsilon)
        self.blocks = nn.ModuleList(Block(sizes) for _ in range(sizes.blocks))
        self.register_buffer("slopes", torch.tensor(alibi_slopes(sizes.heads)), persistent=False)
        self.min_samples = receptive_field(self.convolutions)

    def encode(self, wave: Tensor, lengths: Tensor, last_layer: int) -> tuple[list[Tensor], Tensor]:
        """See :meth:`Upstream.encode`."""
        if self.normalised:
            wave = normalise(wave, lengths, WAVE_EPSILON)
        features, frames = convolve(self.convolutions, wave, lengths)
        x = zero_beyond(self.feature_projection(self.feature_norm(features)), frames)
        x = x + self.position(x, frames)
        tokens = self.extra_tokens.shape[1]
        x = self.input_norm(torch.cat([self.extra_tokens.expand(len(x), -1, -1), x], dim=1))
        bias = self.distance_bias(x.shape[1], tokens)
        if (outside := attention_bias(frames + tokens, x)) is not None:
            bias = bias + outside
        states = [x[:, tokens:]]
        for block in self.blocks[:last_layer]:
            x = block(x, bias)
            states.append(x[:, tokens:])
        return states, frames

    def position(self, x: Tensor, frames: Tensor) -> Tensor:
        """Positions of ``x (B, F, D)``; beyond ``frames`` they meet zeros, as past its end."""
        for convolution in self.positions:
            x = convolution(x.transpose(1, 2)).transpose(1, 2)
            x = zero_beyond(F.gelu(F.layer_norm(x, x.shape[-1:])), frames)
        return x

    def distance_bias(self, size: int, tokens: int) -> Tensor:
        """ALiBi ``(1, H, size, size)``: 0 to and from the first ``tokens``."""
        place = torch.arange(size - tokens, device=self.slopes.device)
        distance = (place[None] - place[:, None]).abs().to(self.slopes.dtype)
        bias = -self.slopes[:, None, None] * distance * self.alibi_scale.clamp(min=0)[0]
        return F.pad(bias, (tokens, 0, tokens, 0))


class Convolution(nn.Module):
    """One layer of the front end, in the shape that ``ser.upstream.convolution`` runs.

    Args:
        before: channels that come in.
        channels: channels that go out.
        kernel: width in samples or frames.
        stride: step.
    """

    def __init__(self, before: int, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(before, channels, kernel, stride=stride, bias=False)
        self.layer_norm, self.activation = nn.LayerNorm(channels), nn.GELU()


class Block(nn.Module):
    """Self-attention and feed-forward, norms behind.

    Args:
        sizes: of the architecture.
    """

    def __init__(self, sizes: Emotion2vecSizes) -> None:
        super().__init__()
        dim, self.heads = sizes.dim, sizes.heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.fc1, self.fc2 = nn.Linear(dim, sizes.feed_forward), nn.Linear(sizes.feed_forward, dim)
        self.norm1, self.norm2 = (nn.LayerNorm(dim, eps=sizes.epsilon) for _ in range(2))

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """``x (B, F, D)`` with ``bias``, broadcast to ``(B, H, F, F)``, on the attention's scores."""
        q, k, v = (split_heads(part, self.heads) for part in self.qkv(x).chunk(3, dim=-1))
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        x = self.norm1(x + self.proj(attended.transpose(1, 2).flatten(2)))
        return self.norm2(x + self.fc2(F.gelu(self.fc1(x))))


def alibi_slopes(heads: int) -> list[float]:
    """Slopes of the heads (Press et al. 2022): 2^(-8 h / H), h = 1 .. H, for H a power of two.

    For other H, those of the next lower power P, then every other one of 2 P's.

    >>> [round(slope, 4) for slope in alibi_slopes(4)]
    [0.25, 0.0625, 0.0156, 0.0039]
    >>> [round(slope, 4) for slope in alibi_slopes(6)]
    [0.25, 0.0625, 0.0156, 0.0039, 0.5, 0.125]
    """
    lower = 2 ** math.floor(math.log2(heads))
    slopes = [2 ** (-8 * h / lower) for h in range(1, lower + 1)]
    return slopes + [2 ** (-8 * h / (2 * lower)) for h in range(1, 2 * (heads - lower), 2)]
