"""HuBERT, WavLM and wav2vec2 with the weights of Hugging Face: one architecture, exact in padded batches."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ser.upstream.attention import self_attention, split_heads
from ser.upstream.base import Upstream, UpstreamInfo, attention_bias, zero_beyond
from ser.upstream.convolution import convolve, receptive_field
from ser.upstream.masking import mask_features
from ser.upstream.replay import run_layer


class Wav2Vec2Upstream(Upstream):
    """HuBERT (Hsu et al. 2021), WavLM (Chen et al. 2022), wav2vec 2.0 (Baevski et al. 2020).

    Hidden states are those of the paper's code and of S3PRL: the input of the first layer, the output of
    each layer, and in pre-norm (large) models the last one after the closing layer norm.

    Args:
        model: ``HubertModel``, ``WavLMModel`` or ``Wav2Vec2Model``.
        info: what it is.
        normalise: bring each waveform to zero mean and unit variance first (``do_normalize`` of its
            preprocessor_config.json).
    """

    maskable = True

    def __init__(self, model: nn.Module, info: UpstreamInfo, normalise: bool) -> None:
        super().__init__()
        self.model, self.info, self.normalise = model, info, normalise
        self.min_samples = receptive_field(model.feature_extractor.conv_layers)

    def encode(self, wave: Tensor, lengths: Tensor, last_layer: int) -> tuple[list[Tensor], Tensor]:
        """See :meth:`Upstream.encode`."""
        if self.normalise:
            wave = normalise(wave, lengths)
        features, frames = convolve(self.model.feature_extractor.conv_layers, wave, lengths)
        x = project(self.model, features, frames)
        return transform(self.model, x, frames, last_layer), frames

    def take_as_given(self) -> None:
        """See :meth:`Upstream.take_as_given`."""
        self.normalise = False


def project(model: nn.Module, features: Tensor, frames: Tensor) -> Tensor:
    """Features ``(B, F, C)`` as the Transformer's input ``(B, F, D)``, zero beyond ``frames``."""
    x = model.feature_projection(features)
    x = zero_beyond(x[0] if isinstance(x, tuple) else x, frames)
    return mask_features(x, frames, getattr(model, "masked_spec_embed", None))


def transform(model: nn.Module, x: Tensor, frames: Tensor, last_layer: int) -> list[Tensor]:
    """The Transformer on ``x (B, F, D)``, zero beyond ``frames (B,)``.

    Returns:
        ``last_layer + 1`` states ``(B, F, D)``: the input of the first layer (with its position embedding),
        and the output of each layer; the last of all, in pre-norm models, after the closing norm.
    """
    encoder, pre_norm = model.encoder, bool(model.config.do_stable_layer_norm)
    x = x + position(encoder.pos_conv_embed, x, frames)
    if not pre_norm:
        x = encoder.layer_norm(x)

    bias = attention_bias(frames, x)
    relative = relative_position(encoder, x.shape[1])
    states = [x]
    for layer in encoder.layers[:last_layer]:
        x = run_layer(transformer_layer, layer, x, bias, relative, pre_norm)
        states.append(x)
    if pre_norm and last_layer == len(encoder.layers):
        states[-1] = encoder.layer_norm(states[-1])
    return states


def transformer_layer(
    layer: nn.Module, x: Tensor, bias: Tensor | None, relative: Tensor | None, pre_norm: bool
) -> Tensor:
    """One layer on ``x (B, F, D)``: norms before its halves (large models) or after them (base models)."""
    if pre_norm:
        x = x + attend(layer.attention, layer.layer_norm(x), bias, relative)
        x = x + layer.feed_forward(layer.final_layer_norm(x))
    else:
        x = layer.layer_norm(x + attend(layer.attention, x, bias, relative))
        x = layer.final_layer_norm(x + layer.feed_forward(x))
    adapter = getattr(layer, "adapter_layer", None)
    return x if adapter is None else x + adapter(x)


def normalise(wave: Tensor, lengths: Tensor, epsilon: float = 1e-7) -> Tensor:
    """Each row of ``wave (B, T)`` to zero mean and unit variance over its own ``lengths (B,)`` samples.

    ``epsilon`` is added to the variance: 1e-7 is transformers' own, 1e-5 that of fairseq and S3PRL.
    """
    normed = torch.zeros_like(wave)
    for row, out, length in zip(wave, normed, lengths.tolist(), strict=True):
        variance, mean = torch.var_mean(row[:length], correction=0)
        out[:length] = (row[:length] - mean) / torch.sqrt(variance + epsilon)
    return normed


def position(embed: nn.Module, x: Tensor, frames: Tensor) -> Tensor:
    """Convolutional position embedding of ``x (B, F, D)``, zero beyond ``frames`` as past an end."""
    x = x.transpose(1, 2)
    if getattr(embed, "batch_norm", None) is not None:
        x = zero_beyond(embed.batch_norm(x).transpose(1, 2), frames).transpose(1, 2)
    return embed.activation(embed.padding(embed.conv(x))).transpose(1, 2)


def relative_position(encoder: nn.Module, size: int) -> Tensor | None:
    """WavLM's bucketed relative position bias ``(H, F, F)``, which its first layer holds; else None."""
    if not len(encoder.layers) or not hasattr(encoder.layers[0].attention, "rel_attn_embed"):
        return None
    return encoder.layers[0].attention.compute_bias(size, size)


def attend(module: nn.Module, x: Tensor, bias: Tensor | None, relative: Tensor | None) -> Tensor:
    """Self-attention; WavLM gates its relative position bias by the query (Chen et al. 2022, section 3.1)."""
    if relative is not None:
        gate_in = module.gru_rel_pos_linear(split_heads(x, module.num_heads))
        gate_in = gate_in.unflatten(-1, (2, 4)).sum(-1)
        update, reset = torch.sigmoid(gate_in).chunk(2, dim=-1)
        gated = (update * (reset * module.gru_rel_pos_const - 1) + 2) * relative
        bias = gated if bias is None else gated + bias
    return self_attention(module, x, bias)
