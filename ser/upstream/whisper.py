"""Whisper's encoder (Radford et al. 2022) at the utterance's length, or padded to 30 s as it was trained."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ser.upstream.attention import self_attention
from ser.upstream.base import Upstream, UpstreamInfo, attention_bias, zero_beyond
from ser.upstream.masking import mask_features
from ser.upstream.replay import run_layer


class WhisperUpstream(Upstream):
    """Encoder of Whisper on the log-mel frames of ``WhisperFeatureExtractor``.

    The stock encoder insists on 30 s. With context ``length`` the position table is cut to the
    utterance: the encoder sees the utterance and nothing else, for a tenth of the work. With context
    ``30 s`` it sees zeros up to 30 s, as transformers does; the frames of that silence are not given out.
    An utterance longer than 30 s is encoded in the fewest windows of equal size and put together again.

    Args:
        encoder: ``WhisperEncoder``.
        info: what it is; ``info.context`` is ``length`` or ``30 s``.
        extractor: its ``WhisperFeatureExtractor``.
    """

    maskable = True

    def __init__(self, encoder: nn.Module, info: UpstreamInfo, extractor: Any) -> None:
        super().__init__()
        self.encoder, self.info = encoder, info
        self.n_fft, self.shift = extractor.n_fft, extractor.hop_length
        self.stride = self.shift * encoder.conv1.stride[0] * encoder.conv2.stride[0]
        self.max_samples = encoder.embed_positions.num_embeddings * self.stride
        self.min_samples = self.n_fft // 2 + 1  # reflection at the edges needs as much
        filters = torch.from_numpy(extractor.mel_filters).to(torch.float32).T.contiguous()
        self.register_buffer("mel_filters", filters, persistent=False)
        self.register_buffer("window", torch.hann_window(self.n_fft), persistent=False)

    def encode(self, wave: Tensor, lengths: Tensor, last_layer: int) -> tuple[list[Tensor], Tensor]:
        """See :meth:`Upstream.encode`."""
        windows, sizes, owners = self._windows(wave, lengths)
        states, frames = self._encode_windows(windows, sizes, owners, last_layer)
        if len(owners) == len(lengths):
            return states, frames
        joined = [_join(state, frames, owners, len(lengths)) for state in states]
        return joined, torch.zeros_like(lengths).index_add_(0, owners, frames)

    def _windows(self, wave: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cut what is longer than the position table.

        Returns:
            windows ``(W, T)``, their samples ``(W,)`` and the row of ``wave`` each comes from ``(W,)``.
        """
        if wave.shape[1] <= self.max_samples:
            return wave, lengths, torch.arange(len(lengths), device=wave.device)
        cut: list[tuple[int, int, int]] = []
        for row, length in enumerate(lengths.tolist()):
            count = math.ceil(length / self.max_samples)
            size = math.ceil(length / count / self.stride) * self.stride
            cut += [(row, start, min(start + size, length)) for start in range(0, length, size)]
        windows = pad_sequence([wave[row, start:end] for row, start, end in cut], batch_first=True)
        sizes = torch.tensor([end - start for _, start, end in cut], device=wave.device)
        return windows, sizes, torch.tensor([row for row, _, _ in cut], device=wave.device)

    def log_mel(self, wave: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mel frames as ``WhisperFeatureExtractor`` gives them for each utterance alone.

        Every row is reflected at its own ends, and its range is cut at 8 below its own maximum.

        Args:
            wave: ``(B, T)``, zero beyond ``lengths``.
            lengths: ``(B,)`` samples.

        Returns:
            ``(B, mels, M)``, zero beyond the frames ``(B,)``, one every 10 ms.
        """
        half = self.n_fft // 2
        if self.info.context == "30 s":
            padded = F.pad(F.pad(wave, (0, self.max_samples - wave.shape[1])), (half, half), mode="reflect")
            frames = torch.full_like(lengths, self.max_samples // self.shift)
        else:
            padded = wave.new_zeros(len(wave), wave.shape[1] + 2 * half)
            for row, out, length in zip(wave, padded, lengths.tolist(), strict=True):
                out[: length + 2 * half] = F.pad(row[None, :length], (half, half), mode="reflect")[0]
            frames = lengths // self.shift
        spectrum = torch.stft(
            padded, self.n_fft, self.shift, window=self.window, center=False, return_complex=True
        )
        power = spectrum[..., : int(frames.max())].abs().square().contiguous()
        mel = (self.mel_filters @ power).clamp(min=1e-10).log10().transpose(1, 2)
        mel = zero_beyond(mel, frames)
        # Beyond its frames a row is 0, which may exceed its maximum: take that of its own frames.
        top = torch.stack([row[:length].max() for row, length in zip(mel, frames.tolist(), strict=True)])
        mel = (torch.maximum(mel, top[:, None, None] - 8.0) + 4.0) / 4.0
        return zero_beyond(mel, frames).transpose(1, 2), frames

    def padded_seconds(self, seconds: float) -> float:
        """See :meth:`Upstream.padded_seconds`."""
        longest = self.max_samples / self.info.sample_rate
        return seconds if self.info.context == "length" else longest * math.ceil(seconds / longest)

    def _encode_windows(
        self, wave: Tensor, lengths: Tensor, owners: Tensor, last_layer: int
    ) -> tuple[list[Tensor], Tensor]:
        """Encode rows that fit into the position table, each a part of the utterance ``owners (W,)``."""
        mel, mel_frames = self.log_mel(wave, lengths)
        mel = mask_features(mel.transpose(1, 2), mel_frames, owners=owners).transpose(1, 2)
        valid = (lengths // self.shift + 1) // 2
        frames = (mel_frames + 1) // 2
        encoder = self.encoder
        x = F.gelu(encoder.conv1(mel))
        x = zero_beyond(x.transpose(1, 2), mel_frames).transpose(1, 2)
        x = F.gelu(encoder.conv2(x)).transpose(1, 2)
        x = x + encoder.embed_positions.weight[: x.shape[1]]

        bias = attention_bias(frames, x)
        states = [x]
        for layer in encoder.layers[:last_layer]:
            x = run_layer(transformer_layer, layer, x, bias)
            states.append(x)
        if last_layer == len(encoder.layers):
            states[-1] = encoder.layer_norm(states[-1])
        longest = int(valid.max())
        return [state[:, :longest] for state in states], valid


def transformer_layer(layer: nn.Module, x: Tensor, bias: Tensor | None) -> Tensor:
    """One pre-norm layer on ``x (B, F, D)``."""
    x = x + self_attention(layer.self_attn, layer.self_attn_layer_norm(x), bias)
    return x + layer.fc2(layer.activation_fn(layer.fc1(layer.final_layer_norm(x))))


def _join(state: Tensor, frames: Tensor, owners: Tensor, rows: int) -> Tensor:
    """Windows ``(W, F, D)`` back to utterances ``(B, F', D)``, in time order."""
    parts: list[list[Tensor]] = [[] for _ in range(rows)]
    for window, length, owner in zip(state, frames.tolist(), owners.tolist(), strict=True):
        parts[owner].append(window[:length])
    return pad_sequence([torch.cat(part) for part in parts], batch_first=True)
