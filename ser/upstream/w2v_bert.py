"""w2v-BERT 2.0 (Barrault et al. 2023) with the weights of Hugging Face, exact in padded batches."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ser.upstream.base import Upstream, UpstreamInfo, attention_bias, valid_positions, zero_beyond
from ser.upstream.masking import mask_features
from ser.upstream.replay import run_layer


class W2vBertUpstream(Upstream):
    """Conformer on stacked pairs of log-mel frames, normalised for each utterance and mel band.

    Args:
        model: ``Wav2Vec2BertModel`` with eager attention.
        info: what it is.
        extractor: its ``SeamlessM4TFeatureExtractor``.
    """

    WINDOW, SHIFT = 400, 160
    maskable = True

    def __init__(self, model: nn.Module, info: UpstreamInfo, extractor: Any) -> None:
        super().__init__()
        self.model, self.info, self.extractor = model, info, extractor
        self.min_samples = self.WINDOW + (extractor.stride - 1) * self.SHIFT

    def features(self, wave: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Stacked log-mel frames ``(B, F, stride * mels)``, an odd last one dropped; their number ``(B,)``.

        The extractor runs on one utterance at a time, since it normalises over the utterance.
        """
        stacked = []
        for row, length in zip(wave.cpu().numpy(), lengths.tolist(), strict=True):
            mel = self.extractor(
                row[:length], sampling_rate=self.info.sample_rate, return_tensors="pt", padding=False,
                pad_to_multiple_of=None, return_attention_mask=False,
            ).input_features  # fmt: skip
            stacked.append(mel[0].to(torch.float32))
        frames = torch.tensor([len(mel) for mel in stacked])
        return pad_sequence(stacked, batch_first=True).to(wave.device), frames.to(wave.device)

    def encode(self, wave: Tensor, lengths: Tensor, last_layer: int) -> tuple[list[Tensor], Tensor]:
        """See :meth:`Upstream.encode`."""
        mel, frames = self.features(wave, lengths)
        projected = self.model.feature_projection(mel)
        x = zero_beyond(projected[0], frames)
        x = mask_features(x, frames, getattr(self.model, "masked_spec_embed", None))
        encoder = self.model.encoder
        positions = None if encoder.embed_positions is None else encoder.embed_positions(x)
        valid = valid_positions(frames, x.shape[1])
        bias = attention_bias(frames, x)
        states = [x]
        for layer in encoder.layers[:last_layer]:
            x = run_layer(conformer_layer, layer, x, bias, positions, None if bias is None else valid)
            states.append(x)
        return states, frames


def conformer_layer(
    layer: nn.Module, x: Tensor, bias: Tensor | None, positions: Any, valid: Tensor | None
) -> Tensor:
    """One layer on ``x (B, F, D)``, whichever way this version of transformers returns it."""
    out = layer(x, attention_mask=bias, relative_position_embeddings=positions, conv_attention_mask=valid)
    return out[0] if isinstance(out, tuple) else out
